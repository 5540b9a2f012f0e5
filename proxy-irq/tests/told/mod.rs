// SPDX-License-Identifier: MIT OR Apache-2.0
//! A drain that tells all that it did.

use proxy_irq::{Figures, RelayBlock};

/// What a drain did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) rvi: u8,
    pub(crate) spurious: u32,
    pub(crate) forwarded: u32,
    pub(crate) relayed: u32,
    pub(crate) merged: u32,
}

/// Drains, and takes what was set aside.
pub(crate) fn drain(block: &RelayBlock, saved_rvi: u8) -> Told {
    let before = block.figures();
    let drained = block.drain(saved_rvi);
    let aside = block.take_aside();
    assert_eq!(drained.aside, aside.spurious | aside.forwarded != 0);
    let Figures { relayed, merged, .. } = block.figures();
    let since = |now: u64, before: u64| u32::try_from(now - before).unwrap_or(u32::MAX);
    Told {
        rvi: drained.rvi,
        spurious: aside.spurious,
        forwarded: aside.forwarded,
        relayed: since(relayed, before.relayed),
        merged: since(merged, before.merged),
    }
}
