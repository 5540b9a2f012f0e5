// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TD's RAM: what of the host's list L1 uses, and whose it is.
//!
//! The list itself is checked by its reader. Of its ranges, one run of RAM from address 0 is taken;
//! whatever else the host lists is left alone.
//!
//! Spec: TDVF "TD Hand-Off Block".

use core::{fmt, ops::Range};

use tdvf::hob::{self, ResourceType};

/// RAM above is left alone: devices and the image begin here.
const RAM_LIMIT: u64 = 0xc000_0000;
/// What L1 keeps.
const OWN: u64 = 20 << 20;
/// The part of it that is for the VM that runs AML: two pages of 2 MiB.
const AML_VM: u64 = 2 * MIB2;
const MIB2: u64 = 2 << 20;

/// The TD's RAM, which begins at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryMap {
    ram_end: u64,
}

/// There is too little RAM at 0: it ends here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSmall(pub u64);

impl MemoryMap {
    /// Takes the run of RAM that begins at 0, in whole pages of 2 MiB.
    ///
    /// # Errors
    /// It is too short for L1 and an L2.
    pub fn from_ranges(ranges: impl Iterator<Item = hob::Range>) -> Result<Self, TooSmall> {
        let end = ranges.filter(is_ram).fold(0, |end, range| {
            if range.start == end { range.start.saturating_add(range.length) } else { end }
        });
        let ram_end = end.min(RAM_LIMIT) & !(MIB2 - 1);
        if ram_end < 2 * OWN { Err(TooSmall(end)) } else { Ok(Self { ram_end }) }
    }

    /// L2's part.
    #[must_use]
    pub const fn guest(self) -> Range<u64> {
        0..self.ram_end - OWN
    }

    /// L1's part.
    #[must_use]
    pub const fn own(self) -> Range<u64> {
        self.ram_end - OWN..self.ram_end
    }

    /// What of it is for the VM that runs AML, in whole pages of 2 MiB.
    #[must_use]
    pub const fn aml_vm(self) -> Range<u64> {
        let own = self.own();
        own.start..own.start + AML_VM
    }

    /// The rest of it.
    #[must_use]
    pub const fn heap(self) -> Range<u64> {
        self.aml_vm().end..self.ram_end
    }
}

fn is_ram(range: &hob::Range) -> bool {
    range.kind == ResourceType::SYSTEM_MEMORY || range.kind == ResourceType::MEMORY_UNACCEPTED
}

impl fmt::Display for TooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RAM ends at {:#x}, too early", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{MemoryMap, TooSmall};
    use tdvf::hob::{Range, ResourceType};

    const UNACCEPTED: ResourceType = ResourceType::MEMORY_UNACCEPTED;
    const ADDED: ResourceType = ResourceType::SYSTEM_MEMORY;

    fn map(ranges: &[(u64, u64, ResourceType)]) -> Result<MemoryMap, TooSmall> {
        let range = |&(start, end, kind)| Range { start, length: end - start, kind };
        MemoryMap::from_ranges(ranges.iter().map(range))
    }

    #[test]
    fn adjacent_ranges_are_one_run() {
        let list = [
            (0, 0x80_0000, UNACCEPTED),
            (0x80_0000, 0x80_4000, ADDED),
            (0x80_4000, 0x800_0000, UNACCEPTED),
        ];
        let map = map(&list).unwrap();
        assert_eq!((map.guest(), map.own()), (0..0x6c0_0000, 0x6c0_0000..0x800_0000));
        assert_eq!((map.aml_vm(), map.heap()), (0x6c0_0000..0x700_0000, 0x700_0000..0x800_0000));
    }

    #[test]
    fn a_hole_ends_the_run_and_the_image_is_never_reached() {
        let hole = [(0, 0x400_0000, UNACCEPTED), (0x500_0000, 0x800_0000, UNACCEPTED)];
        assert_eq!(map(&hole).unwrap().own().end, 0x400_0000);
        assert_eq!(map(&[(0, 1 << 40, UNACCEPTED)]).unwrap().own().end, 0xc000_0000);
        let device = [(0, 0x400_0000, UNACCEPTED), (0x400_0000, 0x800_0000, ResourceType(1))];
        assert_eq!(map(&device).unwrap().own().end, 0x400_0000);
    }

    #[test]
    fn too_little_is_an_error() {
        assert_eq!(map(&[]), Err(TooSmall(0)));
        assert_eq!(map(&[(0x1000, 0x800_0000, UNACCEPTED)]), Err(TooSmall(0)));
        assert_eq!(map(&[(0, 0x27f_f000, UNACCEPTED)]), Err(TooSmall(0x27f_f000)));
    }

    #[test]
    fn an_incomplete_large_page_at_the_end_is_left_out() {
        assert_eq!(map(&[(0, 0x7ff_f000, UNACCEPTED)]).unwrap().own().end, 0x7e0_0000);
    }
}
