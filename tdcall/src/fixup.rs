// SPDX-License-Identifier: MIT OR Apache-2.0
//! What to do when `TDCALL` itself raises #UD (outside a TD) or #GP (wrong mode or privilege).
//!
//! Each copy of the instruction in the binary leaves a pair of addresses in the section
//! `.tdcall_extable`: where it faults, and where to go on. A binary uses this in two steps.
//!
//! 1. Its linker script keeps the table and marks its ends:
//!    ```text
//!    .rodata : {
//!        *(.rodata .rodata.*)
//!        . = ALIGN(4);
//!        __tdcall_extable_start = .;
//!        KEEP(*(.tdcall_extable))
//!        __tdcall_extable_end = .;
//!    }
//!    ```
//! 2. Its handlers of #UD and #GP ask `fixup` before they give up. If there is a [`Fixup`], they
//!    set RIP and RAX of the interrupted code to it and return; all other registers stay as they
//!    are. The caller of the leaf then sees an error of the class [`Class::SOFTWARE`].
//!
//! The entries are relative to themselves, so that the table needs no relocation.
//!
//! [`Class::SOFTWARE`]: crate::Class::SOFTWARE
//! [`Fixup`]: crate::fixup::Fixup

#![cfg_attr(target_os = "none", expect(unsafe_code, reason = "the linker script marks the table"))]

use crate::Status;

/// How to go on after a `TDCALL` that raised an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixup {
    /// The new RIP.
    pub rip: u64,
    /// The new RAX: [`Status::from_trap`].
    pub rax: u64,
}

/// One pair of the table, each relative to its own address.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Entry {
    fault: i32,
    landing_pad: i32,
}

/// #UD.
const INVALID_OPCODE: u8 = 6;
/// #GP.
const GENERAL_PROTECTION: u8 = 13;

/// Returns how to go on, if `vector` was raised by a `TDCALL` of this crate at `rip`.
///
/// Exceptions other than #UD and #GP are never the instruction's refusal to work; there is no fixup
/// for them. It may be called in any context.
#[cfg(target_os = "none")]
#[inline]
#[must_use]
pub fn fixup(rip: u64, vector: u8) -> Option<Fixup> {
    unsafe extern "C" {
        static __tdcall_extable_start: Entry;
        static __tdcall_extable_end: Entry;
    }
    let start = &raw const __tdcall_extable_start;
    let bytes = (&raw const __tdcall_extable_end).addr().saturating_sub(start.addr());
    // SAFETY: The linker script puts the two symbols at the ends of `.tdcall_extable`, which is read
    // only and to which nothing but `Instruction` adds, always whole entries.
    let table = unsafe { core::slice::from_raw_parts(start, bytes / size_of::<Entry>()) };
    search(table, rip, vector)
}

/// Looks `rip` up in `table`.
#[cfg_attr(not(any(test, target_os = "none")), expect(dead_code, reason = "there is no table"))]
fn search(table: &[Entry], rip: u64, vector: u8) -> Option<Fixup> {
    if !matches!(vector, INVALID_OPCODE | GENERAL_PROTECTION) {
        return None;
    }
    table
        .iter()
        .find(|entry| absolute(&entry.fault) == rip)
        .map(|entry| Fixup { rip: absolute(&entry.landing_pad), rax: Status::from_trap(vector).0 })
}

/// Returns the address that is `relative` bytes from where it is stored.
fn absolute(relative: &i32) -> u64 {
    let here = core::ptr::from_ref(relative).addr() as u64;
    here.wrapping_add_signed(i64::from(*relative))
}

#[cfg(test)]
mod tests {
    use super::{Entry, Fixup, absolute, search};

    #[test]
    fn only_the_instruction_itself_is_fixed_up() {
        let table =
            [Entry { fault: 0x100, landing_pad: 0x100 }, Entry { fault: -8, landing_pad: 0 }];
        let rip = absolute(&table[1].fault);
        let pad = absolute(&table[1].landing_pad);
        let expected = Fixup { rip: pad, rax: 0x8000_FF00_0000_0006 };
        assert_eq!(search(&table, rip, 6), Some(expected));
        assert_eq!(search(&table, rip + 1, 6), None);
        assert_eq!(search(&table, rip, 14), None);
        assert_eq!(search(&[], rip, 6), None);
    }
}
