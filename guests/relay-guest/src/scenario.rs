// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scenarios, by the name on the command line.
//!
//! | name         | what it does |
//! |--------------|--------------|
//! | demo         | edu, edu-dma and paced, a few of each, then burst while awake |
//! | edu          | `count` interrupts on demand, each acknowledged, spread over the CPUs |
//! | edu-dma      | `count` ends of a DMA transfer |
//! | dma          | a device copies to and from a page that is private, shared, and private again |
//! | paced        | `count` rounds over the doorbell's entries, one ring at a time |
//! | burst        | `count` rounds, all entries of a round at once |
//! | storm        | `count` rounds without waiting; rings may merge |
//! | ways         | entries change their way while they are being rung: posted, proxied |
//! | unmap        | `count` changes to entries that are being rung |
//! | stress       | bursts of an emulator on all CPUs while other entries change under fire |
//! | sweep        | the way named after a colon, over and over: see `sweep` |
//! | masters      | one CPU switches edu's access to memory while the doorbell interrupts another |
//! | exhaust      | more entries than a CPU has vectors set aside for them |
//! | climb        | the same; then room is made for those that found none |
//! | spurious     | entries are rung that are masked or were never set up |
//! | lines        | the serial port interrupts by edge and by level |
//! | intx         | devices interrupt by a line, as the part named after a colon says: see `intx` |
//! | instructions | every instruction that can exit, in ring 0 and 3, right and wrong |
//! | odd-memory   | accesses to device memory that no driver makes |
//! | legacy       | out of long mode, through every kind of paging, and back |
//! | nonsense     | nonsense for what the part named after a colon says: see `nonsense` |
//! | fatal        | the end of this guest, in the way named after a colon: see `fatal` |
//! | hypercalls   | memory is shared with the host and taken back; nonsense is refused |
//! | removal      | the doorbell interrupts, then it is taken away |
//! | quotes       | all CPUs ask for `count` quotes each and sleep until they are told |
//! | ipis         | `count` rounds, all CPUs interrupt each other by many vectors at once |
//! | deliveries   | events are delivered to memory of which a part is being shared |
//! | sleep        | the boot CPU sleeps until its timer ends, over and over |
//! | patch        | one CPU patches code that another one runs |
//! | fpu          | one CPU loads FPU state while another leaves the guest |
//! | idle         | everything set up, nothing asked, no end |

/// What a scenario works with.
mod machine;

/// Interrupts of the edu device.
mod edu;

/// What a device reaches.
mod dma;

/// Exact exchanges with the doorbell: every ring is one interrupt.
mod exact;

/// Rings without waiting.
mod storm;

/// Entries change while they are being rung.
mod unmap;

/// The way of entries changes while they are being rung.
mod ways;

/// Everything at once.
mod stress;

/// The same way through the hypervisor, again and again.
mod sweep;

/// A device is switched while another interrupts.
mod masters;

/// More entries than one CPU can take.
mod exhaust;

/// Entries that must stay silent.
mod spurious;

/// Interrupts that come by a line.
mod lines;

/// Interrupts of devices by a line.
mod intx;

/// What no well-behaved guest does.
mod odd;

/// Every instruction that can exit.
mod instructions;

/// Accesses to device memory that no driver makes.
mod odd_memory;

/// Every kind of paging.
mod legacy;

/// Nonsense for everything that is emulated.
mod nonsense;

/// Ways to die.
mod fatal;

/// What a guest of Hyper-V asks for.
mod hypercalls;

/// A device that is taken away.
mod removal;

/// Quotes for all CPUs at once.
mod quotes;

/// All CPUs interrupt each other.
mod ipis;

/// Events for memory on the move.
mod deliveries;

/// FPU state and exits.
mod fpu;

/// Sleep until a timer ends.
mod sleep;

/// Code that is patched while it runs.
mod patch;

use self::exact::Pace;
use self::machine::Machine;
use crate::command_line::Options;
use crate::console::line;
use crate::failure::Failure;
use crate::{cpus, port, results, wait};

/// Runs the scenario that the command line names, and prints what came of it.
pub(crate) fn run(options: &Options<'_>) -> Result<(), Failure> {
    let mut machine = Machine::new(options);
    let ended = bring_up(options)
        .and_then(|()| by_name(options.scenario, &mut machine))
        .and_then(|()| results::nothing_unexpected());
    results::print(machine.edu_function(), machine.doorbell_function());
    let name = options.scenario;
    match ended {
        Ok(()) => line!("result scenario={name} ok=1 handled={}", results::total()),
        Err(why) => {
            line!("result scenario={name} ok=0 handled={} reason={why}", results::total());
        }
    }
    ended
}

/// Starts the CPUs and opens this one for interrupts.
fn bring_up(options: &Options<'_>) -> Result<(), Failure> {
    port::mask_legacy_interrupts();
    cpus::start(options.cpus)?;
    x86_64::instructions::interrupts::enable();
    line!("info  relay_guest: scenario={} cpus={}", options.scenario, options.cpus);
    Ok(())
}

fn by_name(name: &str, machine: &mut Machine<'_>) -> Result<(), Failure> {
    match name.split_once(':') {
        Some(("nonsense", part)) => return nonsense::run(part, machine),
        Some(("intx", part)) => return intx::run(part, machine),
        Some(("sweep", part)) => return sweep::run(part, machine),
        Some(("fatal", way)) => return fatal::run(way, machine.cpus()),
        _ => {}
    }
    match name {
        "demo" => demo(machine),
        "edu" => edu::raise(machine, 100),
        "edu-dma" => edu::transfer(machine, 5),
        "dma" => dma::confined(machine),
        "paced" => exact::exchange(machine, Pace::Paced, 8, 100),
        "burst" => exact::exchange(machine, Pace::Burst, 8, 100),
        "storm" => storm::run(machine),
        "unmap" => unmap::run(machine),
        "ways" => ways::run(machine),
        "stress" => stress::run(machine),
        "masters" => masters::run(machine),
        "exhaust" => exhaust::run(machine),
        "climb" => exhaust::climb(machine),
        "spurious" => spurious::run(machine),
        "lines" => lines::run(machine.cpus()),
        "instructions" => instructions::run(machine),
        "legacy" => legacy::run(machine),
        "odd-memory" => odd_memory::run(machine),
        "hypercalls" => hypercalls::run(machine),
        "removal" => removal::run(machine),
        "quotes" => quotes::run(machine),
        "ipis" => ipis::run(machine),
        "deliveries" => deliveries::run(machine),
        "fpu" => fpu::run(machine),
        "sleep" => sleep::run(machine),
        "patch" => patch::run(machine),
        "idle" => odd::idle(machine),
        _ => Err(Failure::NoScenario),
    }
}

/// A little of each device: first asleep, when interrupts find L1 in charge, then awake, when each
/// has to stop a running L2.
fn demo(machine: &mut Machine<'_>) -> Result<(), Failure> {
    edu::raise(machine, 20)?;
    edu::transfer(machine, 3)?;
    exact::exchange(machine, Pace::Paced, 8, 20)?;
    wait::stay_awake();
    exact::exchange(machine, Pace::Burst, 8, 20)
}
