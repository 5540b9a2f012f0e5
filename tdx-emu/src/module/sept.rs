// SPDX-License-Identifier: MIT OR Apache-2.0
//! Secure EPT: the module's view of a TD's private memory, one tree for L1 and one for each L2 VM.
//!
//! The trees are the nested page tables themselves (`crate::svm::npt`). What the processor
//! ignores in an entry holds what the module must remember:
//!
//! | bits  | L1 tree        | L2 tree                                     |
//! |-------|----------------|---------------------------------------------|
//! | 58:52 | 0              | attributes R, W, Xs, Xu, VGP, PWA, SSS      |
//! | 62:59 | `State`      | `State`                                   |
//!
//! SVM cannot tell user from supervisor execution, nor execute-only pages: an L2 page is
//! executable if Xs or Xu is set and readable if it is anything.
//!
//! Spec: TDX-BASE "Secure EPT Concept"; TDX-TDP "L2 Secure EPT".

use tdcall::gpa_attributes::GpaAttributes;

use crate::svm::{
    npt::{self, ADDRESS, LARGE, NO_EXECUTE, PRESENT, ROOT_LEVEL, USER, WRITE},
    physical::{self, Hpa, PAGE},
};

/// What the module knows of an entry, in bits 62:59.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// Nothing there.
    Free = 0,
    /// Mapped once, now blocked by the host.
    Blocked = 1,
    /// Given by the host, not yet accepted by the TD.
    Pending = 2,
    /// Pending, and blocked by the host.
    PendingBlocked = 3,
    /// In use.
    Mapped = 4,
    /// Taken back by the host.
    Removed = 5,
    /// Points to the next table.
    NonLeaf = 6,
}

impl State {
    /// The state number that the module reports outside.
    pub(crate) const fn public(self) -> u64 {
        match self {
            Self::NonLeaf => 132,
            leaf => leaf as u64,
        }
    }
}

/// An entry of a secure EPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry(u64);

const STATE_SHIFT: u32 = 59;
const ATTRIBUTES_SHIFT: u32 = 52;
const ATTRIBUTES_MASK: u64 = 0x7f << ATTRIBUTES_SHIFT;

impl Entry {
    /// Nothing.
    pub(crate) const FREE: Self = Self(0);

    const fn with_state(bits: u64, state: State) -> Self {
        Self(bits & !(0xf << STATE_SHIFT) | (state as u64) << STATE_SHIFT)
    }

    /// Points to the table in `page`.
    pub(crate) const fn table(page: Hpa) -> Self {
        Self::with_state(page | PRESENT | WRITE | USER, State::NonLeaf)
    }

    /// A page of `level` that is not accessible, because of `state`.
    pub(crate) const fn held(page: Hpa, level: u8, state: State) -> Self {
        Self::with_state(page | Self::leaf_bit(level), state)
    }

    /// A page of `level` that L1 uses: readable, writable, executable.
    pub(crate) const fn mapped(page: Hpa, level: u8) -> Self {
        let bits = page | PRESENT | WRITE | USER | Self::leaf_bit(level);
        Self::with_state(bits, State::Mapped)
    }

    /// A page of `level` as an L2 VM may use it; `state` is `Mapped` or `Blocked`.
    pub(crate) fn alias(page: Hpa, level: u8, attributes: GpaAttributes, state: State) -> Self {
        let kept = u64::from(attributes.bits() & 0x7f) << ATTRIBUTES_SHIFT;
        let mut bits = page | USER | Self::leaf_bit(level) | kept;
        if state == State::Mapped {
            bits |= PRESENT;
            if attributes.contains(GpaAttributes::W) {
                bits |= WRITE;
            }
            if !attributes.intersects(GpaAttributes::XS | GpaAttributes::XU) {
                bits |= NO_EXECUTE;
            }
        }
        Self::with_state(bits, state)
    }

    const fn leaf_bit(level: u8) -> u64 {
        if level == 0 { 0 } else { LARGE }
    }

    /// What the module knows of it.
    pub(crate) const fn state(self) -> State {
        match self.0 >> STATE_SHIFT & 0xf {
            1 => State::Blocked,
            2 => State::Pending,
            3 => State::PendingBlocked,
            4 => State::Mapped,
            5 => State::Removed,
            6 => State::NonLeaf,
            _ => State::Free,
        }
    }

    /// The page or table it names.
    pub(crate) const fn page(self) -> Hpa {
        self.0 & ADDRESS
    }

    /// What an L2 VM may do with the page; the VALID bit is set.
    pub(crate) fn attributes(self) -> GpaAttributes {
        let kept = (self.0 & ATTRIBUTES_MASK) >> ATTRIBUTES_SHIFT;
        GpaAttributes::from_bits_retain(kept as u16) | GpaAttributes::VALID
    }
}

/// Where a walk ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// Host-physical address of the entry.
    at: Hpa,
    /// Its level.
    pub(crate) level: u8,
    /// Its value when walked.
    pub(crate) entry: Entry,
}

impl Found {
    /// Replaces the entry.
    pub(crate) fn set(self, entry: Entry) {
        physical::write(self.at, entry.0);
    }

    /// Replaces a 2 MiB page by a table in `table` of the 512 small pages that `entry` makes.
    pub(crate) fn split(self, table: Hpa, entry: impl Fn(Hpa) -> Entry) {
        for index in 0..512 {
            physical::write(table + index * 8, entry(self.entry.page() + index * PAGE).0);
        }
        self.set(Entry::table(table));
    }

    /// Host-physical address of `gpa` if the entry is a page.
    pub(crate) fn address_of(self, gpa: u64) -> Hpa {
        self.entry.page() + (gpa & (npt::span(self.level) - 1))
    }
}

/// One tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sept {
    root: Hpa,
}

impl Sept {
    /// A tree whose root is the page `root`, all entries free.
    pub(crate) fn new(root: Hpa) -> Self {
        physical::zero_page(root);
        Self { root }
    }

    /// Host-physical address of the root.
    pub(crate) const fn root(self) -> Hpa {
        self.root
    }

    /// Walks for `gpa` down to `level`, or to where the tree ends before.
    pub(crate) fn find(self, gpa: u64, level: u8) -> Found {
        let mut table = self.root;
        let mut at_level = ROOT_LEVEL;
        loop {
            let at = npt::entry_at(table, gpa, at_level);
            let entry = Entry(physical::read(at));
            if at_level <= level || entry.state() != State::NonLeaf {
                return Found { at, level: at_level, entry };
            }
            table = entry.page();
            at_level -= 1;
        }
    }

    /// Host-physical address of a page that L1 may access now.
    pub(crate) fn accessible(self, gpa: u64) -> Option<Hpa> {
        let found = self.find(gpa, 0);
        (found.entry.state() == State::Mapped).then(|| found.address_of(gpa))
    }
}
