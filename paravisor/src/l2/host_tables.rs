// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ACPI tables of the host's machine: copied once by the ports of its configuration device, and measured.
//!
//! They are measured before anything of them is used, into the register that is for what the host's machine
//! consists of. A host without tables, or with bad ones, leaves the register as it is.
//!
//! Spec: QEMU "fw_cfg"; TDX-ABI "TDG.MR.RTMR.EXTEND Leaf".

use alloc::{boxed::Box, vec, vec::Vec};

use acpi_routes::{fw_cfg::Ports, madt::Madt};
use log::{info, warn};
use paravisor::{host_tables::HostTables, width};
use tdcall::{
    Instruction, Status,
    td_report::RtmrExtension,
    tdg,
    tdvmcall::{self, IoSize},
};

use crate::interrupt::counters::HOST_REFUSALS;

/// The measurement register of what the host's machine consists of.
const REGISTER: u8 = 0;

/// Room for the tables: those of a large machine take less than half of it.
const ROOM: usize = 1 << 20;

const SELECTOR: u16 = 0x510;
const DATA: u16 = 0x511;

/// The ports of the host's configuration device.
struct HostPorts;

/// Copies the tables and measures them, and says what they are. Context: before L2 runs.
pub(super) fn measure() {
    let mut memory: Vec<u8> = vec![0; ROOM];
    // Where pointers of the tables lead does not matter to L1, which reads its copy.
    const BASE: u64 = 0;
    let copied = match HostTables::copy(HostPorts, &mut memory, BASE) {
        Ok(copied) => copied,
        Err(error) => return warn!("acpi: {error}"),
    };
    if let Err(status) = extend(copied.digest) {
        return warn!("acpi: the tables cannot be measured: {status}");
    }
    let tables = match copied.tables() {
        Ok(tables) => tables,
        Err(error) => return warn!("acpi: measured, but {error}"),
    };
    let bytes: usize = tables.aml().iter().map(|table| table.len()).sum();
    let io_apics = Madt::check(tables.madt).map_or(0, |madt| madt.io_apics().count());
    info!("acpi: measured: aml_tables={} bytes={bytes} io_apics={io_apics}", tables.aml().len());
}

fn extend(digest: [u8; 48]) -> Result<(), Status> {
    let extension = Box::new(RtmrExtension(digest));
    let gpa = width::wide(core::ptr::from_ref(&*extension).expose_provenance());
    tdg::mr_rtmr_extend(&Instruction, gpa, REGISTER)
}

impl Ports for HostPorts {
    fn select(&mut self, item: u16) {
        if tdvmcall::io_write(&Instruction, SELECTOR, IoSize::Word, item.into()).is_err() {
            HOST_REFUSALS.add();
        }
    }

    fn next(&mut self) -> u8 {
        match tdvmcall::io_read(&Instruction, DATA, IoSize::Byte) {
            Ok(byte) => width::low8(byte.into()),
            Err(_) => {
                HOST_REFUSALS.add();
                u8::MAX
            }
        }
    }
}
