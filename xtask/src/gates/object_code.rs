// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is read out of the object code: programs, their functions, their instructions.
//!
//! All of a text section is decoded from its start, 64-bit code throughout. The few bytes of 16- and
//! 32-bit code that a start needs are decoded wrongly and have not been seen to matter.

use iced_x86::{
    Code, CpuidFeature, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind,
    Register,
};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

use super::{Excepted, Measured, registers};
use crate::{Failure, Result, failure::Context};

/// The relay's stubs: their symbol, how many there are, and bytes from one to the next.
const STUBS: &str = "interrupt_relay_stubs";
const STUB_COUNT: usize = 32;
const STUB_LENGTH: usize = 64;

/// A program's code.
pub(super) struct Program<'a> {
    file: object::File<'a>,
    /// Address and name of each function, in ascending order.
    functions: Vec<(u64, String)>,
}

impl<'a> Program<'a> {
    pub(super) fn parse(name: &str, elf: &'a [u8]) -> Result<Self> {
        let file = object::File::parse(elf).context(|| format!("{name}: not an ELF file"))?;
        let code = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
        let mut functions: Vec<_> = code
            .filter_map(|symbol| Some((symbol.address(), demangled(symbol.name().ok()?))))
            .collect();
        functions.sort();
        Ok(Self { file, functions })
    }

    /// The bytes of a symbol.
    fn bytes_of(&self, wanted: &str) -> Result<(u64, &'a [u8])> {
        let missing = || Failure::new(format!("no code called {wanted}"));
        let named = |symbol: &object::Symbol<'_, '_>| {
            symbol.name().is_ok_and(|name| demangled(name) == wanted)
        };
        let symbol = self.file.symbols().find(named).ok_or_else(missing)?;
        let section = symbol.section_index().ok_or_else(missing)?;
        let section = self.file.section_by_index(section).context(|| wanted.to_owned())?;
        let data = section.data_range(symbol.address(), symbol.size());
        let data = data.context(|| wanted.to_owned())?.ok_or_else(missing)?;
        Ok((symbol.address(), data))
    }

    /// Instructions of a function.
    fn function(&self, name: &str) -> Result<Vec<Instruction>> {
        let (address, bytes) = self.bytes_of(name)?;
        Ok(decode(bytes, address))
    }

    /// All instructions.
    pub(super) fn instructions(&self) -> Result<Vec<Instruction>> {
        let mut all = Vec::new();
        for section in self.file.sections().filter(|section| section.kind() == SectionKind::Text) {
            let bytes = section.data().context(|| "cannot read a section".to_owned())?;
            all.extend(decode(bytes, section.address()));
        }
        Ok(all)
    }

    /// The function that an address is in.
    pub(super) fn function_at(&self, address: u64) -> &str {
        let after = self.functions.partition_point(|(start, _)| *start <= address);
        let function = after.checked_sub(1).and_then(|index| self.functions.get(index));
        function.map_or("?", |(_, name)| name)
    }
}

/// Takes down what the paravisor's and the emulator's object code says.
pub(crate) fn measure(
    paravisor: &[u8],
    emulator: &[u8],
    excepted: &[Excepted],
    into: &mut Measured,
) -> Result<()> {
    let program = Program::parse("paravisor", paravisor)?;
    stubs(&program, into)?;
    for (name, bytes) in [("paravisor", paravisor), ("tdx_emu", emulator)] {
        let program = Program::parse(name, bytes)?;
        let found: Vec<_> =
            program.instructions()?.into_iter().filter(keeps_vector_state).collect();
        for instruction in found.iter().take(5) {
            let function = program.function_at(instruction.ip());
            eprintln!("          {name}: {:?} in {function}", instruction.code());
        }
        put(into, format!("object.{name}.float"), found.len());
    }
    registers::measure(&program, excepted, into)
}

/// Takes down what the object code of the measured calls says.
pub(crate) fn measure_calls(gauge: &[u8], into: &mut Measured) -> Result<()> {
    let program = Program::parse("gauge", gauge)?;
    for name in ["on_posted", "post", "post_remote"] {
        let code = program.function(&format!("gauge::measured::{name}"))?;
        put(into, format!("object.{name}.locked"), code.iter().filter(is_locked).count());
        put(into, format!("object.{name}.loops"), code.iter().filter(goes_back).count());
        if name == "on_posted" {
            put(into, format!("object.{name}.branches"), code.iter().filter(branches).count());
        }
    }
    Ok(())
}

fn stubs(program: &Program<'_>, into: &mut Measured) -> Result<()> {
    let (address, bytes) = program.bytes_of(STUBS)?;
    if bytes.len() != STUB_COUNT * STUB_LENGTH {
        return Err(Failure::new(format!("{STUBS} has {} bytes", bytes.len())));
    }
    let (mut longest, mut locked, mut branching) = (0, 0, 0);
    for (stub, at) in bytes.chunks(STUB_LENGTH).zip((address..).step_by(STUB_LENGTH)) {
        let code = decode(stub, at);
        let end = code.iter().position(|instruction| instruction.mnemonic() == Mnemonic::Iretq);
        let end = end.ok_or_else(|| Failure::new(format!("a stub at {at:#x} has no IRETQ")))?;
        longest = longest.max(end + 1);
        locked += code[..end].iter().filter(is_locked).count();
        branching += code[..end].iter().filter(branches).count();
    }
    put(into, "object.stub.instructions", longest);
    put(into, "object.stub.locked", locked);
    put(into, "object.stub.branches", branching);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts of instructions are far below 2^52")]
pub(super) fn put(into: &mut Measured, id: impl Into<String>, count: usize) {
    into.insert(id.into(), count as f64);
}

fn decode(bytes: &[u8], address: u64) -> Vec<Instruction> {
    Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).into_iter().collect()
}

