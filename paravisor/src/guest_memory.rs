// SPDX-License-Identifier: MIT OR Apache-2.0
//! L2's private memory as L1 may read it: bytes at a guest-physical address, or nothing.
//!
//! L2 runs on other CPUs while L1 reads, so nothing read twice is assumed equal.

/// Bounded access to L2's RAM.
pub trait GuestMemory {
    /// Fills `buffer` from `gpa`. False when any byte lies outside L2's RAM.
    fn read(&self, gpa: u64, buffer: &mut [u8]) -> bool;

    /// Writes `bytes` at `gpa`. False when any byte lies outside L2's RAM.
    fn write(&mut self, gpa: u64, bytes: &[u8]) -> bool;

    /// The little-endian number at `gpa`.
    fn read_u64(&self, gpa: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(gpa, &mut bytes).then(|| u64::from_le_bytes(bytes))
    }

    /// The little-endian number at `gpa`.
    fn read_u32(&self, gpa: u64) -> Option<u32> {
        let mut bytes = [0; 4];
        self.read(gpa, &mut bytes).then(|| u32::from_le_bytes(bytes))
    }
}
