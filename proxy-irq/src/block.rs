// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`RelayBlock`]: all state that the relay has of one virtual CPU.
//!
//! | offset | field            | written by                         |
//! |--------|------------------|------------------------------------|
//! | 0x000  | slots            | owner; control plane while unused  |
//! | 0x100  | dirty flag       | owner                              |
//! | 0x104  | `remote_pending` | anyone, by read-modify-write only  |
//! | 0x108  | enter state      | owner                              |
//! | 0x110  | quiescence count | owner                              |
//! | 0x140  | banks            | owner                              |
//! | 0x180  | remote banks     | anyone, by read-modify-write only  |
//! | 0x200  | mailbox          | control plane and owner, see below |
//! | 0x380  | counters         | owner; control plane its own two   |
//!
//! The slots come first, the block is 128-aligned (two lines: the adjacent-line prefetcher works in
//! pairs), and what other CPUs write never shares a line with what the interrupt path reads or
//! writes on every interrupt. Interrupt code in assembly relies on these offsets, so they are public
//! constants and checked here.

use core::sync::atomic::AtomicU64 as Figure;

use crossbeam_utils::CachePadded;

use crate::{
    counters::{Counters, Figures},
    reserved_vector::{SLOTS, Slot},
    slot::{BANKS, SlotWord, VECTOR_BANKS},
    sync::{AtomicU8, AtomicU32, AtomicU64, Ordering, const_unless_loom, unmapped_slots, zeros},
};

/// The relay's state of one virtual CPU, its *owner*.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct RelayBlock {
    pub(crate) slots: [AtomicU64; SLOTS],
    pub(crate) control: Control,
    pub(crate) banks: [AtomicU32; BANKS],
    pub(crate) remote: CachePadded<Remote>,
    pub(crate) mailbox: CachePadded<Mailbox>,
    pub(crate) counters: CachePadded<Counters>,
}

/// What the owner looks at before each entry into L2.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Control {
    /// Not zero if a bank may have a bit set. A plain flag beside `remote_pending`, not a bit of it:
    /// the interrupt path's plain store must not undo another CPU's read-modify-write.
    pub(crate) dirty: AtomicU8,
    /// A [`Work`](crate::enter_state::Work) set, [`FLAG-BY-RMW`](crate#invariants).
    pub(crate) remote_pending: AtomicU32,
    /// An [`EnterState`](crate::enter_state::EnterState).
    pub(crate) state: AtomicU32,
    /// How often the owner was about to enter L2 or halt.
    pub(crate) quiescent: AtomicU64,
}

/// Vectors that other contexts made pending.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Remote {
    /// From devices, by way of another CPU or of the host's messages: filtered.
    pub(crate) device: [AtomicU32; VECTOR_BANKS],
    /// From L2 itself or from L1's own emulation: not filtered.
    pub(crate) trusted: [AtomicU32; VECTOR_BANKS],
}

/// What the control plane asks the owner to do, and the filter that it grants.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Mailbox {
    /// How many requests there have been; a request's number is the count that includes it.
    pub(crate) requested: AtomicU64,
    /// The number of the last request that the owner has executed.
    pub(crate) served: AtomicU64,
    /// The slots that shall take the word that `wanted` has for them.
    pub(crate) slots: AtomicU32,
    /// Reserved vectors that were pending in L1's IRR when the owner last served a request.
    pub(crate) reserved_irr: AtomicU32,
    /// Vectors that [`Remote::device`] may carry.
    pub(crate) allowed: [AtomicU32; VECTOR_BANKS],
    /// Vectors that the owner shall take out of `allowed`.
    pub(crate) revoked: [AtomicU32; VECTOR_BANKS],
    /// Mappings refused for want of a slot; written by the control plane.
    pub(crate) refused: Figure,
    /// Slots ever quarantined; written by the control plane.
    pub(crate) quarantined: Figure,
    /// What each slot named in `slots` shall become.
    pub(crate) wanted: [AtomicU64; SLOTS],
}

