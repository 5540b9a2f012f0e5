// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exit reasons, qualifications, events, and the registers of an L2 entry and exit.

use tdcall::{
    ControlRegisterAccess, ControlRegisterQualification, EntryFlags, EptViolationQualification,
    ExitReason, ExtendedExitQualification, ExtendedExitQualificationKind, InterruptionInfo,
    InterruptionType, Invalidation, IoQualification, L2Exit, Registers,
};

use super::row::{Row, numbers, words};

pub(crate) const REASONS: &[Row] = numbers! { "SDM, VMX Basic Exit Reasons", ExitReason:
    EXCEPTION_OR_NMI = 0;
    EXTERNAL_INTERRUPT = 1;
    TRIPLE_FAULT = 2;
    INIT_SIGNAL = 3;
    STARTUP_IPI = 4;
    IO_SMI = 5;
    OTHER_SMI = 6;
    INTERRUPT_WINDOW = 7;
    NMI_WINDOW = 8;
    TASK_SWITCH = 9;
    CPUID = 10;
    GETSEC = 11;
    HLT = 12;
    INVD = 13;
    INVLPG = 14;
    RDPMC = 15;
    RDTSC = 16;
    RSM = 17;
    VMCALL = 18;
    VMCLEAR = 19;
    VMLAUNCH = 20;
    VMPTRLD = 21;
    VMPTRST = 22;
    VMREAD = 23;
    VMRESUME = 24;
    VMWRITE = 25;
    VMXOFF = 26;
    VMXON = 27;
    CONTROL_REGISTER_ACCESS = 28;
    MOV_DR = 29;
    IO_INSTRUCTION = 30;
    RDMSR = 31;
    WRMSR = 32;
    VM_ENTRY_FAILURE_GUEST_STATE = 33;
    VM_ENTRY_FAILURE_MSR_LOADING = 34;
    MWAIT = 36;
    MONITOR_TRAP_FLAG = 37;
    MONITOR = 39;
    PAUSE = 40;
    VM_ENTRY_FAILURE_MACHINE_CHECK = 41;
    C_STATE_SMI = 42;
    TPR_BELOW_THRESHOLD = 43;
    APIC_ACCESS = 44;
    VIRTUALIZED_EOI = 45;
    ACCESS_TO_GDTR_OR_IDTR = 46;
    ACCESS_TO_LDTR_OR_TR = 47;
    EPT_VIOLATION = 48;
    EPT_MISCONFIGURATION = 49;
    INVEPT = 50;
    RDTSCP = 51;
    PREEMPTION_TIMER_EXPIRED = 52;
    INVVPID = 53;
    WBINVD = 54;
    XSETBV = 55;
    APIC_WRITE = 56;
    RDRAND = 57;
    INVPCID = 58;
    VMFUNC = 59;
    ENCLS = 60;
    RDSEED = 61;
    PAGE_MODIFICATION_LOG_FULL = 62;
    XSAVES = 63;
    XRSTORS = 64;
    PCONFIG = 65;
    SPP_RELATED_EVENT = 66;
    UMWAIT = 67;
    TPAUSE = 68;
    LOADIWKEY = 69;
    ENCLV = 70;
    SGX_CONFLICT = 71;
    ENQCMD_PASID_TRANSLATION_FAILURE = 72;
    ENQCMDS_PASID_TRANSLATION_FAILURE = 73;
    BUS_LOCK = 74;
    INSTRUCTION_TIMEOUT = 75;
    SEAMCALL = 76;
    TDCALL = 77;
};

pub(crate) const BITS: &[Row] = words! { "SDM, Exit Reason, Exit Qualification, event formats":
    ExitReason(0).with_vm_entry_failure().0 as u64 => 1 << 31;
    ExitReason(0).with_bus_lock_detected().0 as u64 => 1 << 26;
    ExitReason(1 << 27).enclave_mode() as u64 => 1;
    IoQualification::new().with_size_minus_one(7).into_bits() => 0b111;
    IoQualification::new().with_is_in(true).into_bits() => 1 << 3;
    IoQualification::new().with_string(true).into_bits() => 1 << 4;
    IoQualification::new().with_rep(true).into_bits() => 1 << 5;
    IoQualification::new().with_immediate(true).into_bits() => 1 << 6;
    IoQualification::new().with_port(0xFFFF).into_bits() => 0xFFFF_0000;
    ControlRegisterQualification::new().with_control_register(15).into_bits() => 0xF;
    ControlRegisterQualification::new().with_access(ControlRegisterAccess::LMSW).into_bits()
        => 0x30;
    ControlRegisterAccess::MOV_TO.0 as u64 => 0;
    ControlRegisterAccess::MOV_FROM.0 as u64 => 1;
    ControlRegisterAccess::CLTS.0 as u64 => 2;
    ControlRegisterQualification::new().with_lmsw_memory(true).into_bits() => 1 << 6;
    ControlRegisterQualification::new().with_general_register(15).into_bits() => 0xF00;
    ControlRegisterQualification::new().with_lmsw_source(0xFFFF).into_bits() => 0xFFFF_0000;
    EptViolationQualification::new().with_read(true).into_bits() => 1 << 0;
    EptViolationQualification::new().with_write(true).into_bits() => 1 << 1;
    EptViolationQualification::new().with_fetch(true).into_bits() => 1 << 2;
    EptViolationQualification::new().with_readable(true).into_bits() => 1 << 3;
    EptViolationQualification::new().with_writable(true).into_bits() => 1 << 4;
    EptViolationQualification::new().with_executable(true).into_bits() => 1 << 5;
    EptViolationQualification::new().with_user_executable(true).into_bits() => 1 << 6;
    EptViolationQualification::new().with_gla_valid(true).into_bits() => 1 << 7;
    EptViolationQualification::new().with_gla_translation(true).into_bits() => 1 << 8;
    EptViolationQualification::new().with_user_linear(true).into_bits() => 1 << 9;
    EptViolationQualification::new().with_writable_linear(true).into_bits() => 1 << 10;
    EptViolationQualification::new().with_execute_disable_linear(true).into_bits() => 1 << 11;
    EptViolationQualification::new().with_nmi_unblocking(true).into_bits() => 1 << 12;
    EptViolationQualification::new().with_shadow_stack(true).into_bits() => 1 << 13;
    EptViolationQualification::new().with_supervisor_shadow_stack(true).into_bits() => 1 << 14;
    EptViolationQualification::new().with_guest_paging_verification(true).into_bits() => 1 << 15;
    EptViolationQualification::new().with_asynchronous(true).into_bits() => 1 << 16;
    InterruptionInfo::new().with_vector(0xFF).into_bits() as u64 => 0xFF;
    InterruptionInfo::new().with_kind(InterruptionType::OTHER_EVENT).into_bits() as u64 => 0x700;
    InterruptionInfo::new().with_error_code_valid(true).into_bits() as u64 => 1 << 11;
    InterruptionInfo::new().with_nmi_unblocking(true).into_bits() as u64 => 1 << 12;
    InterruptionInfo::new().with_valid(true).into_bits() as u64 => 1 << 31;
    InterruptionType::EXTERNAL_INTERRUPT.0 as u64 => 0;
    InterruptionType::NMI.0 as u64 => 2;
    InterruptionType::HARDWARE_EXCEPTION.0 as u64 => 3;
    InterruptionType::SOFTWARE_INTERRUPT.0 as u64 => 4;
    InterruptionType::PRIVILEGED_SOFTWARE_EXCEPTION.0 as u64 => 5;
    InterruptionType::SOFTWARE_EXCEPTION.0 as u64 => 6;
};

