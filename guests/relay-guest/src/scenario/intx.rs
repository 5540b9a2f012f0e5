// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts of devices by a line: one by one, while the pin is masked and moved, and by two devices at
//! once.
//!
//! | part   | what it does                                                                     |
//! |--------|----------------------------------------------------------------------------------|
//! | plain  | `count` interrupts, spread over the CPUs                                          |
//! | moved  | `count` changes of the pin's mask and CPU around an interrupt                     |
//! | shared | `count` rounds in which all devices of the line raise at once                     |
//! | masked | `count` times each case of masking and opening the pin, with two devices: `masked` |
//! | directed | `count` interrupts that the handler ends by the chip's register first           |
//! | edges  | `count` interrupts at a pin by edge, and 100 that are lost because it is masked   |

/// The pin is masked and opened.
mod masked;

use super::machine::Machine;
use crate::console::line;
use crate::devices::io_apic::{IoApic, LEVEL, MASKED, REMOTE_IRR};
use crate::devices::line::{self, Device, PIN};
use crate::failure::Failure;
use crate::vectors::LINE;
use crate::{handled, wait};

/// Active low, as the tables say of such lines.
const LOW: u32 = 1 << 13;
/// Edges that a masked pin loses.
const LOST: u32 = 100;
const OPEN: u32 = LEVEL | LOW | LINE as u32;

/// Runs `part`.
pub(crate) fn run(part: &str, machine: &Machine<'_>) -> Result<(), Failure> {
    let devices = line::find(machine.shared_bit())?;
    let chip = IoApic::map()?;
    let (cpus, first) = (machine.cpus(), &devices[0]);
    let raised = match part {
        "plain" => plain(chip, first, machine.count(200), cpus)?,
        "moved" => moved(chip, first, machine.count(100), cpus)?,
        "shared" if devices.len() > 1 => shared(chip, devices, machine.count(100), cpus)?,
        "masked" if devices.len() > 1 => masked::run(chip, devices, machine.count(100), cpus)?,
        "directed" => directed(chip, first, machine.count(200), cpus)?,
        "edges" => edges(chip, first, machine.count(200), cpus)?,
        _ => return Err(Failure::NoScenario),
    };
    wait::poll_until("the end of a level", || chip.entry(PIN) & REMOTE_IRR == 0)?;
    chip.turn(PIN, OPEN | MASKED, 0);
    let (taken, handled) = (devices.iter().map(Device::taken).sum::<u64>(), handled::of(LINE));
    let devices = devices.len();
    line!("result intx devices={devices} raised={raised} taken={taken} handled={handled}");
    if taken == raised {
        Ok(())
    } else {
        Err(Failure::Count { entry: 0, wanted: raised, handled: taken })
    }
}

/// Each interrupt is raised when the last one was taken. Returns how many were raised.
fn plain(chip: IoApic, device: &Device, count: u32, cpus: u8) -> Result<u64, Failure> {
    for cpu in 0..cpus {
        chip.turn(PIN, OPEN, cpu);
        let share = (count + u32::from(cpu)) / u32::from(cpus);
        for _ in 0..share {
            let before = device.taken();
            device.raise();
            let arrived = || device.taken() > before;
            if cpu == 0 {
                wait::halt_until("a line's interrupt on this CPU", arrived)?;
            } else {
                wait::poll_until("a line's interrupt on another CPU", arrived)?;
            }
        }
        // Its handler may still have to end it.
        wait::poll_until("the end of a level", || chip.entry(PIN) & REMOTE_IRR == 0)?;
    }
    Ok(count.into())
}

/// On the last CPU, which ends each interrupt by the chip's register while it is still in service, and by its
/// own after that.
fn directed(chip: IoApic, device: &Device, count: u32, cpus: u8) -> Result<u64, Failure> {
    chip.turn(PIN, OPEN, cpus - 1);
    line::end_by(chip);
    for _ in 0..count {
        let before = line::ended();
        device.raise();
        wait::poll_until("the end of a line's interrupt", || line::ended() > before)?;
    }
    wait::until_quiet(wait::SHORT);
    if line::unheard() == 0 { Ok(count.into()) } else { Err(Failure::BadDevice("EOI register")) }
}

/// By edge, spread over the CPUs. Then the pin is masked while the device raises: what no edge says when the pin
/// opens never comes, and the next edge does. Returns how many were raised.
fn edges(chip: IoApic, device: &Device, count: u32, cpus: u8) -> Result<u64, Failure> {
    for round in 0..count {
        let [cpu, ..] = (round % u32::from(cpus)).to_le_bytes();
        chip.turn(PIN, u32::from(LINE), cpu);
        if round % (count / LOST) == 0 {
            let handled = handled::of(LINE);
            chip.turn(PIN, u32::from(LINE) | MASKED, cpu);
            device.raise();
            wait::until_quiet(wait::SHORT / 100);
            chip.turn(PIN, u32::from(LINE), cpu);
            wait::until_quiet(wait::SHORT / 100);
            device.acknowledge();
            if handled::of(LINE) != handled {
                return Err(Failure::NotSilent { handled: handled::of(LINE) - handled });
            }
        }
        let before = device.taken();
        device.raise();
        wait::poll_until("an edge", || device.taken() > before)?;
    }
    Ok(u64::from(count) + u64::from(LOST))
}

/// In turn: it is raised before the pin opens on another CPU; it is raised and taken back while the pin
/// is masked, which must not be seen; the pin moves while it is being handled.
fn moved(chip: IoApic, device: &Device, count: u32, cpus: u8) -> Result<u64, Failure> {
    let mut raised = 0;
    for round in 0..count {
        let [cpu, ..] = (round % u32::from(cpus)).to_le_bytes();
        let (before, handled) = (device.taken(), handled::of(LINE));
        match round % 3 {
            0 => {
                chip.turn(PIN, OPEN | MASKED, cpu);
                device.raise();
                wait::until_quiet(wait::SHORT / 100);
                if device.taken() != before {
                    return Err(Failure::NotSilent { handled: 1 });
                }
                chip.turn(PIN, OPEN, cpu);
            }
            1 => {
                chip.turn(PIN, OPEN | MASKED, cpu);
                device.raise();
                wait::until_quiet(wait::SHORT / 100);
                device.acknowledge();
                chip.turn(PIN, OPEN, cpu);
                wait::until_quiet(wait::SHORT / 100);
                if handled::of(LINE) != handled {
                    return Err(Failure::NotSilent { handled: handled::of(LINE) - handled });
                }
            }
            _ => {
                chip.turn(PIN, OPEN, cpu);
                device.raise();
                let next = (cpu + 1) % cpus;
                (0..50).for_each(|_| chip.turn(PIN, OPEN, next));
            }
        }
        raised += 1;
        wait::poll_until("a line's interrupt after a change", || device.taken() > before)?;
        wait::poll_until("the end of a level", || chip.entry(PIN) & REMOTE_IRR == 0)?;
    }
    Ok(raised)
}

/// All devices raise, on one CPU after the other.
fn shared(chip: IoApic, devices: &[Device], count: u32, cpus: u8) -> Result<u64, Failure> {
    let mut raised = 0;
    for round in 0..count {
        let [cpu, ..] = (round % u32::from(cpus)).to_le_bytes();
        chip.turn(PIN, OPEN, cpu);
        devices.iter().for_each(Device::raise);
        raised += devices.len() as u64;
        let all = || devices.iter().map(Device::taken).sum::<u64>() >= raised;
        wait::poll_until("interrupts of devices that share a line", all)?;
    }
    Ok(raised)
}
