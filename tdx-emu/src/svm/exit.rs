// SPDX-License-Identifier: MIT OR Apache-2.0
//! SVM's exit codes in VMX words.
//!
//! Spec: APM appendix "SVM Intercept Exit Codes"; SDM "Information for VM Exits Due to Vectored
//! Events", "Exit Qualification".

use tdcall::{exit_reason::ExitReason, interruption_info::InterruptionInfo};

use super::{
    decode::{self, CrAccess},
    guest_memory::GuestMemory,
    narrow::low_32,
    npt::Walk,
    vmcb::{Segment, Vmcb},
    vmrun::Gprs,
};

/// Why a virtual machine stopped.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exit {
    /// A physical interrupt is pending for this CPU.
    HostInterrupt,
    /// A physical NMI is pending for this CPU.
    HostNmi,
    /// The guest could take an interrupt now, as `svm` was asked to tell.
    InterruptWindow,
    /// INT3, INTO or INT is about to raise its interrupt.
    SoftwareInterrupt,
    /// The handler of an NMI is about to return.
    NmiHandlerEnds,
    /// The guest raised #UD by itself.
    Undefined,
    /// Ring 3 executed what only ring 0 may: #GP(0), which VMX raises before it exits and QEMU 10 after.
    Privileged,
    /// SMSW, which exits because MOV from CR0 must, and which VMX knows no exit for.
    StoreMachineStatus(CrAccess, u64),
    /// What VMX would report.
    Vmx(VmxExit),
    /// An exit code that this emulation never asks for.
    Unexpected(u64),
}

/// Exit information in VMX form.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct VmxExit {
    /// Exit reason.
    pub(crate) reason: ExitReason,
    /// Exit qualification.
    pub(crate) qualification: u64,
    /// VM-exit instruction length in bytes, 0 where VMX leaves it undefined.
    pub(crate) length: u64,
    /// VM-exit instruction information, for INS and OUTS: the address size.
    pub(crate) information: u64,
    /// Guest-physical address, for EPT violations.
    pub(crate) gpa: u64,
    /// Guest linear address, 0 if not known.
    pub(crate) gla: u64,
    /// VM-exit interruption information, for exceptions.
    pub(crate) interruption: InterruptionInfo,
    /// VM-exit interruption error code.
    pub(crate) error_code: u32,
}

/// Exit codes.
mod code {
    pub(super) const CR_READ: u64 = 0x000;
    pub(super) const DR_READ: u64 = 0x020;
    pub(super) const EXCEPTION: u64 = 0x040;
    pub(super) const UD: u64 = 0x046;
    pub(super) const INTR: u64 = 0x060;
    pub(super) const NMI: u64 = 0x061;
    pub(super) const SMI: u64 = 0x062;
    pub(super) const INIT: u64 = 0x063;
    pub(super) const VINTR: u64 = 0x064;
    pub(super) const IDTR_READ: u64 = 0x066;
    pub(super) const GDTR_READ: u64 = 0x067;
    pub(super) const LDTR_READ: u64 = 0x068;
    pub(super) const TR_WRITE: u64 = 0x06d;
    pub(super) const IDTR_WRITE: u64 = 0x06a;
    pub(super) const GDTR_WRITE: u64 = 0x06b;
    pub(super) const RDTSC: u64 = 0x06e;
    pub(super) const RDPMC: u64 = 0x06f;
    pub(super) const CPUID: u64 = 0x072;
    pub(super) const RSM: u64 = 0x073;
    pub(super) const IRET: u64 = 0x074;
    pub(super) const SOFTWARE_INTERRUPT: u64 = 0x075;
    pub(super) const INVD: u64 = 0x076;
    pub(super) const PAUSE: u64 = 0x077;
    pub(super) const HLT: u64 = 0x078;
    pub(super) const INVLPG: u64 = 0x079;
    pub(super) const INVLPGA: u64 = 0x07a;
    pub(super) const IOIO: u64 = 0x07b;
    pub(super) const MSR: u64 = 0x07c;
    pub(super) const TASK_SWITCH: u64 = 0x07d;
    pub(super) const SHUTDOWN: u64 = 0x07f;
    pub(super) const VMRUN: u64 = 0x080;
    pub(super) const SKINIT: u64 = 0x086;
    pub(super) const RDTSCP: u64 = 0x087;
    pub(super) const WBINVD: u64 = 0x089;
    pub(super) const MONITOR: u64 = 0x08a;
    pub(super) const MWAIT: u64 = 0x08b;
    pub(super) const MWAIT_CONDITIONAL: u64 = 0x08c;
    pub(super) const XSETBV: u64 = 0x08d;
    pub(super) const NPF: u64 = 0x400;
    /// The state in the VMCB is one that no processor takes. QEMU writes half of the ones.
    pub(super) const INVALID: u64 = 0xffff_ffff;
}

