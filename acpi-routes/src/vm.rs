// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the VM that runs the AML finds where, and how it ends.
//!
//! | address               | what                                                                  |
//! |-----------------------|-----------------------------------------------------------------------|
//! | 0x20_0000–0x40_0000   | its own memory ([`OWN`](vm::OWN))                                              |
//! | 0x28_0000             | its stack ends here, and nothing lies below [`OWN`](vm::OWN); its program begins |
//! | 0x3f_c000–0x3f_f000   | its page tables, made by L1                                           |
//! | 0x3f_f000–0x40_0000   | the page of answers                                                   |
//! | 0x40_0000–0x60_0000   | the request and the tables, read-only ([`GIVEN`](vm::GIVEN))                     |
//!
//! It runs in 64-bit mode, on one CPU, without interrupts and without a table of them: an exception ends it.
//! It ends itself by HLT, with an [`End`](vm::End) in RAX. An IN or OUT that L1 does not allow comes back with the
//! carry flag set.

use core::ops::Range;

/// Its own memory.
pub const OWN: Range<u64> = 0x20_0000..0x40_0000;

/// Where its stack begins, downwards.
pub const STACK: u64 = 0x28_0000;

/// Its page tables, of three pages.
pub const PAGE_TABLES: u64 = 0x3f_c000;

/// The page of answers.
pub const ANSWERS: u64 = 0x3f_f000;

/// The request and the tables.
pub const GIVEN: Range<u64> = 0x40_0000..0x60_0000;

/// How it ended itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End(pub u64);

impl End {
    /// The page has the answers.
    pub const ANSWERED: Self = Self(1);
    /// There was no request.
    pub const NO_REQUEST: Self = Self(2);
    /// Its program panicked, or had no memory left.
    pub const PANIC: Self = Self(3);
}
