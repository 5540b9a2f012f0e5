// SPDX-License-Identifier: MIT OR Apache-2.0
//! L2's own paging: from a linear to a guest-physical address.
//!
//! Used to fetch the instruction behind an intercepted access. Rights are not checked: the
//! processor has already executed the instruction up to the access, so the translation existed.
//! Tables are read from private memory only; an entry that points elsewhere ends the walk.
//!
//! Spec: SDM "Paging".

use crate::guest_memory::GuestMemory;

/// The registers that choose a paging mode.
#[derive(Clone, Copy, Debug, Default)]
pub struct Paging {
    /// Control register 0.
    pub cr0: u64,
    /// Control register 3.
    pub cr3: u64,
    /// Control register 4.
    pub cr4: u64,
    /// Extended feature enable register.
    pub efer: u64,
}

const CR0_PG: u64 = 1 << 31;
const CR4_PSE: u64 = 1 << 4;
const CR4_PAE: u64 = 1 << 5;
const CR4_LA57: u64 = 1 << 12;
const EFER_LMA: u64 = 1 << 10;
const PRESENT: u64 = 1 << 0;
const LARGE: u64 = 1 << 7;
/// Bits 51:12 of an entry.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

impl Paging {
    /// Translates `linear`, or `None` if it is not mapped (any more).
    #[must_use]
    pub fn translate(&self, memory: &impl GuestMemory, linear: u64) -> Option<u64> {
        if self.cr0 & CR0_PG == 0 {
            return Some(linear & 0xffff_ffff);
        }
        if self.efer & EFER_LMA != 0 {
            let levels = if self.cr4 & CR4_LA57 != 0 { 5 } else { 4 };
            return walk(memory, self.cr3 & ADDRESS, linear, levels);
        }
        let linear = linear & 0xffff_ffff;
        if self.cr4 & CR4_PAE == 0 {
            return self.walk_two_level(memory, linear);
        }
        let pdpte = memory.read_u64((self.cr3 & 0xffff_ffe0) + (linear >> 30) * 8)?;
        (pdpte & PRESENT != 0).then(|| walk(memory, pdpte & ADDRESS, linear, 2))?
    }

    /// 32-bit paging: 1024 entries of 4 bytes a table.
    fn walk_two_level(&self, memory: &impl GuestMemory, linear: u64) -> Option<u64> {
        let pde = u64::from(memory.read_u32((self.cr3 & 0xffff_f000) + (linear >> 22) * 4)?);
        if pde & PRESENT == 0 {
            return None;
        }
        if pde & LARGE != 0 && self.cr4 & CR4_PSE != 0 {
            let high = (pde >> 13 & 0xff) << 32;
            return Some(high | (pde & 0xffc0_0000) | (linear & 0x003f_ffff));
        }
        let table = (pde & 0xffff_f000) + (linear >> 12 & 0x3ff) * 4;
        let pte = u64::from(memory.read_u32(table)?);
        (pte & PRESENT != 0).then_some((pte & 0xffff_f000) | (linear & 0xfff))
    }
}

/// Walks tables of 512 eight-byte entries, `levels` deep.
fn walk(memory: &impl GuestMemory, root: u64, linear: u64, levels: u32) -> Option<u64> {
    let mut table = root;
    for level in (1..=levels).rev() {
        let shift = 12 + 9 * (level - 1);
        let entry = memory.read_u64(table + (linear >> shift & 0x1ff) * 8)?;
        if entry & PRESENT == 0 {
            return None;
        }
        let leaf = level == 1 || (entry & LARGE != 0 && level <= 3);
        if leaf {
            let offset = (1 << shift) - 1;
            return Some((entry & ADDRESS & !offset) | (linear & offset));
        }
        table = entry & ADDRESS;
    }
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{CR0_PG, CR4_PAE, CR4_PSE, EFER_LMA, Paging};
    use crate::guest_memory::GuestMemory;
    use alloc::{vec, vec::Vec};

    pub(crate) struct Flat(pub(crate) Vec<u8>);

    impl GuestMemory for Flat {
        fn read(&self, gpa: u64, buffer: &mut [u8]) -> bool {
            let start = usize::try_from(gpa).unwrap();
            let Some(bytes) =
                start.checked_add(buffer.len()).and_then(|end| self.0.get(start..end))
            else {
                return false;
            };
            buffer.copy_from_slice(bytes);
            true
        }

        fn write(&mut self, gpa: u64, bytes: &[u8]) -> bool {
            let start = usize::try_from(gpa).unwrap();
            let Some(target) =
                start.checked_add(bytes.len()).and_then(|end| self.0.get_mut(start..end))
            else {
                return false;
            };
            target.copy_from_slice(bytes);
            true
        }
    }

    fn put(memory: &mut Flat, gpa: u64, entry: u64) {
        assert!(memory.write(gpa, &entry.to_le_bytes()));
    }

    #[test]
    fn without_paging_linear_is_physical() {
        let memory = Flat(vec![]);
        assert_eq!(Paging::default().translate(&memory, 0x1234), Some(0x1234));
    }

    #[test]
    fn four_levels_end_at_any_leaf_size() {
        let mut memory = Flat(vec![0; 0x8000]);
        put(&mut memory, 0x1000, 0x2003);
        put(&mut memory, 0x2000, 0x3003);
        put(&mut memory, 0x2008, 0x4000_0083);
        put(&mut memory, 0x3000, 0x4003);
        put(&mut memory, 0x3008, 0x0020_0083);
        put(&mut memory, 0x4008, 0x7003);
        let paging = Paging { cr0: CR0_PG, cr3: 0x1000, cr4: CR4_PAE, efer: EFER_LMA };
        assert_eq!(paging.translate(&memory, 0x1234), Some(0x7234));
        assert_eq!(paging.translate(&memory, 0x20_1234), Some(0x20_1234));
        assert_eq!(paging.translate(&memory, 0x4012_3456), Some(0x4012_3456));
        assert_eq!(paging.translate(&memory, 0x0), None);
    }

    #[test]
    fn two_level_paging_knows_four_mebibyte_pages() {
        let mut memory = Flat(vec![0; 0x4000]);
        put(&mut memory, 0x1000, 0x2003 | 0x0040_0083 << 32);
        put(&mut memory, 0x2000, 0x3003);
        let paging = Paging { cr0: CR0_PG, cr3: 0x1000, cr4: CR4_PSE, efer: 0 };
        assert_eq!(paging.translate(&memory, 0x10), Some(0x3010));
        assert_eq!(paging.translate(&memory, 0x40_1234), Some(0x40_1234));
    }

    #[test]
    fn a_table_outside_guest_memory_ends_the_walk() {
        let mut memory = Flat(vec![0; 0x2000]);
        put(&mut memory, 0x1000, 0xfee0_0003);
        let paging = Paging { cr0: CR0_PG, cr3: 0x1000, cr4: CR4_PAE, efer: EFER_LMA };
        assert_eq!(paging.translate(&memory, 0), None);
    }
}
