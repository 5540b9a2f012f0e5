// SPDX-License-Identifier: MIT OR Apache-2.0
//! The instruction behind an intercepted memory access: a plain move, or nothing we emulate.
//!
//! Device registers are read and written by moves. Read-modify-write, string and vector
//! instructions are refused: none of our callers' devices needs them, and each would widen what an
//! L2 can make L1 do.
//!
//! Spec: SDM volume 2, "MOV", "MOVZX", "MOVSX/MOVSXD", "MOVNTI".

use crate::width::ones;
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use tdcall::L2EnterGuestState;

/// The longest instruction the architecture allows.
pub const MAX_LENGTH: usize = 15;

/// One decoded memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Bytes read or written: 1, 2, 4 or 8.
    pub size: u8,
    /// Length of the instruction.
    pub length: u8,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Store(Source),
    Load { target: Field, sign: Sign },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Immediate(u64),
    Register(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Zero,
    Extend,
}

/// A register, or the part of it that an operand names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    number: u8,
    shift: u8,
    size: u8,
}

/// Decodes the instruction in `bytes`; `bits` is the code segment's 16, 32 or 64.
#[must_use]
pub fn decode(bits: u32, bytes: &[u8]) -> Option<Access> {
    let bytes = bytes.get(..MAX_LENGTH).unwrap_or(bytes);
    let mut decoder = Decoder::new(bits, bytes, DecoderOptions::NONE);
    let instruction = decoder.decode();
    if instruction.is_invalid() || instruction.has_rep_prefix() || instruction.has_repne_prefix() {
        return None;
    }
    let size = u8::try_from(instruction.memory_size().size()).ok()?;
    let length = u8::try_from(instruction.len()).ok()?;
    let kind = match instruction.mnemonic() {
        Mnemonic::Mov | Mnemonic::Movnti => plain_move(&instruction)?,
        Mnemonic::Movzx => load(&instruction, Sign::Zero)?,
        Mnemonic::Movsx | Mnemonic::Movsxd => load(&instruction, Sign::Extend)?,
        _ => return None,
    };
    matches!(size, 1 | 2 | 4 | 8).then_some(Access { size, length, kind })
}

fn plain_move(instruction: &Instruction) -> Option<Kind> {
    match (instruction.op0_kind(), instruction.op1_kind()) {
        (OpKind::Register, OpKind::Memory) => load(instruction, Sign::Zero),
        (OpKind::Memory, OpKind::Register) => {
            Field::new(instruction.op1_register()).map(|field| Kind::Store(Source::Register(field)))
        }
        (OpKind::Memory, _) => {
            instruction.try_immediate(1).ok().map(|value| Kind::Store(Source::Immediate(value)))
        }
        _ => None,
    }
}

fn load(instruction: &Instruction, sign: Sign) -> Option<Kind> {
    if instruction.op0_kind() != OpKind::Register || instruction.op1_kind() != OpKind::Memory {
        return None;
    }
    Field::new(instruction.op0_register()).map(|target| Kind::Load { target, sign })
}

impl Access {
    /// The value the instruction stores, or `None` if it loads.
    #[must_use]
    pub fn stored(&self, state: &L2EnterGuestState) -> Option<u64> {
        match self.kind {
            Kind::Store(Source::Immediate(value)) => Some(value & ones(self.size)),
            Kind::Store(Source::Register(field)) => Some(field.get(state) & ones(self.size)),
            Kind::Load { .. } => None,
        }
    }

    /// Completes a load with what the device answered. A store leaves the registers alone.
    pub fn complete_load(&self, state: &mut L2EnterGuestState, value: u64) {
        if let Kind::Load { target, sign } = self.kind {
            let value = value & ones(self.size);
            let negative = value >> (self.size * 8 - 1) & 1 == 1;
            let value = match sign {
                Sign::Extend if negative => value | !ones(self.size),
                _ => value,
            };
            target.set(state, value);
        }
    }
}

impl Field {
    fn new(register: Register) -> Option<Self> {
        if !register.is_gpr() {
            return None;
        }
        let high = matches!(register, Register::AH | Register::CH | Register::DH | Register::BH);
        Some(Self {
            number: u8::try_from(register.full_register().number()).ok()?,
            shift: if high { 8 } else { 0 },
            size: u8::try_from(register.size()).ok()?,
        })
    }

