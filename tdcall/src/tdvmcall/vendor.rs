// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls with R10 other than zero: the hypercalls of a particular host.
//!
//! | host    | R10         | arguments                          | result |
//! |---------|-------------|------------------------------------|--------|
//! | Hyper-V | input value | RDX input GPA, R8 output GPA       | R11    |
//! | KVM     | number      | R11 to R14                         | R10    |
//!
//! There is no [`VmcallStatus`](crate::tdvmcall::VmcallStatus): what comes back is what the host's own
//! documents say.
//!
//! Spec: GHCI, "TDG.VP.VMCALL Interface"; TLFS, "Hypercall Interface".

#![expect(unsafe_code, reason = "it uses the raw call")]

use core::num::NonZeroU64;

use crate::{GprMask, Registers, Status, Tdcall, tdg::vp_vmcall};

/// Makes a Hyper-V hypercall and returns its result value.
///
/// `input` and `output` are addresses in shared memory, or the arguments themselves of a fast call.
///
/// # Errors
///
/// Returns the status of the module if it did not pass the call on.
pub fn hyperv_hypercall(
    call: &impl Tdcall,
    control: NonZeroU64,
    input: u64,
    output: u64,
) -> Result<u64, Status> {
    let exposed = GprMask::RDX | GprMask::R8 | GprMask::R10 | GprMask::R11;
    let mut r = Registers { rdx: input, r8: output, r10: control.get(), ..Registers::ZERO };
    // SAFETY: Whatever the host does, it reaches shared memory only.
    unsafe { vp_vmcall(call, exposed, &mut r) }?;
    Ok(r.r11)
}

/// Makes a KVM hypercall and returns its result.
///
/// # Errors
///
/// Returns the status of the module if it did not pass the call on.
pub fn kvm_hypercall(
    call: &impl Tdcall,
    number: NonZeroU64,
    arguments: [u64; 4],
) -> Result<u64, Status> {
    let exposed = GprMask::R10 | GprMask::R11 | GprMask::R12 | GprMask::R13 | GprMask::R14;
    let [r11, r12, r13, r14] = arguments;
    let mut r = Registers { r10: number.get(), r11, r12, r13, r14, ..Registers::ZERO };
    // SAFETY: Whatever the host does, it reaches shared memory only.
    unsafe { vp_vmcall(call, exposed, &mut r) }?;
    Ok(r.r10)
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU64;

    use super::{hyperv_hypercall, kvm_hypercall};
    use crate::{Registers, fake::Fake};

    #[test]
    fn a_hyper_v_call_exposes_four_registers() {
        let asked = Registers { rcx: 0x0D04, rdx: 1, r8: 2, r10: 0x1_005C, ..Registers::ZERO };
        let fake = Fake::new().tdcall(asked, Registers { r11: 5, ..Registers::ZERO });
        let control = NonZeroU64::new(0x1_005C).expect("not zero");
        assert_eq!(hyperv_hypercall(&fake, control, 1, 2), Ok(5));
    }

    #[test]
    fn a_kvm_call_answers_in_r10() {
        let asked =
            Registers { rcx: 0x7C00, r10: 9, r11: 1, r12: 2, r13: 3, r14: 4, ..Registers::ZERO };
        let fake = Fake::new().tdcall(asked, Registers { r10: 7, ..Registers::ZERO });
        let number = NonZeroU64::new(9).expect("not zero");
        assert_eq!(kvm_hypercall(&fake, number, [1, 2, 3, 4]), Ok(7));
    }
}
