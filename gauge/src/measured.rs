// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is counted: one call of the relay each, never inlined, so that callgrind sees a function.

use core::task::Poll;

use proxy_irq::{
    Drained, Kick, L2Vector, Mapping, Relay, RelayBlock, RemoteWord, Slot, Source, Teardown, Ticket,
};

#[inline(never)]
pub(crate) fn on_posted(block: &RelayBlock, slot: Slot) {
    block.on_posted(slot);
}

#[inline(never)]
pub(crate) fn post(block: &RelayBlock, word: RemoteWord) -> Kick {
    block.post(word)
}

#[inline(never)]
pub(crate) fn post_remote(block: &RelayBlock, vector: L2Vector) -> Kick {
    block.post_remote(vector)
}

#[inline(never)]
pub(crate) fn drain(block: &RelayBlock, rvi: u8) -> Drained {
    block.drain(rvi)
}

#[inline(never)]
pub(crate) fn map<const CPUS: usize>(
    relay: &mut Relay<'_, CPUS>,
    cpu: usize,
    vector: L2Vector,
    source: Source,
) -> Option<Mapping> {
    relay.map(cpu, vector, source).ok()
}

#[inline(never)]
pub(crate) fn unmap<'a, const CPUS: usize>(
    relay: &mut Relay<'a, CPUS>,
    mapping: Mapping,
) -> Option<Ticket<'a>> {
    relay.unmap(mapping).ok()
}

#[inline(never)]
pub(crate) fn service(block: &RelayBlock) {
    block.service(|| 0);
}

#[inline(never)]
pub(crate) fn poll<const CPUS: usize>(teardown: &mut Teardown<'_, CPUS>) -> Poll<()> {
    teardown.poll()
}
