// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registers that L1 and L2 share and that L1 would have to switch: CR2, IA32_XSS, those of SYSCALL.
//!
//! Where L1 touches none of them between L2's exit and the next entry, there is nothing to save. What
//! can be checked is stronger: no function of the image touches them, but for those that are named in
//! the file, none of which is on that way. The number of an MSR is the constant that was last loaded into
//! ECX, on every way that leads to the access; a function that takes it from elsewhere has to be named,
//! too.

use std::collections::HashMap;

use iced_x86::{
    FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
};

use super::{
    Excepted, Measured,
    object_code::{Program, put},
};
use crate::Result;

/// IA32_XSS; IA32_STAR, IA32_LSTAR, IA32_CSTAR, IA32_FMASK; IA32_KERNEL_GS_BASE.
const FORBIDDEN: [u64; 6] =
    [0xda0, 0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0084, 0xc000_0102];

/// The most instructions that are looked at for the number of an MSR.
const REACH: usize = 2000;

/// Takes down how often what functions touch what they must not.
pub(super) fn measure(
    program: &Program<'_>,
    excepted: &[Excepted],
    into: &mut Measured,
) -> Result<()> {
    let code = Code::new(program.instructions()?);
    let (mut cr2, mut msrs) = (0, 0);
    for (index, instruction) in code.instructions.iter().enumerate() {
        let Some(touched) = code.touched(index) else { continue };
        let function = program.function_at(instruction.ip());
        let is_excepted = excepted
            .iter()
            .any(|known| function.contains(&known.function) && known.touches == touched.name());
        if is_excepted {
            continue;
        }
        eprintln!("          paravisor: {} in {function}", touched.name());
        match touched {
            Touched::Cr2 => cr2 += 1,
            Touched::ForbiddenMsr | Touched::UnknownMsr => msrs += 1,
        }
    }
    put(into, "object.paravisor.cr2", cr2);
    put(into, "object.paravisor.msrs", msrs);
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Touched {
    Cr2,
    ForbiddenMsr,
    UnknownMsr,
}

impl Touched {
    fn name(self) -> &'static str {
        match self {
            Self::Cr2 => "cr2",
            Self::ForbiddenMsr => "forbidden msr",
            Self::UnknownMsr => "unknown msr",
        }
    }
}

/// Instructions, and from where they can be reached.
struct Code {
    instructions: Vec<Instruction>,
    /// Branches by their targets.
    branches: HashMap<u64, Vec<usize>>,
}

impl Code {
    fn new(instructions: Vec<Instruction>) -> Self {
        let mut branches: HashMap<u64, Vec<usize>> = HashMap::new();
        for (index, instruction) in instructions.iter().enumerate() {
            let flow = instruction.flow_control();
            if matches!(flow, FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch) {
                branches.entry(instruction.near_branch_target()).or_default().push(index);
            }
        }
        Self { instructions, branches }
    }

    fn touched(&self, index: usize) -> Option<Touched> {
        let instruction = &self.instructions[index];
        let is = |op, register| {
            instruction.op_kind(op) == OpKind::Register && instruction.op_register(op) == register
        };
        match instruction.mnemonic() {
            Mnemonic::Mov if is(0, Register::CR2) || is(1, Register::CR2) => Some(Touched::Cr2),
            Mnemonic::Swapgs => Some(Touched::ForbiddenMsr),
            Mnemonic::Rdmsr | Mnemonic::Wrmsr => match self.numbers(index) {
                None => Some(Touched::UnknownMsr),
                Some(numbers) if numbers.iter().any(|number| FORBIDDEN.contains(number)) => {
                    Some(Touched::ForbiddenMsr)
                }
                Some(_) => None,
            },
            _ => None,
        }
    }

    /// The constants that ECX can have before an instruction; `None` if it can have anything else.
    fn numbers(&self, index: usize) -> Option<Vec<u64>> {
        let (mut found, mut seen, mut ways) = (Vec::new(), vec![index], self.before(index));
        while let Some(way) = ways.pop() {
            if seen.contains(&way) {
                continue;
            }
            seen.push(way);
            let instruction = &self.instructions[way];
            if writes_ecx(instruction) {
                let is_constant = instruction.mnemonic() == Mnemonic::Mov
                    && instruction.op_kind(1) == OpKind::Immediate32;
                found.push(is_constant.then(|| instruction.immediate(1))?);
                continue;
            }
            let before = self.before(way);
            if before.is_empty() || seen.len() > REACH {
                return None;
            }
            ways.extend(before);
        }
        (!found.is_empty()).then_some(found)
    }

    /// The instructions after which one can come.
    fn before(&self, index: usize) -> Vec<usize> {
        let goes_on = |before: &usize| {
            let before = &self.instructions[*before];
            let flow = before.flow_control();
            matches!(flow, FlowControl::Next | FlowControl::ConditionalBranch)
        };
        let above = index.checked_sub(1).filter(goes_on);
        let branches = self.branches.get(&self.instructions[index].ip());
        above.into_iter().chain(branches.into_iter().flatten().copied()).collect()
    }
}

fn writes_ecx(instruction: &Instruction) -> bool {
    let mut factory = InstructionInfoFactory::new();
    let writes = |access| !matches!(access, OpAccess::None | OpAccess::Read | OpAccess::CondRead);
    factory
        .info(instruction)
        .used_registers()
        .iter()
        .any(|used| used.register().full_register() == Register::RCX && writes(used.access()))
}

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions, Instruction};

    use super::{Code, Touched};

    fn last(bytes: &[u8]) -> Option<Touched> {
        let code: Vec<Instruction> =
            Decoder::new(64, bytes, DecoderOptions::NONE).into_iter().collect();
        let last = code.len() - 1;
        Code::new(code).touched(last)
    }

    #[test]
    fn accesses_are_told_by_what_they_touch() {
        for (bytes, what) in [
            (&[0x0f, 0x20, 0xd0][..], Some(Touched::Cr2)), // mov rax, cr2
            (&[0x0f, 0x22, 0xd0], Some(Touched::Cr2)),     // mov cr2, rax
            (&[0x0f, 0x20, 0xd8], None),                   // mov rax, cr3
            (&[0xb9, 0x82, 0, 0, 0xc0, 0x0f, 0x32], Some(Touched::ForbiddenMsr)),
            (&[0xb9, 0xa0, 0x0d, 0, 0, 0x0f, 0x30], Some(Touched::ForbiddenMsr)),
            (&[0xb9, 0x0b, 0x08, 0, 0, 0x0f, 0x30], None), // EOI
            (&[0x89, 0xc1, 0x0f, 0x30], Some(Touched::UnknownMsr)), // mov ecx, eax
            (&[0x0f, 0x01, 0xf8], Some(Touched::ForbiddenMsr)), // swapgs
            // The number is loaded before a jump over a return.
            (&[0xb9, 0x0b, 0x08, 0, 0, 0xeb, 1, 0xc3, 0x0f, 0x32], None),
            // One way comes without a number.
            (&[0x74, 5, 0xb9, 0x0b, 0x08, 0, 0, 0x0f, 0x32], Some(Touched::UnknownMsr)),
        ] {
            assert_eq!(last(bytes), what, "{bytes:x?}");
        }
    }
}
