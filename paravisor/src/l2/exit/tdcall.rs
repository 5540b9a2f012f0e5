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

use ::event_notify::Standing;
use ::tdcall::{
    L2Exit, OperandId, Status,
    tdvmcall::{VmcallStatus, get_td_vm_call_info::SETUP_EVENT_NOTIFY_INTERRUPT},
};
use paravisor::{
    hyperv::tdvmcall::{Request, answer, parse},
    identity::Identity,
    page_set::{PAGE, Visibility},
    width,
};

use proxy_irq::L2Vector;

use super::{Next, Refused};
use crate::interrupt::event_notify;
use crate::l2::{
    hyperv, quote,
    vcpu::{Vcpu, is_long},
    visibility::{self, Refusal},
    vm::vm,
};

/// Pages that are converted before the guest is asked to call again.
const MAX_PAGES: usize = 512;

/// Answers the call.
pub(super) fn handle(vcpu: &mut Vcpu, report: &L2Exit) -> Result<Next, Refused> {
    if report.cpl != 0 || !is_long(report) {
        return Ok(Next::GENERAL_PROTECTION);
    }
    let request = match vm().identity {
        Identity::Kvm => Err(Status::OPERAND_INVALID.with_operand(OperandId::RAX)),
        Identity::HyperV => parse(vcpu.state()),
    };
    match request {
        Ok(request) => {
            let (status, result) = serve(vcpu, request)?;
            answer(vcpu.state(), status, result);
        }
        Err(status) => vcpu.state().rax = status.0,
    }
    Ok(Next::Skip)
}

fn serve(vcpu: &mut Vcpu, request: Request) -> Result<(VmcallStatus, u64), Refused> {
    let done = match request {
        Request::ReadMsr(msr) if hyperv::has(msr) => hyperv::read(vcpu.index, msr).ok(),
        Request::WriteMsr(msr, value) if hyperv::has(msr) => {
            hyperv::write(msr, value).ok().map(|()| 0)
        }
        Request::MapGpa { gpa, size } => return Ok(map_gpa(vcpu, gpa, size)),
        Request::GetQuote { gpa, size } => return Ok((quote::ask(vcpu, gpa, size)?, 0)),
        Request::Services { leaf } => services(leaf),
        Request::Notify { vector } => notify(vcpu, vector),
        _ => None,
    };
    Ok(done.map_or((VmcallStatus::INVALID_OPERAND, 0), |value| (VmcallStatus::SUCCESS, value)))
}

/// What L2 is told of the calls that are served.
fn services(leaf: u64) -> Option<u64> {
    const GET_QUOTE: u64 = 1 << 0;
    match leaf {
        0 => Some(0),
        1 if event_notify::standing() == Standing::Withdrawn => Some(0),
        1 => Some(GET_QUOTE | SETUP_EVENT_NOTIFY_INTERRUPT),
        _ => None,
    }
}

/// This CPU of L2 gets `vector` when a quote is there.
fn notify(vcpu: &mut Vcpu, vector: u64) -> Option<u64> {
    let vector = u8::try_from(vector).ok().filter(|vector| *vector >= 32)?;
    vcpu.notify = L2Vector::new(vector);
    Some(0)
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
