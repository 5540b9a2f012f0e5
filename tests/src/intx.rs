// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts of devices by a line: the host's IO-APIC, the paravisor's lines and L2's own IO-APIC.
//!
//! Three parties count: the guest, the paravisor and the host. By level each interrupt that the host has
//! told of has one end that it was told of, and L2 took as many as it ended.

/// A card without messages.
mod card;

use libtest_mimic::Trial;
use xtask::debian_kernel::Series;
use xtask::machine::{Exit, Outcome};
use xtask::report::Line;

use crate::account;
use crate::stand::{Stand, Verdict, check, ended, said, scenario};

/// What Linux does; see [`linux`].
const SCRIPT: &str = include_str!("intx/script");

/// The line of QEMU's `edu`, which is device 1; another one that is device 5 shares it.
const GSI: u32 = 21;
const FIRST: &str = "intx=00:01.0,A,21,level,high";
const EDGE: &str = "intx=00:01.0,A,21,edge,high";
const SECOND: &str = "intx=00:05.0,A,21,level,high";

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    let mut all: Vec<_> = [1, 2]
        .map(|cpus| {
            scenario(format!("intx::each_interrupt_comes_once_on_{cpus}_cpus"), move || plain(cpus))
        })
        .into();
    all.extend([
        scenario("intx::none_sticks_after_100_changes_of_mask_and_cpu", moved),
        scenario(
            "intx::none_sticks_after_masking_600_times_around_what_is_pending_or_gone",
            masked,
        ),
        scenario("intx::two_devices_share_a_line", shared),
        scenario("intx::a_level_ends_by_the_chip_s_register_too", directed),
        scenario("intx::a_second_device_of_another_polarity_is_refused", polarity),
        scenario("intx::an_edge_is_an_interrupt_without_an_end", edges),
        scenario("intx::a_line_by_edge_works_at_a_pin_by_level", edges_at_a_level),
        scenario("intx::a_line_that_is_not_the_td_s_is_refused_and_the_rest_goes_on", refused),
        scenario("intx::a_device_whose_line_nobody_knows_has_no_pin", unknown),
        scenario("intx::a_host_that_raises_lines_of_nobody_is_counted", strays),
        scenario("intx::linux_drives_two_disks_on_a_line_beside_one_with_msi_x", linux),
    ]);
    all.extend(card::scenarios());
    all
}

/// Each interrupt is raised when the last one was taken: all three counts are equal.
fn plain(cpus: u32) -> Verdict {
    let stand = Stand::new(cpus, "scenario=intx:plain count=1000 wait=poll");
    stand.paravisor_option(FIRST).run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        said(outcome, "L2 | ", "result intx devices=1 raised=1000 taken=1000 handled=1000")?;
        said(outcome, "L1 | ", "line: gsi=21 l2_pin=16 told=1000 ended=1000")?;
        said(outcome, "L1 | ", "exits: reason=VIRTUALIZED_EOI count=1000")?;
        let line = line(outcome)?;
        check!((line.told, line.ended) == (1000, 1000), "the host counted {line:?}");
        Ok(())
    })
}

/// Of three changes one comes to nothing, because the device takes back what it asked for while the pin
/// is masked: that must not be seen. What was on its way when the pin was masked is told a second time.
fn moved() -> Verdict {
    let stand = Stand::new(2, "scenario=intx:moved count=102 wait=poll");
    stand.paravisor_option(FIRST).run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        said(outcome, "L2 | ", "result intx devices=1 raised=102 taken=102 handled=68")?;
        let line = line(outcome)?;
        let on_their_way = line.told.checked_sub(68).ok_or("the host told too little")?;
        check!(on_their_way <= 34 && line.ended == line.told, "the host counted {line:?}");
        Ok(())
    })
}

/// Two devices of a line, whose pin is masked and opened in six cases a hundred times each; in one of them
/// it is masked while its interrupt is on its way, which may then be told twice.
fn masked() -> Verdict {
    let stand = Stand::new(2, "scenario=intx:masked count=100 wait=poll");
    let stand = stand.paravisor_option(FIRST).paravisor_option(SECOND);
    stand.qemu_options(&["-device", "edu,addr=5"]).run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        for case in ["pending", "gone", "both", "one-gone", "on-its-way", "spurious"] {
            said(outcome, "L2 | ", &format!("result masked case={case} rounds=100 "))?;
        }
        let line = line(outcome)?;
        check!(line.told == line.ended && line.told >= 1000, "the host counted {line:?}");
        Ok(())
    })
}

