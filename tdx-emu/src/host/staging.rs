// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages of the machine that the host writes through Rust types.
#![expect(unsafe_code, reason = "pages are named by physical address")]

use tdcall::PostedInterruptDescriptor;

use crate::machine::{
    cpus,
    memory::{self, PAGE_SIZE},
};

/// A page from which pages of the TD are filled.
#[derive(Debug)]
pub(crate) struct Staging {
    hpa: u64,
    page: &'static mut [u8],
}

impl Staging {
    /// Takes a page.
    pub(crate) fn new() -> Option<Self> {
        let hpa = memory::alloc_page()?;
        let bytes = memory::at::<u8>(hpa);
        // SAFETY: the page is ours until `drop`, zeroed, in the identity map.
        let page = unsafe { core::slice::from_raw_parts_mut(bytes, memory::size(PAGE_SIZE)) };
        Some(Self { hpa, page })
    }

    /// Fills the page with at most a page of bytes and zeros behind them; returns its address.
    pub(crate) fn fill(&mut self, bytes: &[u8]) -> u64 {
        self.page.fill(0);
        for (to, from) in self.page.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.hpa
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        memory::free_page(self.hpa);
    }
}

/// Makes the posted-interrupt descriptors of all CPUs, in one page; returns its address too.
pub(crate) fn descriptors(
    notification_vector: u8,
) -> Option<(u64, &'static [PostedInterruptDescriptor])> {
    let hpa = memory::alloc_page()?;
    let first = memory::at::<PostedInterruptDescriptor>(hpa);
    for cpu in 0..cpus::count() {
        let destination = u32::from(cpus::apic_id(cpu));
        let descriptor = PostedInterruptDescriptor::new(notification_vector, destination);
        // SAFETY: a page has room for 64 descriptors, and there are at most 16 CPUs.
        let place = unsafe { first.add(cpu) };
        // SAFETY: the page is nobody else's yet.
        unsafe { place.write(descriptor) };
    }
    // SAFETY: as many were written as there are CPUs; the page is never freed and from now on
    // accessed through atomics only.
    Some((hpa, unsafe { core::slice::from_raw_parts(first, cpus::count()) }))
}
