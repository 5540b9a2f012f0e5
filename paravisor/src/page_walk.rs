// SPDX-License-Identifier: MIT OR Apache-2.0
//! L2's own paging: from a linear to a guest-physical address.
//!
//! Used to fetch the instruction behind an intercepted access, where rights need no check: the
//! processor has already executed the instruction up to the access. And used to move what INS and OUTS
//! move, where they do: those exit before the processor looks at memory.
//!
//! Tables are read from private memory only; an entry that points elsewhere ends the walk.
//!
//! Spec: SDM "Paging"; for faults "Determination of Access Rights", "Page-Fault Exceptions".

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

/// An access to memory, about to be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Intent {
    /// It writes.
    pub write: bool,
    /// It comes from ring 3.
    pub user: bool,
    /// RFLAGS.AC: ring 0 may access pages of ring 3 whatever CR4.SMAP says.
    pub alignment_check: bool,
}

/// Why an access cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such linear address: #GP.
    NotCanonical,
    /// #PF with this error code.
    Page(u32),
}

/// Where a walk ended: the address, and of the flags those that all entries have.
struct Leaf {
    gpa: u64,
    flags: u64,
}

const CR0_WP: u64 = 1 << 16;
const CR0_PG: u64 = 1 << 31;
const CR4_PSE: u64 = 1 << 4;
const CR4_PAE: u64 = 1 << 5;
const CR4_LA57: u64 = 1 << 12;
const CR4_SMAP: u64 = 1 << 21;
const EFER_LMA: u64 = 1 << 10;
const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;
/// Bits 51:12 of an entry.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

impl Paging {
    /// Translates `linear`, or `None` if it is not mapped (any more).
    #[must_use]
    pub fn translate(&self, memory: &impl GuestMemory, linear: u64) -> Option<u64> {
        self.leaf(memory, linear).map(|leaf| leaf.gpa)
    }

    /// Translates `linear` for an access that must be allowed.
    ///
    /// # Errors
    /// The exception that the access raises.
    pub fn translate_for(
        &self,
        memory: &impl GuestMemory,
        linear: u64,
        intent: Intent,
    ) -> Result<u64, Fault> {
        if !self.is_canonical(linear) {
            return Err(Fault::NotCanonical);
        }
        let code = u32::from(intent.write) << 1 | u32::from(intent.user) << 2;
        let leaf = self.leaf(memory, linear).ok_or(Fault::Page(code))?;
        let smap = self.cr4 & CR4_SMAP != 0 && !intent.alignment_check;
        let of_user = leaf.flags & USER != 0;
        let may_reach = if intent.user { of_user } else { !(of_user && smap) };
        let obeys = intent.user || self.cr0 & CR0_WP != 0;
        let may_write = leaf.flags & WRITABLE != 0 || !obeys;
        if self.cr0 & CR0_PG == 0 || may_reach && (may_write || !intent.write) {
            Ok(leaf.gpa)
        } else {
            Err(Fault::Page(code | 1))
        }
    }

    const fn is_canonical(&self, linear: u64) -> bool {
        let unused = if self.cr4 & CR4_LA57 != 0 { 64 - 57 } else { 64 - 48 };
        let signed = linear.cast_signed();
        self.efer & EFER_LMA == 0 || signed << unused >> unused == signed
    }

    fn leaf(&self, memory: &impl GuestMemory, linear: u64) -> Option<Leaf> {
        if self.cr0 & CR0_PG == 0 {
            return Some(Leaf { gpa: linear & 0xffff_ffff, flags: u64::MAX });
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
    fn walk_two_level(&self, memory: &impl GuestMemory, linear: u64) -> Option<Leaf> {
        let pde = u64::from(memory.read_u32((self.cr3 & 0xffff_f000) + (linear >> 22) * 4)?);
        if pde & PRESENT == 0 {
            return None;
        }
        if pde & LARGE != 0 && self.cr4 & CR4_PSE != 0 {
            let high = (pde >> 13 & 0xff) << 32;
            let gpa = high | (pde & 0xffc0_0000) | (linear & 0x003f_ffff);
            return Some(Leaf { gpa, flags: pde });
        }
        let table = (pde & 0xffff_f000) + (linear >> 12 & 0x3ff) * 4;
        let pte = u64::from(memory.read_u32(table)?);
        let gpa = (pte & 0xffff_f000) | (linear & 0xfff);
        (pte & PRESENT != 0).then_some(Leaf { gpa, flags: pde & pte })
    }
}

/// Walks tables of 512 eight-byte entries, `levels` deep.
fn walk(memory: &impl GuestMemory, root: u64, linear: u64, levels: u32) -> Option<Leaf> {
    let mut table = root;
    let mut flags = u64::MAX;
    for level in (1..=levels).rev() {
        let shift = 12 + 9 * (level - 1);
        let entry = memory.read_u64(table + (linear >> shift & 0x1ff) * 8)?;
        if entry & PRESENT == 0 {
            return None;
        }
        flags &= entry;
        let leaf = level == 1 || (entry & LARGE != 0 && level <= 3);
        if leaf {
            let offset = (1 << shift) - 1;
            return Some(Leaf { gpa: (entry & ADDRESS & !offset) | (linear & offset), flags });
        }
        table = entry & ADDRESS;
    }
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{CR0_PG, CR0_WP, CR4_PAE, CR4_PSE, CR4_SMAP, EFER_LMA, Fault, Intent, Paging};
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
    fn rights_are_those_that_every_level_gives() {
        let mut memory = Flat(vec![0; 0x8000]);
        put(&mut memory, 0x1000, 0x2007);
        put(&mut memory, 0x2000, 0x3007);
        put(&mut memory, 0x3000, 0x4007);
        put(&mut memory, 0x4000, 0x7007);
        put(&mut memory, 0x4008, 0x7005);
        put(&mut memory, 0x4010, 0x7003);
        let paging = Paging { cr0: CR0_PG | CR0_WP, cr3: 0x1000, cr4: CR4_PAE, efer: EFER_LMA };
        let (kernel, user) = (Intent::default(), Intent { user: true, ..Intent::default() });
        let writing = |intent| Intent { write: true, ..intent };
        let ask = |linear, intent| paging.translate_for(&memory, linear, intent);
        assert_eq!(ask(0x8, writing(user)), Ok(0x7008));
        assert_eq!(ask(0x1008, user), Ok(0x7008));
        assert_eq!(ask(0x1008, writing(user)), Err(Fault::Page(7)), "read-only");
        assert_eq!(ask(0x1008, writing(kernel)), Err(Fault::Page(3)), "read-only for all");
        assert_eq!(ask(0x2008, user), Err(Fault::Page(5)), "the kernel's");
        assert_eq!(ask(0x2008, writing(kernel)), Ok(0x7008));
        assert_eq!(ask(0x3008, writing(user)), Err(Fault::Page(6)), "nothing there");
        assert_eq!(ask(1 << 63, kernel), Err(Fault::NotCanonical));
        assert_eq!(ask(0xffff_8000_0000_0000, kernel), Err(Fault::Page(0)));
        let lax = Paging { cr0: CR0_PG, ..paging };
        assert_eq!(lax.translate_for(&memory, 0x1008, writing(kernel)), Ok(0x7008));
        let strict = Paging { cr4: CR4_PAE | CR4_SMAP, ..paging };
        assert_eq!(strict.translate_for(&memory, 0x8, kernel), Err(Fault::Page(1)), "SMAP");
        let excused = Intent { alignment_check: true, ..kernel };
        assert_eq!(strict.translate_for(&memory, 0x8, excused), Ok(0x7008));
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
