// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control plane's book of the sources that have no slot of their CPU: proxied ones, those that
//! another CPU passes on, and refused ones.
//!
//! The book is bounded. Of the first two kinds each is a permission in the filter and must be remembered
//! until it is given back, so a full book refuses the next one; a refusal is only a notice, so the oldest
//! gives way.

use crate::{
    block::RelayBlock,
    mapping::{MapError, Mode, Reason, Source},
    reserved_vector::{L2Vector, Slot},
};

/// How many sources without a slot are remembered for each CPU. Few under loom, whose threads have
/// small stacks.
const ENTRIES: usize = if cfg!(loom) { 2 } else { 64 };

/// The book of one CPU.
#[derive(Debug)]
pub(crate) struct Unposted {
    entries: [Option<Entry>; ENTRIES],
    /// The entries that are not empty: most of the time none, and then nothing is searched.
    used: u64,
    /// The entry at which the next search for a refusal to overwrite begins.
    next: usize,
    /// The entry at which the next search for one that waits for a slot begins.
    waiting: usize,
}

/// A slot of another CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) cpu: usize,
    pub(crate) slot: Slot,
}

/// One source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) vector: L2Vector,
    pub(crate) source: Source,
    pub(crate) references: u32,
    pub(crate) standing: Standing,
}

/// What is the matter with a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Refused(Reason),
    /// Its interrupts arrive by the proxy path, for this reason.
    Granted(Reason),
    /// It has a slot of another CPU.
    Remote(Place),
    /// It had that one, whose owner has still to leave it.
    Leaving(Place),
    /// Its vector leaves the filter by this request.
    Withdrawing(u64),
}

