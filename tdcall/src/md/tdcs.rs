// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fields of the TD.
//!
//! A guest reads all of them but those under "for the host"; it writes `NOTIFY_ENABLES` and
//! `TD_CTLS` only.
//!
//! Spec: TDX-ABI, "TD-Scope Metadata Fields: TDR and TDCS".

use super::FieldId;
use crate::VmIndex;

/// `TD_UUID`, first of 4 words.
pub const TD_UUID: FieldId = FieldId::from_bits(0x8010_0003_0000_0020);
/// `NUM_VCPUS`: virtual CPUs that exist.
pub const NUM_VCPUS: FieldId = FieldId::from_bits(0x9010_0002_0000_0001);
/// `NUM_L2_VMS`: L2 VMs the TD may have.
pub const NUM_L2_VMS: FieldId = FieldId::from_bits(0x9010_0001_0000_0005);
/// `ATTRIBUTES`: a [`TdAttributes`](crate::td_params::TdAttributes).
pub const ATTRIBUTES: FieldId = FieldId::from_bits(0x1110_0003_0000_0000);
/// `XFAM`.
pub const XFAM: FieldId = FieldId::from_bits(0x1110_0003_0000_0001);
/// `MAX_VCPUS`: virtual CPUs the TD may have.
pub const MAX_VCPUS: FieldId = FieldId::from_bits(0x1110_0002_0000_0002);
/// `GPAW`: 1 if GPAs are 52 bits wide.
pub const GPAW: FieldId = FieldId::from_bits(0x1110_0000_0000_0003);
/// `TSC_FREQUENCY`, in units of 25 MHz.
pub const TSC_FREQUENCY: FieldId = FieldId::from_bits(0x1110_0001_0000_000C);
/// `NOTIFY_ENABLES`: bit 0 asks for a #VE when the host single-steps.
pub const NOTIFY_ENABLES: FieldId = FieldId::from_bits(0x9110_0003_0000_0010);
/// `CONFIG_FLAGS`: a [`ConfigFlags`](crate::td_params::ConfigFlags).
pub const CONFIG_FLAGS: FieldId = FieldId::from_bits(0x1110_0003_0000_0016);
/// `TD_CTLS`: a [`TdCtls`](crate::td_params::TdCtls).
pub const TD_CTLS: FieldId = FieldId::from_bits(0x1110_0003_0000_0017);
/// `MRTD`, first of 6 words.
pub const MRTD: FieldId = FieldId::from_bits(0x1310_0003_0000_0000);
/// `MRCONFIGID`, first of 6 words.
pub const MRCONFIGID: FieldId = FieldId::from_bits(0x1310_0003_0000_0010);
/// `MROWNER`, first of 6 words.
pub const MROWNER: FieldId = FieldId::from_bits(0x1310_0003_0000_0018);
/// `MROWNERCONFIG`, first of 6 words.
pub const MROWNERCONFIG: FieldId = FieldId::from_bits(0x1310_0003_0000_0020);
/// `RTMR0`, first of 24 words: four registers of 6.
pub const RTMR: FieldId = FieldId::from_bits(0x1310_0003_0000_0040);
/// `PRE_IMPORT_UUID`, first of 4 words.
pub const PRE_IMPORT_UUID: FieldId = FieldId::from_bits(0x9810_0003_0000_0040);
/// `SERVTD_HASH`, first of 6 words.
pub const SERVTD_HASH: FieldId = FieldId::from_bits(0x9910_0003_0000_0000);
/// `SERVTD_NUM`.
pub const SERVTD_NUM: FieldId = FieldId::from_bits(0x9910_0001_0000_0006);
/// `SERVTD_BINDINGS_TABLE`, first word.
pub const SERVTD_BINDINGS_TABLE: FieldId = FieldId::from_bits(0x9910_0003_0000_0080);

/// `LIFECYCLE_STATE`, for the host.
pub const LIFECYCLE_STATE: FieldId = FieldId::from_bits(0x8010_0002_0000_0005);
/// `OP_STATE`, for the host.
pub const OP_STATE: FieldId = FieldId::from_bits(0x9010_0002_0000_0004);
/// `HP_LOCK_TIMEOUT` in microseconds, for the host.
pub const HP_LOCK_TIMEOUT: FieldId = FieldId::from_bits(0x9110_0003_0000_0011);

/// Returns `VM_CTLS` of `vm`, for the host: bit 0 turns a missing L2 table into a TD exit.
#[must_use]
pub const fn vm_ctls(vm: VmIndex) -> FieldId {
    FieldId::from_bits(0x9110_0003_0000_0012).element(vm.get() as u32)
}
