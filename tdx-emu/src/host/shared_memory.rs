// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shared memory of the TD: pages of the host that the TD asked for, and how the host reads them.
#![expect(unsafe_code, reason = "shared memory is named by address and changes at any time")]

use super::{
    private_memory::Failure,
    shared_ept::Tables,
    td::{PAGE, Td},
};
use crate::machine::memory;

/// Pages of the machine as tables.
#[derive(Debug)]
pub(crate) struct Frames;

impl Tables for Frames {
    fn allocate(&mut self) -> Option<u64> {
        memory::alloc_page()
    }

    fn read(&self, entry: u64) -> u64 {
        // SAFETY: `SharedEpt` names entries of tables that it allocated and never gives back.
        unsafe { memory::at::<u64>(entry).read_volatile() }
    }

    fn write(&mut self, entry: u64, value: u64) {
        // SAFETY: as for `read`; the lock around the shared EPT excludes other writers.
        unsafe { memory::at::<u64>(entry).write_volatile(value) };
    }
}

/// Makes a page shared: the private one, if there is one, is lost. The caller blocked it and made
/// every virtual CPU leave the TD.
pub(crate) fn make_shared(td: &Td, gpa: u64) -> Result<(), Failure> {
    let mut shared = td.shared.lock();
    if shared.translate(gpa).is_some() {
        return Ok(());
    }
    let page = memory::alloc_page().ok_or(Failure::NoMemory)?;
    shared.map(gpa, page).ok_or(Failure::NoMemory)
}

/// Takes a shared page away and returns it; the caller frees it after every virtual CPU left the TD.
pub(crate) fn unshare(td: &Td, gpa: u64) -> Option<u64> {
    td.shared.lock().unmap(gpa)
}

/// Copies from shared memory; `None` if a page of it is not shared.
pub(crate) fn read(td: &Td, gpa: u64, bytes: &mut [u8]) -> Option<()> {
    for (gpa, byte) in (gpa..).zip(bytes) {
        let hpa = td.shared.lock().translate(gpa)?;
        // SAFETY: the shared EPT maps memory of this machine that lies in the identity map. The TD
        // may write it meanwhile: each byte is read once and any value is good.
        *byte = unsafe { memory::at::<u8>(hpa).read_volatile() };
    }
    Some(())
}

/// Copies to shared memory; `None` if a page of it is not shared.
pub(crate) fn write(td: &Td, gpa: u64, bytes: &[u8]) -> Option<()> {
    for (gpa, byte) in (gpa..).zip(bytes) {
        let hpa = td.shared.lock().translate(gpa)?;
        // SAFETY: as for `read`.
        unsafe { memory::at::<u8>(hpa).write_volatile(*byte) };
    }
    Some(())
}

/// Whether every page of a range is shared.
pub(crate) fn is_shared(td: &Td, gpa: u64, size: u64) -> bool {
    let shared = td.shared.lock();
    let mut pages = (gpa..gpa.saturating_add(size)).step_by(memory::size(PAGE));
    pages.all(|gpa| shared.translate(gpa).is_some())
}