impl Unposted {
    pub(crate) const NEW: Self = Self { entries: [None; ENTRIES], used: 0, next: 0, waiting: 0 };

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        in_bits(self.used).filter_map(|index| self.entries.get(index)?.as_ref())
    }

    fn find_mut(&mut self, condition: impl Fn(&Entry) -> bool) -> Option<&mut Entry> {
        let fits = |index: &usize| self.entries[*index].as_ref().is_some_and(&condition);
        let index = in_bits(self.used).find(fits)?;
        self.entries[index].as_mut()
    }

    /// Notes that `source` was refused a slot.
    pub(crate) fn refuse(&mut self, vector: L2Vector, source: Source, reason: Reason) {
        let standing = Standing::Refused(reason);
        if let Some(entry) = self.find(vector, source, standing) {
            entry.references = entry.references.saturating_add(1);
        } else {
            let _ = self.put(Entry { vector, source, references: 1, standing });
        }
    }

    /// Forgets that `source` was refused a slot.
    pub(crate) fn forget(&mut self, vector: L2Vector, source: Source) {
        self.remove(|entry| entry.is_refusal() && (entry.vector, entry.source) == (vector, source));
    }

    /// Notes that `source` has a slot of another CPU for `vector`.
    pub(crate) fn lend(
        &mut self,
        vector: L2Vector,
        source: Source,
        place: Place,
    ) -> Result<(), MapError> {
        self.is_free_to_grant(vector)?;
        self.put(Entry { vector, source, references: 1, standing: Standing::Remote(place) })
    }

    /// Returns the slot of another CPU that `source` has for `vector`.
    pub(crate) fn remote(&self, vector: L2Vector, source: Source) -> Option<Place> {
        self.iter().find_map(|entry| match entry.standing {
            Standing::Remote(place) if (entry.vector, entry.source) == (vector, source) => {
                Some(place)
            }
            _ => None,
        })
    }

    /// Iterates over the slots of other CPUs that were given back and had `vector`.
    pub(crate) fn lent(&self, vector: L2Vector) -> impl Iterator<Item = Place> {
        self.iter().filter_map(move |entry| match entry.standing {
            Standing::Leaving(place) if entry.vector == vector => Some(place),
            _ => None,
        })
    }

    /// Notes that the slot at `place` was given back.
    pub(crate) fn leave(&mut self, place: Place) {
        if let Some(entry) = self.find_mut(|entry| entry.standing == Standing::Remote(place)) {
            entry.standing = Standing::Leaving(place);
        }
    }

    /// Notes that its owner has left the slot at `place`. Its vector's last permission calls
    /// `withdraw`.
    pub(crate) fn left(&mut self, place: Place, withdraw: impl FnOnce(L2Vector) -> u64) {
        let leaving = |entry: &&Entry| entry.standing == Standing::Leaving(place);
        let Some(vector) = self.iter().find(leaving).map(|entry| entry.vector) else { return };
        let others = |entry: &&Entry| entry.vector == vector && entry.standing.is_permission();
        if self.iter().filter(others).count() > 1 {
            return self.remove(|entry| entry.standing == Standing::Leaving(place));
        }
        let number = withdraw(vector);
        while let Some(entry) = self.find_mut(|entry| entry.standing == Standing::Leaving(place)) {
            entry.standing = Standing::Withdrawing(number);
        }
    }

    /// Returns the request by which `source`'s `vector` leaves the filter.
    pub(crate) fn withdrawing(&self, vector: L2Vector, source: Source) -> Option<u64> {
        self.iter().find_map(|entry| match entry.standing {
            Standing::Withdrawing(number) if (entry.vector, entry.source) == (vector, source) => {
                Some(number)
            }
            _ => None,
        })
    }

    /// Returns whether a source would rather have a slot of the CPU itself.
    pub(crate) fn has_waiting(&self) -> bool {
        self.iter().any(Entry::waits)
    }

    /// Returns such a source, the next in turn.
    pub(crate) fn next_waiting(&mut self) -> Option<(L2Vector, Source)> {
        let mut turn = (0..ENTRIES).map(|step| (self.waiting + step) % ENTRIES);
        let waits = |index: &usize| self.entries[*index].as_ref().is_some_and(Entry::waits);
        let index = turn.find(waits)?;
        self.waiting = (index + 1) % ENTRIES;
        self.entries[index].as_ref().map(|entry| (entry.vector, entry.source))
    }

    fn is_free_to_grant(&self, vector: L2Vector) -> Result<(), MapError> {
        let withdrawing = |entry: &Entry| {
            entry.vector == vector && matches!(entry.standing, Standing::Withdrawing(_))
        };
        if self.iter().any(withdrawing) { Err(MapError::Withdrawing) } else { Ok(()) }
    }

    /// Forgets that sources of `device` were refused a slot.
    pub(crate) fn forget_device(&mut self, device: u32) {
        self.remove(|entry| entry.is_refusal() && entry.source.device == device);
    }

    /// Notes that `source` may use `vector` on the proxy path, for `reason`.
    pub(crate) fn grant(
        &mut self,
        vector: L2Vector,
        source: Source,
        reason: Reason,
    ) -> Result<(), MapError> {
        self.is_free_to_grant(vector)?;
        let standing = Standing::Granted(reason);
        if let Some(entry) = self.find_grant(vector, source) {
            let more = entry.references.checked_add(1).ok_or(MapError::TooManyReferences)?;
            entry.references = more;
            entry.standing = standing;
            return Ok(());
        }
        self.put(Entry { vector, source, references: 1, standing })
    }

    /// Takes one reference of a grant back. Returns the request to wait for, 0 if the vector has
    /// other grants; `None` if there is no such grant. The vector's last one calls `withdraw`.
    pub(crate) fn release(
        &mut self,
        vector: L2Vector,
        source: Source,
        withdraw: impl FnOnce() -> u64,
    ) -> Option<u64> {
        let granted = |entry: &&Entry| entry.vector == vector && entry.standing.is_permission();
        let grants = self.iter().filter(granted).count();
        let entry = self.find_grant(vector, source)?;
        entry.references -= 1;
        if entry.references != 0 {
            return Some(0);
        }
        if grants == 1 {
            let number = withdraw();
            entry.standing = Standing::Withdrawing(number);
            return Some(number);
        }
        self.remove(|entry| entry.is_grant() && entry.references == 0);
        Some(0)
    }

    /// Removes the entries whose vectors have left the filter.
    pub(crate) fn reclaim(&mut self, block: &RelayBlock) {
        self.remove(|entry| match entry.standing {
            Standing::Withdrawing(request) => block.has_served(request),
            _ => false,
        });
    }

    fn find_grant(&mut self, vector: L2Vector, source: Source) -> Option<&mut Entry> {
        self.find_mut(|entry| entry.is_grant() && (entry.vector, entry.source) == (vector, source))
    }

    fn find(&mut self, vector: L2Vector, source: Source, standing: Standing) -> Option<&mut Entry> {
        self.find_mut(|entry| {
            entry.vector == vector && entry.source == source && entry.standing == standing
        })
    }

    fn remove(&mut self, condition: impl Fn(&Entry) -> bool) {
        for index in in_bits(self.used) {
            if self.entries[index].as_ref().is_some_and(&condition) {
                self.entries[index] = None;
                self.used &= !(1 << index);
            }
        }
    }

    /// Puts an entry in an empty place, or failing that in the next refusal's.
    fn put(&mut self, entry: Entry) -> Result<(), MapError> {
        let refused = |index: &usize| self.entries[*index].as_ref().is_some_and(Entry::is_refusal);
        let empty = in_bits(!self.used).next().filter(|index| *index < ENTRIES);
        let index =
            empty.or_else(|| (0..ENTRIES).map(|step| (self.next + step) % ENTRIES).find(refused));
        let index = index.ok_or(MapError::GrantsFull)?;
        self.next = (index + 1) % ENTRIES;
        self.entries[index] = Some(entry);
        self.used |= 1 << index;
        Ok(())
    }
}

/// Iterates over the places whose bits are set.
fn in_bits(bits: u64) -> impl Iterator<Item = usize> {
    let mut left = bits;
    core::iter::from_fn(move || {
        let index = usize::try_from(left.trailing_zeros()).ok().filter(|_| left != 0)?;
        left &= left - 1;
        Some(index)
    })
}

impl Entry {
    const fn is_refusal(&self) -> bool {
        matches!(self.standing, Standing::Refused(_))
    }

    const fn is_grant(&self) -> bool {
        matches!(self.standing, Standing::Granted(_))
    }

    const fn waits(&self) -> bool {
        matches!(
            self.standing,
            Standing::Refused(_) | Standing::Remote(_) | Standing::Granted(Reason::BlockFull)
        )
    }
}

impl Standing {
    /// Whether the vector is in the filter on its account.
    const fn is_permission(self) -> bool {
        matches!(self, Self::Granted(_) | Self::Remote(_) | Self::Leaving(_))
    }

    /// What it means for the source; `None` if another CPU's book says that.
    pub(crate) const fn mode(self) -> Option<(Mode, Reason)> {
        match self {
            Self::Refused(reason) => Some((Mode::Refused, reason)),
            Self::Granted(reason) => Some((Mode::Proxied, reason)),
            Self::Withdrawing(_) => Some((Mode::Unmapping, Reason::Released)),
            Self::Remote(_) | Self::Leaving(_) => None,
        }
    }
}
