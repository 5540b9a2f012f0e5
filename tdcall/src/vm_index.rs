// SPDX-License-Identifier: MIT OR Apache-2.0
//! The number of an L2 VM inside its TD.
//!
//! Spec: TDX-TDP, "TD Partitioning: VM Identification".

/// An L2 VM: 1, 2 or 3. VM 0 is L1 and is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VmIndex(u8);

impl VmIndex {
    /// The first L2 VM.
    pub const VM1: Self = Self(1);
    /// The second L2 VM.
    pub const VM2: Self = Self(2);
    /// The third L2 VM.
    pub const VM3: Self = Self(3);

    /// Makes an index, if there is such an L2 VM in any TD.
    #[must_use]
    pub const fn new(index: u8) -> Option<Self> {
        if index >= 1 && index <= 3 { Some(Self(index)) } else { None }
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}
