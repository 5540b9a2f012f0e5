// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lines of devices as the host's ACPI tables say, which a VM of their own evaluates: the TD's second one.

/// The crate in place of our interpreter.
mod by_crate;

/// Programs that do in that VM what they may not.
mod misbehaving;

use libtest_mimic::Trial;
use sha2::{Digest as _, Sha384};
use xtask::debian_kernel::Series;
use xtask::host_tables::{HostTables, Source};
use xtask::machine::{Exit, Outcome};
use xtask::qemu::Qemu;

use crate::stand::{Stand, Verdict, check, ended, said, scenario};

/// What Linux does; see [`linux`].
const SCRIPT: &[u8] = include_bytes!("acpi/script");

/// How the VM ends as a rule.
const ANSWERED: &str = "acpi: vm: it has answered";

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    let mut all: Vec<_> = ["requests", "bytes"]
        .map(|way| {
            scenario(format!("acpi::a_device_gets_the_line_that_is_read_by_{way}"), move || {
                without_a_statement(way)
            })
        })
        .into();
    all.extend([
        scenario("acpi::what_is_measured_are_the_host_s_files", measured),
        scenario("acpi::two_devices_share_a_line_by_the_tables", shared),
        scenario("acpi::what_the_operator_states_is_what_holds", overridden),
        scenario("acpi::eleven_devices_get_four_lines", many),
        scenario("acpi::linux_finds_what_it_finds_without_a_paravisor", linux),
    ]);
    all.extend(by_crate::scenarios());
    all.extend(misbehaving::scenarios());
    all
}

/// The guest raises and takes each interrupt by a line of which nobody has said anything.
fn without_a_statement(way: &str) -> Verdict {
    let stand = Stand::new(2, "scenario=intx:plain count=1000 wait=poll");
    let stand = stand.emulator_option(&format!("files={way}"));
    stand.paravisor_option("acpi=routes").run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        said(outcome, "L1 | info  ", &format!("acpi: files are read by {way}"))?;
        said(outcome, "L1 | info  ", ANSWERED)?;
        let route = "device=00:01.0 pin=A gsi=21 trigger=level polarity=high";
        said(outcome, "L1 | info  ", &format!("intx: {route} source=acpi"))?;
        said(outcome, "L2 | ", "result intx devices=1 raised=1000 taken=1000 handled=1000")
    })
}

/// L1 tells the digest that a verifier computes from the host's files, as `docs/routes.md` says. Twice the same files,
/// of which one byte is another the second time.
fn measured() -> Verdict {
    let of_machine = || HostTables::of(Source { machine: "q35", devices: &[] }, &Qemu::find(None)?);
    let tables = of_machine().map_err(|failure| failure.to_string())?;
    let mut other = tables.clone();
    // The last byte is filling, behind the last table.
    *other.tables.last_mut().ok_or("the machine has no tables")? ^= 1;
    check!(digest(&tables) != digest(&other), "one digest of two machines");
    for tables in [tables, other] {
        let wanted = format!("acpi: measured: rtmr=0 digest={}", digest(&tables));
        Stand::new(1, "scenario=edu count=1").tables(tables).run(|outcome| {
            ended(outcome, &Exit::SUCCESS)?;
            said(outcome, "L1 | info  ", &wanted)
        })?;
    }
    Ok(())
}

