// SPDX-License-Identifier: MIT OR Apache-2.0
//! The instruction that exited, where SVM does not say.
//!
//! QEMU's SVM has no decode assists and no next RIP. TDCALL and the VMX instructions do not exist
//! on it at all and arrive as #UD; this is where they become VMX exits.

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use tdcall::exit_reason::ExitReason;

use super::{
    guest_memory::GuestMemory,
    vmcb::{Segment, Vmcb},
    vmrun::{Gprs, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP},
};

/// Longest x86 instruction.
const MAX_LENGTH: usize = 15;

/// Decodes the instruction at the guest's RIP.
pub(crate) fn instruction(vmcb: Vmcb) -> Option<Instruction> {
    let memory = GuestMemory(vmcb);
    let mut bytes = [0; MAX_LENGTH];
    let length = memory.read(memory.instruction_pointer(), &mut bytes);
    let mut decoder =
        Decoder::with_ip(bitness(vmcb), &bytes[..length], vmcb.rip(), DecoderOptions::NONE);
    let instruction = decoder.decode();
    (!instruction.is_invalid()).then_some(instruction)
}

fn bitness(vmcb: Vmcb) -> u32 {
    let cs = vmcb.access_rights(Segment::Cs);
    match (vmcb.in_64_bit_mode(), cs & 1 << 14 != 0) {
        (true, _) => 64,
        (false, true) => 32,
        (false, false) => 16,
    }
}

/// The VMX exit that an instruction raises which AMD processors do not have.
pub(crate) fn vmx_only(instruction: &Instruction) -> Option<ExitReason> {
    Some(match instruction.mnemonic() {
        Mnemonic::Tdcall => ExitReason::TDCALL,
        Mnemonic::Seamcall => ExitReason::SEAMCALL,
        Mnemonic::Vmcall => ExitReason::VMCALL,
        Mnemonic::Vmclear => ExitReason::VMCLEAR,
        Mnemonic::Vmlaunch => ExitReason::VMLAUNCH,
        Mnemonic::Vmptrld => ExitReason::VMPTRLD,
        Mnemonic::Vmptrst => ExitReason::VMPTRST,
        Mnemonic::Vmread => ExitReason::VMREAD,
        Mnemonic::Vmresume => ExitReason::VMRESUME,
        Mnemonic::Vmwrite => ExitReason::VMWRITE,
        Mnemonic::Vmxoff => ExitReason::VMXOFF,
        Mnemonic::Vmxon => ExitReason::VMXON,
        Mnemonic::Invept => ExitReason::INVEPT,
        Mnemonic::Invvpid => ExitReason::INVVPID,
        Mnemonic::Vmfunc => ExitReason::VMFUNC,
        Mnemonic::Getsec => ExitReason::GETSEC,
        Mnemonic::Encls => ExitReason::ENCLS,
        Mnemonic::Enclv => ExitReason::ENCLV,
        Mnemonic::Pconfig => ExitReason::PCONFIG,
        _ => return None,
    })
}

/// An access to a control register, in terms of VMX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrAccess {
    /// An exit with this qualification.
    Exit(u64),
    /// SMSW, which no VMX processor exits for: CR0 to a register.
    StoreToRegister {
        /// Number of the register.
        gpr: usize,
        /// Bytes of it that are written.
        size: usize,
    },
    /// SMSW: the low half-word of CR0 to memory.
    StoreToMemory(u64),
    /// The operand is not mapped at this linear address.
    PageFault(u64),
}

/// The access to a control register that the instruction makes, if any.
pub(crate) fn cr_access(instruction: &Instruction, vmcb: Vmcb, gprs: &Gprs) -> Option<CrAccess> {
    const MOV_FROM: u64 = 1 << 4;
    const CLTS: u64 = 2 << 4;
    const LMSW: u64 = 3 << 4;
    const LMSW_MEMORY: u64 = 1 << 6;
    let number = |register: Register| (register as u64).checked_sub(Register::CR0 as u64);
    let in_register = instruction.op0_kind() == OpKind::Register;
    let qualification = match instruction.mnemonic() {
        Mnemonic::Mov if instruction.op0_register().is_cr() => {
            let gpr = instruction.op1_register().number() as u64;
            number(instruction.op0_register())? | gpr << 8
        }
        Mnemonic::Mov if instruction.op1_register().is_cr() => {
            let gpr = instruction.op0_register().number() as u64;
            number(instruction.op1_register())? | MOV_FROM | gpr << 8
        }
        Mnemonic::Clts => CLTS,
        Mnemonic::Lmsw if in_register => {
            let source = gprs.0[instruction.op0_register().number() & 15] & 0xffff;
            LMSW | source << 16
        }
        Mnemonic::Lmsw => {
            let linear = memory_operand(instruction, vmcb, gprs)?;
            let mut source = [0; 2];
            if GuestMemory(vmcb).read(linear, &mut source) < source.len() {
                return Some(CrAccess::PageFault(linear));
            }
            LMSW | LMSW_MEMORY | u64::from(u16::from_le_bytes(source)) << 16
        }
        Mnemonic::Smsw if in_register => {
            let register = instruction.op0_register();
            return Some(CrAccess::StoreToRegister {
                gpr: gpr_index(register),
                size: register.size(),
            });
        }
        Mnemonic::Smsw => {
            return memory_operand(instruction, vmcb, gprs).map(CrAccess::StoreToMemory);
        }
        _ => return None,
    };
    Some(CrAccess::Exit(qualification))
}

