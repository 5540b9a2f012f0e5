// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registers at the start: of the first CPU, and of one that was woken by another.
//!
//! Spec: PVH "State from xen_start_info"; MULTIBOOT "Machine state"; LINUX "64-bit Boot Protocol";
//! ACPI "Multiprocessor Wakeup Mailbox Structure"; SDM "Processor State After Reset", "MP
//! Initialization".

use paravisor::{
    exit::control_register::{split_cr0, split_cr4},
    long_mode, multiboot_info,
};
use tdcall::{L2EnterGuestState, md::l2_vmcs::Field};

use super::{
    fields::{CR0_WRITABLE, CR4_WRITABLE, EFER_WRITABLE, IA32E_GUEST, L2, Refused, Vmcs},
    load::Start,
};

/// A segment register's four fields.
#[derive(Clone, Copy)]
struct Segment {
    fields: [Field; 4],
}

#[derive(Clone, Copy)]
struct Descriptor {
    selector: u16,
    base: u64,
    limit: u32,
    rights: u32,
}

macro_rules! segment {
    ($selector:ident, $base:ident, $limit:ident, $rights:ident) => {
        Segment { fields: [Field::$selector, Field::$base, Field::$limit, Field::$rights] }
    };
}

const CS: Segment = segment!(CS_SELECTOR, CS_BASE, CS_LIMIT, CS_ACCESS_RIGHTS);
const DATA: [Segment; 5] = [
    segment!(ES_SELECTOR, ES_BASE, ES_LIMIT, ES_ACCESS_RIGHTS),
    segment!(SS_SELECTOR, SS_BASE, SS_LIMIT, SS_ACCESS_RIGHTS),
    segment!(DS_SELECTOR, DS_BASE, DS_LIMIT, DS_ACCESS_RIGHTS),
    segment!(FS_SELECTOR, FS_BASE, FS_LIMIT, FS_ACCESS_RIGHTS),
    segment!(GS_SELECTOR, GS_BASE, GS_LIMIT, GS_ACCESS_RIGHTS),
];
const LDTR: Segment = segment!(LDTR_SELECTOR, LDTR_BASE, LDTR_LIMIT, LDTR_ACCESS_RIGHTS);
const TR: Segment = segment!(TR_SELECTOR, TR_BASE, TR_LIMIT, TR_ACCESS_RIGHTS);

const FLAT_CODE: Descriptor =
    Descriptor { selector: 0x10, base: 0, limit: u32::MAX, rights: 0xc09b };
const LONG_CODE: Descriptor =
    Descriptor { selector: long_mode::CODE, base: 0, limit: u32::MAX, rights: 0xa09b };
const FLAT_DATA: Descriptor =
    Descriptor { selector: 0x18, base: 0, limit: u32::MAX, rights: 0xc093 };
const REAL_DATA: Descriptor = Descriptor { selector: 0, base: 0, limit: 0xffff, rights: 0x93 };
const NO_TABLE: Descriptor = Descriptor { selector: 0, base: 0, limit: 0xffff, rights: 0x1_0082 };
const BUSY_TASK: Descriptor = Descriptor { selector: 0, base: 0, limit: 0xffff, rights: 0x8b };

const CR0_PE: u64 = 1;
const CR0_ET: u64 = 1 << 4;
const CR0_NE: u64 = 1 << 5;
const CR0_WP: u64 = 1 << 16;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
/// LME, LMA.
const LONG: u64 = 1 << 8 | 1 << 10;
const PAT_AFTER_RESET: u64 = 0x0007_0406_0007_0406;
const DR7_AFTER_RESET: u64 = 0x400;
/// Family 6, as RDX tells after reset.
const SIGNATURE: u64 = 0x600;

/// The first CPU, as its kernel's boot protocol wants it.
pub(super) fn first(
    state: &mut L2EnterGuestState,
    start: Start,
    tables: u64,
) -> Result<(), Refused> {
    match start {
        Start::Pvh { entry, start_info } => protected(state, entry, 0, start_info),
        Start::Multiboot { entry, information } => {
            protected(state, entry, multiboot_info::LOADER_MAGIC, information)
        }
        Start::Linux { entry, boot_params } => long(state, (entry, boot_params), tables),
    }
}

/// 32-bit protected mode with flat segments and without paging.
fn protected(state: &mut L2EnterGuestState, entry: u32, eax: u32, ebx: u32) -> Result<(), Refused> {
    reset(L2, CR0_PE | CR0_ET, FLAT_CODE, FLAT_DATA)?;
    *state = L2EnterGuestState {
        rax: eax.into(),
        rbx: ebx.into(),
        rip: entry.into(),
        ..L2EnterGuestState::new()
    };
    Ok(())
}

