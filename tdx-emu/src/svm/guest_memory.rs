// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest's memory by linear address, through its page tables and the nested ones.
//!
//! Needed because SVM without decode assists says neither which instruction exited nor which
//! linear address it used. Reading goes through both tables exactly as the processor's walk, but
//! sets no accessed bits and ignores permissions: it serves the emulation, not the guest.
//!
//! Spec: SDM "Paging"; APM "Nested Paging".

use super::{
    npt::Walk,
    physical::{self, Hpa},
    vmcb::{Segment, Vmcb, efer},
};

const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const PTE_PRESENT: u64 = 1;
const PTE_LARGE: u64 = 1 << 7;

/// The memory of the guest that `vmcb` describes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GuestMemory(pub(crate) Vmcb);

impl GuestMemory {
    /// Where the guest-physical address lies in the machine, if it is mapped.
    pub(crate) fn physical(self, gpa: u64) -> Option<Hpa> {
        Walk::new(self.0.n_cr3(), gpa).translate(gpa)
    }

    fn table_entry(self, gpa: u64) -> Option<u64> {
        let entry = physical::read(self.physical(gpa & !7)?);
        (entry & PTE_PRESENT != 0).then_some(entry)
    }

    /// The guest-physical address of a linear one.
    pub(crate) fn translate(self, linear: u64) -> Option<u64> {
        let vmcb = self.0;
        if vmcb.cr0() & CR0_PG == 0 {
            return Some(linear & 0xffff_ffff);
        }
        if vmcb.efer() & efer::LMA != 0 {
            return self.walk_long(vmcb.cr3() & 0x000f_ffff_ffff_f000, linear, 3);
        }
        let linear = linear & 0xffff_ffff;
        if vmcb.cr4() & CR4_PAE != 0 {
            let directory = self.table_entry((vmcb.cr3() & !0x1f) + (linear >> 30) * 8)?;
            return self.walk_long(directory & 0x000f_ffff_ffff_f000, linear, 1);
        }
        self.walk_legacy(vmcb.cr3() & !0xfff, linear)
    }

    /// Walks tables of 512 entries from `level` (3 is a PML4) down.
    fn walk_long(self, mut table: u64, linear: u64, mut level: u32) -> Option<u64> {
        loop {
            let shift = 12 + 9 * level;
            let entry = self.table_entry(table + (linear >> shift & 0x1ff) * 8)?;
            let address = entry & 0x000f_ffff_ffff_f000;
            if level == 0 || (level < 3 && entry & PTE_LARGE != 0) {
                let offset = (1 << shift) - 1;
                return Some((address & !offset) | (linear & offset));
            }
            table = address;
            level -= 1;
        }
    }

    /// Walks the two-level tables of 32-bit paging.
    fn walk_legacy(self, table: u64, linear: u64) -> Option<u64> {
        let entry = |at: u64| -> Option<u64> {
            let pair = physical::read(self.physical(at & !7)?);
            let entry = if at & 4 == 0 { pair & 0xffff_ffff } else { pair >> 32 };
            (entry & PTE_PRESENT != 0).then_some(entry)
        };
        let directory = entry(table + (linear >> 22) * 4)?;
        if directory & PTE_LARGE != 0 {
            return Some((directory & 0xffc0_0000) | (linear & 0x3f_ffff));
        }
        let page = entry((directory & !0xfff) + (linear >> 12 & 0x3ff) * 4)?;
        Some((page & !0xfff) | (linear & 0xfff))
    }

    /// Reads from a linear address; returns how many bytes were mapped.
    pub(crate) fn read(self, linear: u64, into: &mut [u8]) -> usize {
        for (index, slot) in into.iter_mut().enumerate() {
            let at = linear.wrapping_add(index as u64);
            let Some(hpa) = self.translate(at).and_then(|gpa| self.physical(gpa)) else {
                return index;
            };
            physical::read_bytes(hpa, core::slice::from_mut(slot));
        }
        into.len()
    }

    /// Linear address of the next instruction.
    pub(crate) fn instruction_pointer(self) -> u64 {
        let base = if self.0.in_64_bit_mode() { 0 } else { self.0.base(Segment::Cs) };
        base.wrapping_add(self.0.rip())
    }
}
