// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts that come by a line and the IO-APIC: those of the serial port.

use crate::console::line;
use crate::devices::io_apic::{IoApic, LEVEL, MASKED, REMOTE_IRR};
use crate::devices::serial;
use crate::failure::Failure;
use crate::vectors::SERIAL;
use crate::{apic, cpus, handled, wait};

/// How often an interrupt by level is ended without a look at its cause.
const IGNORED: u32 = 2;

/// Entries that ask for what no CPU takes: a vector of an exception, SMI, INIT, an external
/// interrupt; by edge and by level.
const NONSENSE: [u32; 5] = [0x0e, 0x0252, 0x0552, 0x0752, 0x800e];

/// An edge for each CPU, one for a CPU that waits for its start, a level that is ended too early, a
/// masked edge, and nonsense.
pub(crate) fn run(cpus: u8) -> Result<(), Failure> {
    let chip = IoApic::map()?;
    line!("info  lines: version={:#x}", chip.version());
    let mut wanted = 0;
    for cpu in 0..cpus {
        chip.route(serial::PIN, SERIAL.into(), cpu);
        serial::ask(0);
        wanted += 1;
        wait::poll_until("an edge", || serial::taken() == wanted)?;
        serial::silence();
    }
    let last = cpus - 1;
    if last > 0 {
        wanted += 1 + lose_one(chip, last)?;
        wait::poll_until("an edge after a start", || serial::taken() >= wanted)?;
        serial::silence();
    }
    chip.route(serial::PIN, LEVEL | u32::from(SERIAL), last);
    serial::ask(IGNORED);
    wanted += u64::from(IGNORED) + 1;
    wait::poll_until("a level, until it was looked at", || serial::taken() >= wanted)?;
    wait::poll_until("the end of a level", || chip.entry(serial::PIN) & REMOTE_IRR == 0)?;
    serial::silence();
    for entry in NONSENSE.into_iter().chain([MASKED | u32::from(SERIAL)]) {
        chip.route(serial::PIN, entry, last);
        serial::ask(0);
        serial::silence();
    }
    chip.route(serial::PIN, MASKED, 0);
    wait::until_quiet(wait::SHORT);
    let handled = handled::of(SERIAL);
    line!("result lines cpu={} handled={handled} wanted={wanted}", cpus::current());
    if handled == wanted { Ok(()) } else { Err(Failure::Count { entry: 0, wanted, handled }) }
}

/// Sends an edge to a CPU that waits for its start, where it is lost, and one after the start. Returns 1
/// if the CPU took the first one because it was not waiting yet.
fn lose_one(chip: IoApic, cpu: u8) -> Result<u64, Failure> {
    let before = serial::taken();
    apic::reset(cpu);
    chip.route(serial::PIN, SERIAL.into(), cpu);
    serial::ask(0);
    serial::silence();
    wait::until_quiet(wait::SHORT);
    let early = serial::taken() - before;
    cpus::restart(cpu + 1)?;
    serial::ask(0);
    Ok(early)
}
