// SPDX-License-Identifier: MIT OR Apache-2.0
//! Structures in memory.

use core::mem::offset_of;

use tdcall::{
    L2EnterGuestState, PostedInterruptDescriptor,
    posted_interrupt::PostedInterruptControl,
    td_params::{CpuidValues, TdParams},
    td_report::{ReportData, ReportMac, ReportType, RtmrExtension, TdInfo, TdReport, TeeTcbInfo},
    tdvmcall::get_quote::QuoteHeader,
    ve_info::VeInfoArea,
};

use super::row::{Row, words};

macro_rules! offset {
    ($type:ident, $field:ident) => {
        offset_of!($type, $field) as u64
    };
}

macro_rules! size {
    ($type:ident) => {
        size_of::<$type>() as u64
    };
}

macro_rules! alignment {
    ($type:ident) => {
        align_of::<$type>() as u64
    };
}

pub(crate) const L2_ENTER_GUEST_STATE: &[Row] = words! { "TDX-ABI, L2_ENTER_GUEST_STATE":
    size!(L2EnterGuestState) => 256;
    alignment!(L2EnterGuestState) => 256;
    offset!(L2EnterGuestState, rax) => 0;
    offset!(L2EnterGuestState, rcx) => 8;
    offset!(L2EnterGuestState, rdx) => 16;
    offset!(L2EnterGuestState, rbx) => 24;
    offset!(L2EnterGuestState, rsp) => 32;
    offset!(L2EnterGuestState, rbp) => 40;
    offset!(L2EnterGuestState, rsi) => 48;
    offset!(L2EnterGuestState, rdi) => 56;
    offset!(L2EnterGuestState, r8) => 64;
    offset!(L2EnterGuestState, r9) => 72;
    offset!(L2EnterGuestState, r10) => 80;
    offset!(L2EnterGuestState, r11) => 88;
    offset!(L2EnterGuestState, r12) => 96;
    offset!(L2EnterGuestState, r13) => 104;
    offset!(L2EnterGuestState, r14) => 112;
    offset!(L2EnterGuestState, r15) => 120;
    offset!(L2EnterGuestState, rflags) => 128;
    offset!(L2EnterGuestState, rip) => 136;
    offset!(L2EnterGuestState, ssp) => 144;
    offset!(L2EnterGuestState, rvi) => 152;
    offset!(L2EnterGuestState, svi) => 153;
};

pub(crate) const POSTED_INTERRUPT_DESCRIPTOR: &[Row] = words! {
    "SDM, Posted-Interrupt Processing; VT-D, Posted Interrupt Descriptor (PID)":
    size!(PostedInterruptDescriptor) => 64;
    alignment!(PostedInterruptDescriptor) => 64;
    offset!(PostedInterruptDescriptor, pir) => 0;
    offset!(PostedInterruptDescriptor, control) => 32;
    PostedInterruptControl::new().with_outstanding(true).into_bits() => 1 << 0;
    PostedInterruptControl::new().with_suppress(true).into_bits() => 1 << 1;
    PostedInterruptControl::new().with_notification_vector(0xFF).into_bits() => 0xFF << 16;
    PostedInterruptControl::new().with_notification_destination(!0).into_bits()
        => 0xFFFF_FFFF_0000_0000;
};

pub(crate) const TD_PARAMS: &[Row] = words! { "TDX-ABI, TD_PARAMS":
    size!(TdParams) => 1024;
    offset!(TdParams, attributes) => 0;
    offset!(TdParams, xfam) => 8;
    offset!(TdParams, max_vcpus) => 16;
    offset!(TdParams, num_l2_vms) => 18;
    offset!(TdParams, msr_config_ctls) => 19;
    offset!(TdParams, eptp_controls) => 24;
    offset!(TdParams, config_flags) => 32;
    offset!(TdParams, tsc_frequency) => 40;
    offset!(TdParams, mrconfigid) => 80;
    offset!(TdParams, mrowner) => 128;
    offset!(TdParams, mrownerconfig) => 176;
    offset!(TdParams, ia32_arch_capabilities_config) => 224;
    offset!(TdParams, cpuid_config) => 256;
    size!(CpuidValues) => 16;
    offset!(CpuidValues, eax) => 0;
    offset!(CpuidValues, ebx) => 4;
    offset!(CpuidValues, ecx) => 8;
    offset!(CpuidValues, edx) => 12;
};

pub(crate) const TD_REPORT: &[Row] = words! { "TDX-ABI, TDREPORT_STRUCT":
    size!(TdReport) => 1024;
    alignment!(TdReport) => 1024;
    offset!(TdReport, mac) => 0;
    offset!(TdReport, tee_tcb_info) => 256;
    offset!(TdReport, td_info) => 512;
    size!(ReportType) => 4;
    ReportType::TDX as u64 => 0x81;
    offset!(ReportType, kind) => 0;
    offset!(ReportType, subtype) => 1;
    offset!(ReportType, version) => 2;
    size!(ReportMac) => 256;
    offset!(ReportMac, cpusvn) => 16;
    offset!(ReportMac, tee_tcb_info_hash) => 32;
    offset!(ReportMac, tee_info_hash) => 80;
    offset!(ReportMac, report_data) => 128;
    offset!(ReportMac, mac) => 224;
    size!(TeeTcbInfo) => 256;
    offset!(TeeTcbInfo, valid) => 0;
    offset!(TeeTcbInfo, tee_tcb_svn) => 8;
    offset!(TeeTcbInfo, mrseam) => 24;
    offset!(TeeTcbInfo, mrsignerseam) => 72;
    offset!(TeeTcbInfo, attributes) => 120;
    size!(TdInfo) => 512;
    offset!(TdInfo, attributes) => 0;
    offset!(TdInfo, xfam) => 8;
    offset!(TdInfo, mrtd) => 16;
    offset!(TdInfo, mrconfigid) => 64;
    offset!(TdInfo, mrowner) => 112;
    offset!(TdInfo, mrownerconfig) => 160;
    offset!(TdInfo, rtmr) => 208;
    offset!(TdInfo, servtd_hash) => 400;
    size!(ReportData) => 64;
    alignment!(ReportData) => 64;
    alignment!(RtmrExtension) => 64;
};

pub(crate) const VE_INFO: &[Row] = words! { "SDM, Virtualization-Exception Information":
    offset!(VeInfoArea, exit_reason) => 0;
    offset!(VeInfoArea, valid) => 4;
    offset!(VeInfoArea, exit_qualification) => 8;
    offset!(VeInfoArea, gla) => 16;
    offset!(VeInfoArea, gpa) => 24;
    offset!(VeInfoArea, eptp_index) => 32;
    offset!(VeInfoArea, instruction_length) => 36;
    offset!(VeInfoArea, instruction_info) => 40;
    VeInfoArea::VALID as u64 => 0xFFFF_FFFF;
};

pub(crate) const QUOTE: &[Row] = words! { "GHCI, TDG.VP.VMCALL<GetQuote>":
    size!(QuoteHeader) => 24;
    offset!(QuoteHeader, version) => 0;
    offset!(QuoteHeader, status) => 8;
    offset!(QuoteHeader, in_len) => 16;
    offset!(QuoteHeader, out_len) => 20;
};
