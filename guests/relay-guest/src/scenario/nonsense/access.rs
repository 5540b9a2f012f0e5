// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accesses of every kind to one address, with values out of a generator that always gives the same.

use core::cell::Cell;

use crate::ring::{self, Mode, Registers, scratch};

/// Instructions with the operand `[rbx]`, or `[rdi]` for strings: plain moves of every size, immediates,
/// extending loads, read-modify-writes, locked ones, strings, calls, pushes, extended state, and what no
/// processor has.
const CODES: [&[u8]; 34] = [
    &[0x88, 0x03],
    &[0x66, 0x89, 0x03],
    &[0x89, 0x03],
    &[0x48, 0x89, 0x03],
    &[0x8a, 0x03],
    &[0x66, 0x8b, 0x03],
    &[0x8b, 0x03],
    &[0x48, 0x8b, 0x03],
    &[0xc6, 0x03, 0xff],
    &[0x66, 0xc7, 0x03, 0x34, 0x12],
    &[0xc7, 0x03, 0x00, 0x00, 0xe0, 0xfe],
    &[0x48, 0xc7, 0x03, 0x00, 0x00, 0x00, 0x80],
    &[0x0f, 0xb6, 0x03],
    &[0x0f, 0xb7, 0x03],
    &[0x48, 0x0f, 0xbe, 0x03],
    &[0x48, 0x63, 0x03],
    &[0x87, 0x03],
    &[0x01, 0x03],
    &[0xf0, 0x09, 0x03],
    &[0xf0, 0x0f, 0xb1, 0x03],
    &[0x48, 0x0f, 0xc7, 0x0b],
    &[0x0f, 0xc3, 0x03],
    &[0x0f, 0x38, 0xf1, 0x03],
    &[0x0f, 0xab, 0x03],
    &[0xaa],
    &[0xab],
    &[0xf3, 0xab],
    &[0xf3, 0xa5],
    &[0xff, 0x33],
    &[0xff, 0x13],
    &[0xff, 0x23],
    &[0x0f, 0x11, 0x03],
    &[0x0f, 0xae, 0x03],
    &[0x0f, 0x00, 0x13],
];

/// MOV of a double word to memory.
pub(super) const STORE: &[u8] = &[0x89, 0x03];

/// A generator of numbers.
pub(super) struct Numbers(Cell<u64>);

impl Numbers {
    /// One that gives the same every time.
    pub(super) const fn new() -> Self {
        Self(Cell::new(0x9e37_79b9_7f4a_7c15))
    }

    /// The next number.
    pub(super) fn next(&self) -> u64 {
        let mut value = self.0.get();
        value ^= value << 13;
        value ^= value >> 7;
        value ^= value << 17;
        self.0.set(value);
        value
    }

    /// One of these.
    pub(super) fn of<T: Copy>(&self, choice: &[T]) -> Option<T> {
        let index = usize::try_from(self.next() % choice.len() as u64).ok()?;
        choice.get(index).copied()
    }
}

/// Accesses `address` in every way, writing `value`. Returns how many accesses these were.
pub(super) fn every_way(address: u64, value: u64) -> u32 {
    CODES.iter().map(|code| one(code, address, value)).sum()
}

/// Accesses `address` in some way.
pub(super) fn some_way(numbers: &Numbers, address: u64, value: u64) -> u32 {
    numbers.of(&CODES).map_or(0, |code| one(code, address, value))
}

/// Accesses `address` by `code`.
pub(super) fn one(code: &[u8], address: u64, value: u64) -> u32 {
    let registers = Registers {
        rax: value,
        rcx: 2,
        rdx: value >> 32,
        rbx: address,
        rsi: scratch(),
        rdi: address,
        others: value,
    };
    // Any end is as good as another.
    u32::from(ring::run(Mode::Kernel64, code, registers, 0).is_some())
}