/// The chip hears of an end by its register while the interrupt is in service at its CPU, whose own end comes
/// to nothing then: each is told once, and ended once.
fn directed() -> Verdict {
    let stand = Stand::new(2, "scenario=intx:directed count=500 wait=poll");
    stand.paravisor_option(FIRST).run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        said(outcome, "L2 | ", "result intx devices=1 raised=500 taken=500 handled=500")?;
        said(outcome, "L1 | ", "exits: reason=VIRTUALIZED_EOI count=500")?;
        let line = line(outcome)?;
        check!((line.told, line.ended) == (500, 500), "the host counted {line:?}");
        Ok(())
    })
}

/// One line has one polarity, and the first statement says which.
fn polarity() -> Verdict {
    let stand = Stand::new(1, "scenario=edu count=10 wait=poll");
    let stand = stand.paravisor_option(FIRST).paravisor_option("intx=00:05.0,A,21,level,low");
    stand.qemu_options(&["-device", "edu,addr=5"]).run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        let first = "intx: device=00:01.0 pin=A gsi=21 trigger=level polarity=high l2_pin=16";
        said(outcome, "L1 | info  ", first)?;
        said(outcome, "L1 | warn  ", "intx refused: device=00:05.0 pin=A gsi=21 trigger=level")?;
        said(outcome, "L1 | warn  ", "another device has the line, with another polarity")
    })
}

/// The operator says edge. L2's pin is one of edges, too: nobody ends anything. What is raised while the pin
/// is masked is lost, as with any chip, and the next one comes.
fn edges() -> Verdict {
    let stand = Stand::new(2, "scenario=intx:edges count=1000 wait=poll");
    stand.paravisor_option(EDGE).run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        said(outcome, "L1 | ", "intx: device=00:01.0 pin=A gsi=21 trigger=edge polarity=high")?;
        said(outcome, "L2 | ", "result intx devices=1 raised=1100 taken=1100 handled=1000")?;
        said(outcome, "L1 | ", "line: gsi=21 l2_pin=16 told=1000 ended=0")?;
        check!(!said_of_eoi(outcome), "an edge was ended");
        let line = line(outcome)?;
        check!((line.told, line.ended) == (1000, 0), "the host counted {line:?}");
        Ok(())
    })
}

/// The same line at a pin that L2 has by level, as `_PRT` has it: L2 ends each, and the host hears of none.
fn edges_at_a_level() -> Verdict {
    let stand = Stand::new(2, "scenario=intx:plain count=1000 wait=poll");
    stand.paravisor_option(EDGE).run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        said(outcome, "L2 | ", "result intx devices=1 raised=1000 taken=1000 handled=1000")?;
        said(outcome, "L1 | ", "line: gsi=21 l2_pin=16 told=1000 ended=0")?;
        said(outcome, "L1 | ", "exits: reason=VIRTUALIZED_EOI count=1000")?;
        let line = line(outcome)?;
        check!((line.told, line.ended) == (1000, 0), "the host counted {line:?}");
        Ok(())
    })
}

/// Whether L2 was left for the end of an interrupt.
fn said_of_eoi(outcome: &Outcome) -> bool {
    outcome.console.iter().any(|line| line.contains("reason=VIRTUALIZED_EOI"))
}

/// Both raise at once, over and over, beside a device with MSI-X that the doorbell's peer rings.
fn shared() -> Verdict {
    let stand = Stand::new(2, "scenario=intx:shared count=200 wait=poll");
    let stand = stand.paravisor_option(FIRST).paravisor_option(SECOND);
    stand.qemu_options(&["-device", "edu,addr=5"]).run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        said(outcome, "L1 | ", "intx: device=00:05.0 pin=A gsi=21")?;
        said(outcome, "L2 | ", "result intx devices=2 raised=400 taken=400")?;
        let line = line(outcome)?;
        let balanced = line.told == line.ended && (200..=400).contains(&line.told);
        check!(balanced, "the host counted {line:?}");
        Ok(())
    })
}

/// Statements that are wrong each in their own way; then one that is right.
fn refused() -> Verdict {
    let mut stand = Stand::new(1, "scenario=edu count=10 wait=poll");
    for (bdf, rest) in [
        ("00:02.0", "B,22,level,high"),
        ("00:03.0", "A,23,level,high"),
        ("00:05.0", "A,20,level,high"),
        ("00:09.0", "A,99,level,high"),
        ("00:0d.0", "A,21,edge,high"),
        ("00:11.0", "A,21,level,low"),
    ] {
        stand = stand.paravisor_option(&format!("intx={bdf},{rest}"));
    }
    let devices = ["-device", "edu,addr=5", "-device", "edu,addr=9", "-device", "edu,addr=0xd"];
    let stand = stand.qemu_options(&devices).qemu_options(&["-device", "edu,addr=0x11"]);
    stand.paravisor_option(FIRST).run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        for why in [
            "device=00:02.0 pin=B gsi=22 trigger=level polarity=high: the host says that its pin is",
            "device=00:03.0 pin=A gsi=23 trigger=level polarity=high: the host says that its pin is",
            "device=00:05.0 pin=A gsi=20 trigger=level polarity=high: the host does not let the td",
            "device=00:09.0 pin=A gsi=99 trigger=level polarity=high: the host's io-apic has no such",
        ] {
            said(outcome, "L1 | warn  ", &format!("intx refused: {why}"))?;
        }
        said(outcome, "L1 | info  ", "intx: device=00:0d.0 pin=A gsi=21 trigger=edge")?;
        for bdf in ["00:11.0", "00:01.0"] {
            let why = "another device has the line, and one of them by edge";
            let refused = format!("intx refused: device={bdf} pin=A gsi=21 trigger=level");
            said(outcome, "L1 | warn  ", &refused)?;
            said(outcome, "L1 | warn  ", why)?;
        }
        Ok(())
    })
}

