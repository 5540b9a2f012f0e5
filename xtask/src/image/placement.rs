// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the guest's files are put: in the image if they are small, else in the TD's RAM, behind all
//! that the kernel uses before it looks at them.

use tdvf::payload::{Extent, FLOOR, Guest as Place, GuestKind, RAM_LIMIT};

use super::{TD_HOB, pages};
use crate::{Failure, Result, guest::Guest};

/// What a large file begins on.
const ALIGNMENT: u64 = 2 << 20;

/// What the TD needs behind the guest's files: room for what L1 tells the guest, and L1's own memory.
const BEHIND: u64 = (2 << 20) + (20 << 20);

/// Where a guest's files are put.
#[derive(Debug)]
pub(super) struct Placement<'a> {
    /// What the directory says of it.
    pub(super) guest: Place,
    /// What is put into the image, and where.
    pub(super) in_image: Option<(u64, &'a [u8])>,
    /// Where the image must begin at the latest.
    pub(super) lowest_in_image: u64,
    /// What is put into RAM, and where.
    pub(super) in_ram: Vec<(u64, &'a [u8])>,
    /// Where the RAM ends that the guest needs to start.
    ram_end: u64,
}

impl<'a> Placement<'a> {
    /// Places the files of `guest`, in the image below `ceiling`.
    pub(super) fn of(guest: &'a Guest, ceiling: u64) -> Result<Self> {
        let mut in_ram = Vec::new();
        let mut next = guest.own_end.max(TD_HOB.0 + TD_HOB.1).next_multiple_of(ALIGNMENT);
        let mut ram_end = guest.own_end;
        let mut to_ram = |file: &'a [u8], limit: u64, what: &str| {
            let place = Extent { address: next, length: file.len() as u64 };
            next = next.saturating_add(pages(file.len()));
            if next > limit {
                return Err(Failure::new(format!(
                    "the {what} of {} bytes would reach to {next:#x}, beyond {limit:#x}",
                    file.len()
                )));
            }
            in_ram.push((place.address, file));
            ram_end = next;
            Ok(place)
        };
        let small = ceiling.checked_sub(pages(guest.kernel.len())).filter(|at| *at >= FLOOR);
        let small = small.filter(|_| guest.kind != GuestKind::Linux);
        let (kernel, in_image) = match small {
            Some(address) => {
                let length = guest.kernel.len() as u64;
                (Extent { address, length }, Some((address, guest.kernel.as_slice())))
            }
            None => (to_ram(&guest.kernel, RAM_LIMIT, "kernel")?, None),
        };
        let initrd = guest.initrd.as_deref().filter(|initrd| !initrd.is_empty());
        let initrd = initrd
            .map(|initrd| to_ram(initrd, guest.initrd_limit.min(RAM_LIMIT), "initrd"))
            .transpose()?;
        Ok(Self {
            guest: Place { kind: guest.kind, kernel, initrd },
            in_image,
            lowest_in_image: small.unwrap_or(ceiling),
            in_ram,
            ram_end,
        })
    }

    /// MiB of memory that the TD needs at least.
    pub(super) fn least_memory(&self) -> u32 {
        let bytes = self.ram_end.saturating_add(BEHIND).next_multiple_of(ALIGNMENT);
        u32::try_from(bytes >> 20).unwrap_or(u32::MAX)
    }
}
