// SPDX-License-Identifier: MIT OR Apache-2.0
//! The class byte of a completion status: what kind of thing was wrong.
//!
//! Spec: TDX-ABI, "Function Completion Status Codes".

/// Bits 47:40 of a [`Status`](super::Status).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Class(pub u8);

impl Class {
    /// No particular class.
    pub const GENERAL: Self = Self(0x00);
    /// An operand was wrong; the details name it.
    pub const OPERAND: Self = Self(0x01);
    /// Something is locked by another logical processor; the details name it.
    pub const RESOURCE_BUSY: Self = Self(0x02);
    /// A page is not of the kind or owner it should be.
    pub const PAGE_METADATA: Self = Self(0x03);
    /// Pages that depend on this one still exist.
    pub const DEPENDENT_PAGES: Self = Self(0x04);
    /// The state of the module as a whole.
    pub const SYSTEM: Self = Self(0x05);
    /// The life cycle or operation state of the TD.
    pub const TD: Self = Self(0x06);
    /// The state of the virtual CPU.
    pub const VCPU: Self = Self(0x07);
    /// Encryption keys.
    pub const KEYS: Self = Self(0x08);
    /// CPUID, MSRs, SMRR.
    pub const PLATFORM: Self = Self(0x09);
    /// Trust domain memory regions.
    pub const TDMR: Self = Self(0x0A);
    /// Secure EPT entries and the pages they map.
    pub const SECURE_EPT: Self = Self(0x0B);
    /// Metadata fields.
    pub const METADATA: Self = Self(0x0C);
    /// Service TDs.
    pub const SERVICE_TD: Self = Self(0x0D);
    /// Migration.
    pub const MIGRATION: Self = Self(0x0E);
    /// Reports and their verification.
    pub const ATTESTATION: Self = Self(0x10);
    /// TD partitioning.
    pub const TD_PARTITIONING: Self = Self(0x11);
    /// Reserved for software: the call did not reach the module.
    pub const SOFTWARE: Self = Self(0xFF);
}