/// A CPU in 64-bit mode at `entry`, with `argument` in RSI. `tables` is where the page tables are that
/// map memory to itself, with the segment descriptors behind them.
pub(super) fn long(
    state: &mut L2EnterGuestState,
    (entry, argument): (u64, u64),
    tables: u64,
) -> Result<(), Refused> {
    set_long(L2, tables)?;
    L2.write(Field::GDTR_BASE, tables + long_mode::DESCRIPTORS)?;
    L2.write(Field::GDTR_LIMIT, long_mode::DESCRIPTORS_LIMIT)?;
    *state = L2EnterGuestState { rsi: argument, rip: entry, ..L2EnterGuestState::new() };
    Ok(())
}

/// A CPU in 64-bit mode with the page tables at `tables`, without descriptors of segments or interrupts: it keeps the
/// segments that it has, and every exception is a triple fault.
pub(super) fn set_long(vmcs: Vmcs, tables: u64) -> Result<(), Refused> {
    reset(vmcs, CR0_PE | CR0_ET, LONG_CODE, FLAT_DATA)?;
    vmcs.write(Field::CR3, tables)?;
    set_cr4(vmcs, CR4_PAE)?;
    set_cr0(vmcs, CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG)?;
    vmcs.write_masked(Field::IA32_EFER, LONG, EFER_WRITABLE)?;
    vmcs.write_masked(Field::VM_ENTRY_CONTROLS, IA32E_GUEST, IA32E_GUEST)
}

/// A CPU that was woken: real mode at `page` of the first megabyte.
pub(super) fn woken(state: &mut L2EnterGuestState, page: u8) -> Result<(), Refused> {
    let base = u64::from(page) << 12;
    let code = Descriptor { selector: u16::from(page) << 8, base, limit: 0xffff, rights: 0x9b };
    reset(L2, CR0_ET, code, REAL_DATA)?;
    *state = L2EnterGuestState { rdx: SIGNATURE, ..L2EnterGuestState::new() };
    Ok(())
}

/// Everything that is not in the state page.
fn reset(vmcs: Vmcs, cr0: u64, code: Descriptor, data: Descriptor) -> Result<(), Refused> {
    set_control_registers(vmcs, cr0)?;
    CS.set(vmcs, code)?;
    for segment in DATA {
        segment.set(vmcs, data)?;
    }
    LDTR.set(vmcs, NO_TABLE)?;
    TR.set(vmcs, BUSY_TASK)?;
    for (field, value) in [
        (Field::GDTR_BASE, 0),
        (Field::GDTR_LIMIT, 0xffff),
        (Field::IDTR_BASE, 0),
        (Field::IDTR_LIMIT, 0xffff),
        (Field::VM_ENTRY_INTERRUPTION_INFO, 0),
        (Field::VM_ENTRY_EXCEPTION_ERROR_CODE, 0),
        (Field::VM_ENTRY_INSTRUCTION_LENGTH, 0),
        (Field::IA32_SYSENTER_CS, 0),
        (Field::IA32_SYSENTER_ESP, 0),
        (Field::IA32_SYSENTER_EIP, 0),
        (Field::PENDING_DEBUG_EXCEPTIONS, 0),
        (Field::INTERRUPTIBILITY_STATE, 0),
        (Field::IA32_PAT, PAT_AFTER_RESET),
        (Field::DR7, DR7_AFTER_RESET),
    ] {
        vmcs.write(field, value)?;
    }
    vmcs.write_masked(Field::IA32_DEBUGCTL, 0, 0xffc7)
}

fn set_control_registers(vmcs: Vmcs, cr0: u64) -> Result<(), Refused> {
    vmcs.write_masked(Field::VM_ENTRY_CONTROLS, 0, IA32E_GUEST)?;
    vmcs.write_masked(Field::IA32_EFER, 0, EFER_WRITABLE)?;
    set_cr0(vmcs, cr0)?;
    set_cr4(vmcs, 0)?;
    vmcs.write(Field::CR3, 0)
}

fn set_cr0(vmcs: Vmcs, value: u64) -> Result<(), Refused> {
    let Some(split) = split_cr0(value) else { return Ok(()) };
    vmcs.write_masked(Field::CR0, split.register, CR0_WRITABLE)?;
    vmcs.write(Field::CR0_READ_SHADOW, split.shadow)
}

fn set_cr4(vmcs: Vmcs, value: u64) -> Result<(), Refused> {
    let Some(split) = split_cr4(value) else { return Ok(()) };
    vmcs.write_masked(Field::CR4, split.register, CR4_WRITABLE)?;
    vmcs.write(Field::CR4_READ_SHADOW, split.shadow)
}

impl Segment {
    fn set(self, vmcs: Vmcs, descriptor: Descriptor) -> Result<(), Refused> {
        let values = [
            descriptor.selector.into(),
            descriptor.base,
            descriptor.limit.into(),
            descriptor.rights.into(),
        ];
        self.fields.into_iter().zip(values).try_for_each(|(field, value)| vmcs.write(field, value))
    }
}
