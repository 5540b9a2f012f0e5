// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the loader says about itself: the PVH start info and the tables it points to.
//!
//! Only layout and checks; `boot` reads the physical memory.
//!
//! Spec: PVH "C representation of the x86/HVM start info layout".

use core::ops::Range;

use zerocopy::{FromBytes, Immutable, KnownLayout};

/// `struct hvm_start_info`, version 1.
#[repr(C)]
#[derive(Debug, FromBytes, Immutable, KnownLayout)]
pub(crate) struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    pub(crate) modules: u32,
    pub(crate) module_list: u64,
    pub(crate) command_line: u64,
    pub(crate) rsdp: u64,
    pub(crate) memory_map: u64,
    pub(crate) memory_map_entries: u32,
    reserved: u32,
}

const _: () = assert!(size_of::<StartInfo>() == 56);

/// `struct hvm_modlist_entry`.
#[repr(C)]
#[derive(Debug, FromBytes, Immutable, KnownLayout)]
pub(crate) struct Module {
    pub(crate) address: u64,
    pub(crate) size: u64,
    command_line: u64,
    reserved: u64,
}

const _: () = assert!(size_of::<Module>() == 32);

/// `struct hvm_memmap_table_entry`.
#[repr(C)]
#[derive(Debug, FromBytes, Immutable, KnownLayout)]
pub(crate) struct MemoryMapEntry {
    address: u64,
    size: u64,
    kind: u32,
    reserved: u32,
}

const _: () = assert!(size_of::<MemoryMapEntry>() == 24);

impl StartInfo {
    /// "xEn3" with bit 7 of the E set.
    const MAGIC: u32 = 0x336e_c578;

    /// Returns why this is not a start info that L0 can use, if it is not.
    pub(crate) const fn fault(&self) -> Option<&'static str> {
        if self.magic != Self::MAGIC {
            Some("not started by a PVH loader: the start info has no magic")
        } else if self.version == 0 || self.memory_map_entries == 0 {
            Some("the PVH start info has no memory map")
        } else {
            None
        }
    }
}

impl MemoryMapEntry {
    const RAM: u32 = 1;

    /// Returns the range if it is RAM.
    pub(crate) fn ram(&self) -> Option<Range<u64>> {
        (self.kind == Self::RAM).then(|| self.address..self.address.saturating_add(self.size))
    }
}

#[cfg(test)]
mod tests {
    use super::{MemoryMapEntry, StartInfo};
    use zerocopy::FromBytes;

    fn start_info(magic: u32, version: u32, entries: u32) -> StartInfo {
        let mut bytes = [0; 56];
        bytes[..4].copy_from_slice(&magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&version.to_le_bytes());
        bytes[48..52].copy_from_slice(&entries.to_le_bytes());
        StartInfo::read_from_bytes(&bytes).unwrap()
    }

    #[test]
    fn only_a_versioned_start_info_with_memory_map_is_accepted() {
        assert_eq!(start_info(0x336e_c578, 1, 7).fault(), None);
        assert!(start_info(0x1bad_b002, 1, 7).fault().is_some());
        assert!(start_info(0x336e_c578, 0, 7).fault().is_some());
        assert!(start_info(0x336e_c578, 1, 0).fault().is_some());
    }

    #[test]
    fn ram_that_wraps_ends_at_the_top() {
        let entry = |kind| MemoryMapEntry { address: 0x1000, size: u64::MAX, kind, reserved: 0 };
        assert_eq!(entry(1).ram(), Some(0x1000..u64::MAX));
        assert_eq!(entry(2).ram(), None);
    }
}
