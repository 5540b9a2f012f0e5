// SPDX-License-Identifier: MIT OR Apache-2.0
//! Metadata: the fields of the module, the TD and the virtual CPU that a guest can reach.
//!
//! Spec: TDX-ABI, "Metadata Access Interface", "Metadata Fields".

/// How a field is named.
pub mod field_id;

/// Fields of the module, read by `TDG.SYS.RD`.
pub mod sys;

/// Fields of the TD, read by `TDG.VM.RD` and written by `TDG.VM.WR`.
pub mod tdcs;

/// Fields of the virtual CPU, read by `TDG.VP.RD` and written by `TDG.VP.WR`.
pub mod tdvps;

/// Fields of the VMCS of an L2 VM, which are fields of the virtual CPU too.
pub mod l2_vmcs;

pub use field_id::{FieldContext, FieldId, FieldSize};
