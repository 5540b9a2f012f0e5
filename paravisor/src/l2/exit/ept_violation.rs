// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses that L2's tables do not map.
//!
//! | address                         | what                                                     |
//! |---------------------------------|----------------------------------------------------------|
//! | L2's RAM that it shares         | #GP                                                      |
//! | L2's RAM, pending               | the host has replaced a page: L2's content is lost       |
//! | L2's RAM, without an alias      | the alias is made again                                  |
//! | private, the IO-APIC            | emulated                                                 |
//! | shared, an MSI-X table          | emulated                                                 |
//! | anything else                   | nothing is there: ones, and writes are dropped           |
//!
//! A page that is pending again was taken away and put back by the host. Accepting it would give L2
//! zeros in place of its data without a sign, so it ends L2 instead.
//!
//! Spec: TDX-TDP "L2 EPT Violations"; SDM "Exit Qualification for EPT Violations".
#![expect(unsafe_code, reason = "an alias gives memory to L2")]

use ::tdcall::{EptViolationQualification, ExtendedExitQualificationKind, L2Exit, PageLevel};
use log::warn;
use paravisor::{
    io_apic::BASE,
    pci::machine::Location,
    width::{low32, ones},
};

use super::{Next, Refused, instruction};
use crate::{
    interrupt::counters::{OPEN_BUS, SHARED_TOUCHED},
    l2::{
        devices, io_apic,
        vcpu::Vcpu,
        vm::{VM, vm},
    },
    memory::{
        alias::{self, Rights},
        guest::GuestRam,
        visibility,
    },
};

const PAGE: u64 = 0x1000;

/// Handles a violation.
pub(super) fn handle(vcpu: &mut Vcpu, report: &L2Exit) -> Result<Next, Refused> {
    if is_memory(report.gpa) {
        return Ok(restore_private(vcpu, report, report.gpa));
    }
    let shared_bit = vm().shared_bit;
    let gpa = report.gpa & !shared_bit;
    let is_shared = report.gpa & shared_bit != 0;
    let access = EptViolationQualification::from_bits(report.qualification);
    if access.fetch() {
        return Ok(Next::GENERAL_PROTECTION);
    }
    let Some(access) = instruction::fetch(vcpu, report)? else {
        if OPEN_BUS.add_and_tell() {
            let rip = vcpu.state().rip;
            warn!("access not emulated: cpu={} gpa={:#x} rip={rip:#x}", vcpu.index, report.gpa);
        }
        return Ok(Next::UNDEFINED_OPCODE);
    };
    let at = Location { gpa, size: access.size };
    let stored = access.stored(vcpu.state());
    let known = match stored {
        _ if gpa % PAGE + u64::from(access.size) > PAGE => None,
        Some(value) if is_shared => devices::memory_write(vcpu, at, value),
        Some(value) => platform_write(at, value),
        None if is_shared => {
            devices::memory_read(vcpu, at).map(|value| access.complete_load(vcpu.state(), value))
        }
        None => platform_read(at).map(|value| access.complete_load(vcpu.state(), value)),
    };
    if known.is_none() {
        open_bus(vcpu, report.gpa);
        access.complete_load(vcpu.state(), ones(access.size));
    }
    let skip = L2Exit { instruction_length: access.length.into(), ..*report };
    vcpu.skip(&skip);
    Ok(Next::Resume)
}

/// Handles a violation in the delivery of an event. `None` if no memory of L2's can be restored there.
pub(super) fn restore_during_delivery(vcpu: &mut Vcpu, report: &L2Exit) -> Option<Next> {
    let restored = is_memory(report.gpa).then(|| restore_private(vcpu, report, report.gpa))?;
    // A page that L2 shares takes no event, and no exception about it.
    (!matches!(restored, Next::Inject(_))).then_some(restored)
}

/// Whether an address is private and of L2's RAM.
fn is_memory(gpa: u64) -> bool {
    // Shared addresses are above all RAM.
    gpa < GuestRam::get().end()
}

/// Reads a device that L1 is. `None` if there is none.
fn platform_read(at: Location) -> Option<u64> {
    io_apic_offset(at).map(|offset| io_apic::read(offset, at.size).into())
}

/// Writes a device that L1 is. `None` if there is none.
fn platform_write(at: Location, value: u64) -> Option<()> {
    io_apic_offset(at).map(|offset| io_apic::write_register(offset, at.size, low32(value)))
}

fn io_apic_offset(at: Location) -> Option<u64> {
    at.gpa.checked_sub(BASE).filter(|offset| *offset < PAGE)
}

/// The page stays private while it is restored. One that L2 shares has no private memory: L2 is told that
/// the address is wrong, which a kernel that only strayed there survives.
fn restore_private(vcpu: &mut Vcpu, report: &L2Exit, gpa: u64) -> Next {
    let restored = visibility::while_private(gpa, 1, || restore(report, gpa));
    restored.unwrap_or_else(|| {
        if SHARED_TOUCHED.add_and_tell() {
            let rip = vcpu.state().rip;
            warn!("shared page used as private: cpu={} gpa={gpa:#x} rip={rip:#x}", vcpu.index);
        }
        Next::GENERAL_PROTECTION
    })
}

fn restore(report: &L2Exit, gpa: u64) -> Next {
    let kind = report.extended_qualification.kind();
    if kind == ExtendedExitQualificationKind::PENDING_EPT_VIOLATION {
        return Next::End("the host has replaced a page of its memory");
    }
    let give = |level: PageLevel| {
        // SAFETY: The page is L2's RAM, which L1 never refers to.
        unsafe { alias::give_page(VM, gpa & !(level.size() - 1), level, Rights::All) }
    };
    let given = give(PageLevel::SIZE_4K).or_else(|_| give(PageLevel::SIZE_2M));
    match given {
        Ok(()) => Next::Resume,
        Err(_) => Next::End("a page of its memory cannot be given back"),
    }
}

#[cold]
fn open_bus(vcpu: &Vcpu, gpa: u64) {
    if OPEN_BUS.add_and_tell() {
        warn!("nothing there: cpu={} gpa={gpa:#x}", vcpu.index);
    }
}
