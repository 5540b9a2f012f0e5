// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pieces of a kernel, and where in L2's RAM they may go.

use core::{fmt, ops::Range};

/// One loadable piece of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Its bytes in the file.
    pub bytes: &'a [u8],
    /// The guest-physical address of its first byte.
    pub gpa: u64,
    /// Its size in memory; what the file does not provide is zero.
    pub size: u64,
}

impl Segment<'_> {
    /// The guest-physical addresses it covers.
    #[must_use]
    pub const fn range(&self) -> Range<u64> {
        self.gpa..self.gpa.saturating_add(self.size)
    }
}

/// Where a kernel may go: L2's RAM without what is already in it.
#[derive(Clone, Copy, Debug)]
pub struct Room<'a> {
    /// The end of the RAM that a kernel may use, which begins at 0.
    pub end: u64,
    /// What is taken in it: the kernel's own file, modules.
    pub taken: &'a [Range<u64>],
}

/// Why a kernel does not go where it wants to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// A segment reaches beyond L2's RAM, or into the platform's part of it.
    Outside(u64),
    /// Two segments want the same memory, or one wants what is taken.
    Overlap(u64),
    /// The entry point lies in no segment.
    Entry(u64),
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside(gpa) => write!(f, "the segment at {gpa:#x} does not fit into L2's RAM"),
            Self::Overlap(gpa) => write!(f, "the segment at {gpa:#x} wants memory that is taken"),
            Self::Entry(gpa) => write!(f, "the entry point {gpa:#x} lies in no segment"),
        }
    }
}

impl Room<'_> {
    /// Checks that all of `segments` can be copied, and that one of them holds `entry`, which is
    /// returned.
    ///
    /// # Errors
    ///
    /// The first segment that does not fit, or the entry point.
    pub fn check(
        &self,
        segments: impl Iterator<Item = Range<u64>> + Clone,
        entry: u64,
    ) -> Result<u32, Misplaced> {
        for (number, range) in segments.clone().enumerate() {
            if range.end > self.end {
                return Err(Misplaced::Outside(range.start));
            }
            let mut earlier = segments.clone().take(number);
            if earlier.any(|other| overlap(&range, &other))
                || self.taken.iter().any(|other| overlap(&range, other))
            {
                return Err(Misplaced::Overlap(range.start));
            }
        }
        let entered = segments.into_iter().any(|range| range.contains(&entry));
        u32::try_from(entry).ok().filter(|_| entered).ok_or(Misplaced::Entry(entry))
    }
}

const fn overlap(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}

#[cfg(test)]
mod tests {
    use super::{Misplaced, Range, Room, Segment};

    const TAKEN: [Range<u64>; 2] = [0x80_0000..0x90_0000, 0xfff_f000..0x1000_0000];
    const ROOM: Room<'_> = Room { end: 0x100_0000, taken: &TAKEN };

    fn check(segments: &[(u64, u64)], entry: u64) -> Result<u32, Misplaced> {
        let segment = |&(gpa, size): &(u64, u64)| Segment { bytes: &[], gpa, size }.range();
        ROOM.check(segments.iter().map(segment), entry)
    }

    #[test]
    fn segments_side_by_side_fit() {
        let both = [(0x20_0000, 0x60_0000), (0x10_0000, 0x10_0000), (0x90_0000, 0x70_0000)];
        assert_eq!(check(&both, 0x1f_ffff), Ok(0x1f_ffff));
    }

    #[test]
    fn a_segment_must_end_in_ram() {
        let over = [(0x10_0000, 0x1000), (0xff_0000, 0x1_0001)];
        assert_eq!(check(&over, 0x10_0000), Err(Misplaced::Outside(0xff_0000)));
        assert_eq!(check(&[(u64::MAX, 2)], 0), Err(Misplaced::Outside(u64::MAX)));
    }

    #[test]
    fn no_byte_is_wanted_twice() {
        let twice = [(0x10_0000, 0x1001), (0x10_1000, 0x1000)];
        assert_eq!(check(&twice, 0x10_0000), Err(Misplaced::Overlap(0x10_1000)));
        let taken = [(0x7f_f000, 0x1001)];
        assert_eq!(check(&taken, 0x7f_f000), Err(Misplaced::Overlap(0x7f_f000)));
    }

    #[test]
    fn the_entry_point_must_be_loaded() {
        assert_eq!(check(&[(0x10_0000, 0x1000)], 0x10_1000), Err(Misplaced::Entry(0x10_1000)));
        assert_eq!(check(&[], 0), Err(Misplaced::Entry(0)));
    }
}
