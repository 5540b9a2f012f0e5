// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDH.MEM.*` and `TDH.MR.*`: a TD's private memory and its measurement, from the host's side.
//!
//! Spec: TDX-ABI "TDH.MEM.SEPT.ADD", "TDH.MEM.PAGE.ADD", "TDH.MEM.PAGE.AUG",
//! "TDH.MEM.RANGE.BLOCK", "TDH.MEM.TRACK", "TDH.MEM.PAGE.DEMOTE", "TDH.MEM.PAGE.REMOVE",
//! "TDH.MR.EXTEND", "TDH.MR.FINALIZE".

use core::sync::atomic::Ordering::SeqCst;

use tdcall::status::{OperandId, Status};

use super::{
    sept::{Entry, Found, Sept, State},
    td::{MAX_L2_VMS, Td, op_state},
};
use crate::svm::{
    narrow::index,
    npt,
    physical::{self, Hpa, PAGE},
};

/// First guest-physical address that is shared.
pub(crate) const SHARED_BIT: u64 = 1 << 47;

fn check_gpa(gpa: u64, level: u8) -> Result<(), Status> {
    let good = gpa < SHARED_BIT && gpa.is_multiple_of(npt::span(level));
    if good { Ok(()) } else { Err(Status::OPERAND_INVALID.with_operand(OperandId::RCX)) }
}

/// Walks to the entry of `level`, or says that a table is missing.
fn walk(sept: Sept, gpa: u64, level: u8) -> Result<Found, Status> {
    let found = sept.find(gpa, level);
    if found.level == level {
        Ok(found)
    } else {
        Err(Status::EPT_WALK_FAILED.with_operand(OperandId::RCX))
    }
}

/// `TDH.MEM.SEPT.ADD`: hangs the table `page` into the entry of `level` (1 to 3) for `gpa`, and
/// likewise a table into each L2 VM's tree for which there is one in `l2_pages`.
///
/// # Errors
///
/// `OPERAND_INVALID(RCX)`; `EPT_WALK_FAILED`; `EPT_ENTRY_STATE_INCORRECT` if it is there already.
pub(crate) fn tdh_mem_sept_add(
    gpa: u64,
    level: u8,
    tdr: Hpa,
    page: Hpa,
    l2_pages: [Option<Hpa>; MAX_L2_VMS],
) -> Result<(), Status> {
    let states = [op_state::INITIALIZED, op_state::RUNNABLE];
    let td = Td::find_in(tdr, OperandId::RDX, &states)?;
    if !(1..=3).contains(&level) {
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::RCX));
    }
    check_gpa(gpa, level)?;
    let config = td.config()?;
    let _guard = td.sept_lock.lock();
    let mut added = false;
    let trees = core::iter::once((Some(config.l1_sept), Some(page)))
        .chain(config.l2_sept.into_iter().zip(l2_pages));
    for (sept, page) in trees {
        let (Some(sept), Some(page)) = (sept, page) else { continue };
        let found = walk(sept, gpa, level)?;
        if found.entry == Entry::FREE {
            physical::zero_page(page);
            found.set(Entry::table(page));
            added = true;
        }
    }
    if added { Ok(()) } else { Err(Status::EPT_ENTRY_STATE_INCORRECT.with_operand(OperandId::RCX)) }
}

/// `TDH.MEM.PAGE.ADD`: adds a 4 KiB page with the content of `source` and measures its address.
///
/// # Errors
///
/// `OPERAND_INVALID`; `OP_STATE_INCORRECT` once finalized; `EPT_WALK_FAILED`;
/// `EPT_ENTRY_STATE_INCORRECT`.
pub(crate) fn tdh_mem_page_add(gpa: u64, tdr: Hpa, page: Hpa, source: Hpa) -> Result<(), Status> {
    let td = Td::find_in(tdr, OperandId::RDX, &[op_state::INITIALIZED])?;
    check_gpa(gpa, 0)?;
    let _guard = td.sept_lock.lock();
    let found = walk(td.config()?.l1_sept, gpa, 0)?;
    if found.entry != Entry::FREE {
        return Err(Status::EPT_ENTRY_STATE_INCORRECT.with_operand(OperandId::RCX));
    }
    physical::copy_page(page, source);
    found.set(Entry::mapped(page, 0));
    td.measurement.lock().page_add(gpa);
    Ok(())
}

