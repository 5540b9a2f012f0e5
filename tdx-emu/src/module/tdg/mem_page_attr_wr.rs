// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.MEM.PAGE.ATTR.WR` (leaf 24): give a page to L2 VMs, or take it from them.
//!
//! Spec: TDX-ABI "TDG.MEM.PAGE.ATTR.WR Leaf".

use core::sync::atomic::Ordering::SeqCst;

use tdcall::{
    gpa_attributes::{GpaAttributes, PerVm},
    status::{OperandId, Status},
};

use super::mem_page_attr_rd::PENDING;
use crate::{
    module::{
        operand::{Page, page_needed},
        sept::{Entry, Found, Sept, State},
        stop::Stop,
        td_exit::{TdExit, extended},
        vcpu::Vcpu,
    },
    svm::vmrun::{RCX, RDX},
};

/// What is to be done for one L2 VM.
#[derive(Clone, Copy)]
struct Change {
    alias: Found,
    result: GpaAttributes,
}

/// Why nothing was changed.
enum Refusal {
    /// The result would be illegal; what the VM has now.
    Illegal(PerVm),
    /// Anything else.
    Stop(Stop),
}

impl From<Stop> for Refusal {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Stop(status.into())
    }
}

impl From<TdExit> for Refusal {
    fn from(exit: TdExit) -> Self {
        Self::Stop(exit.into())
    }
}

/// Changes the attributes of the page at RCX as RDX and R8 say.
pub(super) fn handle(vcpu: &mut Vcpu) -> Result<Status, Stop> {
    let operand = vcpu.gprs.0[RCX];
    let new = PerVm(vcpu.gprs.0[RDX]);
    let flags = PerVm(vcpu.gprs.0[8]);
    let outcome = change(vcpu, operand, new, flags);
    match outcome {
        Ok((mapping, words)) => {
            vcpu.gprs.0[RCX] = mapping;
            vcpu.gprs.0[RDX] = words.0;
            Ok(Status::SUCCESS)
        }
        Err(Refusal::Illegal(current)) => {
            vcpu.gprs.0[RCX] = 0;
            vcpu.gprs.0[RDX] = current.0;
            Err(Status::PAGE_ATTR_INVALID.into())
        }
        Err(Refusal::Stop(stop @ Stop::Status(_))) => {
            vcpu.gprs.0[RCX] = 0;
            vcpu.gprs.0[RDX] = 0;
            Err(stop)
        }
        Err(Refusal::Stop(stop)) => Err(stop),
    }
}

fn change(vcpu: &Vcpu, operand: u64, new: PerVm, flags: PerVm) -> Result<(u64, PerVm), Refusal> {
    check_words(vcpu, new, flags)?;
    let page = Page::parse(operand, 2)?;
    let config = vcpu.td.config()?;
    let _guard = vcpu.td.sept_lock.lock();
    let found = config.l1_sept.find(page.gpa, page.level);
    let state = found.entry.state();
    if state == State::NonLeaf {
        return Err(Status::PAGE_SIZE_MISMATCH.with_details(u32::from(found.level)).into());
    }
    if found.level != page.level || !matches!(state, State::Mapped | State::Pending) {
        return Err(page_needed(page, extended::ATTR_WR, found.level, state, 0).into());
    }
    let mut changes = [None; 3];
    for (slot, (vm, sept)) in changes.iter_mut().zip((1..).zip(config.l2_sept)) {
        let word = new.attributes(vm);
        if let (Some(sept), true) = (sept, word.contains(GpaAttributes::VALID)) {
            *slot = Some(plan(vcpu, sept, page, vm, word, flags.bits_of(vm))?);
        }
    }
    let mut words = PerVm::default();
    for (vm, change) in (1..).zip(changes) {
        let Some(change) = change else { continue };
        let kept = if change.result.is_present() { change.result } else { GpaAttributes::VALID };
        words = words.with_attributes(vm, kept);
        commit(change, page, found, state);
    }
    let pending = if state == State::Pending { PENDING } else { 0 };
    Ok((operand | pending, words))
}

/// Words of L1 itself and of VMs that do not exist must be 0; a word without VALID too.
fn check_words(vcpu: &Vcpu, new: PerVm, flags: PerVm) -> Result<(), Status> {
    for vm in 0..4u8 {
        let exists = vm != 0 && usize::from(vm) <= vcpu.l2_vms();
        let word = new.attributes(vm);
        let valid = word.contains(GpaAttributes::VALID);
        if (!exists || !valid) && new.bits_of(vm) != 0 {
            return Err(Status::OPERAND_INVALID.with_operand(OperandId::RDX));
        }
        if !exists && flags.bits_of(vm) != 0 {
            return Err(Status::OPERAND_INVALID.with_operand(OperandId::R8));
        }
    }
    Ok(())
}

fn plan(
    vcpu: &Vcpu,
    sept: Sept,
    page: Page,
    vm: u8,
    word: GpaAttributes,
    flags: u16,
) -> Result<Change, Refusal> {
    let mask = GpaAttributes::from_bits_retain(flags & 0x7fff) | GpaAttributes::VALID;
    let masked = word & mask;
    let alias = sept.find(page.gpa, page.level);
    let exists = matches!(alias.entry.state(), State::Mapped | State::Blocked);
    let current = if exists { alias.entry.attributes() } else { GpaAttributes::VALID };
    let result = (current & !mask) | masked;
    if !result.is_legal() {
        let current = if exists { current } else { GpaAttributes::empty() };
        return Err(Refusal::Illegal(PerVm::default().with_attributes(vm, current)));
    }
    if alias.level != page.level && result.is_present() {
        let by_exit = vcpu.td.vm_ctls[usize::from(vm)].load(SeqCst) & 1 != 0;
        if by_exit {
            let (level, state) = (alias.level, alias.entry.state());
            return Err(
                page_needed(page, extended::GPA_DETAILS, level, state, u64::from(vm)).into()
            );
        }
        let details = u32::from(vm) << 16 | u32::from(alias.level);
        return Err(Status::L2_SEPT_WALK_FAILED.with_details(details).into());
    }
    Ok(Change { alias, result })
}

fn commit(change: Change, page: Page, found: Found, state: State) {
    if change.alias.level != page.level {
        return;
    }
    let entry = if change.result.is_present() {
        let state = if state == State::Pending { State::Blocked } else { State::Mapped };
        Entry::alias(found.entry.page(), page.level, change.result, state)
    } else {
        Entry::FREE
    };
    change.alias.set(entry);
}
