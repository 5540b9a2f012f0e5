// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sub-functions of `TDG.VP.VMCALL` and what the host answers.

use tdcall::tdvmcall::{
    SubFunction, VmcallStatus,
    get_quote::{QuoteHeader, QuoteStatus},
    get_td_vm_call_info::SETUP_EVENT_NOTIFY_INTERRUPT,
};

use super::row::{Row, numbers, words};

pub(crate) const SUB_FUNCTIONS: &[Row] = numbers! {
    "GHCI, TDG.VP.VMCALL Sub-Function Definition", SubFunction:
    INSTRUCTION_CPUID = 10;
    INSTRUCTION_HLT = 12;
    INSTRUCTION_IO = 30;
    INSTRUCTION_RDMSR = 31;
    INSTRUCTION_WRMSR = 32;
    REQUEST_MMIO = 48;
    GET_TD_VM_CALL_INFO = 0x10000;
    MAP_GPA = 0x10001;
    GET_QUOTE = 0x10002;
    REPORT_FATAL_ERROR = 0x10003;
    SETUP_EVENT_NOTIFY_INTERRUPT = 0x10004;
};

pub(crate) const STATUS: &[Row] = numbers! {
    "GHCI, TDG.VP.VMCALL Completion-Status Codes", VmcallStatus:
    SUCCESS = 0;
    RETRY = 1;
    INVALID_OPERAND = 0x8000_0000_0000_0000;
    GPA_INUSE = 0x8000_0000_0000_0001;
    ALIGN_ERROR = 0x8000_0000_0000_0002;
    SUBFUNC_UNSUPPORTED = 0x8000_0000_0000_0003;
};

pub(crate) const QUOTE: &[Row] = words! { "GHCI, TDG.VP.VMCALL<GetQuote>; GetTdVmCallInfo":
    QuoteHeader::VERSION => 1;
    QuoteStatus::SUCCESS.0 => 0;
    QuoteStatus::ERROR.0 => 0x8000_0000_0000_0000;
    QuoteStatus::SERVICE_UNAVAILABLE.0 => 0x8000_0000_0000_0001;
    QuoteStatus::IN_FLIGHT.0 => 0xFFFF_FFFF_FFFF_FFFF;
    SETUP_EVENT_NOTIFY_INTERRUPT => 2;
};
