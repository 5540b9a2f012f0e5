// SPDX-License-Identifier: MIT OR Apache-2.0
//! TDCALL by L2.
//!
//! | who                | answer                                                                  |
//! |--------------------|-------------------------------------------------------------------------|
//! | ring 3, or 32 bits | #GP, as on any processor                                                |
//! | identity KVM       | the module's to a leaf that does not exist                              |
//! | identity Hyper-V   | calls to the host that L1 serves in its place; all else is refused      |
//!
//! A large `MapGPA` is done in parts of 2 MiB. The guest is told to call again for the rest, so that it
//! takes its interrupts in between.
//!
//! Spec: TDX-ABI "TDCALL Instruction"; GHCI "`TDG.VP.VMCALL<MapGPA>`".

use ::tdcall::{L2Exit, OperandId, Status, tdvmcall::VmcallStatus};
use paravisor::{
    hyperv::tdvmcall::{Request, answer, parse},
    identity::Identity,
    page_set::{PAGE, Visibility},
    width,
};

use super::Next;
use crate::l2::{
    hyperv,
    vcpu::{Vcpu, is_long},
    visibility::{self, Refusal},
    vm::vm,
};

/// Pages that are converted before the guest is asked to call again.
const MAX_PAGES: usize = 512;

/// Answers the call.
pub(super) fn handle(vcpu: &mut Vcpu, report: &L2Exit) -> Next {
    if report.cpl != 0 || !is_long(report) {
        return Next::GENERAL_PROTECTION;
    }
    let request = match vm().identity {
        Identity::Kvm => Err(Status::OPERAND_INVALID.with_operand(OperandId::RAX)),
        Identity::HyperV => parse(vcpu.state()),
    };
    match request {
        Ok(request) => {
            let (status, result) = serve(vcpu, request);
            answer(vcpu.state(), status, result);
        }
        Err(status) => vcpu.state().rax = status.0,
    }
    Next::Skip
}

fn serve(vcpu: &Vcpu, request: Request) -> (VmcallStatus, u64) {
    let done = match request {
        Request::ReadMsr(msr) if hyperv::has(msr) => hyperv::read(vcpu.index, msr),
        Request::WriteMsr(msr, value) if hyperv::has(msr) => hyperv::write(msr, value).map(|()| 0),
        Request::MapGpa { gpa, size } => return map_gpa(vcpu, gpa, size),
        _ => return (VmcallStatus::INVALID_OPERAND, 0),
    };
    done.map_or((VmcallStatus::INVALID_OPERAND, 0), |value| (VmcallStatus::SUCCESS, value))
}

/// Returns the status, and where the call ended before its end. Never inlined: the pages would lie on
/// the stack of every exit.
#[inline(never)]
fn map_gpa(vcpu: &Vcpu, gpa: u64, size: u64) -> (VmcallStatus, u64) {
    let shared_bit = vm().shared_bit;
    let Some(end) = gpa.checked_add(size).filter(|end| *end > gpa) else {
        return (VmcallStatus::INVALID_OPERAND, gpa);
    };
    if !gpa.is_multiple_of(PAGE) || !size.is_multiple_of(PAGE) {
        return (VmcallStatus::ALIGN_ERROR, gpa);
    }
    let wanted = if gpa & shared_bit == 0 { Visibility::Private } else { Visibility::Shared };
    let first = (gpa & !shared_bit) / PAGE;
    let count = width::index(size / PAGE).min(MAX_PAGES);
    let mut pages = [0; MAX_PAGES];
    for (page, number) in pages.iter_mut().zip(first..) {
        *page = number;
    }
    let reached = |done: usize| gpa + width::wide(done) * PAGE;
    match visibility::change(vcpu, pages.get(..count).unwrap_or_default(), wanted) {
        Ok(()) if reached(count) < end => (VmcallStatus::RETRY, reached(count)),
        Ok(()) => (VmcallStatus::SUCCESS, 0),
        Err((done, Refusal::Host)) => (VmcallStatus::GPA_INUSE, reached(done)),
        Err((done, _)) => (VmcallStatus::INVALID_OPERAND, reached(done)),
    }
}
