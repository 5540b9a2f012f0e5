// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the host does on demand to test L1: it is untrusted, so L1 must bear it.
//!
//! # Orderings
//! Relaxed: a number counted down, no data with it.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{command_line::Unasked, vcpu::Vcpu};

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