const CR4_OSXSAVE: u64 = 1 << 18;

impl VmxExit {
    fn new(reason: ExitReason, length: u64) -> Self {
        Self { reason, length, ..Self::default() }
    }
}

/// The event whose delivery the exit interrupted, as IDT-vectoring information with error code.
pub(crate) fn idt_vectoring(vmcb: Vmcb) -> (InterruptionInfo, u32) {
    let info = vmcb.exit_int_info();
    let valid = info & 1 << 31 != 0;
    (
        InterruptionInfo::from_bits(if valid { low_32(info) & 0x8000_0fff } else { 0 }),
        low_32(info >> 32),
    )
}

/// Decodes the exit that `vmcb` reports.
pub(crate) fn decode(vmcb: Vmcb, gprs: &Gprs) -> Exit {
    let exit_code = vmcb.exit_code();
    let simple = |reason, length| Exit::Vmx(VmxExit::new(reason, length));
    match exit_code {
        code::INTR => Exit::HostInterrupt,
        code::NMI => Exit::HostNmi,
        code::VINTR => Exit::InterruptWindow,
        code::IRET => Exit::NmiHandlerEnds,
        code::SOFTWARE_INTERRUPT => Exit::SoftwareInterrupt,
        code::SMI => simple(ExitReason::OTHER_SMI, 0),
        code::INIT => simple(ExitReason::INIT_SIGNAL, 0),
        code::SHUTDOWN => simple(ExitReason::TRIPLE_FAULT, 0),
        code::CPUID => simple(ExitReason::CPUID, 2),
        code::HLT => simple(ExitReason::HLT, 1),
        code::RSM => simple(ExitReason::RSM, 2),
        code::RDPMC => simple(ExitReason::RDPMC, 2),
        code::PAUSE => simple(ExitReason::PAUSE, 2),
        code::MONITOR => simple(ExitReason::MONITOR, 3),
        code::MWAIT | code::MWAIT_CONDITIONAL => simple(ExitReason::MWAIT, 3),
        code::XSETBV if vmcb.cr4() & CR4_OSXSAVE == 0 => Exit::Undefined,
        code::XSETBV | code::WBINVD | code::INVD if privilege_level(vmcb) != 0 => Exit::Privileged,
        code::XSETBV => simple(ExitReason::XSETBV, 3),
        code::INVD => simple(ExitReason::INVD, 2),
        code::RDTSCP => simple(ExitReason::RDTSCP, 3),
        code::TASK_SWITCH => simple(ExitReason::TASK_SWITCH, 0),
        code::MSR if vmcb.exit_info1() == 0 => simple(ExitReason::RDMSR, 2),
        code::MSR => simple(ExitReason::WRMSR, 2),
        code::IOIO => Exit::Vmx(io(vmcb, gprs)),
        code::NPF => Exit::Vmx(ept_violation(vmcb, gprs)),
        code::INVALID | u64::MAX => {
            simple(ExitReason::VM_ENTRY_FAILURE_GUEST_STATE.with_vm_entry_failure(), 0)
        }
        code::VMRUN..=code::SKINIT | code::INVLPGA => Exit::Undefined,
        code::RDTSC | code::WBINVD | code::INVLPG | code::UD => by_instruction(vmcb, gprs),
        code::CR_READ..code::DR_READ => by_instruction(vmcb, gprs),
        code::IDTR_READ..=code::TR_WRITE => by_instruction(vmcb, gprs),
        code::EXCEPTION..code::INTR => Exit::Vmx(exception(vmcb, exit_code)),
        _ => Exit::Unexpected(exit_code),
    }
}

/// Exits for which the instruction itself must be looked at.
fn by_instruction(vmcb: Vmcb, gprs: &Gprs) -> Exit {
    let Some(instruction) = decode::instruction(vmcb) else { return Exit::Undefined };
    let length = instruction.len() as u64;
    let exit = |reason, qualification| {
        Exit::Vmx(VmxExit { qualification, ..VmxExit::new(reason, length) })
    };
    match vmcb.exit_code() {
        code::RDTSC if decode::is_rdtscp(&instruction) => exit(ExitReason::RDTSCP, 0),
        code::RDTSC => exit(ExitReason::RDTSC, 0),
        code::WBINVD if decode::is_invd(&instruction) => exit(ExitReason::INVD, 0),
        code::WBINVD => exit(ExitReason::WBINVD, 0),
        code::INVLPG => {
            exit(ExitReason::INVLPG, decode::memory_operand(&instruction, vmcb, gprs).unwrap_or(0))
        }
        code::IDTR_READ | code::GDTR_READ | code::IDTR_WRITE | code::GDTR_WRITE => {
            exit(ExitReason::ACCESS_TO_GDTR_OR_IDTR, 0)
        }
        code::LDTR_READ..=code::TR_WRITE => exit(ExitReason::ACCESS_TO_LDTR_OR_TR, 0),
        code::CR_READ..code::DR_READ => match decode::cr_access(&instruction, vmcb, gprs) {
            Some(CrAccess::Exit(qualification)) => {
                exit(ExitReason::CONTROL_REGISTER_ACCESS, qualification)
            }
            Some(store) => Exit::StoreMachineStatus(store, length),
            None => Exit::Unexpected(vmcb.exit_code()),
        },
        _ => match decode::vmx_only(&instruction) {
            Some(reason) => exit(reason, 0),
            None => Exit::Undefined,
        },
    }
}

