// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one thing that this guest looks for in ACPI tables: the mailbox that wakes CPUs.
//!
//! Spec: ACPI "Root System Description Pointer", "Multiple APIC Description Table",
//! "Multiprocessor Wakeup Structure".
#![expect(unsafe_code, reason = "tables are raw addresses")]

use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

static ROOT: AtomicU64 = AtomicU64::new(0);

/// The page through which CPUs are woken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mailbox(usize);

/// Keeps the address of the root pointer that the loader told of.
pub(crate) fn set_root(address: u64) {
    ROOT.store(address, Relaxed);
}

impl Mailbox {
    const COMMAND: usize = 0;
    const APIC_ID: usize = 4;
    const VECTOR: usize = 8;

    /// Finds it by way of the root pointer, XSDT and MADT.
    pub(crate) fn find() -> Option<Self> {
        const HEADER: usize = 36;
        const WAKE_UP: u8 = 0x10;
        let root = usize::try_from(ROOT.load(Relaxed)).ok().filter(|root| *root != 0)?;
        let xsdt: usize = read::<u64>(root + 24).try_into().ok()?;
        let length = read::<u32>(xsdt + 4) as usize;
        let tables = (xsdt + HEADER..xsdt + length).step_by(8).map(read::<u64>);
        let madt = tables
            .filter_map(|table| usize::try_from(table).ok())
            .find(|table| read::<[u8; 4]>(*table) == *b"APIC")?;
        let end = madt + read::<u32>(madt + 4) as usize;
        let mut entry = madt + HEADER + 8;
        while entry < end {
            let [kind, size] = read::<[u8; 2]>(entry);
            if kind == WAKE_UP {
                return usize::try_from(read::<u64>(entry + 8)).ok().map(Self);
            }
            entry += usize::from(size.max(2));
        }
        None
    }

    /// Writes a command for the CPU with APIC id `id` to start at `entry`; the command last.
    pub(crate) fn ask(self, command: u16, id: u32, entry: u64) {
        write(self.0 + Self::COMMAND, 0_u16);
        write(self.0 + Self::APIC_ID, id);
        write(self.0 + Self::VECTOR, entry);
        write(self.0 + Self::COMMAND, command);
    }

    /// The command that is there now.
    pub(crate) fn command(self) -> u16 {
        read(self.0 + Self::COMMAND)
    }

    /// Writes a word anywhere in the page.
    pub(crate) fn set_word(self, offset: usize, value: u64) {
        write(self.0 + offset % 0x1000, value);
    }
}

fn read<T: Copy>(address: usize) -> T {
    // SAFETY: Tables lie in memory that the loader set aside for them, below 4 GiB and mapped.
    unsafe { ptr::with_exposed_provenance::<T>(address).read_volatile() }
}

fn write<T>(address: usize, value: T) {
    // SAFETY: The mailbox is a page of its own, which no Rust object occupies.
    unsafe { ptr::with_exposed_provenance_mut::<T>(address).write_volatile(value) }
}
