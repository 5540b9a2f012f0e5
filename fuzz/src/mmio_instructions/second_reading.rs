// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which instructions are plain moves, and how long they are: a second reading, without a decoder.
//!
//! | opcode        | move                                      |
//! |---------------|-------------------------------------------|
//! | 88, 89        | register to memory                        |
//! | 8a, 8b        | memory to register                        |
//! | 8c            | segment register to memory: not plain     |
//! | a0, a1        | memory at an offset to AL, eAX            |
//! | a2, a3        | AL, eAX to memory at an offset            |
//! | c6 /0, c7 /0  | immediate to memory                       |
//! | 63            | memory to register, with sign; 64 bits only |
//! | 0f b6, 0f b7  | memory to register, with zeros            |
//! | 0f be, 0f bf  | memory to register, with sign             |
//! | 0f c3         | register to memory                        |
//!
//! Spec: SDM volume 2 "Instruction Format", "Opcode Map".

/// A move.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    /// Bytes of memory.
    pub(super) size: usize,
    /// Bytes of the instruction.
    pub(super) length: usize,
    pub(super) direction: Direction,
}

/// Where it goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    /// To memory, from a register or not.
    Store(Option<Part>),
    /// To so many bytes of a register.
    Load { register: Part, size: u32, sign: Sign },
}

/// What the bits above a value become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Zeros,
    Copies,
}

/// A register, or its second byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) number: u8,
    pub(super) shift: u32,
}

/// What `value` of `size` bytes becomes.
pub(super) fn loaded(value: u64, size: u8, sign: Sign) -> u64 {
    let unused = 64 - 8 * u32::from(size);
    if sign == Sign::Copies {
        ((value << unused).cast_signed() >> unused).cast_unsigned()
    } else {
        value
    }
}

/// What stands before the opcode.
#[derive(Clone, Copy, Debug, Default)]
struct Prefixes {
    operand: bool,
    address: bool,
    rex: Option<u8>,
}

/// Reads the instruction in `bytes`, if it is one of the table.
pub(super) fn read(bits: u32, bytes: &[u8]) -> Option<Move> {
    let (prefixes, at) = prefixes(bits, bytes)?;
    let opcode = *bytes.get(at)?;
    let wide = prefixes.rex.is_some_and(|rex| rex & 8 != 0);
    // The width of an operand that is not a byte.
    let full = match (wide, (bits == 16) != prefixes.operand) {
        (true, _) => 8,
        (false, true) => 2,
        (false, false) => 4,
    };
    let reads = |opcode: u8| if opcode & 1 == 0 { 1 } else { full };
    match opcode {
        0x88..=0x8b => {
            let (end, reg) = operand(bits, prefixes, bytes, at + 1)?;
            let size = reads(opcode);
            let part = part(reg, size, prefixes);
            Some(match opcode & 2 {
                0 => store(size, end, part),
                _ => load(size, end, (part, size), Sign::Zeros),
            })
        }
        0xa0..=0xa3 => {
            let end = at + 1 + address_size(bits, prefixes);
            let size = reads(opcode);
            let part = Part { number: 0, shift: 0 };
            Some(match opcode & 2 {
                0 => load(size, end, (part, size), Sign::Zeros),
                _ => store(size, end, part),
            })
        }
        0xc6 | 0xc7 => {
            let (end, reg) = operand(bits, prefixes, bytes, at + 1)?;
            let size = reads(opcode);
            let length = end + size.min(4);
            // REX.R says nothing here.
            (reg & 7 == 0).then_some(Move { size, length, direction: Direction::Store(None) })
        }
        0x63 if bits == 64 => {
            let (end, reg) = operand(bits, prefixes, bytes, at + 1)?;
            // Without REX.W it is a plain move of the operand's width.
            let size = full.min(4);
            Some(load(size, end, (part(reg, full, prefixes), full), Sign::Copies))
        }
        0x0f => match *bytes.get(at + 1)? {
            second @ (0xb6 | 0xb7 | 0xbe | 0xbf) => {
                let (end, reg) = operand(bits, prefixes, bytes, at + 2)?;
                let size = if second & 1 == 0 { 1 } else { 2 };
                let sign = if second & 8 == 0 { Sign::Zeros } else { Sign::Copies };
                Some(load(size, end, (part(reg, full, prefixes), full), sign))
            }
            0xc3 => {
                let (end, reg) = operand(bits, prefixes, bytes, at + 2)?;
                let size = if wide { 8 } else { 4 };
                Some(store(size, end, part(reg, size, prefixes)))
            }
            _ => None,
        },
        _ => None,
    }
}

fn store(size: usize, length: usize, register: Part) -> Move {
    Move { size, length, direction: Direction::Store(Some(register)) }
}

fn load(size: usize, length: usize, (register, whole): (Part, usize), sign: Sign) -> Move {
    let whole = u32::try_from(whole).unwrap_or(0);
    Move { size, length, direction: Direction::Load { register, size: whole, sign } }
}

fn prefixes(bits: u32, bytes: &[u8]) -> Option<(Prefixes, usize)> {
    let mut found = Prefixes::default();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            0x66 => (found.operand, found.rex) = (true, None),
            0x67 => (found.address, found.rex) = (true, None),
            0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 => found.rex = None,
            0x40..=0x4f if bits == 64 => found.rex = Some(*byte),
            _ => return Some((found, at)),
        }
    }
    None
}

/// Where the operand in memory at `at` ends, and which register is the other one.
fn operand(bits: u32, prefixes: Prefixes, bytes: &[u8], at: usize) -> Option<(usize, u8)> {
    let modrm = *bytes.get(at)?;
    let (kind, rm) = (modrm >> 6, modrm & 7);
    let extension = prefixes.rex.map_or(0, |rex| (rex & 4) << 1);
    let reg = modrm >> 3 & 7 | extension;
    let mut end = at + 1;
    if kind == 3 {
        return None;
    }
    if address_size(bits, prefixes) == 2 {
        let displacement = match kind {
            0 if rm == 6 => 2,
            other => usize::from(other),
        };
        return Some((end + displacement, reg));
    }
    let mut base = rm;
    if rm == 4 {
        base = bytes.get(end)? & 7;
        end += 1;
    }
    let displacement = match kind {
        0 if base == 5 => 4,
        0 => 0,
        1 => 1,
        _ => 4,
    };
    Some((end + displacement, reg))
}

/// Bytes of an address.
fn address_size(bits: u32, prefixes: Prefixes) -> usize {
    match (bits, prefixes.address) {
        (64, false) => 8,
        (64, true) | (32, false) | (16, true) => 4,
        _ => 2,
    }
}

fn part(reg: u8, size: usize, prefixes: Prefixes) -> Part {
    if size == 1 && prefixes.rex.is_none() && reg >= 4 {
        Part { number: reg - 4, shift: 8 }
    } else {
        Part { number: reg, shift: 0 }
    }
}
