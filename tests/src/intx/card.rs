// SPDX-License-Identifier: MIT OR Apache-2.0
//! A card that can do nothing but interrupt by a line, with the driver of an unmodified kernel, beside a disk
//! with MSI-X: QEMU's `pci-serial`, whose registers are eight ports. Its transmitter is always empty at once,
//! so each byte that is written by itself is one interrupt, unless the next one is written before that is served:
//! then one serves both.

use std::fs;

use libtest_mimic::Trial;
use xtask::debian_kernel::Series;
use xtask::machine::{Exit, Outcome, Scratch};

use crate::stand::{Stand, Verdict, check, ended, said, scenario};

/// What Linux does; see [`driven`].
const SCRIPT: &str = include_str!("card-script");

/// Bytes sent while nothing else happens, and so many more while all does.
const BYTES: u64 = 1000;

/// The same where it is about the line, not about the interrupts.
const FEW_BYTES: u64 = 200;

/// How often its interrupt goes to another CPU, with five bytes from there each time; and how often the driver
/// gives it up and asks for it anew, with one byte.
const CYCLES: u64 = 100;

/// The scenarios of this theme.
pub(super) fn scenarios() -> Vec<Trial> {
    vec![
        scenario("intx::linux_drives_a_card_that_has_ports_and_a_line_beside_a_disk", || {
            driven(BYTES, "intx=00:07.0,A,23,level,high")
        }),
        scenario("intx::linux_drives_a_card_whose_line_the_host_s_tables_know", || {
            driven(FEW_BYTES, "acpi=routes")
        }),
    ]
}

/// First the card sends alone: Linux and the host count the same, no more than bytes. Then the disk
/// reads, too, while the card's interrupt goes from CPU to CPU a hundred times: what is ended twice may be
/// told twice, see [`super::linux`]. At last the driver lets go of its interrupt, which masks the pin, and
/// has it back, a hundred times. An interrupt that is lost leaves bytes behind, or the driver waiting.
fn driven(bytes: u64, line: &str) -> Verdict {
    let directory = Scratch::new().map_err(|failure| failure.to_string())?;
    let sent = directory.path().join("sent");
    let script = SCRIPT.replace("@BYTES@", &bytes.to_string());
    let file = format!("file,id=sent,path={}", sent.display());
    let block = "driver=null-co,node-name=disk,size=67108864,read-zeroes=on";
    let disk = "nvme,drive=disk,serial=disk,addr=5";
    Stand::linux(2, Series::V6_12, "", Some(script.as_bytes()))?
        .paravisor_option("identity=hyperv")
        .paravisor_option(line)
        .emulator_option("devices=1b36:0010,1b36:0002")
        .qemu_options(&["-chardev", &file, "-device", "pci-serial,chardev=sent,addr=7"])
        .qemu_options(&["-blockdev", block, "-device", disk])
        .run(|outcome| {
            let sent = || fs::read(&sent).map_or(0, |bytes| bytes.len() as u64);
            judge(outcome, bytes, sent)
        })
}

fn judge(outcome: &Outcome, bytes: u64, sent: impl FnOnce() -> u64) -> Verdict {
    ended(outcome, &Exit::SUCCESS)?;
    let counted = |at| super::counted(outcome, &format!("result card at={at} count="));
    let (begin, alone) = (counted("begin")?, counted("alone")?);
    let (moved, masked) = (counted("moved")?, counted("masked")?);
    let (count, told) = (alone.0 - begin.0, alone.1 - begin.1);
    let some = (bytes / 10..=bytes).contains(&count);
    check!(count == told && some, "{count} counted, {told} told, of {bytes}");
    for (what, (before, after)) in [("moved", (alone, moved)), ("masked", (moved, masked))] {
        let (count, told) = (after.0 - before.0, after.1 - before.1);
        let none_lost = (count..=2 * count).contains(&told) && count >= CYCLES;
        check!(none_lost, "{count} counted, {told} told while it was {what}");
    }
    let (sent, wanted) = (sent(), 2 * bytes + 6 * CYCLES);
    check!(sent == wanted, "{sent} bytes of {wanted} left the card");
    let lines = &outcome.report.lines;
    let is_even = matches!(lines[..], [line] if line.gsi == 23 && line.told == line.ended);
    check!(is_even, "the host counted {lines:?}");
    let rows = outcome.report.rows.iter().filter(|row| row.bdf == "00:05.0");
    let messages: u64 = rows.map(|row| row.relayed).sum();
    check!(messages >= bytes, "{messages} interrupts of the disk");
    said(outcome, "L1 | info  ", "line: gsi=23 l2_pin=1")
}
