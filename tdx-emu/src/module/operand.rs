// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guest-physical addresses as operands of TDCALL.
//!
//! Spec: TDX-ABI "Common Guest-Side Checks of Memory Operands".

use core::sync::atomic::Ordering::SeqCst;

use tdcall::{
    exit_reason::ExitReason,
    status::{OperandId, Status},
};

use super::{
    sept::State,
    stop::Stop,
    td_exit::{TdExit, extended},
    tdh_mem::SHARED_BIT,
    vcpu::{Vcpu, VirtualizationException},
};
use crate::svm::{guest_memory::GuestMemory, npt, physical::Hpa};

/// First guest-physical address that does not exist (GPAW 48).
const GPA_LIMIT: u64 = 1 << 48;

/// Whether an operand may lie in shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// Private memory only.
    Private,
    /// Private or shared.
    Any,
}

/// Finds a memory operand of `alignment` bytes in the machine.
///
/// # Errors
///
/// `OPERAND_INVALID`; #VE or a TD exit if the page is not accessible.
pub(crate) fn find(
    vcpu: &Vcpu,
    gpa: u64,
    alignment: u64,
    memory: Memory,
    operand: OperandId,
) -> Result<Hpa, Stop> {
    let shared = gpa & SHARED_BIT != 0;
    let wrong =
        gpa >= GPA_LIMIT || !gpa.is_multiple_of(alignment) || (shared && memory == Memory::Private);
    if wrong {
        return Err(Status::OPERAND_INVALID.with_operand(operand).into());
    }
    if shared {
        let found = GuestMemory(vcpu.l1_vmcb()).physical(gpa);
        return found.ok_or(Stop::TdExit(TdExit::ept_violation(gpa, 1)));
    }
    let sept = vcpu.td.config()?.l1_sept;
    sept.accessible(gpa).ok_or_else(|| not_accessible(vcpu, gpa, sept.find(gpa, 0).entry.state()))
}

fn not_accessible(vcpu: &Vcpu, gpa: u64, state: State) -> Stop {
    const READ: u64 = 1;
    let exit = TdExit::ept_violation(gpa, READ);
    if state != State::Pending {
        return Stop::TdExit(exit);
    }
    if vcpu.td.td_ctls.load(SeqCst) & 1 != 0 {
        return Stop::TdExit(TdExit { extended: extended::PENDING_EPT_VIOLATION, ..exit });
    }
    Stop::Ve(VirtualizationException {
        reason: ExitReason::EPT_VIOLATION,
        qualification: READ,
        gpa,
        ..VirtualizationException::default()
    })
}

/// A page operand: guest-physical address and level in one register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    /// Guest-physical address.
    pub(crate) gpa: u64,
    /// Level, 0 for 4 KiB.
    pub(crate) level: u8,
}

impl Page {
    /// Parses operand RCX; `max_level` is the largest that the leaf takes.
    ///
    /// # Errors
    ///
    /// `OPERAND_INVALID(RCX)`.
    pub(crate) fn parse(operand: u64, max_level: u8) -> Result<Self, Status> {
        let page = Self { gpa: operand & !0xfff, level: (operand & 7) as u8 };
        let wrong = page.level > max_level
            || operand & 0xff8 != 0
            || page.gpa >= SHARED_BIT
            || !page.gpa.is_multiple_of(npt::span(page.level));
        if wrong {
            return Err(Status::OPERAND_INVALID.with_operand(OperandId::RCX));
        }
        Ok(page)
    }
}

/// The TD exit of a leaf that needs the host to provide a page: extended exit qualification
/// `kind` with the requested level and what was found instead.
pub(crate) fn page_needed(page: Page, kind: u64, found_level: u8, found: State, vm: u64) -> TdExit {
    const WRITE: u64 = 1 << 1;
    let leaf = u64::from(found != State::NonLeaf && found != State::Free);
    let information = u64::from(page.level)
        | u64::from(found_level) << 3
        | found.public() << 6
        | leaf << 14
        | vm << 20;
    TdExit { extended: kind | information << 32, ..TdExit::ept_violation(page.gpa, WRITE) }
}