/// `TDH.MR.EXTEND`: measures 256 bytes of an added page.
///
/// # Errors
///
/// `OPERAND_INVALID(RCX)`; `OP_STATE_INCORRECT`; `EPT_ENTRY_STATE_INCORRECT` if nothing is there.
pub(crate) fn tdh_mr_extend(gpa: u64, tdr: Hpa) -> Result<(), Status> {
    let td = Td::find_in(tdr, OperandId::RDX, &[op_state::INITIALIZED])?;
    if !gpa.is_multiple_of(256) || gpa >= SHARED_BIT {
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::RCX));
    }
    let missing = Status::EPT_ENTRY_STATE_INCORRECT.with_operand(OperandId::RCX);
    let at = td.config()?.l1_sept.accessible(gpa).ok_or(missing)?;
    let mut chunk = [0; 256];
    physical::read_bytes(at, &mut chunk);
    td.measurement.lock().extend(gpa, &chunk);
    Ok(())
}

/// `TDH.MR.FINALIZE`: fixes the measurement; the TD may run.
///
/// # Errors
///
/// `NO_VCPUS`; `OP_STATE_INCORRECT`.
pub(crate) fn tdh_mr_finalize(tdr: Hpa) -> Result<(), Status> {
    let td = Td::find_in(tdr, OperandId::RCX, &[op_state::INITIALIZED])?;
    if td.vcpus.load(SeqCst) == 0 {
        return Err(Status::NO_VCPUS);
    }
    td.measurement.lock().finalize();
    td.op_state.store(op_state::RUNNABLE, SeqCst);
    Ok(())
}

/// `TDH.MEM.PAGE.AUG`: gives a running TD a page of `level` 0 or 1, which it must accept.
///
/// # Errors
///
/// `OPERAND_INVALID`; `EPT_WALK_FAILED`; `EPT_ENTRY_STATE_INCORRECT`.
pub(crate) fn tdh_mem_page_aug(gpa: u64, level: u8, tdr: Hpa, page: Hpa) -> Result<(), Status> {
    let states = [op_state::INITIALIZED, op_state::RUNNABLE];
    let td = Td::find_in(tdr, OperandId::RDX, &states)?;
    if level > 1 || !page.is_multiple_of(npt::span(level)) {
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::R8));
    }
    check_gpa(gpa, level)?;
    let _guard = td.sept_lock.lock();
    let found = walk(td.config()?.l1_sept, gpa, level)?;
    if !matches!(found.entry.state(), State::Free | State::Removed) {
        return Err(Status::EPT_ENTRY_STATE_INCORRECT.with_operand(OperandId::RCX));
    }
    found.set(Entry::held(page, level, State::Pending));
    Ok(())
}

/// `TDH.MEM.RANGE.BLOCK`: makes a page, and every alias of it, inaccessible.
///
/// # Errors
///
/// `OPERAND_INVALID`; `EPT_WALK_FAILED`; `GPA_RANGE_ALREADY_BLOCKED`; `EPT_ENTRY_STATE_INCORRECT`.
pub(crate) fn tdh_mem_range_block(gpa: u64, level: u8, tdr: Hpa) -> Result<(), Status> {
    let td = Td::find_in(tdr, OperandId::RDX, &[op_state::INITIALIZED, op_state::RUNNABLE])?;
    check_gpa(gpa, level)?;
    let config = td.config()?;
    let _guard = td.sept_lock.lock();
    let found = walk(config.l1_sept, gpa, level)?;
    let state = match found.entry.state() {
        State::Mapped => State::Blocked,
        State::Pending => State::PendingBlocked,
        State::Blocked | State::PendingBlocked => return Err(Status::GPA_RANGE_ALREADY_BLOCKED),
        _ => return Err(Status::EPT_ENTRY_STATE_INCORRECT.with_operand(OperandId::RCX)),
    };
    found.set(Entry::held(found.entry.page(), level, state));
    for sept in config.l2_sept.into_iter().flatten() {
        let alias = sept.find(gpa, level);
        if alias.level == level && alias.entry.state() == State::Mapped {
            let attributes = alias.entry.attributes();
            alias.set(Entry::alias(alias.entry.page(), level, attributes, State::Blocked));
        }
    }
    Ok(())
}

