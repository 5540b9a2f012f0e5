// SPDX-License-Identifier: MIT OR Apache-2.0
//! `GetQuote`: R12 = address of a shared buffer, R13 = its size.
//!
//! Spec: GHCI "`TDG.VP.VMCALL<GetQuote>`".

use tdcall::{Registers, tdvmcall::VmcallStatus};

use crate::host::td::{PAGE, SHARED_BIT, Td};

pub(super) fn answer(td: &Td, registers: &Registers) -> VmcallStatus {
    let (gpa, size) = (registers.r12, registers.r13);
    let is_buffer = gpa & SHARED_BIT != 0
        && gpa.is_multiple_of(PAGE)
        && size != 0
        && size.is_multiple_of(PAGE)
        && gpa.checked_add(size).is_some_and(|end| end <= SHARED_BIT << 1);
    if !is_buffer {
        return VmcallStatus::INVALID_OPERAND;
    }
    td.quoting.request(td, gpa & !SHARED_BIT, size)
}
