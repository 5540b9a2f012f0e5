// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the loader to Rust: page tables, stacks and the way the assembly takes between them.
//!
//! Spec: PVH "start_info"; MULTIBOOT "Boot information format"; SDM "Initializing IA-32e Mode", "MP Initialization".
#![expect(unsafe_code, reason = "entry code and the loader's structures are raw addresses")]

use core::arch::global_asm;
use core::ffi::{CStr, c_char};
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use x86_64::structures::gdt::SegmentSelector;

use crate::cpus::{MAX_CPUS, STACK_SIZE, Stack};

/// Where the other CPUs start; below 1 MiB and free in every loader we know.
pub(crate) const TRAMPOLINE: u32 = 0x8000;

/// The 64-bit code segment of the table in `start.S`.
pub(crate) const CODE: SegmentSelector = SegmentSelector(0x08);

/// One page of a page table.
#[repr(C, align(4096))]
#[derive(Debug)]
pub(crate) struct PageTable(pub(crate) [AtomicU64; 512]);

impl PageTable {
    /// An empty table.
    pub(crate) const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 512])
    }
}

/// Root of the one address space; entry 0 is the identity map.
pub(crate) static ROOT: PageTable = PageTable::new();
static POINTERS: PageTable = PageTable::new();
/// Directories of the identity map, a GiB each.
pub(crate) static DIRECTORIES: [PageTable; 4] = [const { PageTable::new() }; 4];

/// A stack per CPU.
static STACKS: [Stack; MAX_CPUS as usize] = [const { Stack::new() }; MAX_CPUS as usize];

/// Top of the stack of the CPU that starts next.
static NEXT_STACK: AtomicPtr<u8> =
    AtomicPtr::new((&raw const STACKS).cast::<u8>().wrapping_add(STACK_SIZE).cast_mut());

global_asm!(
    include_str!("boot/start.S"),
    root = sym ROOT,
    pointers = sym POINTERS,
    directories = sym DIRECTORIES,
    stack = sym NEXT_STACK,
    main = sym crate::entered,
    trampoline = const TRAMPOLINE,
    options(att_syntax)
);

unsafe extern "C" {
    static relay_guest_trampoline: u8;
    static relay_guest_trampoline_end: u8;
}

/// Prepares stack and trampoline for CPU `cpu`, which must not run yet.
pub(crate) fn prepare(cpu: u8) {
    let Some(stack) = STACKS.get(usize::from(cpu)) else { return };
    stack.own(cpu);
    NEXT_STACK.store(stack.top(), Ordering::Release);
    let from = &raw const relay_guest_trampoline;
    let length = (&raw const relay_guest_trampoline_end).addr() - from.addr();
    let to = ptr::with_exposed_provenance_mut::<u8>(TRAMPOLINE as usize);
    // SAFETY: The two symbols bound one blob of the image; its copy goes to memory that is neither
    // the image nor handed out, once nothing of the loader's is needed any more.
    unsafe { ptr::copy_nonoverlapping(from, to, length) };
}

/// What a multiboot loader leaves in EAX. A PVH loader leaves nothing there that is defined, and its
/// own magic at the beginning of its structure.
const MULTIBOOT: u32 = 0x2bad_b002;

/// The first word of what a PVH loader hands over.
const PVH: u32 = 0x336e_c578;

/// What the loader tells the boot CPU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loader {
    information: u32,
    magic: u32,
}

impl Loader {
    /// The loader that left these in EBX and EAX; none on the other CPUs.
    pub(crate) fn of(information: u32, magic: u32) -> Option<Self> {
        (information != 0).then_some(Self { information, magic })
    }

    /// Copies the loader's command line into `buffer` and returns what fits.
    pub(crate) fn command_line(self, buffer: &mut [u8]) -> &str {
        let text = self.text();
        if text.is_null() {
            return "";
        }
        // SAFETY: The field points to a string that ends with NUL.
        let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
        let length = bytes.len().min(buffer.len());
        let (copy, _) = buffer.split_at_mut(length);
        copy.copy_from_slice(&bytes[..length]);
        core::str::from_utf8(copy).unwrap_or_default()
    }

    /// Where the root pointer of the ACPI tables is, if the loader says so; 0 if not.
    pub(crate) fn acpi_root(self) -> u64 {
        const ROOT: usize = 32;
        if self.word(0) == PVH { self.word(ROOT).into() } else { 0 }
    }

    fn text(self) -> *const c_char {
        const PVH_COMMAND_LINE: usize = 24;
        const HAS_COMMAND_LINE: u32 = 1 << 2;
        const COMMAND_LINE: usize = 16;
        // Both kinds of loader hand over a structure whose first word says what else is in it.
        let address = match (self.magic, self.word(0)) {
            (_, PVH) => self.word(PVH_COMMAND_LINE),
            (MULTIBOOT, flags) if flags & HAS_COMMAND_LINE != 0 => self.word(COMMAND_LINE),
            _ => 0,
        };
        ptr::with_exposed_provenance(address as usize)
    }

    /// A word of the structure. All of it and all that it points to lies below 4 GiB.
    fn word(self, offset: usize) -> u32 {
        let at = ptr::with_exposed_provenance::<u8>(self.information as usize + offset);
        // SAFETY: The loader hands over a readable structure, which is longer than any offset here.
        unsafe { at.cast::<u32>().read_unaligned() }
    }
}
