// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why L2 left, and the one table of what L1 answers.
//!
//! The module forwards many more reasons than a well-behaved guest causes, some of them before any
//! privilege check. So each has a defined result here, and a reason that is not in the table gives
//! #UD: no instruction of L2 can end it, let alone L1, except by a triple fault.
//!
//! Spec: SDM "VMX Basic Exit Reasons"; TDX-TDP "L2 VM Exits".

use tdcall::ExitReason;

/// What L1 does about an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// Nothing to emulate: the event itself was the message.
    Resume,
    /// The instruction has no effect for L2: step over it.
    Skip,
    /// The same for ring 0. Ring 3 gets #GP(0), as it does on a processor that checks before it exits.
    SkipInKernel,
    /// L2 gets #UD: the instruction does not exist on its processor.
    UndefinedOpcode,
    /// L2 gets #GP(0).
    GeneralProtection,
    /// Emulated by the file of that name.
    Emulate(Emulation),
    /// L2 cannot go on.
    End(&'static str),
}

/// The exits that need more than a table entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emulation {
    /// Exception that L1 intercepts: give it back.
    Exception,
    /// NMI window: L2 can take the NMI that waited.
    NmiWindow,
    /// CPUID.
    Cpuid,
    /// HLT.
    Halt,
    /// RDTSC.
    Tsc,
    /// RDTSCP.
    TscWithProcessor,
    /// VMCALL.
    Hypercall,
    /// Access to CR0, CR3, CR4 or CR8.
    ControlRegister,
    /// IN, OUT, INS, OUTS.
    Io,
    /// RDMSR.
    ReadMsr,
    /// WRMSR.
    WriteMsr,
    /// Access to an address that L2's tables do not map.
    EptViolation,
    /// The deadline of L2's timer has passed.
    Timer,
    /// XSETBV.
    SetExtendedControl,
    /// TDCALL.
    Tdcall,
    /// EOI of a vector that the IO-APIC has to be told of; the instruction is complete.
    EndOfInterrupt,
}

