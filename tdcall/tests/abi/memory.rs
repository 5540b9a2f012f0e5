// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages, rights, and the flags a TD is configured by.

use tdcall::{
    GpaAttributes, GpaAttributesChange, LeveledGpa, PageLevel,
    gpa_attributes::PerVm,
    td_params::{ConfigFlags, EptpControls, TdAttributes, TdCtls},
    tdg::{GlaList, GlaRange, L2Vms},
};

use super::row::{Row, words};

pub(crate) const PAGES: &[Row] = words! { "TDX-ABI, EPT Mapping Information; TDG.VP.INVGLA Leaf":
    PageLevel::SIZE_4K.0 as u64 => 0;
    PageLevel::SIZE_2M.0 as u64 => 1;
    PageLevel::SIZE_1G.0 as u64 => 2;
    PageLevel::SIZE_4K.size() => 0x1000;
    PageLevel::SIZE_2M.size() => 0x20_0000;
    PageLevel::SIZE_1G.size() => 0x4000_0000;
    LeveledGpa::new().with_level(PageLevel(7)).into_bits() => 7;
    LeveledGpa::new().with_page_number(0xFF_FFFF_FFFF).into_bits() => 0x000F_FFFF_FFFF_F000;
    LeveledGpa::new().with_pending(true).into_bits() => 1 << 62;
    LeveledGpa::from_bits(1 << 3).reserved_low() as u64 => 1;
    LeveledGpa::from_bits(1 << 52).reserved_high() as u64 => 1;
    LeveledGpa::from_bits(1 << 63).reserved_top() as u64 => 1;
    GlaRange::new().with_last_page(0xFFF).into_bits() => 0xFFF;
    GlaRange::new().with_page_number(1).into_bits() => 1 << 12;
    GlaList::new().with_first_entry(0x1FF).into_bits() => 0x1FF;
    GlaList::new().with_page_number(0xFF_FFFF_FFFF).into_bits() => 0x000F_FFFF_FFFF_F000;
    GlaList::new().with_entries(0x3FF).into_bits() => 0x3FF << 52;
    L2Vms::all().bits() => 0b1110;
};

pub(crate) const RIGHTS: &[Row] = words! { "TDX-ABI, GPA_ATTR: GPA Attributes":
    GpaAttributes::R.bits() as u64 => 1 << 0;
    GpaAttributes::W.bits() as u64 => 1 << 1;
    GpaAttributes::XS.bits() as u64 => 1 << 2;
    GpaAttributes::XU.bits() as u64 => 1 << 3;
    GpaAttributes::VGP.bits() as u64 => 1 << 4;
    GpaAttributes::PWA.bits() as u64 => 1 << 5;
    GpaAttributes::SSS.bits() as u64 => 1 << 6;
    GpaAttributes::SVE.bits() as u64 => 1 << 7;
    GpaAttributes::VALID.bits() as u64 => 1 << 15;
    GpaAttributesChange::DO_INVEPT.bits() as u64 => 1 << 15;
    GpaAttributesChange::RWX.bits() as u64 => 0xF;
    PerVm(0).with_bits_of(0, 0xFFFF).0 => 0xFFFF;
    PerVm(0).with_bits_of(1, 0xFFFF).0 => 0xFFFF_0000;
    PerVm(0).with_bits_of(2, 0xFFFF).0 => 0xFFFF_0000_0000;
    PerVm(0).with_bits_of(3, 0xFFFF).0 => 0xFFFF_0000_0000_0000;
};

pub(crate) const TD_PARAMS: &[Row] = words! { "TDX-ABI, TD_PARAMS":
    TdAttributes::DEBUG.bits() => 1 << 0;
    TdAttributes::SEPT_VE_DISABLE.bits() => 1 << 28;
    TdAttributes::MIGRATABLE.bits() => 1 << 29;
    TdAttributes::PKS.bits() => 1 << 30;
    TdAttributes::KL.bits() => 1 << 31;
    TdAttributes::PERFMON.bits() => 1 << 63;
    ConfigFlags::GPAW.bits() => 1 << 0;
    ConfigFlags::FLEXIBLE_PENDING_VE.bits() => 1 << 1;
    ConfigFlags::NO_RBP_MOD.bits() => 1 << 2;
    TdCtls::PENDING_VE_DISABLE.bits() => 1 << 0;
    EptpControls::new().with_memory_type(7).into_bits() => 7;
    EptpControls::new().with_page_walk_length_minus_one(7).into_bits() => 7 << 3;
};