    fn get(self, state: &L2EnterGuestState) -> u64 {
        state.gpr(self.number).map_or(0, |whole| whole >> self.shift & ones(self.size))
    }

    /// A 32-bit result clears the upper half; narrower ones keep the rest.
    fn set(self, state: &mut L2EnterGuestState, value: u64) {
        let Some(whole) = state.gpr_mut(self.number) else { return };
        let mask = ones(self.size) << self.shift;
        *whole = match self.size {
            4 | 8 => value & ones(self.size),
            _ => *whole & !mask | value << self.shift & mask,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::decode;
    use tdcall::L2EnterGuestState;

    fn state() -> L2EnterGuestState {
        L2EnterGuestState { rax: 0x1111_2222_3333_4455, r8: 0x88, ..L2EnterGuestState::new() }
    }

    fn stored(bytes: &[u8]) -> Option<(u64, u8, u8)> {
        let access = decode(64, bytes)?;
        access.stored(&state()).map(|value| (value, access.size, access.length))
    }

    fn loaded(bytes: &[u8], value: u64) -> L2EnterGuestState {
        let mut state = state();
        decode(64, bytes).unwrap().complete_load(&mut state, value);
        state
    }

    #[test]
    fn stores_give_the_value_of_their_own_width() {
        assert_eq!(stored(&[0x89, 0x03]), Some((0x3333_4455, 4, 2)));
        assert_eq!(stored(&[0x48, 0x89, 0x03]), Some((0x1111_2222_3333_4455, 8, 3)));
        assert_eq!(stored(&[0x66, 0x89, 0x03]), Some((0x4455, 2, 3)));
        assert_eq!(stored(&[0x88, 0x23]), Some((0x44, 1, 2)));
        assert_eq!(stored(&[0x44, 0x88, 0x03]), Some((0x88, 1, 3)));
        assert_eq!(stored(&[0xc7, 0x43, 0x0c, 1, 0, 0, 0]), Some((1, 4, 7)));
        assert_eq!(stored(&[0x48, 0xc7, 0x03, 0xff, 0xff, 0xff, 0xff]), Some((u64::MAX, 8, 7)));
    }

    #[test]
    fn loads_follow_the_rules_of_their_width() {
        assert_eq!(loaded(&[0x8b, 0x03], 0x8000_0001).rax, 0x8000_0001);
        assert_eq!(loaded(&[0x66, 0x8b, 0x03], 0xabcd).rax, 0x1111_2222_3333_abcd);
        assert_eq!(loaded(&[0x8a, 0x23], 0xfe).rax, 0x1111_2222_3333_fe55);
        assert_eq!(loaded(&[0x0f, 0xb6, 0x03], 0xfe).rax, 0xfe);
        assert_eq!(loaded(&[0x48, 0x63, 0x03], 0x8000_0000).rax, 0xffff_ffff_8000_0000);
        assert_eq!(loaded(&[0x0f, 0xbe, 0x03], 0x80).rax, 0xffff_ff80);
        assert_eq!(loaded(&[0x4c, 0x8b, 0x03], 77).r8, 77);
    }

    #[test]
    fn a_load_stores_nothing() {
        assert_eq!(stored(&[0x8b, 0x03]), None);
    }

    #[test]
    fn what_is_no_plain_move_is_refused() {
        assert_eq!(decode(64, &[0x83, 0x0b, 1]), None, "or");
        assert_eq!(decode(64, &[0xf3, 0xa4]), None, "rep movsb");
        assert_eq!(decode(64, &[0x0f, 0x11, 0x03]), None, "movups");
        assert_eq!(decode(64, &[0x87, 0x03]), None, "xchg");
        assert_eq!(decode(64, &[0x89, 0xc3]), None, "no memory operand");
        assert_eq!(decode(64, &[0x89]), None, "cut short");
        assert_eq!(decode(64, &[]), None);
    }

    #[test]
    fn the_code_segment_decides_the_width() {
        assert_eq!(decode(32, &[0x89, 0x03]).unwrap().size, 4);
        assert_eq!(decode(16, &[0x89, 0x07]).unwrap().size, 2);
    }
}