/// Linear address of the instruction's memory operand.
pub(crate) fn memory_operand(instruction: &Instruction, vmcb: Vmcb, gprs: &Gprs) -> Option<u64> {
    let operand = (0..instruction.op_count()).find(|&index| {
        !matches!(
            instruction.op_kind(index),
            OpKind::Register
                | OpKind::Immediate8
                | OpKind::Immediate8_2nd
                | OpKind::Immediate16
                | OpKind::Immediate32
                | OpKind::Immediate64
                | OpKind::Immediate8to16
                | OpKind::Immediate8to32
                | OpKind::Immediate8to64
                | OpKind::Immediate32to64
                | OpKind::NearBranch16
                | OpKind::NearBranch32
                | OpKind::NearBranch64
        )
    })?;
    instruction.virtual_address(operand, 0, |register, _, _| register_value(register, vmcb, gprs))
}

fn register_value(register: Register, vmcb: Vmcb, gprs: &Gprs) -> Option<u64> {
    let base = |segment| {
        let flat = vmcb.in_64_bit_mode() && !matches!(segment, Segment::Fs | Segment::Gs);
        Some(if flat { 0 } else { vmcb.base(segment) })
    };
    match register {
        Register::ES => base(Segment::Es),
        Register::CS => base(Segment::Cs),
        Register::SS => base(Segment::Ss),
        Register::DS => base(Segment::Ds),
        Register::FS => base(Segment::Fs),
        Register::GS => base(Segment::Gs),
        _ if register.is_gpr() => {
            let value = gprs.0[gpr_index(register)];
            Some(match register.size() {
                8 => value,
                4 => value & 0xffff_ffff,
                2 => value & 0xffff,
                _ => value & 0xff,
            })
        }
        _ => None,
    }
}

fn gpr_index(register: Register) -> usize {
    match register.full_register() {
        Register::RAX => RAX,
        Register::RCX => RCX,
        Register::RDX => RDX,
        Register::RBX => RBX,
        Register::RSP => RSP,
        Register::RBP => RBP,
        Register::RSI => RSI,
        Register::RDI => RDI,
        other => other.number() & 15,
    }
}

/// The address size of a string instruction, as VMX encodes it: 0 is 16 bits, 1 is 32, 2 is 64.
pub(crate) fn address_size(instruction: &Instruction) -> u64 {
    let kinds = || (0..instruction.op_count()).map(|index| instruction.op_kind(index));
    if kinds().any(|kind| matches!(kind, OpKind::MemorySegSI | OpKind::MemoryESDI)) {
        0
    } else if kinds().any(|kind| matches!(kind, OpKind::MemorySegESI | OpKind::MemoryESEDI)) {
        1
    } else {
        2
    }
}

/// Whether an operand is an immediate byte, as the port of IN and OUT may be.
pub(crate) fn has_immediate(instruction: &Instruction) -> bool {
    (0..instruction.op_count()).any(|index| instruction.op_kind(index) == OpKind::Immediate8)
}

/// Whether the instruction is INVD; QEMU 7.2 reports it as WBINVD.
pub(crate) fn is_invd(instruction: &Instruction) -> bool {
    instruction.code() == Code::Invd
}

/// Whether the instruction is RDTSCP; QEMU reports it as RDTSC.
pub(crate) fn is_rdtscp(instruction: &Instruction) -> bool {
    instruction.code() == Code::Rdtscp
}

/// Whether the instruction raises a software interrupt: INT3, INTO or INT.
pub(crate) fn interrupts(instruction: &Instruction) -> bool {
    matches!(instruction.mnemonic(), Mnemonic::Int3 | Mnemonic::Into | Mnemonic::Int)
}

/// Whether the instruction is one that software puts behind STI to wait without losing an
/// interrupt, and that exits.
pub(crate) fn halts(instruction: &Instruction) -> bool {
    matches!(
        instruction.mnemonic(),
        Mnemonic::Hlt | Mnemonic::Mwait | Mnemonic::Tdcall | Mnemonic::Vmcall
    )
}
