// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.INVGLA` (leaf 27): drop cached translations of linear addresses of an L2 VM.
//!
//! | in  |                                     | out |                      |
//! |-----|-------------------------------------|-----|----------------------|
//! | RCX | VM; bit 0: RDX describes a list     |     |                      |
//! | RDX | a range, or a list of ranges        | RDX | the list, as handled |
//!
//! It reaches this virtual CPU only. With a list the module may be interrupted; it then continues
//! by itself, so the caller sees the end only.
//!
//! Spec: TDX-ABI, "TDG.VP.INVGLA Leaf".

#![expect(unsafe_code, reason = "it uses the raw door")]

use bitfield_struct::bitfield;

use crate::{Leaf, Registers, Status, Tdcall, VmIndex};

/// RCX.
#[bitfield(u64)]
struct Target {
    list: bool,
    #[bits(51)]
    __: u64,
    #[bits(2)]
    vm: u8,
    #[bits(10)]
    __: u16,
}

/// A range of linear addresses: 1 to 4096 pages of 4 KiB.
#[bitfield(u64)]
#[derive(PartialEq, Eq, Hash)]
pub struct GlaRange {
    /// Pages, less one.
    #[bits(12)]
    pub last_page: u16,
    /// Address bits 63:12 of the first page.
    #[bits(52)]
    pub page_number: u64,
}

impl GlaRange {
    /// Returns the range of `pages` pages at the page that contains `gla`, if it can be written so.
    #[must_use]
    pub const fn of(gla: u64, pages: u16) -> Option<Self> {
        if pages == 0 || pages > 4096 {
            return None;
        }
        Some(Self::new().with_page_number(gla >> 12).with_last_page(pages - 1))
    }
}

/// A page of private memory with up to 512 [`GlaRange`]s.
#[bitfield(u64)]
#[derive(PartialEq, Eq, Hash)]
pub struct GlaList {
    /// The first entry that is still to be handled.
    #[bits(9)]
    pub first_entry: u16,
    /// Must be zero.
    #[bits(3)]
    pub reserved_low: u8,
    /// Address bits 51:12 of the page.
    #[bits(40)]
    pub page_number: u64,
    /// Entries to handle.
    #[bits(10)]
    pub entries: u16,
    /// Must be zero.
    #[bits(2)]
    pub reserved_high: u8,
}

impl GlaList {
    /// Returns the list of the first `entries` entries of the page at `gpa`, if it can be written
    /// so.
    #[must_use]
    pub const fn of(gpa: u64, entries: u16) -> Option<Self> {
        if gpa & 0xFFF != 0 || gpa >> 52 != 0 || entries > 512 {
            return None;
        }
        Some(Self::new().with_page_number(gpa >> 12).with_entries(entries))
    }
}

/// Drops the translations of `range` in `vm`.
///
/// # Errors
///
/// [`Status::GLA_NOT_CANONICAL`] if an address is none, [`Status::OPERAND_INVALID`] if the TD has
/// no such VM.
pub fn vp_invgla(call: &impl Tdcall, vm: VmIndex, range: GlaRange) -> Result<(), Status> {
    invalidate(call, Target::new().with_vm(vm.get()), range.into_bits())
}

/// Drops the translations of all ranges of `list` in `vm`.
///
/// # Errors
///
/// As for [`vp_invgla`].
pub fn vp_invgla_list(call: &impl Tdcall, vm: VmIndex, list: GlaList) -> Result<(), Status> {
    invalidate(call, Target::new().with_vm(vm.get()).with_list(true), list.into_bits())
}

fn invalidate(call: &impl Tdcall, target: Target, what: u64) -> Result<(), Status> {
    let mut r = Registers {
        rax: Leaf::VP_INVGLA.rax(),
        rcx: target.into_bits(),
        rdx: what,
        ..Registers::ZERO
    };
    // SAFETY: The leaf reads memory and changes nothing but caches.
    unsafe { call.tdcall(&mut r) };
    Status(r.rax).success()
}

#[cfg(test)]
mod tests {
    use super::{GlaList, GlaRange, vp_invgla, vp_invgla_list};
    use crate::{Registers, Status, VmIndex, fake::Fake};

    #[test]
    fn a_range_of_three_pages() {
        let asked =
            Registers { rax: 27, rcx: 1 << 53, rdx: 0xFFFF_8000_0000_1002, ..Registers::ZERO };
        let answer = Registers { rax: Status::GLA_NOT_CANONICAL.0, ..Registers::ZERO };
        let fake = Fake::new().tdcall(asked, Registers::ZERO).tdcall(asked, answer);
        let range = GlaRange::of(0xFFFF_8000_0000_1234, 3).expect("three pages");
        assert_eq!(vp_invgla(&fake, VmIndex::VM2, range), Ok(()));
        assert_eq!(vp_invgla(&fake, VmIndex::VM2, range), Err(Status::GLA_NOT_CANONICAL));
        assert_eq!((GlaRange::of(0, 0), GlaRange::of(0, 4097)), (None, None));
    }

    #[test]
    fn a_list_of_512_ranges() {
        let asked =
            Registers { rax: 27, rcx: 1 << 52 | 1, rdx: 0x2000_0000_0000_5000, ..Registers::ZERO };
        let fake = Fake::new().tdcall(asked, Registers::ZERO);
        let list = GlaList::of(0x5000, 512).expect("a page");
        assert_eq!(vp_invgla_list(&fake, VmIndex::VM1, list), Ok(()));
        assert_eq!((GlaList::of(0x5001, 1), GlaList::of(0x5000, 513)), (None, None));
    }
}
