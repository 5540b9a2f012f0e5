// SPDX-License-Identifier: MIT OR Apache-2.0
//! CPUID: L2's processor, from the module's values.

use core::arch::x86_64::__cpuid_count;

use paravisor::{
    cpuid::{OsXsave, Processor, answer},
    width::low32,
};
use tdcall::md::l2_vmcs::Field;

use super::{Next, Refused};
use crate::l2::{fields, vcpu::Vcpu, vm::vm};

const CR4_OSXSAVE: u64 = 1 << 18;
const FEATURES: u32 = 1;

/// Answers the leaf in EAX and ECX.
pub(super) fn handle(vcpu: &mut Vcpu) -> Result<Next, Refused> {
    let id = u32::try_from(vcpu.index).unwrap_or(u32::MAX);
    let state = vcpu.state();
    let leaf = (low32(state.rax), low32(state.rcx));
    let on = leaf.0 == FEATURES && fields::read(Field::CR4)? & CR4_OSXSAVE != 0;
    let osxsave = if on { OsXsave::On } else { OsXsave::Off };
    let processor = Processor {
        id,
        cpus: vm().cpus,
        osxsave,
        identity: vm().identity,
        shared_bit: vm().shared_bit,
    };
    let [eax, ebx, ecx, edx] = answer(leaf, processor, |leaf, subleaf| {
        let native = __cpuid_count(leaf, subleaf);
        [native.eax, native.ebx, native.ecx, native.edx]
    });
    (state.rax, state.rbx) = (eax.into(), ebx.into());
    (state.rcx, state.rdx) = (ecx.into(), edx.into());
    Ok(Next::Skip)
}
