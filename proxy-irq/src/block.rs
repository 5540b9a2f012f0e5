// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`RelayBlock`]: all state that the relay has of one virtual CPU.
//!
//! | offset | field            | written by                         |
//! |--------|------------------|------------------------------------|
//! | 0x0000 | registers of L2's APIC, VIRR at 0x200 | processor and owner |
//! | 0x0800 | the relay's banks in the same page    | owner               |
//! | 0x1000 | slots            | owner; control plane while unused  |
//! | 0x1100 | dirty flag       | owner                              |
//! | 0x1104 | enter state      | owner                              |
//! | 0x1108 | where to look    | owner                              |
//! | 0x1110 | what was found   | owner                              |
//! | 0x1180 | remote banks, and the flag that says so | anyone, by read-modify-write only |
//! | 0x1200 | mailbox          | control plane and owner, see below |
//! |        | owner's          | owner                              |
//! | 0x1400 | forward table    | control plane                      |
//! |        | counters         | owner; control plane its own two   |
//!
//! What a slot word names is a dword of the first page: a register of L2's APIC, or a bank in the half
//! of the page that the processor leaves alone. So one mechanism serves both, without a branch.
//!
//! What the interrupt path and the pass touch beyond that page is six cache lines: four of slots, one
//! of control, one of remote banks. They lie in pairs (the adjacent-line prefetcher works in pairs),
//! and what other CPUs write, the remote banks and their flag, is one line in a pair of its own: a
//! poster needs that line only, and takes none away that the owner works with. Interrupt code in
//! assembly relies on the offsets, so they are public constants and checked here.

use core::sync::atomic::{AtomicU8 as OwnU8, AtomicU32 as OwnU32, AtomicU64 as Figure};

use crossbeam_utils::CachePadded;

use crate::{
    counters::{Counters, Figures},
    reserved_vector::{SLOTS, Slot},
    slot::{REMOTE_WORDS, SlotWord, VECTOR_BANKS},
    sync::{AtomicU32, AtomicU64, Ordering, const_unless_loom, unmapped_slots, zeros},
    virtual_apic::VirtualApicPage,
};

/// The relay's state of one virtual CPU, its *owner*.
#[derive(Debug)]
#[repr(C)]
pub struct RelayBlock {
    pub(crate) page: VirtualApicPage,
    pub(crate) slots: [AtomicU64; SLOTS],
    pub(crate) control: CachePadded<Control>,
    pub(crate) remote: CachePadded<Remote>,
    pub(crate) mailbox: CachePadded<Mailbox>,
    pub(crate) own: CachePadded<Own>,
    /// Where interrupts go that are another CPU's: `forward.rs`.
    pub(crate) forwards: CachePadded<[AtomicU32; SLOTS]>,
    pub(crate) counters: CachePadded<Counters>,
}

/// What the owner looks at before each entry into L2: one line.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Control {
    /// Not zero if a bank or the VIRR may have a new bit. A plain flag beside that of the remote banks,
    /// not a bit of it: the interrupt path's plain store must not undo another CPU's read-modify-write.
    pub(crate) dirty: AtomicU32,
    /// An [`EnterState`](crate::enter_state::EnterState).
    pub(crate) state: AtomicU32,
    /// The dword of the page that all direct slots post into, or 0 if there are several.
    pub(crate) only: OwnU32,
    /// The first vector of that dword.
    pub(crate) first: OwnU32,
    /// How many vectors pended where direct slots post when L2 was left.
    pub(crate) left: OwnU32,
    /// How many when the owner last looked: the difference was posted since.
    pub(crate) found: OwnU32,
    /// How many were posted by this CPU's own slots, up to when L2 was left.
    pub(crate) posted: Figure,
}

/// Vectors that other contexts made pending, and the flag that says so: one line.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Remote(
    /// What each word is for: [`RemoteWord`](crate::slot::RemoteWord).
    pub(crate) [AtomicU32; REMOTE_WORDS],
);

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
    /// The slots that were mapped; their words may become direct ones.
    pub(crate) mapped: AtomicU32,
    /// The slots whose words may post into a bank of vectors.
    pub(crate) banked: AtomicU32,
    /// Reserved vectors that were pending in L1's IRR when the owner last served a request.
    pub(crate) reserved_irr: AtomicU32,
    /// Vectors that devices may post remotely.
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

