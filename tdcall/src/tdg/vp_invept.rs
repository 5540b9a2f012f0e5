// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.INVEPT` (leaf 26): drop all cached translations of guest-physical addresses of L2 VMs.
//!
//! | in  |                  | out |           |
//! |-----|------------------|-----|-----------|
//! | RCX | which VMs        | RCX | unchanged |
//!
//! It reaches this virtual CPU only.
//!
//! Spec: TDX-ABI, "TDG.VP.INVEPT Leaf".

#![expect(unsafe_code, reason = "it uses the raw door")]

use bitflags::bitflags;

use crate::{Leaf, Registers, Status, Tdcall, VmIndex};

bitflags! {
    /// A set of L2 VMs.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct L2Vms: u64 {
        /// The first L2 VM.
        const VM1 = 1 << 1;
        /// The second L2 VM.
        const VM2 = 1 << 2;
        /// The third L2 VM.
        const VM3 = 1 << 3;
    }
}

impl From<VmIndex> for L2Vms {
    fn from(vm: VmIndex) -> Self {
        Self::from_bits_truncate(1 << vm.get())
    }
}

/// Drops the translations of `vms`.
///
/// # Errors
///
/// [`Status::OPERAND_INVALID`] if the TD has no such VM.
pub fn vp_invept(call: &impl Tdcall, vms: L2Vms) -> Result<(), Status> {
    let mut r = Registers { rax: Leaf::VP_INVEPT.rax(), rcx: vms.bits(), ..Registers::ZERO };
    // SAFETY: The leaf changes nothing but caches.
    unsafe { call.tdcall(&mut r) };
    Status(r.rax).success()
}

#[cfg(test)]
mod tests {
    use super::{L2Vms, vp_invept};
    use crate::{OperandId, Registers, Status, VmIndex, fake::Fake};

    #[test]
    fn a_vm_is_a_bit() {
        let asked = Registers { rax: 26, rcx: 0b1010, ..Registers::ZERO };
        let refusal = Status::OPERAND_INVALID.with_operand(OperandId::RCX);
        let answer = Registers { rax: refusal.0, ..asked };
        let fake = Fake::new().tdcall(asked, Registers { rax: 0, ..asked }).tdcall(asked, answer);
        let vms = L2Vms::from(VmIndex::VM1) | L2Vms::VM3;
        assert_eq!(vp_invept(&fake, vms), Ok(()));
        assert_eq!(vp_invept(&fake, vms), Err(refusal));
    }
}
