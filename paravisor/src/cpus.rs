// SPDX-License-Identifier: MIT OR Apache-2.0
//! The virtual CPUs of the TD, and what L1 keeps of each that others may look at.
//!
//! A CPU's index is its x2APIC id and the index of all its state. GS holds the address of its relay
//! block, which the interrupt path needs; the index is derived from it.
#![expect(unsafe_code, reason = "GS base is set and the relay table has a name others look for")]

use core::sync::atomic::{AtomicU32, Ordering};

use proxy_irq::{Kick, RelayBlock};
use x86_64::{VirtAddr, registers::model_specific::GsBase};

use crate::{apic, interrupt::vectors};

/// The most virtual CPUs an image serves.
pub(crate) const MAX_VCPUS: usize = 16;

/// The relay's state of each CPU, the virtual-APIC page of its L2 included. An observer outside the TD finds it by this name.
#[unsafe(no_mangle)]
pub(crate) static RELAY_TABLE: [RelayBlock; MAX_VCPUS] = [const { RelayBlock::new() }; MAX_VCPUS];

static COUNT: AtomicU32 = AtomicU32::new(1);

/// The relay block of CPU `index`. An index out of range cannot come about; it means CPU 0.
pub(crate) fn relay_block(index: usize) -> &'static RelayBlock {
    RELAY_TABLE.get(index).unwrap_or(&RELAY_TABLE[0])
}

/// Points GS at this CPU's relay block.
pub(crate) fn adopt(index: usize) {
    GsBase::write(VirtAddr::from_ptr(relay_block(index)));
}

/// The index of this CPU.
pub(crate) fn current() -> usize {
    let offset = GsBase::read().as_u64().wrapping_sub(RELAY_TABLE.as_ptr().addr() as u64);
    usize::try_from(offset).map_or(0, |offset| offset / size_of::<RelayBlock>())
}

/// Sets the number of CPUs that take part.
pub(crate) fn set_count(count: u32) {
    COUNT.store(count, Ordering::Relaxed);
}

/// The number of CPUs that take part.
pub(crate) fn count() -> u32 {
    COUNT.load(Ordering::Relaxed)
}

/// Makes CPU `index` look at its work.
pub(crate) fn kick(index: usize) {
    apic::send_ipi(index, vectors::KICK);
}

/// Kicks CPU `index` if the relay says that it must be.
pub(crate) fn kick_if_needed(index: usize, kick_needed: Kick) {
    if kick_needed == Kick::Needed && index != current() {
        kick(index);
    }
}
