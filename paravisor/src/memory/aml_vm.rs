// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two large pages that are for the VM that runs AML, from their making to their end.
//!
//! L1 fills both ([`Pages`]), lends them ([`Lent`]), and takes them back ([`Returned`]). Nothing of L1 refers to
//! the VM's own page while it is lent. Taken back, they are L1's for good: the VM, whose translations the processor
//! may still remember, is never entered again.
#![expect(unsafe_code, reason = "it gives memory to code that is not ours")]

use core::{ops::Range, slice};

use paravisor::width;
use tdcall::{Status, VmIndex};

use super::alias::{self, Rights};

const SIZE: u64 = 2 << 20;

/// Both pages, as L1 fills them.
#[derive(Debug)]
pub(crate) struct Pages {
    /// The VM's own.
    pub(crate) own: &'static mut [u8],
    /// What it is given to read.
    pub(crate) given: &'static mut [u8],
}

/// Both pages, as the VM has them.
#[derive(Debug)]
pub(crate) struct Lent {
    own: u64,
    vm: VmIndex,
}

/// The VM's own page, as it has left it.
#[derive(Debug)]
pub(crate) struct Returned(u64);

/// A page that the module did not let change hands, and why.
pub(crate) type Refused = (u64, Status);

impl Pages {
    /// Takes `range`, which are two pages.
    ///
    /// # Safety
    ///
    /// The range is accepted private memory of L1 that nothing else uses.
    pub(crate) unsafe fn take(range: &Range<u64>) -> Self {
        let page = |gpa: u64| core::ptr::with_exposed_provenance_mut(width::index(gpa));
        // SAFETY: The caller gives the memory away, which is mapped, and any bytes are good.
        let own = unsafe { slice::from_raw_parts_mut(page(range.start), width::index(SIZE)) };
        // SAFETY: As above; the pages do not overlap.
        let given =
            unsafe { slice::from_raw_parts_mut(page(range.start + SIZE), width::index(SIZE)) };
        Self { own, given }
    }

    /// The addresses of both.
    pub(crate) fn addresses(&self) -> (u64, u64) {
        let address = |page: &[u8]| width::wide(page.as_ptr().expose_provenance());
        (address(self.own), address(self.given))
    }

    /// Lends them to `vm`.
    pub(crate) fn lend(self, vm: VmIndex) -> Result<Lent, Refused> {
        let (own, given) = self.addresses();
        // SAFETY: `self` has the only reference to the page, and ends here.
        unsafe { alias::give(vm, own..own + SIZE, Rights::All) }?;
        // SAFETY: As above.
        unsafe { alias::give(vm, given..given + SIZE, Rights::Read) }?;
        Ok(Lent { own, vm })
    }
}

impl Lent {
    /// The address of the VM's own page.
    pub(crate) const fn own(&self) -> u64 {
        self.own
    }

    /// Takes them back, for good.
    pub(crate) fn take_back(self) -> Result<Returned, Refused> {
        let Self { own, vm } = self;
        // SAFETY: Nothing refers to the pages, and taking rights away does no harm to anybody but the VM.
        unsafe { alias::give(vm, own..own + 2 * SIZE, Rights::Nothing) }?;
        Ok(Returned(own))
    }
}

impl Returned {
    /// The VM's own page.
    pub(crate) fn own(&self) -> &[u8] {
        let start = core::ptr::with_exposed_provenance(width::index(self.0));
        // SAFETY: It is mapped private memory, which the VM no longer has, and nothing writes it.
        unsafe { slice::from_raw_parts(start, width::index(SIZE)) }
    }
}
