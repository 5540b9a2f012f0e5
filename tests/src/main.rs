// SPDX-License-Identifier: MIT OR Apache-2.0
//! End-to-end scenarios: real images in QEMU under the emulator, one line each.
//!
//! A scenario is judged by counters and transcripts, never by time: what the guest's handlers
//! counted, what left the device's outside end and what the emulator saw on the way must be the
//! same figures. Nothing is skipped: what a scenario needs and cannot get makes it fail.

/// Runs a scenario and keeps what it left behind.
mod stand;

/// The guest's figures, out of its `result` lines.
mod figures;

/// What holds for every interrupt that was relayed.
mod account;

/// Books that do not balance must not pass.
mod controls;

/// The emulator by itself.
mod own_machine;

/// The TDX module, from inside a TD.
mod td_probe;

/// Each device's interrupts, on one CPU and on two.
mod relay;

/// Many at once.
mod crowd;

/// Mappings that come and go, that there is no room for, or that never were.
mod mapping;

/// One interrupt after each instruction.
mod sweep;

/// Everything at once, for long.
mod stress;

/// Interrupts by a line.
mod lines;

/// Interrupts of devices by a line.
mod intx;

/// Lines as the host's tables say.
mod acpi;

/// What devices reach.
mod dma;

/// What a guest of Hyper-V asks for.
mod hypercalls;

/// Guests that do what no guest should.
mod misuse;

/// Devices that are taken away.
mod removal;

/// Quotes, and how they are told of.
mod quotes;

/// A host that proxies interrupts, and speaks VMBus.
mod proxied;

/// A host that raises every vector there is.
mod campaign;

/// Hosts that do what no host should.
mod hostile;

/// Starts that cannot succeed.
mod bad_start;

/// Guests that cannot be run.
mod bad_guest;

/// What the host measures.
mod measured;

/// Other kernels.
mod kernels;

/// Debian's kernels.
mod linux;

/// A kernel's own driver and its disk.
mod nvme;

/// The same run twice.
mod repeatable;

/// Where the interrupt pins of QEMU's machines lead, as we find it and as Linux does.
mod routing;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // A machine has up to two busy CPUs of its own.
    let threads = std::thread::available_parallelism().map_or(1, usize::from).div_ceil(2);
    arguments.test_threads.get_or_insert(threads);
    libtest_mimic::run(&arguments, scenarios()).exit_code()
}

fn scenarios() -> Vec<Trial> {
    [
        controls::scenarios(),
        own_machine::scenarios(),
        td_probe::scenarios(),
        relay::scenarios(),
        crowd::scenarios(),
        mapping::scenarios(),
        mapping::refusals(),
        sweep::scenarios(),
        stress::scenarios(),
        lines::scenarios(),
        acpi::scenarios(),
        intx::scenarios(),
        dma::scenarios(),
        hypercalls::scenarios(),
        misuse::scenarios(),
        removal::scenarios(),
        quotes::scenarios(),
        proxied::scenarios(),
        campaign::scenarios(),
        hostile::scenarios(),
        bad_start::scenarios(),
        bad_guest::scenarios(),
        measured::scenarios(),
        kernels::scenarios(),
        linux::scenarios(),
        nvme::scenarios(),
        nvme::by_messages(),
        repeatable::scenarios(),
        routing::scenarios(),
        stand::on_hyper_v(relay::scenarios),
        stand::on_hyper_v(crowd::scenarios),
        stand::on_hyper_v(mapping::scenarios),
        stand::on_hyper_v(lines::scenarios),
        stand::on_hyper_v(misuse::scenarios),
        stand::on_hyper_v(removal::scenarios),
        stand::on_hyper_v(quotes::scenarios),
        stand::on_hyper_v(hypercalls::scenarios),
        stand::on_hyper_v(dma::scenarios),
        stand::on_hyper_v(nvme::scenarios),
    ]
    .into_iter()
    .flatten()
    .collect()
}
