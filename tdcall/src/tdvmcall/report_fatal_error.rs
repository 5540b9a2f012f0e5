// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.VMCALL<ReportFatalError>`: tell the host that this TD is at its end.
//!
//! | in  |                                             |
//! |-----|---------------------------------------------|
//! | R12 | code; bit 63: R13 is the GPA of more details |
//! | R14, R15, RBX, RDI, RSI, R8, R9, RDX | 64 bytes of text |
//!
//! The host should never return from it, and may.
//!
//! Spec: GHCI, "`TDG.VP.VMCALL<ReportFatalError>`".

#![expect(unsafe_code, reason = "it uses the raw call")]

use super::{
    SubFunction,
    request::{ask, standard},
};
use crate::{GprMask, Registers, Tdcall};

/// Bytes of text that fit.
pub const MESSAGE_SIZE: usize = 64;

/// Reports `code` and the first [`MESSAGE_SIZE`] bytes of `message`.
///
/// It returns only if the host ignores it; the caller stops this virtual CPU then.
pub fn report_fatal_error(call: &impl Tdcall, code: u32, message: &str) {
    let mut text = [0; MESSAGE_SIZE];
    for (to, from) in text.iter_mut().zip(message.bytes()) {
        *to = from;
    }
    let mut input = Registers { r12: u64::from(code), ..standard(SubFunction::REPORT_FATAL_ERROR) };
    write_message(&mut input, &text);
    let arguments = GprMask::R12
        | GprMask::R13
        | GprMask::R14
        | GprMask::R15
        | GprMask::RBX
        | GprMask::RDI
        | GprMask::RSI
        | GprMask::R8
        | GprMask::R9
        | GprMask::RDX;
    // SAFETY: The sub-function writes nothing but registers.
    let returned = unsafe { ask(call, arguments, input) };
    // Whatever it is, it is no longer of interest: the caller is about to stop.
    let _ = returned;
}

/// Spreads `text` over the registers.
fn write_message(r: &mut Registers, text: &[u8; MESSAGE_SIZE]) {
    let registers = [
        &mut r.r14, &mut r.r15, &mut r.rbx, &mut r.rdi, &mut r.rsi, &mut r.r8, &mut r.r9,
        &mut r.rdx,
    ];
    for (register, bytes) in registers.into_iter().zip(text.as_chunks().0) {
        *register = u64::from_le_bytes(*bytes);
    }
}

/// Collects the text from the registers (for who plays the host).
#[must_use]
pub fn message(r: &Registers) -> [u8; MESSAGE_SIZE] {
    let words = [r.r14, r.r15, r.rbx, r.rdi, r.rsi, r.r8, r.r9, r.rdx];
    let mut text = [0; MESSAGE_SIZE];
    for (bytes, word) in text.as_chunks_mut().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{message, report_fatal_error};
    use crate::{Registers, fake::Fake};

    #[test]
    fn the_text_is_spread_over_eight_registers() {
        let asked = Registers {
            rcx: 0xFFCC,
            r11: 0x1_0003,
            r12: 7,
            r14: u64::from_le_bytes(*b"out of m"),
            r15: u64::from_le_bytes(*b"emory at"),
            rbx: u64::from_le_bytes(*b" page 1\0"),
            ..Registers::ZERO
        };
        let fake = Fake::new().tdcall(asked, Registers { r10: 1, ..Registers::ZERO });
        report_fatal_error(&fake, 7, "out of memory at page 1");
        assert_eq!(&message(&asked)[..24], b"out of memory at page 1\0");
    }

    #[test]
    fn a_long_text_is_cut() {
        let full = "0123456701234567012345670123456701234567012345670123456701234567";
        let word = u64::from_le_bytes(*b"01234567");
        let asked = Registers {
            rcx: 0xFFCC,
            rdx: word,
            rbx: word,
            rsi: word,
            rdi: word,
            r8: word,
            r9: word,
            r11: 0x1_0003,
            r14: word,
            r15: word,
            ..Registers::ZERO
        };
        let fake = Fake::new().tdcall(asked, Registers::ZERO);
        report_fatal_error(&fake, 0, &std::format!("{full}more"));
        assert_eq!(&message(&asked), full.as_bytes());
    }
}