/// Every nibble differs, so that a field taken from the wrong place shows.
const L1: Registers = Registers {
    rax: 0x0000_1100_0000_0030,
    rcx: 0x1111_1111_1111_1101,
    rdx: 0x2222_2222_2222_2202,
    rbx: 0,
    rsi: 0x0FFF_FFFF_A09B_0010,
    rdi: 0x3333_3333_3333_3303,
    r8: 0x4444_4444_4444_4404,
    r9: 0x0000_00AB_8000_00F2,
    r10: 0x0000_00CD_8000_0B0E,
    r11: 0x0000_0007_1234_5678,
    r12: 0x3,
    r13: 0x6,
    r14: 0,
    r15: 0,
};
const EXIT: L2Exit = L2Exit::from_registers(&L1);

pub(crate) const VP_ENTER: &[Row] = words! { "TDX-ABI, TDG.VP.ENTER Leaf; TDX-TDP, L2 VM Exits":
    EntryFlags::new().with_invalidation(Invalidation::VPID_RETAINING_GLOBALS).into_bits() => 3;
    Invalidation::NONE.0 as u64 => 0;
    Invalidation::EPT.0 as u64 => 1;
    Invalidation::VPID.0 as u64 => 2;
    EntryFlags::new().with_vm(3).into_bits() => 3 << 52;
    EntryFlags::from_bits(1 << 2).reserved_low() => 1;
    EntryFlags::from_bits(1 << 51).reserved_low() => 1 << 49;
    EntryFlags::from_bits(1 << 54).reserved_high() as u64 => 1;
    EXIT.reason.0 as u64 => 48;
    EXIT.qualification => 0x1111_1111_1111_1101;
    EXIT.gla => 0x2222_2222_2222_2202;
    EXIT.cs_selector as u64 => 0x0010;
    EXIT.cs_access_rights as u64 => 0xA09B;
    EXIT.cs_limit as u64 => 0x0FFF_FFFF;
    EXIT.cs_base => 0x3333_3333_3333_3303;
    EXIT.gpa => 0x4444_4444_4444_4404;
    EXIT.interruption.into_bits() as u64 => 0x8000_00F2;
    EXIT.interruption_error_code as u64 => 0xAB;
    EXIT.idt_vectoring.into_bits() as u64 => 0x8000_0B0E;
    EXIT.idt_vectoring_error_code as u64 => 0xCD;
    EXIT.instruction_info as u64 => 0x1234_5678;
    EXIT.instruction_length as u64 => 7;
    EXIT.cpl as u64 => 3;
    EXIT.extended_qualification.kind().0 as u64 => 6;
    ExtendedExitQualificationKind::NONE.0 as u64 => 0;
    ExtendedExitQualificationKind::ACCEPT.0 as u64 => 1;
    ExtendedExitQualificationKind::GPA_DETAILS.0 as u64 => 2;
    ExtendedExitQualificationKind::MSR_LOAD.0 as u64 => 3;
    ExtendedExitQualificationKind::XSTATE_LOAD.0 as u64 => 4;
    ExtendedExitQualificationKind::ATTRIBUTES_WRITE.0 as u64 => 5;
    ExtendedExitQualificationKind::PENDING_EPT_VIOLATION.0 as u64 => 6;
    ExtendedExitQualification::new().with_requested_level(7).into_bits() => 0b111 << 32;
    ExtendedExitQualification::new().with_error_level(7).into_bits() => 0b111 << 35;
    ExtendedExitQualification::new().with_error_state(0xFF).into_bits() => 0xFF << 38;
    ExtendedExitQualification::new().with_error_leaf(true).into_bits() => 1 << 46;
    ExtendedExitQualification::new().with_vm(3).into_bits() => 0b11 << 52;
};
