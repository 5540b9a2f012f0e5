// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.VMCALL` sub-functions: what a guest asks of the host.
//!
//! Every answer comes from the untrusted host. What can be checked here is checked; what cannot is
//! returned as what it is, a word of the host. Each call shows the host the registers it needs and
//! no others.
//!
//! None of these functions but [`map_gpa`](crate::tdvmcall::map_gpa()) is unsafe: in a TD the host reaches
//! shared memory and nothing else, and that at any time, asked or not.
//!
//! Spec: GHCI, "TDG.VP.VMCALL Interface".

/// Which sub-function.
pub mod sub_function;

/// What the host says about it.
pub mod vmcall_status;

mod request;

/// `TDG.VP.VMCALL<GetTdVmCallInfo>`.
pub mod get_td_vm_call_info;

/// `TDG.VP.VMCALL<MapGPA>`.
pub mod map_gpa;

/// `TDG.VP.VMCALL<GetQuote>`.
pub mod get_quote;

/// `TDG.VP.VMCALL<ReportFatalError>`.
pub mod report_fatal_error;

/// `TDG.VP.VMCALL<SetupEventNotifyInterrupt>`.
pub mod setup_event_notify_interrupt;

/// `TDG.VP.VMCALL<Instruction.CPUID>`.
pub mod cpuid;

/// `TDG.VP.VMCALL<Instruction.HLT>`.
pub mod hlt;

/// `TDG.VP.VMCALL<Instruction.IO>`.
pub mod io;

/// `TDG.VP.VMCALL<Instruction.RDMSR>`.
pub mod rdmsr;

/// `TDG.VP.VMCALL<Instruction.WRMSR>`.
pub mod wrmsr;

/// `TDG.VP.VMCALL<#VE.RequestMMIO>`.
pub mod mmio;

/// Calls that the GHCI leaves to the vendor of the host.
pub mod vendor;

pub use cpuid::cpuid;
pub use get_quote::get_quote;
pub use get_td_vm_call_info::{get_td_vm_call_info, has_setup_event_notify_interrupt};
pub use hlt::{hlt, hlt_blocked};
pub use io::{IoRequest, IoSize, io_read, io_write};
pub use map_gpa::{MapGpaError, map_gpa};
pub use mmio::{MmioRequest, MmioSize, mmio_read, mmio_write};
pub use rdmsr::rdmsr;
pub use report_fatal_error::report_fatal_error;
pub use request::VmcallError;
pub use setup_event_notify_interrupt::{EventNotifyVector, setup_event_notify_interrupt};
pub use sub_function::SubFunction;
pub use vendor::{hyperv_hypercall, kvm_hypercall};
pub use vmcall_status::VmcallStatus;
pub use wrmsr::wrmsr;