impl RelayBlock {
    /// Offset of the slot words.
    pub const SLOTS_OFFSET: usize = 0;
    /// Offset of the dirty byte that the interrupt path sets to 1.
    pub const DIRTY_OFFSET: usize = 0x100;
    /// Offset of the banks; a slot word's bank offset counts from here.
    pub const BANKS_OFFSET: usize = 0x140;

    const_unless_loom! {
        /// Returns a block in which nothing is mapped and nothing pends.
        pub fn new() -> Self {
            Self {
                slots: unmapped_slots(),
                control: Control::new(),
                banks: zeros(),
                remote: CachePadded::new(Remote::new()),
                mailbox: CachePadded::new(Mailbox::new()),
                counters: CachePadded::new(Counters::new()),
            }
        }
    }

    /// Returns what `slot` maps to at this moment.
    #[must_use]
    #[inline]
    pub fn slot_word(&self, slot: Slot) -> SlotWord {
        SlotWord::from_raw(self.slots[slot.index()].load(Ordering::Relaxed))
    }

    /// Returns how often the owner was about to enter L2 or halt: a sign of life.
    #[must_use]
    pub fn quiescent_states(&self) -> u64 {
        self.control.quiescent.load(Ordering::Relaxed)
    }

    /// Returns all figures of this CPU. Each one is exact; together they are not one instant's.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            refused: self.mailbox.refused.load(Ordering::Relaxed),
            quarantined: self.mailbox.quarantined.load(Ordering::Relaxed),
            ..self.counters.figures()
        }
    }

    /// Sets bits of a bank. Owner only, IF=0: [`OWNER-BANKS`](crate#invariants).
    #[inline]
    pub(crate) fn set_in_bank(&self, bank: usize, bits: u32) {
        let bank = &self.banks[bank & (BANKS - 1)];
        bank.store(bank.load(Ordering::Relaxed) | bits, Ordering::Relaxed);
    }

    /// Takes all bits of a bank. Owner only, IF=0: [`OWNER-BANKS`](crate#invariants).
    #[inline]
    pub(crate) fn take_bank(&self, bank: usize) -> u32 {
        let bank = &self.banks[bank & (BANKS - 1)];
        let bits = bank.load(Ordering::Relaxed);
        if bits != 0 {
            bank.store(0, Ordering::Relaxed);
        }
        bits
    }
}

impl Default for RelayBlock {
    fn default() -> Self {
        Self::new()
    }
}

impl Control {
    const_unless_loom! {
        fn new() -> Self {
            Self {
                dirty: AtomicU8::new(0),
                remote_pending: AtomicU32::new(0),
                state: AtomicU32::new(0),
                quiescent: AtomicU64::new(0),
            }
        }
    }
}

impl Remote {
    const_unless_loom! {
        fn new() -> Self {
            Self { device: zeros(), trusted: zeros() }
        }
    }
}

impl Mailbox {
    const_unless_loom! {
        fn new() -> Self {
            Self {
                requested: AtomicU64::new(0),
                served: AtomicU64::new(0),
                slots: AtomicU32::new(0),
                reserved_irr: AtomicU32::new(0),
                allowed: zeros(),
                revoked: zeros(),
                refused: Figure::new(0),
                quarantined: Figure::new(0),
                wanted: unmapped_slots(),
            }
        }
    }
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(RelayBlock, slots) == RelayBlock::SLOTS_OFFSET);
    assert!(offset_of!(RelayBlock, control) == 0x100);
    assert!(offset_of!(RelayBlock, control.dirty) == RelayBlock::DIRTY_OFFSET);
    assert!(offset_of!(RelayBlock, control.remote_pending) == 0x104);
    assert!(offset_of!(RelayBlock, control.state) == 0x108);
    assert!(offset_of!(RelayBlock, control.quiescent) == 0x110);
    assert!(offset_of!(RelayBlock, banks) == RelayBlock::BANKS_OFFSET);
    assert!(offset_of!(RelayBlock, remote) == 0x180);
    assert!(offset_of!(RelayBlock, mailbox) == 0x200);
    assert!(offset_of!(RelayBlock, counters) == 0x380);
    assert!(size_of::<RelayBlock>().is_multiple_of(128));
    assert!(align_of::<RelayBlock>() == 128);
};
