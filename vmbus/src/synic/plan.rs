// SPDX-License-Identifier: MIT OR Apache-2.0
//! What to write on one CPU, in which order: pages, then sources, then the switch; and back.
//!
//! The order matters because the host may use a source as soon as the controller is on. Bits that
//! the specification reserves keep the value they have, so each step is *read, [`MsrUpdate::apply`],
//! write* by whoever can reach the MSR.
//!
//! Spec: TLFS "SynIC MSRs".

use super::msr::{Msr, PageMsr, SINTS, Scontrol, Sint, SintIndex};

/// The controller of one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    message_page: PageMsr,
    event_page: PageMsr,
    sints: [Option<Sint>; SINTS],
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsrUpdate {
    /// Where.
    pub msr: Msr,
    /// Bits that stay as they are.
    keep: u64,
    /// The other bits.
    set: u64,
}

/// Bits 11:1, reserved in both page registers.
const PAGE_RESERVED: u64 = 0xffe;

/// Bits 63:21 and 15:8, reserved in a source's register.
const SINT_RESERVED: u64 = !0x1f_00ff;

impl Plan {
    /// Plans a controller without sources, over two shared pages; `None` if an address is not that
    /// of a page, or both are the same.
    #[must_use]
    pub fn new(message_page: u64, event_page: u64) -> Option<Self> {
        let pages = (page(message_page)?, page(event_page)?);
        (message_page != event_page).then_some(Self {
            message_page: pages.0,
            event_page: pages.1,
            sints: [None; SINTS],
        })
    }

    /// Adds a source, or changes it. Sources that are not named are left alone.
    #[must_use]
    pub fn with(mut self, index: SintIndex, sint: Sint) -> Self {
        if let Some(entry) = self.sints.get_mut(index.as_usize()) {
            *entry = Some(sint);
        }
        self
    }

    /// Yields what turns the controller on.
    pub fn enable(&self) -> impl Iterator<Item = MsrUpdate> {
        [
            MsrUpdate::new(Msr::SIMP, PAGE_RESERVED, self.message_page.into_bits()),
            MsrUpdate::new(Msr::SIEFP, PAGE_RESERVED, self.event_page.into_bits()),
        ]
        .into_iter()
        .chain(self.sints().map(|(msr, sint)| sint_update(msr, sint)))
        .chain([scontrol(Scontrol::new().with_enable(true))])
    }

    /// Yields what turns it off: afterwards the pages are the host's no more, and may be made
    /// private.
    pub fn disable(&self) -> impl Iterator<Item = MsrUpdate> {
        self.sints().map(|(msr, _)| sint_update(msr, Sint::MASKED)).chain([
            scontrol(Scontrol::new()),
            MsrUpdate::new(Msr::SIEFP, PAGE_RESERVED, 0),
            MsrUpdate::new(Msr::SIMP, PAGE_RESERVED, 0),
        ])
    }

    fn sints(&self) -> impl Iterator<Item = (Msr, Sint)> {
        (0_u8..)
            .zip(self.sints)
            .filter_map(|(index, sint)| Some((Msr::sint(SintIndex::new(index)?), sint?)))
    }
}

impl MsrUpdate {
    const fn new(msr: Msr, keep: u64, set: u64) -> Self {
        Self { msr, keep, set }
    }

    /// Returns what to write, given what was read.
    #[must_use]
    pub const fn apply(self, present: u64) -> u64 {
        present & self.keep | self.set & !self.keep
    }
}

fn page(address: u64) -> Option<PageMsr> {
    let page_number = address >> 12;
    (address != 0 && address & 0xfff == 0)
        .then(|| PageMsr::new().with_enable(true).with_page_number(page_number))
}

fn sint_update(msr: Msr, sint: Sint) -> MsrUpdate {
    MsrUpdate::new(msr, SINT_RESERVED, sint.into_bits())
}

fn scontrol(value: Scontrol) -> MsrUpdate {
    MsrUpdate::new(Msr::SCONTROL, !1, value.into_bits())
}

#[cfg(test)]
mod tests {
    extern crate alloc;

    use alloc::vec::Vec;

    use super::*;

    fn writes(steps: impl Iterator<Item = MsrUpdate>, present: u64) -> Vec<(u32, u64)> {
        steps.map(|step| (step.msr.number(), step.apply(present))).collect()
    }

    fn plan() -> Plan {
        Plan::new(0x8000_0000_1000, 0x8000_0000_2000)
            .unwrap()
            .with(SintIndex::REDIRECTED_VMBUS, Sint::routed(0xf3).unwrap())
            .with(SintIndex::INTERCEPTION, Sint::routed(0xf3).unwrap().with_proxy(true))
    }

    #[test]
    fn the_switch_is_thrown_last_and_withdrawn_before_the_pages() {
        let on = writes(plan().enable(), 0);
        assert_eq!(
            on,
            [
                (0x4000_0083, 0x8000_0000_1001),
                (0x4000_0082, 0x8000_0000_2001),
                (0x4000_0090, 0x10_00f3),
                (0x4000_0097, 0xf3),
                (0x4000_0080, 1),
            ]
        );
        let off = writes(plan().disable(), 0);
        assert_eq!(
            off,
            [
                (0x4000_0090, 0x1_0000),
                (0x4000_0097, 0x1_0000),
                (0x4000_0080, 0),
                (0x4000_0082, 0),
                (0x4000_0083, 0),
            ]
        );
    }

    #[test]
    fn reserved_bits_keep_their_value_and_no_others_do() {
        let on = writes(plan().enable(), u64::MAX);
        assert_eq!(on[0].1, 0x8000_0000_1fff);
        assert_eq!(on[2].1, 0xffff_ffff_fff0_fff3);
        assert_eq!(on[4].1, u64::MAX);
    }

    #[test]
    fn pages_are_pages_and_two_of_them() {
        assert_eq!(Plan::new(0x1008, 0x2000), None);
        assert_eq!(Plan::new(0x1000, 0x1000), None);
        assert_eq!(Plan::new(0, 0x1000), None);
    }
}
