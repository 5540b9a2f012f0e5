// SPDX-License-Identifier: MIT OR Apache-2.0
//! One instruction and how it may end in each kind of code.

use crate::ring::{End, Mode};

/// A set of ends: completed, or one of the vectors below 62.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends(u64);

impl Ends {
    /// It completes.
    pub(crate) const DONE: Self = Self(1 << 63);
    /// #DB.
    pub(crate) const DB: Self = Self::vector(1);
    /// #UD.
    pub(crate) const UD: Self = Self::vector(6);
    /// #GP.
    pub(crate) const GP: Self = Self::vector(13);
    /// #PF.
    pub(crate) const PF: Self = Self::vector(14);
    /// #UD or #GP: processors and QEMU differ in what they check first.
    pub(crate) const UD_GP: Self = Self::UD.or(Self::GP);

    /// Exception or interrupt `vector`.
    pub(crate) const fn vector(vector: u8) -> Self {
        Self(1 << vector)
    }

    /// Either.
    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `end` is one of them.
    pub(crate) const fn contain(self, end: End) -> bool {
        let bit = match end.vector {
            None => Self::DONE.0,
            Some(vector @ 0..=61) => 1 << vector,
            Some(_) => 0,
        };
        self.0 & bit != 0
    }

    /// As a number: a bit a vector, and the highest for "completed".
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }
}

/// An instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// What it is called.
    pub(crate) name: &'static str,
    /// Its bytes. RBX points to memory.
    pub(crate) code: &'static [u8],
    /// RAX; the other registers are 0.
    pub(crate) rax: u64,
    kernel64: Option<Ends>,
    kernel32: Option<Ends>,
    user64: Option<Ends>,
    user32: Option<Ends>,
}

impl Row {
    /// An instruction that is undefined everywhere.
    pub(crate) const fn new(name: &'static str, code: &'static [u8]) -> Self {
        let ends = Some(Ends::UD);
        Self { name, code, rax: 0, kernel64: ends, kernel32: ends, user64: ends, user32: ends }
    }

    /// How it may end everywhere.
    pub(crate) const fn ends(self, ends: Ends) -> Self {
        self.kernel(ends).user(ends)
    }

    /// How it may end in ring 0.
    pub(crate) const fn kernel(self, ends: Ends) -> Self {
        Self { kernel64: Some(ends), kernel32: Some(ends), ..self }
    }

    /// How it may end in ring 3.
    pub(crate) const fn user(self, ends: Ends) -> Self {
        Self { user64: Some(ends), user32: Some(ends), ..self }
    }

    /// How it may end as 32-bit code.
    pub(crate) const fn narrow(self, kernel: Ends, user: Ends) -> Self {
        Self { kernel32: Some(kernel), user32: Some(user), ..self }
    }

    /// Only 64-bit code has it.
    pub(crate) const fn only_long(self) -> Self {
        Self { kernel32: None, user32: None, ..self }
    }

    /// Only 32-bit code has it.
    pub(crate) const fn only_narrow(self) -> Self {
        Self { kernel64: None, user64: None, ..self }
    }

    /// Ring 0 must not execute it here.
    pub(crate) const fn only_user(self) -> Self {
        Self { kernel64: None, kernel32: None, ..self }
    }

    /// With this in RAX.
    pub(crate) const fn rax(self, rax: u64) -> Self {
        Self { rax, ..self }
    }

    /// How it may end in `mode`, if it is to be executed there.
    pub(crate) const fn wanted(&self, mode: Mode) -> Option<Ends> {
        match mode {
            Mode::Kernel64 => self.kernel64,
            Mode::Kernel32 => self.kernel32,
            Mode::User64 => self.user64,
            Mode::User32 => self.user32,
        }
    }
}
