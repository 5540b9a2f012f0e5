// SPDX-License-Identifier: MIT OR Apache-2.0
//! `Instruction.IO`: the ports that the host has for the TD.
//!
//! | port                 | what                                                           |
//! |----------------------|----------------------------------------------------------------|
//! | 0x3f8–0x3ff          | console of L1                                                  |
//! | 0x2f8–0x2ff          | console of L2, as L1 passes it on                              |
//! | 0xcf8, 0xcfc–0xcff   | PCI configuration space                                        |
//! | 0x510–0x51b          | QEMU's configuration device: ACPI tables                       |
//! | 0xf4                 | end of the run: 0 is success                                   |
//! | of its devices       | by base address registers                                      |
//! | 0x80                 | progress codes, ignored                                        |
//! | others               | nothing there; told once for each port                         |
//!
//! Spec: GHCI "`TDG.VP.VMCALL<Instruction.IO>`".

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tdcall::{
    Registers,
    tdvmcall::{IoRequest, VmcallStatus},
};

use crate::host::{
    end::{self, Verdict},
    fw_cfg, pci,
    td::Td,
};

const PROGRESS: u16 = 0x80;
const END_OF_RUN: u16 = 0xf4;
const PCI_DATA_END: u16 = pci::DATA + 4;

/// Ports that were told to be missing, a bit each.
static TOLD: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];

pub(super) fn answer(td: &Td, registers: &mut Registers) -> VmcallStatus {
    let Some(request) = IoRequest::from_registers(registers) else {
        return VmcallStatus::INVALID_OPERAND;
    };
    match request.write {
        Some(value) => write(td, request, value),
        None => registers.r11 = u64::from(read(td, request) & request.size.mask()),
    }
    VmcallStatus::SUCCESS
}

fn read(td: &Td, request: IoRequest) -> u32 {
    if let Some((console, register)) = console(td, request.port) {
        return u32::from(console.read(register)) | 0xffff_ff00;
    }
    match request.port {
        pci::ADDRESS | pci::DATA..PCI_DATA_END => {
            let (value, event) = {
                let (pci, machine) = &mut *td.pci.lock();
                let size = request.size.bytes();
                let value = pci.port_read(request.port, size, machine);
                (value, pci.count_read(request.port, size))
            };
            if event == pci::Event::Removed {
                log::info!("a device is taken away");
                td.quoting.notify_any(td);
            }
            value
        }
        fw_cfg::FIRST..fw_cfg::END => {
            let read = td.fw_cfg.lock().port_read(request.port, request.size.bytes());
            read.unwrap_or_else(|| {
                tell_once(request);
                u32::MAX
            })
        }
        PROGRESS => 0,
        _ => {
            let (pci, machine) = &mut *td.pci.lock();
            pci.device_port_read(request.port, request.size.bytes(), machine).unwrap_or_else(|| {
                tell_once(request);
                u32::MAX
            })
        }
    }
}

fn write(td: &Td, request: IoRequest, value: u32) {
    let [byte, ..] = value.to_le_bytes();
    if let Some((console, register)) = console(td, request.port) {
        return console.write(register, byte);
    }
    match request.port {
        pci::ADDRESS | pci::DATA..PCI_DATA_END => {
            let (pci, machine) = &mut *td.pci.lock();
            pci.port_write(request.port, request.size.bytes(), value, machine);
        }
        END_OF_RUN if byte == 0 => end::run(Verdict::Success, format_args!("")),
        END_OF_RUN => end::run(Verdict::Failure, format_args!("the guest says {byte:#x}")),
        fw_cfg::FIRST..fw_cfg::END => {
            let at = (request.port, request.size.bytes());
            let written = td.fw_cfg.lock().port_write(at, value, &fw_cfg::OfTheTd(td));
            written.unwrap_or_else(|| tell_once(request));
        }
        PROGRESS => {}
        _ => {
            let (pci, machine) = &mut *td.pci.lock();
            let size = request.size.bytes();
            if pci.device_port_write(request.port, size, value, machine).is_none() {
                tell_once(request);
            }
        }
    }
}

fn console(td: &Td, port: u16) -> Option<(&crate::host::console::Console, u8)> {
    td.consoles.iter().find_map(|console| Some((console, console.register(port)?)))
}

fn tell_once(request: IoRequest) {
    let (word, bit) = (usize::from(request.port / 64), 1 << (request.port % 64));
    if TOLD[word].fetch_or(bit, Relaxed) & bit == 0 {
        let direction = if request.write.is_some() { "write" } else { "read" };
        log::info!("nothing there: port={:#x} {direction}", request.port);
    }
}
