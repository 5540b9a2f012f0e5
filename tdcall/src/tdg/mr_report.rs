// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.MR.REPORT` (leaf 4): write a report about the TD, bound to 64 bytes of the caller.
//!
//! | in  |                                        | out |     |
//! |-----|----------------------------------------|-----|-----|
//! | RCX | GPA of a [`TdReport`]                  |     |     |
//! | RDX | GPA of a [`ReportData`]                |     |     |
//! | R8  | subtype, zero                          |     |     |
//!
//! [`TdReport`]: crate::td_report::TdReport
//! [`ReportData`]: crate::td_report::ReportData
//!
//! Spec: TDX-ABI, "TDG.MR.REPORT Leaf".

#![expect(unsafe_code, reason = "the module writes memory")]

use super::busy;
use crate::{Leaf, Registers, Status, Tdcall};

/// Writes the report at guest-physical address `report` and binds it to the data at `data`.
///
/// # Errors
///
/// [`Status::OPERAND_INVALID`] if an address is not valid or not aligned.
///
/// # Safety
///
/// `report` is 1024 bytes that nothing else uses meanwhile.
pub unsafe fn mr_report(call: &impl Tdcall, report: u64, data: u64) -> Result<(), Status> {
    let input = Registers { rax: Leaf::MR_REPORT.rax(), rcx: report, rdx: data, ..Registers::ZERO };
    // SAFETY: The caller gives the memory that the module writes.
    let (status, _) = unsafe { busy::tdcall(call, input) };
    status.success()
}

#[cfg(test)]
mod tests {
    use super::mr_report;
    use crate::{OperandId, Registers, Status, fake::Fake};

    #[test]
    fn both_addresses_go_in() {
        let asked = Registers { rax: 4, rcx: 0x400, rdx: 0x40, ..Registers::ZERO };
        let refusal = Status::OPERAND_INVALID.with_operand(OperandId::RDX);
        let answer = Registers { rax: refusal.0, ..Registers::ZERO };
        let fake = Fake::new().tdcall(asked, Registers::ZERO).tdcall(asked, answer);
        // SAFETY: The fake touches no memory.
        assert_eq!(unsafe { mr_report(&fake, 0x400, 0x40) }, Ok(()));
        // SAFETY: The fake touches no memory.
        assert_eq!(unsafe { mr_report(&fake, 0x400, 0x40) }, Err(refusal));
    }
}
