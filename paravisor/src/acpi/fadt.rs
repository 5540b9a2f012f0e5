// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fixed description: hardware-reduced, with ports for power and reset.
//!
//! Interrupts go to processors by APIC id: L2's x2APIC has physical destinations as its simplest form,
//! so that is asked for.
//!
//! Spec: ACPI "Fixed ACPI Description Table", "IA-PC Boot Architecture Flags".

use acpi_tables::{
    fadt::{FADT, FADTBuilder, Flags},
    gas::{AccessSize, AddressSpace, GAS},
};

use super::{OEM, OEM_REVISION, OEM_TABLE};
use crate::platform::{RESET, RESET_VALUE, SLEEP_CONTROL, SLEEP_STATUS};

/// No VGA, no CMOS clock; no legacy devices and no keyboard controller by the absence of their bits.
const BOOT_ARCHITECTURE: u16 = 1 << 2 | 1 << 5;

/// Makes the table.
pub(super) fn table(dsdt: u64) -> FADT {
    let mut fadt = FADTBuilder::new(OEM, OEM_TABLE, OEM_REVISION)
        .dsdt_64(dsdt)
        .flag(Flags::HwReducedAcpi)
        .flag(Flags::ResetRegSup)
        .flag(Flags::ForceApicPhysicalDestinationMode);
    fadt.iapc_boot_arch = BOOT_ARCHITECTURE.into();
    fadt.reset_reg = port(RESET);
    fadt.reset_value = RESET_VALUE;
    fadt.sleep_control_reg = port(SLEEP_CONTROL);
    fadt.sleep_status_reg = port(SLEEP_STATUS);
    fadt.finalize()
}

fn port(number: u16) -> GAS {
    GAS::new(AddressSpace::SystemIo, 8, 0, AccessSize::ByteAccess, number.into())
}
