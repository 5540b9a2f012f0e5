// SPDX-License-Identifier: MIT OR Apache-2.0
//! Status of a hypercall.
//!
//! Spec: TLFS "Hypercall Status Codes".

/// What a hypercall ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HvStatus(pub u16);

impl HvStatus {
    /// It was done.
    pub const SUCCESS: Self = Self(0);
    /// There is no such call.
    pub const INVALID_HYPERCALL_CODE: Self = Self(2);
    /// The control word does not fit the call.
    pub const INVALID_HYPERCALL_INPUT: Self = Self(3);
    /// An address is not aligned.
    pub const INVALID_ALIGNMENT: Self = Self(4);
    /// A parameter makes no sense.
    pub const INVALID_PARAMETER: Self = Self(5);
    /// The operation cannot be done on this object.
    pub const OPERATION_DENIED: Self = Self(8);
    /// The partition is not the caller's own.
    pub const INVALID_PARTITION_ID: Self = Self(0xd);
    /// There is no room for a message now: the same again, later.
    pub const INSUFFICIENT_BUFFERS: Self = Self(0x13);
}
