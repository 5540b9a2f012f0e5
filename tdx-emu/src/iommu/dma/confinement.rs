// SPDX-License-Identifier: MIT OR Apache-2.0
//! The unit of this machine, its tables, and its faults as they come.
//!
//! No request of a device reaches memory that is not shared, because an entry is written only for
//! memory that is, and taken back, together with every cached copy, before the page is used for
//! something else.
#![expect(unsafe_code, reason = "memory-mapped registers")]

use core::fmt;

use spin::{Mutex, Once};

use super::{
    dmar::{self, Absent, Located},
    entries, second_level,
    unit::{Registers, Unit, Unresponsive},
};
use crate::{
    machine::{
        boot::Boot,
        clock, cpus, interrupt,
        memory::{self, PAGE_SIZE},
        tables::{Frames, Tables, Tree},
    },
    observe,
};

/// Vector of the fault event.
const FAULT_VECTOR: u8 = 0xf3;

/// The registers, where the unit has them.
#[derive(Debug)]
struct Mapped(u64);

/// What the host changes, one CPU at a time.
#[derive(Debug)]
struct Domain {
    contexts: u64,
    space: Tree<Frames>,
}

#[derive(Debug)]
struct Remapping {
    located: Located,
    unit: Unit<Mapped>,
    root: u64,
    domain: Mutex<Domain>,
    /// Faults are read by one CPU at a time.
    reading: Mutex<()>,
}

/// Why a page cannot be mapped or unmapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The machine has no more memory for tables.
    NoMemory,
    /// The unit does not answer.
    Unresponsive,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMemory => "the machine has no memory left for the IOMMU's tables",
            Self::Unresponsive => "the IOMMU does not answer",
        })
    }
}

impl From<Unresponsive> for Failure {
    fn from(_: Unresponsive) -> Self {
        Self::Unresponsive
    }
}

static REMAPPING: Once<Remapping> = Once::new();

/// Finds the unit and prepares its tables. Until [`enable`] every device still reaches all memory.
pub(crate) fn find(boot: &Boot) -> Result<(), Absent> {
    let located = dmar::find(boot.rsdp, |at, length| boot.firmware_table(at, length))?;
    let unit = Unit::new(Mapped(located.registers))?;
    let no_memory = || Absent::Unusable("the machine has no memory for the unit's tables");
    let space = Tree::new(Frames, second_level::format(unit.levels)).ok_or_else(no_memory)?;
    let root = Frames.allocate().ok_or_else(no_memory)?;
    let contexts = Frames.allocate().ok_or_else(no_memory)?;
    // All devices of a q35 that is told no bridges are on bus 0.
    Frames.write(root, entries::root(contexts));
    log::info!("dma remapping: unit={:#x} levels={}", located.registers, unit.levels);
    let domain = Mutex::new(Domain { contexts, space });
    REMAPPING.call_once(|| Remapping { located, unit, root, domain, reading: Mutex::new(()) });
    Ok(())
}

/// Puts a device on bus 0 into the domain; `false` if nothing would confine it. To be called before
/// [`enable`].
pub(crate) fn confine(devfn: u8) -> bool {
    let Some(remapping) = REMAPPING.get() else { return false };
    if !remapping.located.covers(devfn) {
        return false;
    }
    let domain = remapping.domain.lock();
    let at = domain.contexts + entries::context_offset(devfn);
    let (low, high) = entries::context(domain.space.root(), remapping.unit.levels);
    Frames.write(at + 8, high);
    Frames.write(at, low);
    true
}

/// From here on devices reach what is mapped, and nothing else.
pub(crate) fn enable() -> Result<(), Failure> {
    let Some(remapping) = REMAPPING.get() else { return Ok(()) };
    remapping.unit.set_root(remapping.root)?;
    remapping.unit.enable()?;
    // Whatever the firmware left running is not the TD's doing.
    remapping
        .unit
        .take_faults(|fault| log::info!("refused before the TD ran: device={}", fault.source));
    Ok(())
}

/// Makes CPU 0 read faults as they are recorded.
pub(crate) fn take_faults_by_interrupt() {
    const INTERRUPT_WINDOW: u32 = 0xfee0_0000;
    let Some(remapping) = REMAPPING.get() else { return };
    interrupt::set_handler(FAULT_VECTOR, |_| collect_faults());
    let address = INTERRUPT_WINDOW | u32::from(cpus::apic_id(0)) << 12;
    remapping.unit.announce_faults(address, FAULT_VECTOR.into());
}

/// Lets devices reach `pages`, at the addresses from `first` on.
pub(crate) fn map(first: u64, pages: &[u64]) -> Result<(), Failure> {
    let Some(remapping) = REMAPPING.get() else { return Ok(()) };
    let mut domain = remapping.domain.lock();
    domain.space.map(first, pages).ok_or(Failure::NoMemory)?;
    Ok(remapping.unit.mapped()?)
}

/// Takes `count` pages from the address `first` on away from devices. None reaches them any more
/// when this returns well.
pub(crate) fn unmap(first: u64, count: usize) -> Result<(), Failure> {
    let Some(remapping) = REMAPPING.get() else { return Ok(()) };
    let mut domain = remapping.domain.lock();
    domain.space.unmap(first, count, |_| ());
    Ok(remapping.unit.unmapped()?)
}

/// Reads the faults that are recorded, and counts them.
pub(crate) fn collect_faults() {
    let Some(remapping) = REMAPPING.get() else { return };
    let _reading = remapping.reading.lock();
    let lost = remapping.unit.take_faults(|fault| {
        if observe::dma_fault(fault) {
            let direction = if fault.write { "write" } else { "read" };
            log::warn!(
                "dma refused: device={} {direction} address={:#x} reason={} ({})",
                fault.source,
                fault.address,
                fault.reason,
                fault.explanation()
            );
        }
    });
    if lost {
        observe::dma_fault_overflow();
    }
}

impl Registers for Mapped {
    fn read32(&self, offset: u64) -> u32 {
        // SAFETY: the firmware says that a unit's registers are here, the identity map covers them,
        // and reading has no effect.
        unsafe { memory::at::<u32>(self.0 + offset % PAGE_SIZE).read_volatile() }
    }

    fn read64(&self, offset: u64) -> u64 {
        // SAFETY: as for `read32`.
        unsafe { memory::at::<u64>(self.0 + offset % PAGE_SIZE).read_volatile() }
    }

    fn write32(&self, offset: u64, value: u32) {
        // SAFETY: as for `read32`; what a command does is the concern of `Unit`, which is the only
        // one to give any, and whose tables allow less than no remapping would.
        unsafe { memory::at::<u32>(self.0 + offset % PAGE_SIZE).write_volatile(value) };
    }

    fn write64(&self, offset: u64, value: u64) {
        // SAFETY: as for `write32`.
        unsafe { memory::at::<u64>(self.0 + offset % PAGE_SIZE).write_volatile(value) };
    }

    fn now_ns(&self) -> u64 {
        clock::now_ns()
    }
}
