// SPDX-License-Identifier: MIT OR Apache-2.0
//! Metadata fields but those of a VMCS.

use tdcall::{
    VmIndex,
    md::{FieldContext, FieldId, FieldSize, sys, tdcs, tdvps},
};

use super::row::{Row, words};

pub(crate) const BITS: &[Row] = words! { "TDX-ABI, MD_FIELD_ID: Metadata Field Identifier":
    FieldId::new().with_field_code(0xFF_FFFF).into_bits() => 0xFF_FFFF;
    FieldId::new().with_element_size(FieldSize::U64).into_bits() => 3 << 32;
    FieldSize::U8.0 as u64 => 0;
    FieldSize::U16.bytes() => 2;
    FieldSize::U32.bytes() => 4;
    FieldId::new().with_last_element_in_field(0xF).into_bits() => 0xF << 34;
    FieldId::new().with_last_field_in_sequence(0x1FF).into_bits() => 0x1FF << 38;
    FieldId::new().with_increment_two(true).into_bits() => 1 << 50;
    FieldId::new().with_write_mask_valid(true).into_bits() => 1 << 51;
    FieldId::new().with_context(FieldContext(7)).into_bits() => 7 << 52;
    FieldContext::SYS.0 as u64 => 0;
    FieldContext::TD.0 as u64 => 1;
    FieldContext::VP.0 as u64 => 2;
    FieldId::new().with_class(0x3F).into_bits() => 0x3F << 56;
    FieldId::new().with_non_arch(true).into_bits() => 1 << 63;
    FieldId::NULL.into_bits() => 0xFFFF_FFFF_FFFF_FFFF;
};

pub(crate) const SYS: &[Row] = words! { "TDX-ABI, Global Metadata Fields":
    sys::VENDOR_ID.into_bits() => 0x0800000200000000;
    sys::MINOR_VERSION.into_bits() => 0x0800000100000003;
    sys::MAJOR_VERSION.into_bits() => 0x0800000100000004;
    sys::SYS_ATTRIBUTES.into_bits() => 0x0A00000200000000;
    sys::NUM_TDX_FEATURES.into_bits() => 0x0A00000000000001;
    sys::TDX_FEATURES0.into_bits() => 0x0A00000300000008;
    sys::MIG_ATTRIBUTES.into_bits() => 0xA000000300000000;
    sys::MIN_EXPORT_VERSION.into_bits() => 0x2000000100000001;
    sys::MAX_EXPORT_VERSION.into_bits() => 0x2000000100000002;
    sys::MIN_IMPORT_VERSION.into_bits() => 0x2000000100000003;
    sys::MAX_IMPORT_VERSION.into_bits() => 0x2000000100000004;
    sys::GUEST_L2_GPA_ATTR_MASK.into_bits() => 0xA200000100000000;
    sys::TdxFeatures0::TD_MIGRATION.bits() => 1 << 0;
    sys::TdxFeatures0::TD_PRESERVING.bits() => 1 << 1;
    sys::TdxFeatures0::SERVICE_TD.bits() => 1 << 2;
    sys::TdxFeatures0::TDG_VP_RDWR.bits() => 1 << 3;
    sys::TdxFeatures0::RELAXED_MEM_MNG_CONCURRENCY.bits() => 1 << 4;
    sys::TdxFeatures0::CPUID_VIRT_GUEST_CTRL.bits() => 1 << 5;
    sys::TdxFeatures0::TD_PARTITIONING.bits() => 1 << 7;
    sys::TdxFeatures0::LOCAL_ATTESTATION.bits() => 1 << 8;
    sys::TdxFeatures0::TD_ENTRY_ENHANCEMENTS.bits() => 1 << 9;
    sys::TdxFeatures0::HOST_PRIORITY_LOCKS.bits() => 1 << 10;
    sys::TdxFeatures0::CONFIG_IA32_ARCH_CAPABILITIES.bits() => 1 << 11;
    sys::TdxFeatures0::PENDING_EPT_VIOLATION_V2.bits() => 1 << 16;
    sys::TdxFeatures0::FMS_CONFIG.bits() => 1 << 17;
    sys::TdxFeatures0::NO_RBP_MOD.bits() => 1 << 18;
    sys::TdxFeatures0::L2_TLB_INVD_OPT.bits() => 1 << 19;
};

