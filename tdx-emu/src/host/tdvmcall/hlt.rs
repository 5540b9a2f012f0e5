// SPDX-License-Identifier: MIT OR Apache-2.0
//! `Instruction.HLT`: R12 = 0: wait for an interrupt; 1: interrupts are blocked, only an NMI ends it.
//!
//! What ends the wait is what KVM looks at: something posted, or something that the module holds and
//! L1 could take. It is looked at with interrupts off, and nothing arrives between that and the
//! sleep.
//!
//! Spec: GHCI "`TDG.VP.VMCALL<Instruction.HLT>`".

use tdcall::{Registers, md::tdvps, tdvmcall::VmcallStatus};

use crate::{
    host::{end, nmi::Halt, td::Td, vcpu::Vcpu},
    machine::interrupt,
    module,
};

pub(super) fn answer(td: &'static Td, vcpu: &Vcpu, registers: &Registers) -> VmcallStatus {
    let halt = Halt::of(registers.r12);
    td.unasked.post_one(vcpu);
    td.smis.raise_one(vcpu);
    td.campaign.begin(vcpu.index);
    if td.hostile.wakes() {
        return VmcallStatus::SUCCESS;
    }
    td.attend(vcpu);
    while !halt.ends(&vcpu.nmis, || is_awake(vcpu)) {
        end::check();
        td.hostile.mind_the_time(vcpu);
        interrupt::wait();
        td.attend(vcpu);
    }
    VmcallStatus::SUCCESS
}

fn is_awake(vcpu: &Vcpu) -> bool {
    const DELIVERABLE: u64 = 1;
    let details = tdvps::VCPU_STATE_DETAILS.into_bits();
    vcpu.has_posted()
        || module::tdh_vp_rd(vcpu.tdvpr, details).is_ok_and(|details| details & DELIVERABLE != 0)
}
