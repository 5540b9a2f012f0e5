// SPDX-License-Identifier: MIT OR Apache-2.0
//! `MapGPA`: R12 = first address, its shared bit saying what the pages become; R13 = size.
//!
//! Shared pages are given at once, zeroed, to the TD and to its devices. A page that becomes private
//! is taken away from both; the TD gets a new one when it accepts it.
//!
//! Spec: GHCI "`TDG.VP.VMCALL<MapGPA>`".

use tdcall::{Registers, tdvmcall::VmcallStatus};

use crate::host::{
    end::{self, Verdict},
    private_memory::Failure,
    shared_memory,
    td::{PAGE, SHARED_BIT, Td},
};

pub(super) fn answer(td: &Td, registers: &mut Registers) -> VmcallStatus {
    let (start, size) = (registers.r12, registers.r13);
    let Some(last) = start.checked_add(size).and_then(|end| end.checked_sub(1)) else {
        return VmcallStatus::INVALID_OPERAND;
    };
    let is_range = last >= start && last < SHARED_BIT << 1 && (start ^ last) & SHARED_BIT == 0;
    if !is_range {
        return VmcallStatus::INVALID_OPERAND;
    }
    if !start.is_multiple_of(PAGE) || !size.is_multiple_of(PAGE) {
        return VmcallStatus::ALIGN_ERROR;
    }
    let first = start & !SHARED_BIT;
    let part = td.conversion.part(size);
    let pages = first..first + size;
    if !td.private.contains(first) || !td.private.contains(pages.end - 1) {
        registers.r11 = start;
        return VmcallStatus::INVALID_OPERAND;
    }
    let pages = first..first + part;
    let mapped = if part == 0 {
        Ok(())
    } else if start & SHARED_BIT != 0 {
        shared_memory::share(td, &pages)
    } else {
        shared_memory::unshare(td, &pages)
    };
    match mapped {
        Ok(()) if part == size => VmcallStatus::SUCCESS,
        Ok(()) => {
            let (status, answer) = td.conversion.of_the_rest(start + part);
            registers.r11 = answer;
            status
        }
        // A device that still reaches the page would break the promise made to the TD.
        Err(Failure::Iommu(failure)) => {
            end::run(Verdict::Bug, format_args!("gpa={start:#x} size={size:#x}: {failure}"))
        }
        Err(failure) => {
            log::warn!("refused: gpa={start:#x} size={size:#x}: {failure}");
            registers.r11 = start;
            VmcallStatus::GPA_INUSE
        }
    }
}
