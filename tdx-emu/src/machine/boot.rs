// SPDX-License-Identifier: MIT OR Apache-2.0
//! The boot CPU's way from long mode to `main_bsp`.
//!
//! Reads what QEMU handed over, then brings the layer up from the bottom: console, interrupts,
//! CPU features, memory, clock. The other CPUs stay off until `cpus::start_others`.
//!
//! Spec: PVH "C representation of the x86/HVM start info layout".
#![expect(unsafe_code, reason = "the loader speaks in physical addresses")]

use alloc::{borrow::ToOwned, string::String, vec::Vec};
use core::ops::Range;

use zerocopy::FromBytes;

use super::{
    clock, console, features, guard_pages, interrupt, lapic, long_mode, memory,
    start_info::{MemoryMapEntry, Module, StartInfo},
};

/// A longer command line is cut; QEMU's own limit is below that.
const COMMAND_LINE_LIMIT: u64 = 4096;

/// What QEMU handed over.
#[derive(Debug)]
pub(crate) struct Boot {
    /// QEMU's `-append`.
    pub(crate) command_line: &'static str,
    /// QEMU's `-initrd`; empty if there is none.
    pub(crate) image: &'static [u8],
    /// All RAM, in the order of the loader's map; L0 itself and the image lie inside.
    pub(crate) memory: &'static [Range<u64>],
    /// Where the loader says that the firmware's tables begin; 0 if it does not say.
    pub(crate) rsdp: u64,
}

impl Boot {
    /// Returns `length` bytes of the firmware's tables. They lie in ROM or in memory that the
    /// firmware keeps for itself.
    pub(crate) fn firmware_table(&self, address: u64, length: u32) -> Option<&'static [u8]> {
        let range = address..address.checked_add(length.into())?;
        let is_ours = |ram: &Range<u64>| {
            let start = ram.start.max(memory::LOW_MEMORY);
            range.start < ram.end && start < range.end
        };
        if address == 0 || range.end > long_mode::MAPPED || self.memory.iter().any(is_ours) {
            return None;
        }
        Some(physical(&range))
    }
}

/// Where the assembly of the CPU that boots ends.
pub(super) extern "C" fn start(start_info: u32) -> ! {
    console::initialize();
    interrupt::initialize();
    let fault = |why| console::error_exit(0x12, format_args!("{why}"));
    let info: StartInfo = read(u64::from(start_info));
    if let Some(why) = info.fault().or_else(features::missing) {
        fault(why);
    }
    features::enable();
    let module = (info.modules != 0).then(|| read::<Module>(info.module_list));
    let image =
        module.map_or(0..0, |module| module.address..module.address.saturating_add(module.size));
    let ram = (0..u64::from(info.memory_map_entries))
        .filter_map(|entry| read::<MemoryMapEntry>(info.memory_map + entry * 24).ram());
    if let Err(why) = memory::initialize(ram.clone(), &image) {
        fault(why);
    }
    let boot = Boot {
        command_line: command_line(info.command_line).leak(),
        image: physical(&image),
        memory: ram.collect::<Vec<_>>().leak(),
        rsdp: info.rsdp,
    };
    // From here on page 0, where the loader may have put its tables, is gone.
    if let Err(why) = guard_pages::initialize() {
        fault(why);
    }
    lapic::enable();
    clock::calibrate();
    crate::main_bsp(boot)
}

/// Copies the command line: it lies below 1 MiB, where the others' trampoline goes.
fn command_line(address: u64) -> String {
    if address == 0 {
        return String::new();
    }
    let bytes = table(address..address + COMMAND_LINE_LIMIT);
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    match str::from_utf8(text) {
        Ok(text) => text.to_owned(),
        Err(_) => console::error_exit(0x12, format_args!("the command line is not UTF-8")),
    }
}

/// Reads a structure of the loader.
fn read<T: FromBytes>(address: u64) -> T {
    let bytes = table(address..address + size_of::<T>() as u64);
    T::read_from_bytes(bytes).unwrap_or_else(|_| T::new_zeroed())
}

/// Returns one of the loader's tables. QEMU puts them all into the first MiB.
fn table(range: Range<u64>) -> &'static [u8] {
    if range.end > memory::LOW_MEMORY {
        console::error_exit(0x12, format_args!("a loader's table lies at {:#x}", range.start));
    }
    physical(&range)
}

/// Returns memory that the loader filled: the image, or a part of the first MiB.
fn physical(range: &Range<u64>) -> &'static [u8] {
    if range.end < range.start || range.end > long_mode::MAPPED {
        console::error_exit(0x12, format_args!("no memory at {:#x}", range.start));
    }
    let length = memory::size(range.end - range.start);
    if length == 0 {
        return &[];
    }
    // SAFETY: 1. the identity map covers the range. 2. Nobody writes there: the page allocator
    // excludes both, and the trampoline comes when the loader's tables are no longer in use.
    unsafe { core::slice::from_raw_parts(memory::at(range.start), length) }
}
