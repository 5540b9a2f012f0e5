// SPDX-License-Identifier: MIT OR Apache-2.0
//! `#VE.RequestMMIO`: device memory that is not mapped into the shared EPT.
//!
//! Spec: GHCI "`TDG.VP.VMCALL<#VE.RequestMMIO>`".

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use tdcall::{
    Registers,
    tdvmcall::{MmioRequest, VmcallStatus},
};

use crate::host::td::{PAGE, SHARED_BIT, Td};

/// Accesses to nothing that are told; more are not.
const TELL: u32 = 16;

static MISSED: AtomicU32 = AtomicU32::new(0);

pub(super) fn answer(td: &Td, registers: &mut Registers) -> VmcallStatus {
    let Some(request) = MmioRequest::from_registers(registers) else {
        return VmcallStatus::INVALID_OPERAND;
    };
    let gpa = request.gpa ^ SHARED_BIT;
    let size = request.size.bytes();
    let crosses_page = gpa % PAGE + u64::from(size) > PAGE;
    if gpa >= SHARED_BIT || crosses_page {
        return VmcallStatus::INVALID_OPERAND;
    }
    let (pci, machine) = &mut *td.pci.lock();
    let found = match request.write {
        Some(value) => pci.memory_write(gpa, size, value, machine).is_some(),
        None => {
            let value = pci.memory_read(gpa, size, machine);
            registers.r11 = value.unwrap_or(u64::MAX) & request.size.mask();
            value.is_some()
        }
    };
    if !found && MISSED.fetch_add(1, Relaxed) < TELL {
        let direction = if request.write.is_some() { "write" } else { "read" };
        log::info!("nothing there: gpa={gpa:#x} size={size} {direction}");
    }
    VmcallStatus::SUCCESS
}
