// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts between L2's CPUs: posted by the relay's remote path, not filtered, because the host has
//! no part in them.

use paravisor::local_apic::command::{Command, Kind};

use crate::{
    cpus,
    l2::{
        signals::{self, Signal},
        vcpu::Vcpu,
        vm::vm,
    },
};

/// Sends what `command` says.
pub(super) fn send(vcpu: &Vcpu, command: Command) {
    let sender = u32::try_from(vcpu.index).unwrap_or(u32::MAX);
    for cpu in (0..vm().cpus).filter(|cpu| command.receivers.include(*cpu, sender)) {
        let index = paravisor::width::index(cpu.into());
        match command.kind {
            Kind::Fixed(vector) => {
                cpus::kick_if_needed(index, cpus::relay_block(index).post_trusted(vector));
            }
            Kind::Nmi => signals::send(index, Signal::Nmi),
            Kind::Init => signals::send(index, Signal::Init),
            Kind::StartUp(page) => signals::send(index, Signal::StartUp(page)),
        }
    }
}
