// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the host does on demand to test L1: it is untrusted, so L1 must bear it.
//!
//! # Orderings
//! Relaxed: a number counted down, no data with it.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tdcall::tdvmcall::VmcallStatus;

use super::{
    command_line::{Conversion, PlannedSmis, Unasked},
    td::{PAGE, SHARED_BIT},
    vcpu::Vcpu,
};
use crate::{
    machine::clock,
    module::smi::{self, Smi},
};

impl Conversion {
    /// How many of `size` bytes it converts in a call.
    pub(crate) fn part(self, size: u64) -> u64 {
        match self {
            Self::Honest | Self::Slow => size,
            Self::Parts => size.min(3 * PAGE),
            Self::Stuck | Self::Astray | Self::Refusal | Self::Lie => 0,
        }
    }

    /// Takes its time while a page is blocked, so that others run into it.
    pub(crate) fn dawdle(self) {
        const LONG_NS: u64 = 500_000;
        let end = clock::now_ns() + LONG_NS;
        while self == Self::Slow && clock::now_ns() < end {
            core::hint::spin_loop();
        }
    }

    /// What it says of the rest, which begins at `gpa`: R10 and R11.
    pub(crate) fn of_the_rest(self, gpa: u64) -> (VmcallStatus, u64) {
        match self {
            Self::Honest | Self::Slow | Self::Lie => (VmcallStatus::SUCCESS, 0),
            Self::Parts | Self::Stuck => (VmcallStatus::RETRY, gpa),
            Self::Astray => (VmcallStatus::RETRY, (gpa ^ SHARED_BIT) + PAGE),
            Self::Refusal => (VmcallStatus::INVALID_OPERAND, gpa),
        }
    }
}

/// Interrupts that no device asked for.
#[derive(Debug)]
pub(crate) struct UnaskedInterrupts {
    vector: u8,
    left: AtomicU64,
}

impl UnaskedInterrupts {
    /// As many as the command line asks for.
    pub(crate) fn new(asked: Option<Unasked>) -> Self {
        let Unasked { vector, count } = asked.unwrap_or(Unasked { vector: 0, count: 0 });
        Self { vector, left: AtomicU64::new(count) }
    }

    /// Posts one of them if any are left. To be called when the first virtual CPU halts.
    pub(crate) fn post_one(&self, vcpu: &Vcpu) {
        let one_less = |left: u64| left.checked_sub(1);
        if vcpu.index == 0 && self.left.fetch_update(Relaxed, Relaxed, one_less).is_ok() {
            log::debug!("unasked interrupt: vector={:#x}", self.vector);
            vcpu.post(self.vector);
        }
    }
}

/// System-management interrupts that hit L2.
#[derive(Debug)]
pub(crate) struct Smis {
    kind: Smi,
    left: AtomicU64,
    exits: AtomicU64,
}

impl Smis {
    /// As many as the command line asks for.
    pub(crate) fn new(planned: Option<PlannedSmis>) -> Self {
        let (kind, count) = match planned {
            None => (Smi::Plain, 0),
            Some(PlannedSmis::Plain(count)) => (Smi::Plain, count),
            Some(PlannedSmis::MachineCheck) => (Smi::MachineCheck, 1),
        };
        Self { kind, left: AtomicU64::new(count), exits: AtomicU64::new(0) }
    }

    /// Raises one of them if any are left. To be called when the first virtual CPU halts.
    pub(crate) fn raise_one(&self, vcpu: &Vcpu) {
        let one_less = |left: u64| left.checked_sub(1);
        if vcpu.index == 0 && self.left.fetch_update(Relaxed, Relaxed, one_less).is_ok() {
            smi::raise(self.kind);
        }
    }

    /// The TD has exited for one.
    pub(crate) fn count(&self) {
        self.exits.fetch_add(1, Relaxed);
    }

    /// How often it did.
    pub(crate) fn exits(&self) -> u64 {
        self.exits.load(Relaxed)
    }
}