/// Every reason the module can forward, in numeric order.
pub const TABLE: &[(ExitReason, Response)] = {
    use Emulation as E;
    use ExitReason as R;
    use Response::{Emulate, End, GeneralProtection, Resume, Skip, SkipInKernel, UndefinedOpcode};
    &[
        (R::EXCEPTION_OR_NMI, Emulate(E::Exception)),
        (R::EXTERNAL_INTERRUPT, Resume),
        (R::TRIPLE_FAULT, End("triple fault")),
        (R::INTERRUPT_WINDOW, Resume),
        (R::NMI_WINDOW, Emulate(E::NmiWindow)),
        (R::TASK_SWITCH, GeneralProtection),
        (R::CPUID, Emulate(E::Cpuid)),
        (R::GETSEC, UndefinedOpcode),
        (R::HLT, Emulate(E::Halt)),
        (R::INVD, SkipInKernel),
        (R::INVLPG, SkipInKernel),
        (R::RDPMC, GeneralProtection),
        (R::RDTSC, Emulate(E::Tsc)),
        (R::RSM, UndefinedOpcode),
        (R::VMCALL, Emulate(E::Hypercall)),
        (R::VMCLEAR, UndefinedOpcode),
        (R::VMLAUNCH, UndefinedOpcode),
        (R::VMPTRLD, UndefinedOpcode),
        (R::VMPTRST, UndefinedOpcode),
        (R::VMREAD, UndefinedOpcode),
        (R::VMRESUME, UndefinedOpcode),
        (R::VMWRITE, UndefinedOpcode),
        (R::VMXOFF, UndefinedOpcode),
        (R::VMXON, UndefinedOpcode),
        (R::CONTROL_REGISTER_ACCESS, Emulate(E::ControlRegister)),
        (R::MOV_DR, UndefinedOpcode),
        (R::IO_INSTRUCTION, Emulate(E::Io)),
        (R::RDMSR, Emulate(E::ReadMsr)),
        (R::WRMSR, Emulate(E::WriteMsr)),
        (R::VM_ENTRY_FAILURE_GUEST_STATE, End("invalid guest state")),
        (R::MWAIT, UndefinedOpcode),
        (R::MONITOR, UndefinedOpcode),
        (R::PAUSE, Skip),
        (R::TPR_BELOW_THRESHOLD, Resume),
        (R::VIRTUALIZED_EOI, Emulate(E::EndOfInterrupt)),
        (R::ACCESS_TO_GDTR_OR_IDTR, UndefinedOpcode),
        (R::ACCESS_TO_LDTR_OR_TR, UndefinedOpcode),
        (R::EPT_VIOLATION, Emulate(E::EptViolation)),
        (R::INVEPT, UndefinedOpcode),
        (R::RDTSCP, Emulate(E::TscWithProcessor)),
        (R::PREEMPTION_TIMER_EXPIRED, Emulate(E::Timer)),
        (R::INVVPID, UndefinedOpcode),
        (R::WBINVD, SkipInKernel),
        (R::XSETBV, Emulate(E::SetExtendedControl)),
        (R::APIC_WRITE, Resume),
        (R::RDRAND, UndefinedOpcode),
        (R::INVPCID, UndefinedOpcode),
        (R::VMFUNC, UndefinedOpcode),
        (R::ENCLS, UndefinedOpcode),
        (R::RDSEED, UndefinedOpcode),
        (R::XSAVES, UndefinedOpcode),
        (R::XRSTORS, UndefinedOpcode),
        (R::PCONFIG, UndefinedOpcode),
        (R::UMWAIT, UndefinedOpcode),
        (R::TPAUSE, UndefinedOpcode),
        (R::LOADIWKEY, UndefinedOpcode),
        (R::ENCLV, UndefinedOpcode),
        (R::SGX_CONFLICT, UndefinedOpcode),
        (R::ENQCMD_PASID_TRANSLATION_FAILURE, GeneralProtection),
        (R::ENQCMDS_PASID_TRANSLATION_FAILURE, UndefinedOpcode),
        (R::SEAMCALL, UndefinedOpcode),
        (R::TDCALL, Emulate(E::Tdcall)),
    ]
};

/// What L1 answers to `reason`, or `None` if the table does not know it.
#[must_use]
pub fn response(reason: ExitReason) -> Option<Response> {
    let found = TABLE.binary_search_by_key(&reason.basic().0, |(known, _)| known.0).ok()?;
    TABLE.get(found).map(|(_, response)| *response)
}

#[cfg(test)]
mod tests {
    use super::{Emulation, Response, TABLE, response};
    use alloc::vec::Vec;
    use tdcall::ExitReason;

    /// TDX-TDP "L2 VM Exits": all reasons that reach L1.
    const FORWARDED: &[u32] = &[
        0, 1, 2, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27,
        28, 29, 30, 31, 32, 33, 36, 39, 40, 43, 45, 46, 47, 48, 50, 51, 52, 53, 54, 55, 56, 57, 58,
        59, 60, 61, 63, 64, 65, 67, 68, 69, 70, 71, 72, 73, 76, 77,
    ];

    #[test]
    fn every_forwardable_reason_has_one_entry_and_there_are_no_others() {
        let numbers: Vec<u32> = TABLE.iter().map(|entry| entry.0.0).collect();
        assert_eq!(numbers, FORWARDED);
    }

    #[test]
    fn flags_above_the_basic_reason_do_not_hide_it() {
        let reason = ExitReason(0x8400_0000 | 30);
        assert_eq!(response(reason), Some(Response::Emulate(Emulation::Io)));
    }

    #[test]
    fn an_unknown_reason_has_no_entry() {
        for raw in [3, 34, 37, 62, 78, 0xffff] {
            assert_eq!(response(ExitReason(raw)), None);
        }
    }

    #[test]
    fn nothing_but_a_lost_processor_state_ends_l2() {
        let ends = |entry: &&(ExitReason, Response)| matches!(entry.1, Response::End(_));
        let ended: Vec<u32> = TABLE.iter().filter(ends).map(|entry| entry.0.0).collect();
        assert_eq!(ended, [2, 33]);
    }
}
