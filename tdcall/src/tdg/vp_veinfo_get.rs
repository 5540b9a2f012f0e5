// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.VEINFO.GET` (leaf 3): take the cause of the last #VE.
//!
//! | in  |   | out |                                   |
//! |-----|---|-----|-----------------------------------|
//! |     |   | RCX | exit reason                       |
//! |     |   | RDX | exit qualification                |
//! |     |   | R8  | guest linear address              |
//! |     |   | R9  | guest-physical address            |
//! |     |   | R10 | instruction length, and its information |
//!
//! The first thing a #VE handler does: until then NMIs are held back and another #VE becomes #DF.
//!
//! Spec: TDX-ABI, "TDG.VP.VEINFO.GET Leaf".

#![expect(unsafe_code, reason = "it uses the raw door")]

use crate::{Leaf, Registers, Status, Tdcall, VeInfo};

/// Takes the cause of the last #VE.
///
/// # Errors
///
/// [`Status::NO_VALID_VE_INFO`] if there was none since the last call.
pub fn vp_veinfo_get(call: &impl Tdcall) -> Result<VeInfo, Status> {
    let mut r = Registers { rax: Leaf::VP_VEINFO_GET.rax(), ..Registers::ZERO };
    // SAFETY: The leaf writes nothing but registers.
    unsafe { call.tdcall(&mut r) };
    Status(r.rax).success()?;
    Ok(VeInfo::from_registers(&r))
}

#[cfg(test)]
mod tests {
    use super::vp_veinfo_get;
    use crate::{ExitReason, Registers, Status, fake::Fake};

    const ASKED: Registers = Registers { rax: 3, ..Registers::ZERO };

    #[test]
    fn a_cpuid_that_the_module_does_not_know() {
        let answer = Registers { rcx: 10, r10: 2, ..Registers::ZERO };
        let info = vp_veinfo_get(&Fake::new().tdcall(ASKED, answer)).expect("success");
        assert_eq!((info.exit_reason, info.instruction_length), (ExitReason::CPUID, 2));
    }

    #[test]
    fn there_is_a_cause_only_once() {
        let answer = Registers { rax: Status::NO_VALID_VE_INFO.0, ..Registers::ZERO };
        let fake = Fake::new().tdcall(ASKED, answer);
        assert_eq!(vp_veinfo_get(&fake), Err(Status::NO_VALID_VE_INFO));
    }
}
