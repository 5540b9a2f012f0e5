// SPDX-License-Identifier: MIT OR Apache-2.0
//! The last 64 KiB of L2's RAM: what L1 puts there for L2 before it starts.
//!
//! | from     | to        | what                                  | told to L2 as |
//! |----------|-----------|---------------------------------------|---------------|
//! | `0x0000` | `0x8000`  | ACPI tables                           | ACPI          |
//! | `0x8000` | `0x9000`  | the mailbox that wakes CPUs           | NVS           |
//! | `0x9000` | `0xd000`  | boot information, command line        | RAM           |
//! | `0xd000` | `0xf000`  | page tables                           | NVS           |
//! | `0xf000` | `0x10000` | where CPUs wait                       | NVS           |
//!
//! The map that follows from it is the same whichever boot protocol tells it.
//!
//! Spec: ACPI "System Address Map Interfaces"; PVH "memory map table"; MULTIBOOT "Boot information
//! format".

use core::ops::Range;

/// How large the area is.
pub const SIZE: u64 = 0x1_0000;

/// The memory from here to 1 MiB has never been for programs.
const LOW_END: u64 = 0x9_f000;
const HIGH_START: u64 = 0x10_0000;

/// What a range of L2's addresses is, by the numbers that all boot protocols use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionKind(pub u32);

impl RegionKind {
    /// For any use.
    pub const RAM: Self = Self(1);
    /// For no use.
    pub const RESERVED: Self = Self(2);
    /// ACPI tables, for any use once they were read.
    pub const ACPI: Self = Self(3);
    /// Memory that firmware keeps.
    pub const NVS: Self = Self(4);
}

/// One entry of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its first address.
    pub start: u64,
    /// The address behind it.
    pub end: u64,
    /// What it is.
    pub kind: RegionKind,
}

/// Where the area is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlatformArea {
    base: u64,
}

impl PlatformArea {
    /// The area of an L2 whose RAM ends at `guest_end`, which is above 1 MiB.
    #[must_use]
    pub const fn below(guest_end: u64) -> Self {
        Self { base: guest_end.saturating_sub(SIZE) }
    }

    /// Where it begins: a guest is loaded below.
    #[must_use]
    pub const fn start(self) -> u64 {
        self.base
    }

    /// ACPI tables, the RSDP among them.
    #[must_use]
    pub const fn acpi(self) -> Range<u64> {
        self.base..self.mailbox()
    }

    /// The page of the mailbox.
    #[must_use]
    pub const fn mailbox(self) -> u64 {
        self.base + 0x8000
    }

    /// What the boot protocol hands over.
    #[must_use]
    pub const fn boot_information(self) -> Range<u64> {
        self.base + 0x9000..self.page_tables().start
    }

    /// Pages for page tables, for a CPU that starts with paging on.
    #[must_use]
    pub const fn page_tables(self) -> Range<u64> {
        self.base + 0xd000..self.park()
    }

    /// The page that CPUs wait in.
    #[must_use]
    pub const fn park(self) -> u64 {
        self.base + 0xf000
    }

    /// Whether the platform needs what is at `gpa` as long as L2 runs.
    #[must_use]
    pub fn keeps(self, gpa: u64) -> bool {
        let is_kept = |region: &Region| region.start >= self.base && region.kind != RegionKind::RAM;
        self.regions()
            .iter()
            .filter(|region| is_kept(region))
            .any(|region| region.start <= gpa && gpa < region.end)
    }

    /// The map of L2's RAM, in ascending order and without a gap.
    #[must_use]
    pub const fn regions(self) -> [Region; 7] {
        const fn region(range: Range<u64>, kind: RegionKind) -> Region {
            Region { start: range.start, end: range.end, kind }
        }
        let information = self.boot_information();
        [
            region(0..LOW_END, RegionKind::RAM),
            region(LOW_END..HIGH_START, RegionKind::RESERVED),
            region(HIGH_START..self.base, RegionKind::RAM),
            region(self.acpi(), RegionKind::ACPI),
            region(self.mailbox()..information.start, RegionKind::NVS),
            region(information, RegionKind::RAM),
            region(self.page_tables().start..self.base + SIZE, RegionKind::NVS),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::{PlatformArea, RegionKind};

    #[test]
    fn the_map_covers_all_ram_once() {
        let regions = PlatformArea::below(0x700_0000).regions();
        assert_eq!(regions[0].start, 0);
        assert_eq!(regions[6].end, 0x700_0000);
        assert!(regions.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert!(regions.iter().all(|region| region.start < region.end));
    }

    #[test]
    fn the_platform_keeps_its_area_but_for_the_boot_information() {
        let area = PlatformArea::below(0x700_0000);
        for kept in [0x6ff_0000, 0x6ff_7fff, 0x6ff_8000, 0x6ff_d000, 0x6ff_ffff] {
            assert!(area.keeps(kept), "{kept:#x}");
        }
        for free in [0, 0xa_0000, 0x6fe_ffff, 0x6ff_9000, 0x6ff_cfff, 0x700_0000] {
            assert!(!area.keeps(free), "{free:#x}");
        }
    }

    #[test]
    fn everything_is_where_the_table_says() {
        let area = PlatformArea::below(0x700_0000);
        assert_eq!(area.acpi(), 0x6ff_0000..0x6ff_8000);
        assert_eq!((area.mailbox(), area.park()), (0x6ff_8000, 0x6ff_f000));
        assert_eq!(area.boot_information(), 0x6ff_9000..0x6ff_d000);
        assert_eq!(area.page_tables(), 0x6ff_d000..0x6ff_f000);
        let kinds = area.regions().map(|region| region.kind.0);
        assert_eq!(kinds, [1, 2, 1, 3, 4, 1, 4]);
        assert_eq!(area.regions()[3].kind, RegionKind::ACPI);
    }
}
