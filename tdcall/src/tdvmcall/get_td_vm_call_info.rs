// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.VMCALL<GetTdVmCallInfo>`: ask which sub-functions the host has.
//!
//! | in  |                                 | out      |              |
//! |-----|---------------------------------|----------|--------------|
//! | R12 | 0: the base set; 1: the rest    | R11..R14 | what it has  |
//!
//! The answer is an offer, not a promise.
//!
//! Spec: GHCI, "`TDG.VP.VMCALL<GetTdVmCallInfo>`".

#![expect(unsafe_code, reason = "it uses the raw call")]

use super::{
    SubFunction, VmcallError,
    request::{ask, standard},
};
use crate::{GprMask, Registers, Tdcall};

/// Leaf 1, R11: the host has `SetupEventNotifyInterrupt`.
pub const SETUP_EVENT_NOTIFY_INTERRUPT: u64 = 1 << 1;

/// Returns R11 to R14 as the host answers to `leaf`.
///
/// # Errors
///
/// Tells who refused; a host may not have leaf 1.
pub fn get_td_vm_call_info(call: &impl Tdcall, leaf: u64) -> Result<[u64; 4], VmcallError> {
    let input = Registers { r12: leaf, ..standard(SubFunction::GET_TD_VM_CALL_INFO) };
    let arguments = GprMask::R12 | GprMask::R13 | GprMask::R14;
    // SAFETY: The sub-function writes nothing but registers.
    let r = unsafe { ask(call, arguments, input) }?;
    Ok([r.r11, r.r12, r.r13, r.r14])
}

/// Tells whether the host offers `SetupEventNotifyInterrupt`.
///
/// # Errors
///
/// As for [`get_td_vm_call_info`].
pub fn has_setup_event_notify_interrupt(call: &impl Tdcall) -> Result<bool, VmcallError> {
    get_td_vm_call_info(call, 1).map(|[r11, ..]| r11 & SETUP_EVENT_NOTIFY_INTERRUPT != 0)
}

#[cfg(test)]
mod tests {
    use super::{get_td_vm_call_info, has_setup_event_notify_interrupt};
    use crate::{Registers, fake::Fake};

    #[test]
    fn four_words_come_back() {
        let asked = Registers { rcx: 0x7C00, r11: 0x1_0000, ..Registers::ZERO };
        let answer = Registers { r11: 1, r12: 2, r13: 3, r14: 4, ..Registers::ZERO };
        assert_eq!(get_td_vm_call_info(&Fake::new().tdcall(asked, answer), 0), Ok([1, 2, 3, 4]));
    }

    #[test]
    fn event_notify_is_bit_1_of_leaf_1() {
        let asked = Registers { rcx: 0x7C00, r11: 0x1_0000, r12: 1, ..Registers::ZERO };
        for (r11, has) in [(2, true), (1, false)] {
            let fake = Fake::new().tdcall(asked, Registers { r11, ..Registers::ZERO });
            assert_eq!(has_setup_event_notify_interrupt(&fake), Ok(has));
        }
    }
}