/// Without a statement or the host's tables there is no pin, so the guest that wants one cannot go on.
fn unknown() -> Verdict {
    let stand = Stand::new(1, "scenario=intx:plain count=1 wait=poll");
    stand.paravisor_option("acpi=off").run(|outcome| {
        ended(outcome, &Exit::FAILURE)?;
        said(outcome, "L2 | ", "ok=0 handled=0 reason=bad-device what=no pin")
    })
}

/// The host raises vectors of lines that no device has.
fn strays() -> Verdict {
    let stand = Stand::new(1, "scenario=demo").paravisor_option(FIRST);
    stand.emulator_option("unasked=0x63:20").run(|outcome| {
        account::exact(outcome)?;
        said(outcome, "L1 | ", "count: stray_lines=20")
    })
}

/// How often Linux reads while nothing else happens.
const READS: u64 = 2000;

/// An unmodified kernel finds the way of two disks' pins in `_PRT`. First one disk reads alone, block by
/// block: as many interrupts as blocks, counted by Linux and by the host. Then all disks read while the
/// line moves from CPU to CPU; the third one keeps its MSI-X. An interrupt that is lost makes Linux wait
/// for 30 seconds and say so. With Hyper-V's interrupt remapping Linux ends each level twice, by its
/// CPU's EOI and by the chip's register, so what comes in between is told twice and taken once.
fn linux() -> Verdict {
    let script = SCRIPT.replace("@READS@", &READS.to_string());
    let mut stand = Stand::linux(2, Series::V6_12, "", Some(script.as_bytes()))?
        .paravisor_option("identity=hyperv")
        .emulator_option("devices=1b36:0010");
    for (address, bdf) in [("0x5", None), ("0x6", Some("00:06.0")), ("0xa", Some("00:0a.0"))] {
        let block = format!("null-co,node-name=d{address},size=67108864,read-zeroes=on");
        let disk = format!("nvme,drive=d{address},serial=d{address},addr={address}");
        stand = stand.qemu_options(&["-blockdev", &format!("driver={block}"), "-device", &disk]);
        if let Some(bdf) = bdf {
            stand = stand.paravisor_option(&format!("intx={bdf},A,22,level,high"));
        }
    }
    stand.run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        let counted = |at| counted(outcome, &format!("result intx at={at} count="));
        let (begin, alone, moved) = (counted("begin")?, counted("alone")?, counted("moved")?);
        let (count, told) = (alone.0 - begin.0, alone.1 - begin.1);
        check!(count == READS && told == READS, "{count} counted, {told} told, of {READS}");
        let (count, told) = (moved.0 - alone.0, moved.1 - alone.1);
        let none_lost = (count..=2 * count).contains(&told) && count > READS;
        check!(none_lost, "{count} counted, {told} told while it moved");
        let rows = outcome.report.rows.iter();
        let messages: u64 = rows.filter(|row| row.bdf == "00:05.0").map(|row| row.relayed).sum();
        check!(messages >= READS, "{messages} interrupts of the disk with MSI-X");
        said(outcome, "L1 | info  ", "line: gsi=22 l2_pin=16")
    })
}

/// What Linux has counted in its line that begins with `prefix`, and what the host had told by then.
fn counted(outcome: &Outcome, prefix: &str) -> Result<(u64, u64), String> {
    let mut lines = outcome.report.guest.iter();
    let count = lines.find_map(|line| line.strip_prefix(prefix)?.parse::<u64>().ok());
    let told = outcome.report.told_at(prefix);
    count.zip(told).ok_or_else(|| format!("no line \"{prefix}…\""))
}

/// The host's figures of the one line that interrupts.
fn line(outcome: &Outcome) -> Result<Line, String> {
    match outcome.report.lines.as_slice() {
        [line] if line.gsi == GSI => Ok(*line),
        lines => Err(format!("not one line: {lines:?}")),
    }
}
