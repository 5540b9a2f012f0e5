// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the host does to the TD: it reaches pages that are shared, and posts interrupts.
//!
//! A page that is shared now may be private at the next access, so nothing of a page is kept but its
//! address; who accesses one that is not shared any more reads zeros and writes nothing.

use core::sync::atomic::{AtomicU32, Ordering};

#[cfg(target_os = "none")]
use alloc::vec::Vec;

use vmbus::{PAGE_SIZE, SharedMemory};

pub(crate) use crate::iommu::remapping::Way;

/// Bytes of a page, as an address.
pub(crate) const PAGE: u64 = 4096;

/// The bit of a guest-physical address that makes it shared. Hosts of this kind are given addresses
/// with it and without.
pub(crate) const SHARED_BIT: u64 = 1 << 47;

/// A message of a device, and where it is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retarget {
    /// The device, on bus 0.
    pub(crate) devfn: u8,
    /// The message as the TD wrote it.
    pub(crate) address: u32,
    /// Its data.
    pub(crate) data: u32,
    /// The virtual CPU.
    pub(crate) cpu: usize,
    /// The vector.
    pub(crate) vector: u8,
    /// The way there.
    pub(crate) way: Way,
}

/// The TD.
pub(crate) trait Guest: Copy {
    /// Lends a shared page, by its address without the shared bit; `None` if it is not shared.
    fn with_page<R>(self, gpa: u64, access: impl FnOnce(&[AtomicU32]) -> R) -> Option<R>;

    /// Posts an interrupt to a virtual CPU.
    fn post(self, cpu: usize, vector: u8);

    /// Number of virtual CPUs.
    fn cpus(self) -> usize;

    /// Routes a device's message anew; `false` if no device sends it.
    fn retarget(self, retarget: Retarget) -> bool;
}

/// Whether the page at an address, shared bit or not, is shared now.
pub(crate) fn is_shared(guest: impl Guest, gpa: u64) -> bool {
    guest.with_page(gpa & !SHARED_BIT, |_| ()).is_some()
}

/// Copies out of one page; `None` if it is not shared, or the bytes do not lie in one page.
pub(crate) fn read<const BYTES: usize>(guest: impl Guest, gpa: u64) -> Option<[u8; BYTES]> {
    let offset = usize::try_from(gpa % PAGE).ok()?;
    let gpa = gpa & !SHARED_BIT;
    if offset + BYTES > PAGE_SIZE {
        return None;
    }
    let mut bytes = [0; BYTES];
    guest.with_page(gpa - gpa % PAGE, |page| page.read(offset, &mut bytes))?;
    Some(bytes)
}

/// Pages that the TD named, one behind the other.
#[derive(Clone, Debug)]
pub(crate) struct Pages<G> {
    guest: G,
    /// Their addresses, without the shared bit.
    pages: Vec<u64>,
}

impl<G: Guest> Pages<G> {
    /// Takes pages by their numbers.
    pub(crate) fn new(guest: G, numbers: &[u64]) -> Self {
        let address = |number: &u64| number.wrapping_mul(PAGE) & !SHARED_BIT;
        Self { guest, pages: numbers.iter().map(address).collect() }
    }

    /// Whether all of them are shared now.
    pub(crate) fn are_shared(&self) -> bool {
        self.pages.iter().all(|gpa| is_shared(self.guest, *gpa))
    }

    fn in_page<R>(
        &self,
        offset: usize,
        access: impl FnOnce(&[AtomicU32], usize) -> R,
    ) -> Option<R> {
        let gpa = *self.pages.get(offset / PAGE_SIZE)?;
        self.guest.with_page(gpa, |page| access(page, offset % PAGE_SIZE))
    }
}

/// The pieces of `length` bytes from `offset` on that lie in one page each: offset, and range of the bytes.
fn pieces(offset: usize, length: usize) -> impl Iterator<Item = (usize, core::ops::Range<usize>)> {
    let mut start = 0;
    core::iter::from_fn(move || {
        let at = offset.saturating_add(start);
        let end = length.min(start + (PAGE_SIZE - at % PAGE_SIZE));
        let piece = core::mem::replace(&mut start, end)..end;
        (!piece.is_empty()).then_some((at, piece))
    })
}

impl<G: Guest> SharedMemory for Pages<G> {
    fn size(&self) -> usize {
        self.pages.len() * PAGE_SIZE
    }

    fn load(&self, offset: usize, ordering: Ordering) -> u32 {
        self.in_page(offset, |page, at| page.load(at, ordering)).unwrap_or(0)
    }

    fn store(&self, offset: usize, value: u32, ordering: Ordering) {
        self.in_page(offset, |page, at| page.store(at, value, ordering));
    }

    fn swap(&self, offset: usize, value: u32, ordering: Ordering) -> u32 {
        self.in_page(offset, |page, at| page.swap(at, value, ordering)).unwrap_or(0)
    }

    fn fetch_or(&self, offset: usize, bits: u32, ordering: Ordering) -> u32 {
        self.in_page(offset, |page, at| page.fetch_or(at, bits, ordering)).unwrap_or(0)
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) {
        for (at, piece) in pieces(offset, bytes.len()) {
            if let Some(bytes) = bytes.get_mut(piece)
                && self.in_page(at, |page, at| page.read(at, bytes)).is_none()
            {
                bytes.fill(0);
            }
        }
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        for (at, piece) in pieces(offset, bytes.len()) {
            if let Some(bytes) = bytes.get(piece) {
                self.in_page(at, |page, at| page.write(at, bytes));
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod fake;

#[cfg(test)]
mod tests {
    use super::{PAGE, Pages, SHARED_BIT, SharedMemory, fake::Fake, read};

    #[test]
    fn bytes_go_across_scattered_pages() {
        let fake = Fake::new(1);
        let numbers = [fake.share(), fake.share(), fake.share()].map(|gpa| gpa / PAGE);
        let [a, b, c] = numbers;
        let pages = Pages::new(fake, &[c, a | (SHARED_BIT / PAGE), b]);
        let bytes: Vec<u8> = (0..=255).collect();
        pages.write(4000, &bytes);
        let mut back = [0; 256];
        pages.read(4000, &mut back);
        assert_eq!(back[..], bytes);
        let second: [u8; 8] = read(fake, a * PAGE).unwrap();
        assert_eq!(second, [96, 97, 98, 99, 100, 101, 102, 103]);
        assert!(pages.are_shared());
    }

    #[test]
    fn what_is_private_again_reads_as_zero() {
        let fake = Fake::new(1);
        let gpa = fake.share();
        let pages = Pages::new(fake, &[(gpa | SHARED_BIT) / PAGE]);
        pages.write(0, &[7; 8]);
        fake.unshare(gpa);
        let mut bytes = [1; 8];
        pages.read(0, &mut bytes);
        assert_eq!((bytes, pages.are_shared()), ([0; 8], false));
        assert!(read::<8>(fake, gpa).is_none());
        let other = fake.share();
        assert!(read::<8>(fake, other + 4092).is_none());
    }
}