/// `TDH.MEM.TRACK`: begins a new epoch; the host must then make every virtual CPU exit once.
///
/// # Errors
///
/// `OP_STATE_INCORRECT`.
pub(crate) fn tdh_mem_track(tdr: Hpa) -> Result<(), Status> {
    let td = Td::find_in(tdr, OperandId::RCX, &[op_state::RUNNABLE])?;
    td.epoch.fetch_add(1, SeqCst);
    Ok(())
}

/// `TDH.MEM.PAGE.DEMOTE`: splits a blocked 2 MiB page into 4 KiB pages, in use again with their
/// content. `page` becomes the table; each L2 VM with an alias needs one too.
///
/// # Errors
///
/// `OPERAND_INVALID`; `EPT_WALK_FAILED`; `GPA_RANGE_NOT_BLOCKED`; `L2_SEPT_PAGE_NOT_PROVIDED`.
pub(crate) fn tdh_mem_page_demote(
    gpa: u64,
    level: u8,
    tdr: Hpa,
    page: Hpa,
    l2_pages: [Option<Hpa>; MAX_L2_VMS],
) -> Result<(), Status> {
    let td = Td::find_in(tdr, OperandId::RDX, &[op_state::RUNNABLE])?;
    if level != 1 {
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::RCX));
    }
    check_gpa(gpa, level)?;
    let config = td.config()?;
    let _guard = td.sept_lock.lock();
    let found = walk(config.l1_sept, gpa, level)?;
    let state = match found.entry.state() {
        State::Blocked => State::Mapped,
        State::PendingBlocked => State::Pending,
        _ => return Err(Status::GPA_RANGE_NOT_BLOCKED.with_operand(OperandId::RCX)),
    };
    let aliases = config.l2_sept.map(|sept| {
        let alias = sept?.find(gpa, level);
        (alias.level == level && alias.entry.state() == State::Blocked).then_some(alias)
    });
    if aliases.iter().zip(l2_pages).any(|(alias, page)| alias.is_some() && page.is_none()) {
        return Err(Status::L2_SEPT_PAGE_NOT_PROVIDED);
    }
    found.split(page, |small| match state {
        State::Mapped => Entry::mapped(small, 0),
        pending => Entry::held(small, 0, pending),
    });
    let alias_state = if state == State::Mapped { State::Mapped } else { State::Blocked };
    for (alias, page) in aliases.into_iter().zip(l2_pages) {
        let (Some(alias), Some(page)) = (alias, page) else { continue };
        let attributes = alias.entry.attributes();
        alias.split(page, |small| Entry::alias(small, 0, attributes, alias_state));
    }
    Ok(())
}

/// `TDH.MEM.PAGE.REMOVE`: takes a blocked page from the TD and returns it, zeroed.
///
/// # Errors
///
/// `OPERAND_INVALID`; `EPT_WALK_FAILED`; `GPA_RANGE_NOT_BLOCKED`.
pub(crate) fn tdh_mem_page_remove(gpa: u64, level: u8, tdr: Hpa) -> Result<Hpa, Status> {
    let td = Td::find_in(tdr, OperandId::RDX, &[op_state::INITIALIZED, op_state::RUNNABLE])?;
    check_gpa(gpa, level)?;
    let config = td.config()?;
    let _guard = td.sept_lock.lock();
    let found = walk(config.l1_sept, gpa, level)?;
    if !matches!(found.entry.state(), State::Blocked | State::PendingBlocked) {
        return Err(Status::GPA_RANGE_NOT_BLOCKED.with_operand(OperandId::RCX));
    }
    found.set(Entry::FREE);
    for sept in config.l2_sept.into_iter().flatten() {
        let alias = sept.find(gpa, level);
        if alias.level == level && alias.entry.state() != State::NonLeaf {
            alias.set(Entry::FREE);
        }
    }
    let page = found.entry.page();
    for offset in (0..npt::span(level)).step_by(index(PAGE)) {
        physical::zero_page(page + offset);
    }
    Ok(page)
}
