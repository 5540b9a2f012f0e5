// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every L2 finds in its platform area, whichever way it starts: ACPI tables, and what its other
//! CPUs are started with.

use log::warn;
use paravisor::{
    acpi::{self, Wire},
    command_line::Wake,
    guest_memory::GuestMemory,
    long_mode, mailbox,
    platform_area::PlatformArea,
};

use super::vm::vm;
use crate::{interrupt::counters::MISLED_STARTS, memory::guest::GuestRam};

/// How L2's other CPUs start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Others {
    /// The page through which they are told, if they are told by memory.
    pub(super) mailbox: Option<u64>,
    /// Page tables and segment descriptors of a CPU that starts in 64-bit mode.
    pub(super) tables: u64,
}

impl Others {
    /// When a CPU that has waited since `began` has to look into the mailbox again, if there is one.
    pub(super) fn next_look(&self, began: u64) -> Option<u64> {
        let next = || mailbox::next_look(began, cpu::tsc(), vm().millisecond);
        self.mailbox.map(|_| next())
    }

    /// Where CPU `index` starts, if L2 has called it by the mailbox. An address that no page table maps
    /// is no call: the CPU goes on waiting.
    pub(super) fn called(&self, index: usize) -> Option<u64> {
        let mut ram = GuestRam::get();
        let id = u32::try_from(index).ok()?;
        let entry = mailbox::take(&mut ram, self.mailbox?, id)?;
        if entry >= ram.end() && MISLED_STARTS.add_and_tell() {
            warn!("mailbox: cpu={index} is called to {entry:#x}, where nothing is");
        }
        Some(entry).filter(|entry| *entry < ram.end())
    }
}

/// Fills the platform area of an L2 of `cpus` CPUs. `None` if that is more than fits. Never inlined: page tables are
/// built on the stack, which has nothing else of that size.
#[inline(never)]
pub(super) fn lay_out(cpus: u32, wake: Wake, wires: &[Wire]) -> Option<Others> {
    let mut ram = GuestRam::get();
    let area = PlatformArea::below(ram.end());
    let mailbox = (wake == Wake::Mailbox).then(|| area.mailbox());
    let tables = area.page_tables().start;
    let written = ram.write(tables, &long_mode::pages(tables))
        && ram.write(area.mailbox(), &[0; 0x1000])
        && ram.write(area.acpi().start, &acpi::build(area.acpi().start, cpus, mailbox, wires));
    written.then_some(Others { mailbox, tables })
}
