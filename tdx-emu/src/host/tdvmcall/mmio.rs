// SPDX-License-Identifier: MIT OR Apache-2.0
//! `#VE.RequestMMIO`: device memory that is not mapped into the shared EPT, and the IO-APIC.
//!
//! Spec: GHCI "`TDG.VP.VMCALL<#VE.RequestMMIO>`".

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use tdcall::{
    Registers,
    tdvmcall::{MmioRequest, MmioSize, VmcallStatus},
};

use crate::host::{
    io_apic::{self, physical},
    td::{PAGE, SHARED_BIT, Td},
};

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
    if let Some(offset) = gpa.checked_sub(io_apic::BASE).filter(|offset| *offset < PAGE) {
        answer_io_apic(td, offset, &request, registers);
        return VmcallStatus::SUCCESS;
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

/// Registers are dwords; other accesses read zeros and write nothing.
fn answer_io_apic(td: &Td, offset: u64, request: &MmioRequest, registers: &mut Registers) {
    let is_dword = request.size == MmioSize::Dword;
    match request.write {
        Some(value) if is_dword => {
            let value = u32::try_from(value & request.size.mask()).unwrap_or(0);
            td.io_apic.lock().write(offset, value, &mut physical::Machine);
        }
        Some(_) => {}
        None if is_dword => registers.r11 = td.io_apic.lock().read(offset).into(),
        None => registers.r11 = 0,
    }
}