pub(crate) const TD: &[Row] = words! { "TDX-ABI, TD-Scope Metadata Fields: TDR and TDCS":
    tdcs::TD_UUID.into_bits() => 0x8010000300000020;
    tdcs::NUM_VCPUS.into_bits() => 0x9010000200000001;
    tdcs::NUM_L2_VMS.into_bits() => 0x9010000100000005;
    tdcs::ATTRIBUTES.into_bits() => 0x1110000300000000;
    tdcs::XFAM.into_bits() => 0x1110000300000001;
    tdcs::MAX_VCPUS.into_bits() => 0x1110000200000002;
    tdcs::GPAW.into_bits() => 0x1110000000000003;
    tdcs::TSC_FREQUENCY.into_bits() => 0x111000010000000C;
    tdcs::NOTIFY_ENABLES.into_bits() => 0x9110000300000010;
    tdcs::CONFIG_FLAGS.into_bits() => 0x1110000300000016;
    tdcs::TD_CTLS.into_bits() => 0x1110000300000017;
    tdcs::MRTD.into_bits() => 0x1310000300000000;
    tdcs::MRCONFIGID.into_bits() => 0x1310000300000010;
    tdcs::MROWNER.into_bits() => 0x1310000300000018;
    tdcs::MROWNERCONFIG.into_bits() => 0x1310000300000020;
    tdcs::RTMR.into_bits() => 0x1310000300000040;
    tdcs::RTMR.element(23).into_bits() => 0x1310000300000057;
    tdcs::PRE_IMPORT_UUID.into_bits() => 0x9810000300000040;
    tdcs::SERVTD_HASH.into_bits() => 0x9910000300000000;
    tdcs::SERVTD_NUM.into_bits() => 0x9910000100000006;
    tdcs::SERVTD_BINDINGS_TABLE.into_bits() => 0x9910000300000080;
    tdcs::LIFECYCLE_STATE.into_bits() => 0x8010000200000005;
    tdcs::OP_STATE.into_bits() => 0x9010000200000004;
    tdcs::HP_LOCK_TIMEOUT.into_bits() => 0x9110000300000011;
    tdcs::vm_ctls(VmIndex::VM1).into_bits() => 0x9110000300000013;
    tdcs::vm_ctls(VmIndex::VM3).into_bits() => 0x9110000300000015;
};

pub(crate) const VP: &[Row] = words! { "TDX-ABI, VCPU-Scope Metadata Fields: TDVPS":
    tdvps::VCPU_INDEX.into_bits() => 0xA020000200000002;
    tdvps::CPUID_SUPERVISOR_VE.into_bits() => 0xA020000000000007;
    tdvps::CPUID_USER_VE.into_bits() => 0xA020000000000008;
    tdvps::CPUID_CONTROL.into_bits() => 0xA120000000000000;
    tdvps::CPUID_CONTROL.element(127).into_bits() => 0xA12000000000007F;
    tdvps::l2_ctls(VmIndex::VM1).into_bits() => 0xA020000300000051;
    tdvps::l2_ctls(VmIndex::VM3).into_bits() => 0xA020000300000053;
    tdvps::L2Ctls::ENABLE_SHARED_EPTP.bits() => 1;
    tdvps::L2Ctls::ENABLE_TDVMCALL.bits() => 2;
    tdvps::L2Ctls::ENABLE_EXTENDED_VE.bits() => 4;
    tdvps::tsc_deadline(VmIndex::VM1).into_bits() => 0xA020000300000059;
    tdvps::tsc_deadline(VmIndex::VM2).into_bits() => 0xA02000030000005A;
    tdvps::TSC_DEADLINE_OFF => 0xFFFF_FFFF_FFFF_FFFF;
    tdvps::MSR_BITMAP_WORDS as u64 => 512;
    bitmap_word(VmIndex::VM1, 0) => 0x2520000300000000;
    bitmap_word(VmIndex::VM2, 0x20) => 0x2D20000300000020;
    bitmap_word(VmIndex::VM3, 511) => 0x35200003000001FF;
    msr_read_word(0) => 0;
    msr_read_word(0x1FFF) => 127;
    msr_read_word(0xC000_0000) => 128;
    msr_read_word(0xC000_1FFF) => 255;
    msr_write_word(0) => 256;
    msr_write_word(0xC000_0000) => 384;
    msr_write_word(0xC000_1FFF) => 511;
    tdvps::ASSOC_LPID.into_bits() => 0xA020000200000004;
    tdvps::VCPU_EPOCH.into_bits() => 0xA020000300000006;
    tdvps::VCPU_STATE_DETAILS.into_bits() => 0x9120000300000100;
    tdvps::PEND_NMI.into_bits() => 0x202000000000000B;
    tdvps::L1_POSTED_INTERRUPT_NOTIFICATION_VECTOR.into_bits() => 0x0024000100000002;
    tdvps::L1_POSTED_INTERRUPT_DESCRIPTOR_ADDRESS.into_bits() => 0x0024000300002016;
    tdvps::L1_PIN_BASED_CONTROLS.into_bits() => 0x0024000200004000;
    tdvps::L1_SECONDARY_CONTROLS.into_bits() => 0x002400020000401E;
    tdvps::L1_SHARED_EPTP.into_bits() => 0x002400030000203C;
    tdvps::L1_TSC_OFFSET.into_bits() => 0x0024000300002010;
    tdvps::L1_TSC_MULTIPLIER.into_bits() => 0x0024000300002032;
    tdvps::L1_NOTIFY_WINDOW.into_bits() => 0x0024000200004024;
};

const fn bitmap_word(vm: VmIndex, word: u16) -> u64 {
    match tdvps::l2_msr_bitmap(vm, word) {
        Some(id) => id.into_bits(),
        None => 0,
    }
}

const fn msr_read_word(msr: u32) -> u64 {
    match tdvps::MsrBit::of(msr) {
        Some(bit) => bit.read_word as u64,
        None => u64::MAX,
    }
}

const fn msr_write_word(msr: u32) -> u64 {
    match tdvps::MsrBit::of(msr) {
        Some(bit) => bit.write_word as u64,
        None => u64::MAX,
    }
}
