// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fields of an L2 VM's VMCS and of the virtual CPU, on this CPU.
//!
//! A refusal is a value: the caller decides whether it ends L2. Fields of which the module keeps some
//! bits are written through the mask of the others.
//!
//! Spec: TDX-ABI "TDG.VP.RD Leaf", "TDG.VP.WR Leaf", "L2 VMCS Fields".
#![expect(unsafe_code, reason = "fields decide what L2 may do")]

use core::fmt;

use tdcall::{
    Instruction, Status, VmIndex,
    md::{
        FieldId,
        l2_vmcs::{Field, field_id},
    },
    tdg,
};

use super::vm::VM;

/// A field that the module did not let L1 access.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    field: FieldId,
    status: Status,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "field={:#x} status={}", self.field.into_bits(), self.status)
    }
}

/// CR0: PE, MP, EM, TS, ET, WP, AM, PG.
pub(super) const CR0_WRITABLE: u64 = 0x8005_001f;
/// CR4: all that the module knows but MCE, VMXE, SMXE.
pub(super) const CR4_WRITABLE: u64 = 0x03ff_1fbf;
/// EFER: SCE, LME, LMA.
pub(super) const EFER_WRITABLE: u64 = 0x0501;
/// VM-entry controls: IA-32e mode guest.
pub(super) const IA32E_GUEST: u64 = 1 << 9;

/// The VMCS of one L2 VM.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vmcs(VmIndex);

/// That of L2.
pub(super) const L2: Vmcs = Vmcs::of(VM);

impl Vmcs {
    /// Returns that of `vm`.
    pub(super) const fn of(vm: VmIndex) -> Self {
        Self(vm)
    }

    /// Returns whose it is.
    pub(super) const fn vm(self) -> VmIndex {
        self.0
    }

    /// Reads a field.
    pub(super) fn read(self, field: Field) -> Result<u64, Refused> {
        let field = field_id(self.0, field);
        tdg::vp_rd(&Instruction, field).map_err(|status| Refused { field, status })
    }

    /// Writes all of a field.
    pub(super) fn write(self, field: Field, value: u64) -> Result<(), Refused> {
        self.write_masked(field, value, u64::MAX)
    }

    /// Writes the bits in `mask` of a field.
    pub(super) fn write_masked(self, field: Field, value: u64, mask: u64) -> Result<(), Refused> {
        write_id(field_id(self.0, field), value, mask)
    }
}

/// Reads a field of L2's VMCS.
pub(super) fn read(field: Field) -> Result<u64, Refused> {
    L2.read(field)
}

/// Writes all of a field of L2's VMCS.
pub(super) fn write(field: Field, value: u64) -> Result<(), Refused> {
    L2.write(field, value)
}

/// Writes the bits in `mask` of a field of L2's VMCS.
pub(super) fn write_masked(field: Field, value: u64, mask: u64) -> Result<(), Refused> {
    L2.write_masked(field, value, mask)
}

/// Writes the bits in `mask` of a field of the virtual CPU.
pub(super) fn write_id(field: FieldId, value: u64, mask: u64) -> Result<(), Refused> {
    // SAFETY: 1. The only addresses written are virtual-APIC pages, which are made for an L2 VM each, and CR3,
    // which the module confines to private memory that the VM has aliases of. 2. Values come from the
    // constants and checks of the callers, which make a state the processor enters. 3. No field
    // written here is about L1.
    unsafe { tdg::vp_wr(&Instruction, field, value, mask) }
        .map(|_| ())
        .map_err(|status| Refused { field, status })
}
