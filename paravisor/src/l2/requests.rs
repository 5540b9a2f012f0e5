// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the relay's control plane asks of this CPU: to let a slot go.
//!
//! An interrupt on the slot's reserved vector that has already reached this CPU is let through first. It
//! was sent before the device was told otherwise, and a device sends an edge once: taken after the slot
//! is gone, it would be counted as spurious and lost to L2. The same holds for what the host has asked for by
//! messages before it was told otherwise: it is taken before the filter closes.

use paravisor::hyperv_host::proxy::Left;
use proxy_irq::{Arrived, Filter, Messages, RelayBlock, Work};

use super::forward;
use crate::{apic, interrupt::synic};

/// Whether the requests were executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// There are none left.
    All,
    /// Interrupts must be let through first; then this is to be called again.
    NotYet,
}

/// Executes what was asked of this CPU. Context: main context, IF=0.
#[inline]
pub(super) fn serve(block: &RelayBlock) -> Served {
    if block.work().contains(Work::MAILBOX) { serve_some(block) } else { Served::All }
}

#[cold]
fn serve_some(block: &RelayBlock) -> Served {
    if apic::reserved_irr() != 0 {
        return Served::NotYet;
    }
    forward::pass_on(block, block.take_forwarded());
    block.service_after(|filter| Arrived {
        messages: match filter {
            Filter::Shrinks if synic::take_all_proxied() == Left::Perhaps => Messages::Left,
            Filter::Shrinks | Filter::Stays => Messages::Taken,
        },
        // Looked at last: what the host was told before is about interrupts that have arrived by now.
        reserved_irr: apic::reserved_irr(),
    });
    if block.work().contains(Work::MAILBOX) { Served::NotYet } else { Served::All }
}
