// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nonsense for everything that L1 emulates. Whatever comes of each access, the guest lives on, and at
//! the end its devices still work.

/// Accesses of every kind.
mod access;

/// The MSI-X table.
mod msix;

/// The IO-APIC.
mod io_apic;

/// The interrupt command register.
mod command;

/// Hyper-V's registers and calls.
mod hypercall;

/// Local vectors, timer, deadlines.
mod timer;

/// The mailbox that wakes CPUs.
mod mailbox;

/// Addresses where nothing is, or what is not this guest's.
mod places;

use super::edu;
use super::machine::Machine;
use crate::failure::Failure;
use crate::ring;

/// Runs the part of that name.
pub(crate) fn run(part: &str, machine: &mut Machine<'_>) -> Result<(), Failure> {
    ring::prepare();
    match part {
        "msix" => msix::run(machine),
        "io-apic" => io_apic::run(),
        "command" => command::run(machine.cpus()),
        "hypercall" => hypercall::run(),
        "timer" => timer::run(),
        "mailbox" => mailbox::run(machine.cpus()),
        "places" => places::run(machine),
        _ => Err(Failure::NoScenario),
    }?;
    edu::raise(machine, 10)
}
