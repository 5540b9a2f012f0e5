// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.INFO` (leaf 1): describe the TD and this virtual CPU.
//!
//! | in  |   | out |                                      |
//! |-----|---|-----|--------------------------------------|
//! |     |   | RCX | width of guest-physical addresses    |
//! |     |   | RDX | ATTRIBUTES                           |
//! |     |   | R8  | virtual CPUs that exist, that may be |
//! |     |   | R9  | index of this virtual CPU            |
//! |     |   | R10 | bit 0: `TDG.SYS.RD` exists           |
//!
//! The first call of every TD: nothing about it may be assumed, the shared bit least of all.
//!
//! Spec: TDX-ABI, "TDG.VP.INFO Leaf".

#![expect(unsafe_code, reason = "it uses the raw door")]

use crate::{Leaf, Registers, Status, Tdcall, td_params::TdAttributes};

/// What the TD and this virtual CPU are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VpInfo {
    /// Width of guest-physical addresses: 48 or 52.
    pub gpa_width: u8,
    /// `ATTRIBUTES` of the TD.
    pub attributes: TdAttributes,
    /// Virtual CPUs that exist.
    pub num_vcpus: u32,
    /// Virtual CPUs that may exist.
    pub max_vcpus: u32,
    /// The index of this virtual CPU.
    pub vcpu_index: u32,
    /// `TDG.SYS.RD` exists.
    pub sys_rd: bool,
}

impl VpInfo {
    /// Returns the bit of a guest-physical address that means "shared": the highest one.
    #[must_use]
    pub const fn shared_bit(&self) -> u64 {
        if self.gpa_width == 52 { 1 << 51 } else { 1 << 47 }
    }
}

/// Describes the TD and this virtual CPU.
///
/// # Errors
///
/// There is none in a TD; outside, [`Status::trap`] tells the exception.
pub fn vp_info(call: &impl Tdcall) -> Result<VpInfo, Status> {
    let mut r = Registers { rax: Leaf::VP_INFO.rax(), ..Registers::default() };
    // SAFETY: The leaf writes nothing but registers.
    unsafe { call.tdcall(&mut r) };
    Status(r.rax).success()?;
    Ok(VpInfo {
        gpa_width: (r.rcx & 0x3F) as u8,
        attributes: TdAttributes::from_bits_retain(r.rdx),
        num_vcpus: (r.r8 & 0xFFFF_FFFF) as u32,
        max_vcpus: (r.r8 >> 32) as u32,
        vcpu_index: (r.r9 & 0xFFFF_FFFF) as u32,
        sys_rd: r.r10 & 1 != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::vp_info;
    use crate::{Registers, Status, fake::Fake, td_params::TdAttributes};

    const ASKED: Registers = Registers { rax: 1, ..ZERO };
    const ZERO: Registers = Registers::ZERO;

    #[test]
    fn the_outputs_are_taken_apart() {
        let answer =
            Registers { rcx: 48, rdx: 1 << 28, r8: 0x0000_0010_0000_0004, r9: 2, r10: 1, ..ZERO };
        let info = vp_info(&Fake::new().tdcall(ASKED, answer)).expect("success");
        assert_eq!((info.gpa_width, info.shared_bit()), (48, 1 << 47));
        assert_eq!(info.attributes, TdAttributes::SEPT_VE_DISABLE);
        assert_eq!((info.num_vcpus, info.max_vcpus, info.vcpu_index), (4, 16, 2));
        assert!(info.sys_rd);
    }

    #[test]
    fn a_wide_guest_shares_by_bit_51() {
        let answer = Registers { rcx: 52, ..ZERO };
        let info = vp_info(&Fake::new().tdcall(ASKED, answer)).expect("success");
        assert_eq!((info.shared_bit(), info.sys_rd), (1 << 51, false));
    }

    #[test]
    fn outside_a_td_the_trap_is_the_answer() {
        let answer = Registers { rax: Status::from_trap(6).0, ..ZERO };
        let error = vp_info(&Fake::new().tdcall(ASKED, answer)).expect_err("no TD");
        assert_eq!(error.trap(), Some(6));
    }
}
