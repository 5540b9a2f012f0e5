// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sub-functions of `TDG.VP.VMCALL`, by the number in R11.
//!
//! Numbers below 0x10000 are VMX exit reasons: the guest asks for what the exit would have done.
//!
//! Spec: GHCI, "TDG.VP.VMCALL Sub-Function Definition".

/// A sub-function. R10 is zero; any other R10 is a call of the host's own making.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubFunction(pub u64);

impl SubFunction {
    /// `TDG.VP.VMCALL<Instruction.CPUID>`.
    pub const INSTRUCTION_CPUID: Self = Self(10);
    /// `TDG.VP.VMCALL<Instruction.HLT>`.
    pub const INSTRUCTION_HLT: Self = Self(12);
    /// `TDG.VP.VMCALL<Instruction.IO>`.
    pub const INSTRUCTION_IO: Self = Self(30);
    /// `TDG.VP.VMCALL<Instruction.RDMSR>`.
    pub const INSTRUCTION_RDMSR: Self = Self(31);
    /// `TDG.VP.VMCALL<Instruction.WRMSR>`.
    pub const INSTRUCTION_WRMSR: Self = Self(32);
    /// `TDG.VP.VMCALL<#VE.RequestMMIO>`.
    pub const REQUEST_MMIO: Self = Self(48);
    /// `TDG.VP.VMCALL<GetTdVmCallInfo>`.
    pub const GET_TD_VM_CALL_INFO: Self = Self(0x1_0000);
    /// `TDG.VP.VMCALL<MapGPA>`.
    pub const MAP_GPA: Self = Self(0x1_0001);
    /// `TDG.VP.VMCALL<GetQuote>`.
    pub const GET_QUOTE: Self = Self(0x1_0002);
    /// `TDG.VP.VMCALL<ReportFatalError>`.
    pub const REPORT_FATAL_ERROR: Self = Self(0x1_0003);
    /// `TDG.VP.VMCALL<SetupEventNotifyInterrupt>`.
    pub const SETUP_EVENT_NOTIFY_INTERRUPT: Self = Self(0x1_0004);

    /// Returns the name.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::INSTRUCTION_CPUID => "Instruction.CPUID",
            Self::INSTRUCTION_HLT => "Instruction.HLT",
            Self::INSTRUCTION_IO => "Instruction.IO",
            Self::INSTRUCTION_RDMSR => "Instruction.RDMSR",
            Self::INSTRUCTION_WRMSR => "Instruction.WRMSR",
            Self::REQUEST_MMIO => "#VE.RequestMMIO",
            Self::GET_TD_VM_CALL_INFO => "GetTdVmCallInfo",
            Self::MAP_GPA => "MapGPA",
            Self::GET_QUOTE => "GetQuote",
            Self::REPORT_FATAL_ERROR => "ReportFatalError",
            Self::SETUP_EVENT_NOTIFY_INTERRUPT => "SetupEventNotifyInterrupt",
            _ => return None,
        })
    }
}
