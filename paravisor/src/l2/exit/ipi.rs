// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts between L2's CPUs: posted by the relay's remote path, not filtered, because the host has
//! no part in them.
//!
//! A kick asks the host, so it is spared a CPU that will look by itself: one that is in L1 already, or
//! that was kicked for an earlier interrupt and has not looked yet.

use paravisor::{
    local_apic::command::{Command, Kind, Receivers},
    width,
};

use crate::{
    cpus,
    l2::{
        sent,
        signals::{self, Signal},
        vcpu::Vcpu,
        vm::vm,
    },
};

/// Sends what `command` says.
pub(super) fn send(vcpu: &Vcpu, command: Command) {
    let cpus = vm().cpus;
    let sender = u32::try_from(vcpu.index).unwrap_or(u32::MAX);
    // Most have one receiver, which need not be looked for among all.
    let one = match command.receivers {
        Receivers::Physical(id) => Some(id),
        Receivers::Own => Some(sender),
        Receivers::All | Receivers::Others | Receivers::Logical(_) => None,
    };
    let among = one.map_or(0..cpus, |one| one..cpus.min(one.saturating_add(1)));
    for cpu in among.filter(|cpu| command.receivers.include(*cpu, sender)) {
        deliver(vcpu, width::index(cpu.into()), command.kind);
    }
}

fn deliver(vcpu: &Vcpu, receiver: usize, kind: Kind) {
    match kind {
        Kind::Fixed(vector) if receiver == vcpu.index => vcpu.post(vector),
        Kind::Fixed(vector) => {
            let kick = cpus::relay_block(receiver).post_trusted(vector);
            sent::ipis(vcpu.index).deliver(receiver, kick);
        }
        Kind::Nmi => signals::send(receiver, Signal::Nmi),
        Kind::Init => signals::send(receiver, Signal::Init),
        Kind::StartUp(page) => signals::send(receiver, Signal::StartUp(page)),
    }
}