/// Port I/O: SVM gives all but whether the port was an immediate, and the address of a string.
fn io(vmcb: Vmcb, gprs: &Gprs) -> VmxExit {
    let info = vmcb.exit_info1();
    let size = match info >> 4 & 7 {
        1 => 0,
        2 => 1,
        _ => 3,
    };
    let input = (info & 1) << 3;
    let string = (info >> 2 & 1) << 4;
    let repeat = (info >> 3 & 1) << 5;
    let length = vmcb.exit_info2().wrapping_sub(vmcb.rip());
    let instruction = decode::instruction(vmcb);
    let immediate = instruction.is_some_and(|i| decode::has_immediate(&i));
    let immediate = u64::from(immediate) << 6;
    let qualification = size | input | string | repeat | immediate | (info & 0xffff_0000);
    let information =
        instruction.filter(|_| string != 0).map_or(0, |i| decode::address_size(&i) << 7);
    let gla = instruction
        .filter(|_| string != 0)
        .and_then(|i| decode::memory_operand(&i, vmcb, gprs))
        .unwrap_or(0);
    VmxExit { qualification, information, gla, ..VmxExit::new(ExitReason::IO_INSTRUCTION, length) }
}

fn exception(vmcb: Vmcb, exit_code: u64) -> VmxExit {
    const HARDWARE_EXCEPTION: u32 = 3 << 8;
    const ERROR_CODE: u32 = 1 << 11;
    const VALID: u32 = 1 << 31;
    const PAGE_FAULT: u32 = 14;
    let vector = low_32(exit_code - code::EXCEPTION);
    let has_error = matches!(vector, 8 | 10..=14 | 17 | 21);
    let bits = vector | HARDWARE_EXCEPTION | VALID | if has_error { ERROR_CODE } else { 0 };
    VmxExit {
        interruption: InterruptionInfo::from_bits(bits),
        error_code: low_32(vmcb.exit_info1()),
        qualification: if vector == PAGE_FAULT { vmcb.exit_info2() } else { 0 },
        ..VmxExit::new(ExitReason::EXCEPTION_OR_NMI, 0)
    }
}

/// An EPT violation. SVM gives the address but not the linear one, which is found by decoding
/// and believed only if it leads to the address that faulted.
fn ept_violation(vmcb: Vmcb, gprs: &Gprs) -> VmxExit {
    const WRITE: u64 = 1 << 1;
    const FETCH: u64 = 1 << 4;
    const FINAL: u64 = 1 << 32;
    const GLA_VALID: u64 = 1 << 7;
    const GLA_FINAL: u64 = 1 << 8;
    let info = vmcb.exit_info1();
    let gpa = vmcb.exit_info2();
    let access = match (info & FETCH != 0, info & WRITE != 0) {
        (true, _) => 1 << 2,
        (false, true) => 1 << 1,
        (false, false) => 1,
    };
    let permissions = Walk::new(vmcb.n_cr3(), gpa).permissions() << 3;
    let memory = GuestMemory(vmcb);
    let linear = if info & FETCH != 0 {
        Some(memory.instruction_pointer())
    } else {
        decode::instruction(vmcb).and_then(|i| decode::memory_operand(&i, vmcb, gprs))
    };
    let gla =
        linear.filter(|&gla| memory.translate(gla).is_some_and(|found| found >> 12 == gpa >> 12));
    let validity = match gla {
        Some(_) if info & FINAL != 0 => GLA_VALID | GLA_FINAL,
        Some(_) => GLA_VALID,
        None => 0,
    };
    VmxExit {
        qualification: access | permissions | validity,
        gpa,
        gla: gla.unwrap_or(0),
        ..VmxExit::new(ExitReason::EPT_VIOLATION, 0)
    }
}

/// Privilege level of the guest, as the DPL of SS.
pub(crate) fn privilege_level(vmcb: Vmcb) -> u64 {
    u64::from(vmcb.access_rights(Segment::Ss) >> 5 & 3)
}
