// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.VMCALL` (leaf 0): ask the host.
//!
//! | in  |                                  | out |                            |
//! |-----|----------------------------------|-----|----------------------------|
//! | RCX | which registers the host sees    | RCX | unchanged                  |
//! | …   | those registers                  | …   | those registers, by the host |
//!
//! The raw call; [`tdvmcall`](crate::tdvmcall) gives the registers their meaning. The host sees and
//! changes the registers of the mask and no others.
//!
//! Spec: TDX-ABI, "TDG.VP.VMCALL Leaf"; GHCI, "TDG.VP.VMCALL".

#![expect(unsafe_code, reason = "it uses the raw door")]

use crate::{GprMask, Leaf, Registers, Status, Tdcall, VmcallExposure};

/// Shows the registers in `exposed` to the host and takes them back from it.
///
/// RAX and RCX of `r` need not be filled. A bit of the mask that is never allowed is dropped.
///
/// # Errors
///
/// Returns the status of the module if it did not pass the call on. What the host thinks of it is
/// in the registers.
///
/// # Safety
///
/// The caller knows what the sub-function does: the host may be asked to take memory of the TD away
/// or to replace it.
pub unsafe fn vp_vmcall(
    call: &impl Tdcall,
    exposed: GprMask,
    r: &mut Registers,
) -> Result<(), Status> {
    prepare(exposed, r);
    // SAFETY: The caller knows what the sub-function does.
    unsafe { call.tdcall(r) };
    finish(r)
}

/// As [`vp_vmcall`], with interrupts enabled from the call on.
///
/// # Errors
///
/// As for [`vp_vmcall`].
///
/// # Safety
///
/// As for [`vp_vmcall`].
pub(crate) unsafe fn vp_vmcall_with_interrupts(
    call: &impl Tdcall,
    exposed: GprMask,
    r: &mut Registers,
) -> Result<(), Status> {
    prepare(exposed, r);
    // SAFETY: The caller knows what the sub-function does and is ready for interrupts.
    unsafe { call.tdcall_with_interrupts(r) };
    finish(r)
}

/// Fills RAX and RCX.
fn prepare(exposed: GprMask, r: &mut Registers) {
    // RBP cannot pass through the door, which keeps it for the caller's stack frame.
    let allowed = exposed - (GprMask::FORBIDDEN | GprMask::RBP);
    r.rax = Leaf::VP_VMCALL.rax();
    r.rcx = VmcallExposure::new().with_gpr(allowed).into_bits();
}

/// Looks at RAX: anything but success means that the host was not asked.
fn finish(r: &Registers) -> Result<(), Status> {
    Status(r.rax).success()
}

#[cfg(test)]
mod tests {
    use super::vp_vmcall;
    use crate::{GprMask, OperandId, Registers, Status, fake::Fake};

    #[test]
    fn the_mask_goes_into_rcx_without_what_is_never_allowed() {
        let expected = Registers { rcx: 0x0C00, r10: 1, r11: 2, ..Registers::ZERO };
        let answer = Registers { rcx: 0x0C00, r10: 3, r11: 4, ..Registers::ZERO };
        let fake = Fake::new().tdcall(expected, answer);
        let mut r = Registers { r10: 1, r11: 2, ..Registers::ZERO };
        let mask = GprMask::R10 | GprMask::R11 | GprMask::RAX | GprMask::RBP | GprMask::RSP;
        // SAFETY: The fake touches no memory.
        assert_eq!(unsafe { vp_vmcall(&fake, mask, &mut r) }, Ok(()));
        assert_eq!((r.r10, r.r11), (3, 4));
    }

    #[test]
    fn a_refusal_of_the_module_is_not_an_answer_of_the_host() {
        let refusal = Status::OPERAND_INVALID.with_operand(OperandId::RCX);
        let answer = Registers { rax: refusal.0, ..Registers::ZERO };
        let fake = Fake::new().tdcall(Registers::ZERO, answer);
        let mut r = Registers::ZERO;
        // SAFETY: The fake touches no memory.
        assert_eq!(unsafe { vp_vmcall(&fake, GprMask::empty(), &mut r) }, Err(refusal));
    }
}
