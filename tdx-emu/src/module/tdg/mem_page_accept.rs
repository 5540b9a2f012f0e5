// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.MEM.PAGE.ACCEPT` (leaf 6): take a pending page, zeroed.
//!
//! Spec: TDX-ABI "TDG.MEM.PAGE.ACCEPT Leaf".

use tdcall::status::Status;

use crate::{
    module::{
        operand::{Page, page_needed},
        sept::{Entry, State},
        stop::Stop,
        td_exit::extended,
        vcpu::Vcpu,
    },
    svm::{
        narrow::index,
        npt,
        physical::{self, PAGE},
        vmrun::RCX,
    },
};

/// Accepts the page that RCX names.
pub(super) fn handle(vcpu: &Vcpu) -> Result<Status, Stop> {
    let page = Page::parse(vcpu.gprs.0[RCX], 1)?;
    let config = vcpu.td.config()?;
    let _guard = vcpu.td.sept_lock.lock();
    let found = config.l1_sept.find(page.gpa, page.level);
    let state = found.entry.state();
    match state {
        State::Mapped => {
            return Ok(Status::PAGE_ALREADY_ACCEPTED.with_details(u32::from(found.level)));
        }
        State::NonLeaf => {
            return Err(Status::PAGE_SIZE_MISMATCH.with_details(u32::from(found.level)).into());
        }
        State::Pending if found.level == page.level => {}
        _ => return Err(page_needed(page, extended::ACCEPT, found.level, state, 0).into()),
    }
    for offset in (0..npt::span(page.level)).step_by(index(PAGE)) {
        physical::zero_page(found.entry.page() + offset);
    }
    found.set(Entry::mapped(found.entry.page(), page.level));
    for sept in config.l2_sept.into_iter().flatten() {
        let alias = sept.find(page.gpa, page.level);
        if alias.level == page.level && alias.entry.state() == State::Blocked {
            let attributes = alias.entry.attributes();
            alias.set(Entry::alias(alias.entry.page(), page.level, attributes, State::Mapped));
        }
    }
    Ok(Status::SUCCESS)
}
