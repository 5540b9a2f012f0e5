// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control plane's book of the sources that have no slot: proxied ones and refused ones.
//!
//! The book is bounded. A proxied source is a permission in the filter and must be remembered until
//! it is given back, so a full book refuses the next one; a refusal is only a notice, so the oldest
//! gives way.

use crate::{
    block::RelayBlock,
    mapping::{MapError, Mode, Reason, Source},
    reserved_vector::L2Vector,
};

/// How many sources without a slot are remembered for each CPU. Few under loom, whose threads have
/// small stacks.
const ENTRIES: usize = if cfg!(loom) { 2 } else { 64 };

/// The book of one CPU.
#[derive(Debug)]
pub(crate) struct Unposted {
    entries: [Option<Entry>; ENTRIES],
    /// The entry at which the next search for a refusal to overwrite begins.
    next: usize,
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
    Granted,
    /// Its vector leaves the filter by this request.
    Withdrawing(u64),
}

impl Unposted {
    pub(crate) const NEW: Self = Self { entries: [None; ENTRIES], next: 0 };

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().flatten()
    }

    /// Notes that `source` was refused a slot.
    pub(crate) fn refuse(&mut self, vector: L2Vector, source: Source, reason: Reason) {
        let standing = Standing::Refused(reason);
        if let Some(entry) = self.find(vector, source, standing) {
            entry.references = entry.references.saturating_add(1);
        } else if let Some(place) = self.place() {
            *place = Some(Entry { vector, source, references: 1, standing });
        }
    }

    /// Forgets that `source` was refused a slot.
    pub(crate) fn forget(&mut self, vector: L2Vector, source: Source) {
        self.remove(|entry| entry.is_refusal() && (entry.vector, entry.source) == (vector, source));
    }

    /// Notes that `source` may use `vector` on the proxy path.
    pub(crate) fn grant(&mut self, vector: L2Vector, source: Source) -> Result<(), MapError> {
        let withdrawing = |entry: &Entry| {
            entry.vector == vector && matches!(entry.standing, Standing::Withdrawing(_))
        };
        if self.iter().any(withdrawing) {
            return Err(MapError::Withdrawing);
        }
        if let Some(entry) = self.find(vector, source, Standing::Granted) {
            let more = entry.references.checked_add(1).ok_or(MapError::TooManyReferences)?;
            entry.references = more;
            return Ok(());
        }
        let place = self.place().ok_or(MapError::GrantsFull)?;
        *place = Some(Entry { vector, source, references: 1, standing: Standing::Granted });
        Ok(())
    }

    /// Takes one reference of a grant back. Returns the request to wait for, 0 if the vector has
    /// other grants; `None` if there is no such grant. The vector's last one calls `withdraw`.
    pub(crate) fn release(
        &mut self,
        vector: L2Vector,
        source: Source,
        withdraw: impl FnOnce() -> u64,
    ) -> Option<u64> {
        let granted =
            |entry: &&Entry| entry.vector == vector && entry.standing == Standing::Granted;
        let grants = self.iter().filter(granted).count();
        let entry = self.find(vector, source, Standing::Granted)?;
        entry.references -= 1;
        if entry.references != 0 {
            return Some(0);
        }
        if grants == 1 {
            let number = withdraw();
            entry.standing = Standing::Withdrawing(number);
            return Some(number);
        }
        self.remove(|entry| entry.standing == Standing::Granted && entry.references == 0);
        Some(0)
    }

    /// Removes the entries whose vectors have left the filter.
    pub(crate) fn reclaim(&mut self, block: &RelayBlock) {
        self.remove(|entry| match entry.standing {
            Standing::Withdrawing(request) => block.has_served(request),
            Standing::Refused(_) | Standing::Granted => false,
        });
    }

    fn find(&mut self, vector: L2Vector, source: Source, standing: Standing) -> Option<&mut Entry> {
        self.entries.iter_mut().flatten().find(|entry| {
            entry.vector == vector && entry.source == source && entry.standing == standing
        })
    }

    fn remove(&mut self, condition: impl Fn(&Entry) -> bool) {
        for place in &mut self.entries {
            if place.as_ref().is_some_and(&condition) {
                *place = None;
            }
        }
    }

    /// Returns an empty place, or failing that the next refusal's.
    fn place(&mut self) -> Option<&mut Option<Entry>> {
        let refused = |place: &Option<Entry>| place.as_ref().is_some_and(Entry::is_refusal);
        let empty = self.entries.iter().position(Option::is_none);
        let index = empty.or_else(|| {
            let turn = (0..ENTRIES).map(|step| (self.next + step) % ENTRIES);
            turn.into_iter().find(|index| refused(&self.entries[*index]))
        })?;
        self.next = (index + 1) % ENTRIES;
        self.entries.get_mut(index)
    }
}

impl Entry {
    const fn is_refusal(&self) -> bool {
        matches!(self.standing, Standing::Refused(_))
    }
}

impl Standing {
    pub(crate) const fn mode(self) -> (Mode, Reason) {
        match self {
            Self::Refused(reason) => (Mode::Refused, reason),
            Self::Granted => (Mode::Proxied, Reason::Asked),
            Self::Withdrawing(_) => (Mode::Unmapping, Reason::Released),
        }
    }
}