/// Whether it locks the bus or the line: by a prefix, or as XCHG with memory does.
fn is_locked(instruction: &&Instruction) -> bool {
    let memory = (0..instruction.op_count()).any(|op| instruction.op_kind(op) == OpKind::Memory);
    instruction.has_lock_prefix() || instruction.mnemonic() == Mnemonic::Xchg && memory
}

/// Whether anything but the next instruction may follow, returns apart.
fn branches(instruction: &&Instruction) -> bool {
    !matches!(instruction.flow_control(), FlowControl::Next | FlowControl::Return)
}

/// Whether it may go back: what a loop needs.
fn goes_back(instruction: &&Instruction) -> bool {
    branches(instruction)
        && (instruction.near_branch_target() == 0
            || instruction.near_branch_target() <= instruction.ip())
}

/// Whether it uses, saves or restores x87, MMX or vector registers.
fn keeps_vector_state(instruction: &Instruction) -> bool {
    const FEATURES: [CpuidFeature; 4] =
        [CpuidFeature::FPU, CpuidFeature::FPU287, CpuidFeature::FPU387, CpuidFeature::MMX];
    let keeps = |register: Register| {
        register.is_vector_register()
            || register.is_st()
            || register.is_mm()
            || register.is_k()
            || register.is_tmm()
    };
    if instruction.code() == Code::INVALID {
        return false;
    }
    (0..instruction.op_count())
        .any(|op| instruction.op_kind(op) == OpKind::Register && keeps(instruction.op_register(op)))
        || instruction.cpuid_features().iter().any(|feature| FEATURES.contains(feature))
        || saves(instruction.mnemonic())
}

fn saves(mnemonic: Mnemonic) -> bool {
    let name = format!("{mnemonic:?}").to_lowercase();
    ["fxsave", "fxrstor", "xsave", "xrstor"].iter().any(|known| name.starts_with(known))
}

/// A name as it is written in the source, without the hash at its end.
fn demangled(name: &str) -> String {
    let parts = || -> Option<Vec<&str>> {
        let mut rest = name.strip_prefix("_ZN")?;
        let mut parts = Vec::new();
        while rest != "E" {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let length: usize = rest[..digits].parse().ok()?;
            parts.push(rest.get(digits..digits.checked_add(length)?)?);
            rest = &rest[digits + length..];
        }
        parts.pop();
        Some(parts)
    };
    parts().map_or_else(|| name.to_owned(), |parts| parts.join("::"))
}

#[cfg(test)]
mod tests {
    use super::{branches, decode, demangled, goes_back, is_locked, keeps_vector_state};

    #[test]
    fn names_lose_their_hash() {
        assert_eq!(
            demangled("_ZN9paravisor2l23run3run17h799906816e26758eE"),
            "paravisor::l2::run::run"
        );
        assert_eq!(demangled("memmove"), "memmove");
    }

    #[test]
    fn locks_are_seen_with_and_without_a_prefix() {
        // lock or [rax], ecx; xchg [rax], ecx; or [rax], ecx; xchg eax, ecx
        let code = decode(&[0xf0, 0x09, 0x08, 0x87, 0x08, 0x09, 0x08, 0x91], 0);
        assert_eq!(
            code.iter().map(|one| is_locked(&one)).collect::<Vec<_>>(),
            [true, true, false, false]
        );
    }

    #[test]
    fn branches_and_loops_are_told_apart() {
        // jmp +0; call +0; jne -2; ret; iretq
        let code = decode(&[0xeb, 0, 0xe8, 0, 0, 0, 0, 0x75, 0xfe, 0xc3, 0x48, 0xcf], 0x1000);
        assert_eq!(
            code.iter().map(|one| branches(&one)).collect::<Vec<_>>(),
            [true, true, true, false, false]
        );
        assert_eq!(
            code.iter().map(|one| goes_back(&one)).collect::<Vec<_>>(),
            [false, false, true, false, false]
        );
    }

    #[test]
    fn vector_state_is_whatever_would_have_to_be_saved() {
        for (bytes, keeps) in [
            (&[0x0f, 0x28, 0xc1][..], true), // movaps xmm0, xmm1
            (&[0xd9, 0xe8], true),           // fld1
            (&[0x0f, 0x6f, 0xc1], true),     // movq mm0, mm1
            (&[0x0f, 0xae, 0x00], true),     // fxsave [rax]
            (&[0x0f, 0xc7, 0x20], true),     // xsavec [rax]
            (&[0x0f, 0xae, 0xf0], false),    // mfence
            (&[0x0f, 0x01, 0xd1], false),    // xsetbv
            (&[0xf3, 0x90], false),          // pause
            (&[0x48, 0x89, 0xc8], false),    // mov rax, rcx
        ] {
            assert_eq!(keeps_vector_state(&decode(bytes, 0)[0]), keeps, "{bytes:x?}");
        }
    }
}
