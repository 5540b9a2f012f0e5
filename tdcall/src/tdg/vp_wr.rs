// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.WR` (leaf 10): write a field of this virtual CPU.
//!
//! | in  |                      | out |                    |
//! |-----|----------------------|-----|--------------------|
//! | RCX | zero                 |     |                    |
//! | RDX | field id             |     |                    |
//! | R8  | new value            | R8  | old value          |
//! | R9  | which bits to change |     |                    |
//!
//! The fields are in [`md::tdvps`](crate::md::tdvps) and
//! [`md::l2_vmcs`](crate::md::l2_vmcs). A bit that
//! is to be changed but cannot be must have the value it has already.
//!
//! Spec: TDX-ABI, "TDG.VP.WR Leaf".

#![expect(unsafe_code, reason = "it decides what runs in the L2 VM and on which memory")]

use super::busy;
use crate::{Leaf, Registers, Status, Tdcall, md::FieldId};

/// Changes the bits in `mask` of `field` of this virtual CPU and returns the old value.
///
/// # Errors
///
/// A status of the class [`Class::METADATA`](crate::Class::METADATA) if there is no such field, it
/// cannot be written, or the value is not valid.
///
/// # Safety
///
/// 1. An address that is written (virtual-APIC page, CR3, PDPTEs) is memory of which the L2 VM may
///    use and change everything.
/// 2. The state of the L2 VM as a whole is one that the processor enters: the module does not
///    check how the fields go together, and an entry that fails is the end of the TD.
/// 3. The caller is ready for what the field changes, #VE in places where there was none included.
pub unsafe fn vp_wr(
    call: &impl Tdcall,
    field: FieldId,
    value: u64,
    mask: u64,
) -> Result<u64, Status> {
    let input = Registers {
        rax: Leaf::VP_WR.rax(),
        rdx: field.into_bits(),
        r8: value,
        r9: mask,
        ..Registers::ZERO
    };
    // SAFETY: The caller knows what the field does.
    let (status, r) = unsafe { busy::tdcall(call, input) };
    status.success()?;
    Ok(r.r8)
}

#[cfg(test)]
mod tests {
    use super::vp_wr;
    use crate::{Registers, Status, fake::Fake, md::tdvps};

    #[test]
    fn value_and_mask_go_in_and_the_old_value_comes_out() {
        let asked =
            Registers { rax: 10, rdx: 0xA020_0000_0000_0007, r8: 1, r9: 3, ..Registers::ZERO };
        let answer = Registers { r8: 2, ..Registers::ZERO };
        let refusal =
            Registers { rax: Status::METADATA_FIELD_VALUE_NOT_VALID.0, ..Registers::ZERO };
        let fake = Fake::new().tdcall(asked, answer).tdcall(asked, refusal);
        // SAFETY: The fake touches no memory.
        let written = unsafe { vp_wr(&fake, tdvps::CPUID_SUPERVISOR_VE, 1, 3) };
        assert_eq!(written, Ok(2));
        // SAFETY: The fake touches no memory.
        let refused = unsafe { vp_wr(&fake, tdvps::CPUID_SUPERVISOR_VE, 1, 3) };
        assert_eq!(refused, Err(Status::METADATA_FIELD_VALUE_NOT_VALID));
    }
}
