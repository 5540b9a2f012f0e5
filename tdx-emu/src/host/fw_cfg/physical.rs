// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's own configuration device, and the memory that the TD shares.

use super::{Items, Shared};
use crate::{
    host::{
        shared_memory,
        td::{SHARED_BIT, Td},
    },
    machine::fw_cfg,
};

/// The machine's own device.
#[derive(Debug)]
pub(crate) struct Physical;

impl Items for Physical {
    fn select(&mut self, item: u16) {
        fw_cfg::select(item);
    }

    fn next(&mut self) -> u8 {
        fw_cfg::next_byte()
    }
}

/// Memory of the TD.
#[derive(Debug)]
pub(crate) struct OfTheTd<'a>(pub(crate) &'a Td);

impl OfTheTd<'_> {
    /// The address without the shared bit. Memory of devices is shared, too, but not the host's to reach.
    fn address(&self, gpa: u64, length: usize) -> Option<u64> {
        let gpa = gpa & !SHARED_BIT;
        let last = gpa.checked_add(length.saturating_sub(1) as u64)?;
        (self.0.private.contains(gpa) && self.0.private.contains(last)).then_some(gpa)
    }
}

impl Shared for OfTheTd<'_> {
    fn read(&self, gpa: u64, bytes: &mut [u8]) -> Option<()> {
        shared_memory::read(self.0, self.address(gpa, bytes.len())?, bytes)
    }

    fn write(&self, gpa: u64, bytes: &[u8]) -> Option<()> {
        shared_memory::write(self.0, self.address(gpa, bytes.len())?, bytes)
    }
}
