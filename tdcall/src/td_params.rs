// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a TD is configured to be, as the host gives it to `TDH.MNG.INIT` and a guest reads it back.
//!
//! Spec: TDX-ABI, "TD_PARAMS", "ATTRIBUTES", "CONFIG_FLAGS".

use core::mem::offset_of;

use bitfield_struct::bitfield;
use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// One CPUID leaf whose values the host configures.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[expect(missing_docs, reason = "the names are the architecture's own")]
pub struct CpuidValues {
    pub eax: u32,
    pub ebx: u32,
    pub ecx: u32,
    pub edx: u32,
}

/// `TD_PARAMS`.
#[repr(C)]
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct TdParams {
    /// `ATTRIBUTES`.
    pub attributes: TdAttributes,
    /// `XFAM`: the extended features of the TD, in the layout of XCR0 and `IA32_XSS`.
    pub xfam: u64,
    /// `MAX_VCPUS`.
    pub max_vcpus: u16,
    /// `NUM_L2_VMS`.
    pub num_l2_vms: u8,
    /// `MSR_CONFIG_CTLS`: bit 0 tells that `ia32_arch_capabilities_config` is valid.
    pub msr_config_ctls: u8,
    /// Must be zero.
    pub reserved_20: [u8; 4],
    /// `EPTP_CONTROLS`: an [`EptpControls`].
    pub eptp_controls: u64,
    /// `CONFIG_FLAGS`.
    pub config_flags: ConfigFlags,
    /// `TSC_FREQUENCY`, in units of 25 MHz.
    pub tsc_frequency: u16,
    /// Must be zero.
    pub reserved_42: [u8; 38],
    /// `MRCONFIGID`.
    pub mrconfigid: [u8; 48],
    /// `MROWNER`.
    pub mrowner: [u8; 48],
    /// `MROWNERCONFIG`.
    pub mrownerconfig: [u8; 48],
    /// `IA32_ARCH_CAPABILITIES_CONFIG`.
    pub ia32_arch_capabilities_config: u64,
    /// Must be zero.
    pub reserved_232: [u8; 24],
    /// `CPUID_CONFIG`: the leaves the module lets the host choose, in the module's order.
    pub cpuid_config: [CpuidValues; 48],
}

const _: () = assert!(size_of::<TdParams>() == 1024);
const _: () = assert!(offset_of!(TdParams, eptp_controls) == 24);
const _: () = assert!(offset_of!(TdParams, tsc_frequency) == 40);
const _: () = assert!(offset_of!(TdParams, mrconfigid) == 80);
const _: () = assert!(offset_of!(TdParams, ia32_arch_capabilities_config) == 224);
const _: () = assert!(offset_of!(TdParams, cpuid_config) == 256);

/// `ATTRIBUTES`.
#[repr(transparent)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct TdAttributes(pub u64);

bitflags! {
    impl TdAttributes: u64 {
        /// The host may look into the TD: nothing in it is secret.
        const DEBUG = 1 << 0;
        /// Access to a pending page exits to the host instead of raising #VE.
        const SEPT_VE_DISABLE = 1 << 28;
        /// The TD can be migrated.
        const MIGRATABLE = 1 << 29;
        /// Supervisor protection keys.
        const PKS = 1 << 30;
        /// Key locker.
        const KL = 1 << 31;
        /// Performance monitoring.
        const PERFMON = 1 << 63;
    }
}

/// `CONFIG_FLAGS`.
#[repr(transparent)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct ConfigFlags(pub u64);

bitflags! {
    impl ConfigFlags: u64 {
        /// GPAs are 52 bits wide, not 48.
        const GPAW = 1 << 0;
        /// The TD may change `PENDING_VE_DISABLE` at run time.
        const FLEXIBLE_PENDING_VE = 1 << 1;
        /// `TDG.VP.VMCALL` never passes RBP.
        const NO_RBP_MOD = 1 << 2;
    }
}

/// `TD_CTLS`, which a TD reads and writes itself.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TdCtls(pub u64);

bitflags! {
    impl TdCtls: u64 {
        /// Access to a pending page exits to the host instead of raising #VE.
        const PENDING_VE_DISABLE = 1 << 0;
    }
}

/// `EPTP_CONTROLS`.
#[bitfield(u64)]
#[derive(PartialEq, Eq, Hash)]
pub struct EptpControls {
    /// Must be 6, write-back.
    #[bits(3)]
    pub memory_type: u8,
    /// Levels of the Secure EPT, less one.
    #[bits(3)]
    pub page_walk_length_minus_one: u8,
    /// Must be zero.
    #[bits(58)]
    pub reserved: u64,
}
