// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fields of the module that a guest may read.
//!
//! Spec: TDX-ABI, "Global Metadata Fields".

use bitflags::bitflags;

use super::FieldId;

/// `VENDOR_ID`: 0x8086.
pub const VENDOR_ID: FieldId = FieldId::from_bits(0x0800_0002_0000_0000);
/// `MINOR_VERSION`.
pub const MINOR_VERSION: FieldId = FieldId::from_bits(0x0800_0001_0000_0003);
/// `MAJOR_VERSION`.
pub const MAJOR_VERSION: FieldId = FieldId::from_bits(0x0800_0001_0000_0004);
/// `SYS_ATTRIBUTES`.
pub const SYS_ATTRIBUTES: FieldId = FieldId::from_bits(0x0A00_0002_0000_0000);
/// `NUM_TDX_FEATURES`: how many words of features there are.
pub const NUM_TDX_FEATURES: FieldId = FieldId::from_bits(0x0A00_0000_0000_0001);
/// `TDX_FEATURES0`: a [`TdxFeatures0`].
pub const TDX_FEATURES0: FieldId = FieldId::from_bits(0x0A00_0003_0000_0008);
/// `MIG_ATTRIBUTES`.
pub const MIG_ATTRIBUTES: FieldId = FieldId::from_bits(0xA000_0003_0000_0000);
/// `MIN_EXPORT_VERSION`.
pub const MIN_EXPORT_VERSION: FieldId = FieldId::from_bits(0x2000_0001_0000_0001);
/// `MAX_EXPORT_VERSION`.
pub const MAX_EXPORT_VERSION: FieldId = FieldId::from_bits(0x2000_0001_0000_0002);
/// `MIN_IMPORT_VERSION`.
pub const MIN_IMPORT_VERSION: FieldId = FieldId::from_bits(0x2000_0001_0000_0003);
/// `MAX_IMPORT_VERSION`.
pub const MAX_IMPORT_VERSION: FieldId = FieldId::from_bits(0x2000_0001_0000_0004);
/// `GUEST_L2_GPA_ATTR_MASK`: which attributes L1 may give to L2 VMs.
pub const GUEST_L2_GPA_ATTR_MASK: FieldId = FieldId::from_bits(0xA200_0001_0000_0000);

bitflags! {
    /// What the module can do.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct TdxFeatures0: u64 {
        /// Migration of TDs.
        const TD_MIGRATION = 1 << 0;
        /// TDs survive an update of the module.
        const TD_PRESERVING = 1 << 1;
        /// Service TDs.
        const SERVICE_TD = 1 << 2;
        /// `TDG.VP.RD` and `TDG.VP.WR`.
        const TDG_VP_RDWR = 1 << 3;
        /// Relaxed concurrency of memory management.
        const RELAXED_MEM_MNG_CONCURRENCY = 1 << 4;
        /// The guest chooses which CPUID leaves raise #VE.
        const CPUID_VIRT_GUEST_CTRL = 1 << 5;
        /// TD partitioning: L2 VMs.
        const TD_PARTITIONING = 1 << 7;
        /// `TDG.MR.VERIFYREPORT`.
        const LOCAL_ATTESTATION = 1 << 8;
        /// Enhancements of the TD entry.
        const TD_ENTRY_ENHANCEMENTS = 1 << 9;
        /// Locks that prefer the host.
        const HOST_PRIORITY_LOCKS = 1 << 10;
        /// `IA32_ARCH_CAPABILITIES` can be configured.
        const CONFIG_IA32_ARCH_CAPABILITIES = 1 << 11;
        /// `PENDING_VE_DISABLE` can be changed by the guest.
        const PENDING_EPT_VIOLATION_V2 = 1 << 16;
        /// Family, model and stepping can be configured.
        const FMS_CONFIG = 1 << 17;
        /// `NO_RBP_MOD`.
        const NO_RBP_MOD = 1 << 18;
        /// Cheaper invalidation of the translations of L2 VMs.
        const L2_TLB_INVD_OPT = 1 << 19;

        const _ = !0;
    }
}
