// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which MSRs and ports exit.
//!
//! Every port exits, so there is one I/O map for all. MSR maps have two bits an MSR (read, write)
//! in three ranges of 2 KiB, of which a VMX bitmap knows two.
//!
//! Spec: APM "MSR Intercepts", "I/O Intercepts".

use spin::Once;

use super::physical::{self, Hpa, PAGE};
use crate::machine::memory;

/// Which way an MSR is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// RDMSR.
    Read,
    /// WRMSR.
    Write,
}

/// The I/O map of every virtual machine: all ones.
pub(crate) fn all_ports() -> Option<Hpa> {
    static MAP: Once<Option<Hpa>> = Once::new();
    *MAP.call_once(|| {
        let map = memory::alloc_pages(3, 1)?;
        for page in 0..3 {
            physical::fill_page(map + page * PAGE, u64::MAX);
        }
        Some(map)
    })
}

/// An MSR permission map: 8 KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MsrPermissionMap(Hpa);

impl MsrPermissionMap {
    /// A map in which every MSR exits.
    pub(crate) fn new() -> Option<Self> {
        let map = memory::alloc_pages(2, 1)?;
        physical::fill_page(map, u64::MAX);
        physical::fill_page(map + PAGE, u64::MAX);
        Some(Self(map))
    }

    /// Host-physical address.
    pub(crate) const fn base(self) -> Hpa {
        self.0
    }

    /// Lets `access` to `msr` go through. MSRs outside the map's ranges always exit.
    pub(crate) fn open(self, msr: u32, access: Access) {
        if let Some((at, mask)) = self.place(msr, access) {
            physical::write(at, physical::read(at) & !mask);
        }
    }

    /// Makes `access` to `msr` exit.
    pub(crate) fn close(self, msr: u32, access: Access) {
        if let Some((at, mask)) = self.place(msr, access) {
            physical::write(at, physical::read(at) | mask);
        }
    }

    fn place(self, msr: u32, access: Access) -> Option<(Hpa, u64)> {
        let bit = bit(msr, access)?;
        Some((self.0 + bit / 64 * 8, 1 << (bit % 64)))
    }
}

/// Number of the bit for `access` to `msr`.
const fn bit(msr: u32, access: Access) -> Option<u64> {
    let range = match msr {
        0..=0x1fff => 0,
        0xc000_0000..=0xc000_1fff => 0x800 * 8,
        _ => return None,
    };
    Some(range + (msr & 0x1fff) as u64 * 2 + matches!(access, Access::Write) as u64)
}
