// SPDX-License-Identifier: MIT OR Apache-2.0
//! The report that `TDG.MR.REPORT` writes: what the TD is, bound to 64 bytes of the caller.
//!
//! Spec: TDX-ABI, "TDREPORT_STRUCT", "REPORTMACSTRUCT", "TEE_TCB_INFO", "TDINFO_STRUCT".

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A SHA-384 digest.
pub type Sha384 = [u8; 48];

/// Which kind of report this is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ReportType {
    /// [`Self::TDX`] for a TD.
    pub kind: u8,
    /// Always zero.
    pub subtype: u8,
    /// One if service TDs are bound, else zero.
    pub version: u8,
    /// Always zero.
    pub reserved: u8,
}

impl ReportType {
    /// The kind of a report about a TD.
    pub const TDX: u8 = 0x81;
}

/// `REPORTMACSTRUCT`: the part that the processor authenticates.
#[repr(C)]
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ReportMac {
    /// Which kind of report this is.
    pub report_type: ReportType,
    /// Always zero.
    pub reserved_4: [u8; 12],
    /// Security version of the processor.
    pub cpusvn: [u8; 16],
    /// Digest of [`TeeTcbInfo`].
    pub tee_tcb_info_hash: Sha384,
    /// Digest of [`TdInfo`].
    pub tee_info_hash: Sha384,
    /// What the caller gave.
    pub report_data: [u8; 64],
    /// Always zero.
    pub reserved_192: [u8; 32],
    /// HMAC-SHA-256 over all of the above, with a key of this platform.
    pub mac: [u8; 32],
}

/// `TEE_TCB_INFO`: what the module is.
#[repr(C)]
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct TeeTcbInfo {
    /// Which of the following are valid.
    pub valid: u64,
    /// Security versions of the module.
    pub tee_tcb_svn: [u8; 16],
    /// Measurement of the module.
    pub mrseam: Sha384,
    /// Who signed the module.
    pub mrsignerseam: Sha384,
    /// Attributes of the module.
    pub attributes: u64,
    /// Newer fields, else zero.
    pub reserved: [u8; 128],
}

/// `TDINFO_STRUCT`: what the TD is.
#[repr(C)]
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct TdInfo {
    /// `ATTRIBUTES`.
    pub attributes: u64,
    /// `XFAM`.
    pub xfam: u64,
    /// Measurement of the build of the TD.
    pub mrtd: Sha384,
    /// `MRCONFIGID`.
    pub mrconfigid: Sha384,
    /// `MROWNER`.
    pub mrowner: Sha384,
    /// `MROWNERCONFIG`.
    pub mrownerconfig: Sha384,
    /// Run-time measurement registers.
    pub rtmr: [Sha384; 4],
    /// Digest of the bound service TDs.
    pub servtd_hash: Sha384,
    /// Newer fields, else zero.
    pub reserved: [u8; 64],
}

/// `TDREPORT_STRUCT`.
#[repr(C, align(1024))]
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct TdReport {
    /// The authenticated part.
    pub mac: ReportMac,
    /// What the module is.
    pub tee_tcb_info: TeeTcbInfo,
    /// What the TD is.
    pub td_info: TdInfo,
}

/// The 64 bytes that a caller binds to a report.
#[repr(C, align(64))]
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ReportData(pub [u8; 64]);

/// The 48 bytes that `TDG.MR.RTMR.EXTEND` takes.
#[repr(C, align(64))]
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, Immutable, KnownLayout)]
pub struct RtmrExtension(pub Sha384);

const _: () = assert!(size_of::<ReportMac>() == 256);
const _: () = assert!(offset_of!(ReportMac, report_data) == 128);
const _: () = assert!(offset_of!(ReportMac, mac) == 224);
const _: () = assert!(size_of::<TeeTcbInfo>() == 256);
const _: () = assert!(size_of::<TdInfo>() == 512);
const _: () = assert!(offset_of!(TdInfo, rtmr) == 208);
const _: () = assert!(offset_of!(TdInfo, servtd_hash) == 400);
const _: () = assert!(size_of::<TdReport>() == 1024);
