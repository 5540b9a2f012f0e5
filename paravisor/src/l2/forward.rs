// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts that this CPU takes for others, which have no reserved vector left.
//!
//! They are passed on by every drain, also by one whose CPU's own interrupts are to be lost; and before a
//! request of the control plane is served, because after that a slot may belong to somebody else.

use proxy_irq::{RelayBlock, Slot};

use super::sent;
use crate::cpus;

/// Passes on what `slots` of `block` have taken. Context: owner, main context, IF=0.
pub(super) fn pass_on(block: &RelayBlock, slots: u32) {
    if slots != 0 {
        pass_on_all(block, slots);
    }
}

#[cold]
fn pass_on_all(block: &RelayBlock, slots: u32) {
    let sent = sent::forwards(cpus::current());
    for slot in Slot::in_bits(slots) {
        if let Some((cpu, vector)) = block.forward(slot) {
            sent.deliver(cpu, cpus::relay_block(cpu).post_remote(vector));
        }
    }
}
