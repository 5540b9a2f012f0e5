// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shared memory of the TD: pages of the host that the TD asked for, and how the host reads them.
#![expect(unsafe_code, reason = "shared memory is named by address and changes at any time")]

use alloc::vec::Vec;
use core::ops::Range;

use super::{
    private_memory::Failure,
    td::{PAGE, Td},
};
use crate::{iommu::dma, machine::memory};

/// Makes a range of pages shared, zeroed where they were not. The private pages at these addresses,
/// if there are any, are lost. Where the machine's memory ends, the pages before stay shared.
pub(crate) fn share(td: &Td, range: &Range<u64>) -> Result<(), Failure> {
    let mut pages = td.private.withdraw(td, range)?;
    let mut shared = td.shared.lock();
    let missing = pages
        .iter_mut()
        .zip(range.clone().step_by(4096))
        .position(|(page, gpa)| !has_page(page, shared.translate(gpa)));
    let (good, rest) = pages.split_at(missing.unwrap_or(pages.len()));
    rest.iter().filter(|page| **page != 0).for_each(|page| memory::free_page(*page));
    shared.map(range.start, good).ok_or(Failure::NoMemory)?;
    dma::map(range.start, good).map_err(Failure::Iommu)?;
    missing.map_or(Ok(()), |_| Err(Failure::NoMemory))
}

/// Settles which page it is to be, if there is one: one that is shared already stays.
fn has_page(withdrawn: &mut u64, known: Option<u64>) -> bool {
    let page = match known {
        Some(known) => {
            // Another CPU was faster, and this page has no use any more.
            Some(*withdrawn).filter(|page| *page != 0).into_iter().for_each(memory::free_page);
            Some(known)
        }
        None if *withdrawn == 0 => memory::alloc_page(),
        None => Some(*withdrawn),
    };
    *withdrawn = page.unwrap_or(0);
    page.is_some()
}

/// Takes a range of shared pages away: from devices, from the TD, and only then for good.
pub(crate) fn unshare(td: &Td, range: &Range<u64>) -> Result<(), Failure> {
    let count = memory::size((range.end - range.start) / PAGE);
    let mut taken = Vec::new();
    // Held until devices are done, so that another CPU's sharing is not undone here.
    let mut shared = td.shared.lock();
    shared.unmap(range.start, count, |page| taken.push(page));
    if taken.is_empty() {
        return Ok(());
    }
    dma::unmap(range.start, count).map_err(Failure::Iommu)?;
    drop(shared);
    td.flush_translations();
    taken.into_iter().for_each(memory::free_page);
    Ok(())
}

/// Copies from shared memory; `None` if a page of it is not shared.
pub(crate) fn read(td: &Td, gpa: u64, bytes: &mut [u8]) -> Option<()> {
    for (gpa, piece) in in_pages(gpa, bytes.len()) {
        // Held over the access, so that the page is not used for something else meanwhile.
        let shared = td.shared.lock();
        for (hpa, byte) in (shared.translate(gpa)?..).zip(&mut bytes[piece]) {
            // SAFETY: the shared EPT maps memory of this machine that lies in the identity map. The
            // TD may write it meanwhile: each byte is read once and any value is good.
            *byte = unsafe { memory::at::<u8>(hpa).read_volatile() };
        }
    }
    Some(())
}

/// Copies to shared memory; `None` if a page of it is not shared.
pub(crate) fn write(td: &Td, gpa: u64, bytes: &[u8]) -> Option<()> {
    for (gpa, piece) in in_pages(gpa, bytes.len()) {
        let shared = td.shared.lock();
        for (hpa, byte) in (shared.translate(gpa)?..).zip(&bytes[piece]) {
            // SAFETY: as for `read`.
            unsafe { memory::at::<u8>(hpa).write_volatile(*byte) };
        }
    }
    Some(())
}

/// The pieces of `length` bytes at `gpa` that lie in one page each.
fn in_pages(gpa: u64, length: usize) -> impl Iterator<Item = (u64, Range<usize>)> {
    let mut start = 0;
    core::iter::from_fn(move || {
        let at = gpa.wrapping_add(start as u64);
        let end = length.min(start + memory::size(PAGE - at % PAGE));
        let piece = core::mem::replace(&mut start, end)..end;
        (!piece.is_empty()).then_some((at, piece))
    })
}

/// Whether every page of a range is shared.
pub(crate) fn is_shared(td: &Td, gpa: u64, size: u64) -> bool {
    let shared = td.shared.lock();
    let mut pages = (gpa..gpa.saturating_add(size)).step_by(memory::size(PAGE));
    pages.all(|gpa| shared.translate(gpa).is_some())
}
