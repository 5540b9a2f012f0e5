// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.VMCALL<Instruction.CPUID>`: ask the host for a CPUID leaf.
//!
//! | in  |         | out      |                        |
//! |-----|---------|----------|------------------------|
//! | R12 | leaf    | R12..R15 | EAX, EBX, ECX, EDX     |
//! | R13 | subleaf |          |                        |
//!
//! Only the leaves of the hypervisor should be asked of it; what the processor can do is not the
//! host's to say.
//!
//! Spec: GHCI, "`TDG.VP.VMCALL<Instruction.CPUID>`".

#![expect(unsafe_code, reason = "it uses the raw call")]

use super::{
    SubFunction, VmcallError,
    request::{ask, standard},
};
use crate::{GprMask, Registers, Tdcall, td_params::CpuidValues};

/// Returns what the host says about `leaf` and `subleaf`.
///
/// # Errors
///
/// Tells who refused.
pub fn cpuid(call: &impl Tdcall, leaf: u32, subleaf: u32) -> Result<CpuidValues, VmcallError> {
    let (r12, r13) = (u64::from(leaf), u64::from(subleaf));
    let input = Registers { r12, r13, ..standard(SubFunction::INSTRUCTION_CPUID) };
    let arguments = GprMask::R12 | GprMask::R13 | GprMask::R14 | GprMask::R15;
    // SAFETY: The sub-function writes nothing but registers.
    let r = unsafe { ask(call, arguments, input) }?;
    let low = |word: u64| (word & 0xFFFF_FFFF) as u32;
    Ok(CpuidValues { eax: low(r.r12), ebx: low(r.r13), ecx: low(r.r14), edx: low(r.r15) })
}

#[cfg(test)]
mod tests {
    use super::cpuid;
    use crate::{Registers, fake::Fake, td_params::CpuidValues};

    #[test]
    fn four_registers_come_back_without_their_high_halves() {
        let asked = Registers { rcx: 0xFC00, r11: 10, r12: 0x4000_0000, r13: 1, ..Registers::ZERO };
        let answer = Registers { r12: !0, r13: 2, r14: 3, r15: 1 << 32 | 4, ..Registers::ZERO };
        let values = cpuid(&Fake::new().tdcall(asked, answer), 0x4000_0000, 1);
        assert_eq!(values, Ok(CpuidValues { eax: !0, ebx: 2, ecx: 3, edx: 4 }));
    }
}