/// Of the script, and then of each file that it allocates.
fn digest(tables: &HostTables) -> String {
    const COMMAND: usize = 128;
    let mut sum = Sha384::new();
    let mut add = |name: &[u8], content: &[u8]| {
        sum.update(name);
        sum.update(vec![0; 56 - name.len()]);
        sum.update((content.len() as u64).to_le_bytes());
        sum.update(content);
    };
    add(b"etc/table-loader", &tables.loader);
    let allocated =
        tables.loader.chunks(COMMAND).filter(|command| command.starts_with(&[1, 0, 0, 0]));
    for command in allocated {
        let name: Vec<u8> = command[4..60].iter().copied().take_while(|byte| *byte != 0).collect();
        let content = if name == b"etc/acpi/rsdp" { &tables.rsdp } else { &tables.tables };
        add(&name, content);
    }
    sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Both on one line, as the tables say, beside a device with MSI-X that the doorbell's peer rings.
fn shared() -> Verdict {
    let stand = Stand::new(2, "scenario=intx:shared count=200 wait=poll");
    let stand = stand.paravisor_option("acpi=routes");
    stand.qemu_options(&["-device", "edu,addr=5"]).run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        for bdf in ["00:01.0", "00:05.0"] {
            let route = format!("intx: device={bdf} pin=A gsi=21 trigger=level polarity=high");
            said(outcome, "L1 | ", &format!("{route} source=acpi"))?;
            said(outcome, "L1 | ", &format!("{route} l2_pin=16"))?;
        }
        said(outcome, "L2 | ", "result intx devices=2 raised=400 taken=400")
    })
}

/// The operator says that the first device is elsewhere, where the host does not let the TD have the pin, and nothing
/// of the second. The first one gets no other line then.
fn overridden() -> Verdict {
    let stand = Stand::new(1, "scenario=edu count=10 wait=poll");
    let stand = stand.paravisor_option("acpi=routes intx=00:01.0,A,22,level,high");
    stand.qemu_options(&["-device", "edu,addr=5"]).run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        let stated = "device=00:01.0 pin=A gsi=22 trigger=level polarity=high";
        let refused = format!("intx refused: {stated}: the host does not let the TD have the pin");
        said(outcome, "L1 | warn  ", &refused)?;
        let found = "device=00:05.0 pin=A gsi=21 trigger=level polarity=high";
        said(outcome, "L1 | info  ", &format!("intx: {found} l2_pin=16"))?;
        let asked = |line: &String| line.contains("00:01.0") && line.contains("source=acpi");
        check!(!outcome.console.iter().any(asked), "the tables were asked about 00:01.0");
        Ok(())
    })
}

/// Eleven devices of four lines.
fn many() -> Verdict {
    let mut stand = Stand::new(1, "scenario=edu count=10 wait=poll");
    for address in 4..14 {
        stand = stand.qemu_options(&["-device", &format!("edu,addr={address}")]);
    }
    stand.paravisor_option("acpi=routes").run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        let count = |part: &str| outcome.console.iter().filter(|line| line.contains(part)).count();
        let (known, given, lines) =
            (count("source=acpi"), count("low l2_pin="), count("line: gsi="));
        let given = given + count("high l2_pin=");
        check!((known, given, lines) == (11, 11, 4), "{known} known, {given} given, {lines} lines");
        Ok(())
    })
}

/// An unmodified kernel says of its machine what the tables of the host's say of theirs: the same trigger, and pins of
/// L1's choice.
fn linux() -> Verdict {
    let mut stand = Stand::linux(2, Series::V6_12, "", Some(SCRIPT))?
        .paravisor_option("identity=hyperv acpi=routes")
        .emulator_option("devices=1b36:0010");
    for address in ["0x5", "0x6"] {
        let block = format!("null-co,node-name=d{address},size=67108864,read-zeroes=on");
        let disk = format!("nvme,drive=d{address},serial=d{address},addr={address}");
        stand = stand.qemu_options(&["-blockdev", &format!("driver={block}"), "-device", &disk]);
    }
    stand.run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        said(
            outcome,
            "L1 | ",
            "device=00:06.0 pin=A gsi=22 trigger=level polarity=high source=acpi",
        )?;
        let count = counted(outcome)?;
        check!(count >= READS, "{count} interrupts by the line, not {READS}");
        Ok(())
    })
}

/// How often Linux reads.
const READS: u64 = 500;

/// What Linux counted by the line.
fn counted(outcome: &Outcome) -> Result<u64, String> {
    let mut lines = outcome.report.guest.iter();
    let count = lines.find_map(|line| line.strip_prefix("result acpi count=")?.parse().ok());
    count.ok_or_else(|| "Linux has not counted".to_owned())
}
