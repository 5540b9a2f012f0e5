// SPDX-License-Identifier: MIT OR Apache-2.0
//! VMCALL.
//!
//! | identity | answer                                                                             |
//! |----------|------------------------------------------------------------------------------------|
//! | KVM      | there are no hypercalls: RAX = -1000                                                 |
//! | Hyper-V  | ring 0, 64-bit, hypercall page switched on: the call; otherwise #UD                |
//!
//! The input is copied before it is looked at, because another CPU of L2 may write it meanwhile.
//!
//! Spec: TLFS "Hypercall Interface", "Legal Hypercall Environments".

use paravisor::{
    guest_memory::GuestMemory,
    hyperv::{
        hypercall::{Call, parse, result},
        status::HvStatus,
        visibility::{HEADER, MAX_PAGES, wanted},
    },
    identity::Identity,
};
use tdcall::L2Exit;
use zerocopy::IntoBytes;

use super::Next;
use crate::{
    l2::{
        hyperv,
        vcpu::{Vcpu, is_long},
        visibility::{self, Refusal},
        vm::vm,
    },
    memory::guest::GuestRam,
};

/// KVM's answer to a hypercall that it does not have.
const NO_SUCH_HYPERCALL: u64 = 1000_u64.wrapping_neg();
/// The header, counted as entries of the list.
const HEADER_WORDS: usize = HEADER / 8;

/// Answers a call.
pub(super) fn handle(vcpu: &mut Vcpu, report: &L2Exit) -> Next {
    if vm().identity == Identity::Kvm {
        vcpu.state().rax = NO_SUCH_HYPERCALL;
        return Next::Skip;
    }
    if report.cpl != 0 || !is_long(report) || !hyperv::takes_hypercalls() {
        return Next::UNDEFINED_OPCODE;
    }
    let state = vcpu.state();
    let (status, reps) = match parse(state.rcx, state.rdx) {
        Ok(Call::ModifyVisibility { input, start, count }) => modify(vcpu, input, (start, count)),
        Err(status) => (status, 0),
    };
    vcpu.state().rax = result(status, reps);
    Next::Skip
}

/// Returns the status and the number of pages of the list that are done. Never inlined: the list would
/// lie on the stack of every exit.
#[inline(never)]
fn modify(vcpu: &Vcpu, input: u64, (start, count): (usize, usize)) -> (HvStatus, usize) {
    let mut words = [0_u64; HEADER_WORDS + MAX_PAGES];
    let Some(used) = words.get_mut(..HEADER_WORDS + count) else {
        return (HvStatus::INVALID_HYPERCALL_INPUT, start);
    };
    if !GuestRam::get().read(input, used.as_mut_bytes()) {
        return (HvStatus::INVALID_HYPERCALL_INPUT, start);
    }
    let Some((header, pages)) = used.split_first_chunk::<HEADER_WORDS>() else {
        return (HvStatus::INVALID_HYPERCALL_INPUT, start);
    };
    let mut bytes = [0; HEADER];
    bytes.copy_from_slice(header.as_bytes());
    let wanted = match wanted(bytes) {
        Ok(wanted) => wanted,
        Err(status) => return (status, start),
    };
    match visibility::change(vcpu, pages.get(start..).unwrap_or_default(), wanted) {
        Ok(()) => (HvStatus::SUCCESS, count),
        Err((done, refusal)) => (status_of(refusal), start + done),
    }
}

const fn status_of(refusal: Refusal) -> HvStatus {
    match refusal {
        Refusal::NoMemory => HvStatus::INVALID_PARAMETER,
        Refusal::Platform | Refusal::Host => HvStatus::OPERATION_DENIED,
    }
}