/// What only the owner's main context looks at, and rarely.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Own {
    /// An [`ApicMode`](crate::redirect::ApicMode).
    pub(crate) mode: OwnU8,
    /// Vectors that level-triggered lines use.
    pub(crate) levels: [OwnU32; VECTOR_BANKS],
}

impl RelayBlock {
    /// Offset of the slot words.
    pub const SLOTS_OFFSET: usize = 0x1000;
    /// Offset of the dirty dword that the interrupt path sets to 1.
    pub const DIRTY_OFFSET: usize = 0x1100;
    /// Offset of the dword whose lowest bit says that another context has made a vector pending. An
    /// observer of the emulation relies on it, too.
    pub const FLAG_OFFSET: usize = 0x11a0;

    const_unless_loom! {
        /// Returns a block in which nothing is mapped and nothing pends.
        pub fn new() -> Self {
            Self {
                page: VirtualApicPage::new(),
                slots: unmapped_slots(),
                control: CachePadded::new(Control::new()),
                remote: CachePadded::new(Remote::new()),
                mailbox: CachePadded::new(Mailbox::new()),
                own: CachePadded::new(Own::new()),
                forwards: CachePadded::new(zeros()),
                counters: CachePadded::new(Counters::new()),
            }
        }
    }

    /// Returns the virtual-APIC page of L2 on this CPU.
    #[must_use]
    #[inline]
    pub const fn page(&self) -> &VirtualApicPage {
        &self.page
    }

    /// Returns what `slot` maps to at this moment.
    #[must_use]
    #[inline]
    pub fn slot_word(&self, slot: Slot) -> SlotWord {
        SlotWord::from_raw(self.slots[slot.index()].load(Ordering::Acquire))
    }

    /// Returns all figures of this CPU. Each one is exact; together they are not one instant's.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            refused: self.mailbox.refused.load(Ordering::Relaxed),
            quarantined: self.mailbox.quarantined.load(Ordering::Relaxed),
            ..self.counters.figures(self.posted())
        }
    }

    /// A [`Work`](crate::enter_state::Work) set, [`FLAG-BY-RMW`](crate#invariants).
    #[inline]
    pub(crate) fn remote_pending(&self) -> &AtomicU32 {
        &self.remote.0[VECTOR_BANKS]
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
                dirty: AtomicU32::new(0),
                state: AtomicU32::new(0),
                only: OwnU32::new(0),
                first: OwnU32::new(0),
                left: OwnU32::new(0),
                found: OwnU32::new(0),
                posted: Figure::new(0),
            }
        }
    }
}

impl Remote {
    const_unless_loom! {
        fn new() -> Self {
            Self(zeros())
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
                mapped: AtomicU32::new(0),
                banked: AtomicU32::new(0),
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

impl Own {
    const fn new() -> Self {
        Self { mode: OwnU8::new(0), levels: [const { OwnU32::new(0) }; VECTOR_BANKS] }
    }
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(RelayBlock, page) == 0);
    assert!(offset_of!(RelayBlock, slots) == RelayBlock::SLOTS_OFFSET);
    assert!(offset_of!(RelayBlock, control) == RelayBlock::DIRTY_OFFSET);
    assert!(offset_of!(Control, dirty) == 0);
    assert!(offset_of!(Control, state) == 4);
    assert!(offset_of!(Control, only) == 8);
    assert!(offset_of!(Control, left) == 0x10);
    assert!(size_of::<Control>() == 64);
    assert!(offset_of!(RelayBlock, remote) + 4 * VECTOR_BANKS == RelayBlock::FLAG_OFFSET);
    assert!(size_of::<Remote>() == 64);
    assert!(offset_of!(RelayBlock, mailbox) == 0x1200);
    assert!(offset_of!(RelayBlock, forwards) == RelayBlock::FORWARDS_OFFSET);
    assert!(size_of::<RelayBlock>() == 0x2000);
    assert!(align_of::<RelayBlock>() == 0x1000);
};
