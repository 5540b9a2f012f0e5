// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs a few bytes of code with any registers, in ring 0 or 3, as 64-bit or 32-bit code, and says how
//! that ended.
//!
//! The bytes are copied into a buffer and end with UD2. Entering is one IRETQ for every kind of code;
//! leaving is always an exception or interrupt, whose handler asks `ended` first. Interrupts are off
//! meanwhile. The stack that an exception of ring 3 is taken on is the one that called `run`, below
//! what is live on it. Only the boot CPU does this.
//!
//! Spec: SDM "Stack Switching in IA-32e Mode", "Task-State Segment (TSS)".
#![expect(unsafe_code, reason = "other segments, other rings, any instruction")]

use core::arch::{asm, naked_asm};
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

use cpu::interrupt::Frame;
use x86_64::VirtAddr;
use x86_64::instructions::interrupts::without_interrupts;
use x86_64::instructions::tables::lgdt;
use x86_64::instructions::tlb;
use x86_64::structures::DescriptorTablePointer;

use crate::boot::{DIRECTORIES, PageTable, ROOT};

/// The privilege and width of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Ring 0, 64-bit code.
    Kernel64,
    /// Ring 0, 32-bit code of long mode.
    Kernel32,
    /// Ring 3, 64-bit code.
    User64,
    /// Ring 3, 32-bit code of long mode.
    User32,
}

impl Mode {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Kernel64, Self::Kernel32, Self::User64, Self::User32];

    /// Whether it is ring 3.
    pub(crate) const fn is_user(self) -> bool {
        matches!(self, Self::User64 | Self::User32)
    }

    /// Selectors of code and stack.
    const fn selectors(self) -> (u64, u64) {
        match self {
            Self::Kernel64 => (0x08, 0x10),
            Self::Kernel32 => (0x18, 0x10),
            Self::User64 => (0x33, USER_DATA),
            Self::User32 => (0x23, USER_DATA),
        }
    }
}

/// Registers that code starts with.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Registers {
    pub(crate) rax: u64,
    pub(crate) rcx: u64,
    pub(crate) rdx: u64,
    pub(crate) rbx: u64,
    pub(crate) rsi: u64,
    pub(crate) rdi: u64,
    /// R8 to R15.
    pub(crate) others: u64,
}

/// How code ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// The vector that ended it, or `None` if it ran to its end.
    pub(crate) vector: Option<u8>,
    /// RAX.
    pub(crate) rax: u64,
    /// RDX.
    pub(crate) rdx: u64,
}

/// What IRETQ and the register loads in front of it take.
#[repr(C)]
struct Start {
    registers: Registers,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

/// Memory that the code may use: every page of the image is open to ring 3 once [`prepare`] ran.
#[repr(C, align(4096))]
struct Page<const WORDS: usize>([AtomicU64; WORDS]);

const USER_DATA: u64 = 0x2b;
const TASK: u16 = 0x38;
/// UD2.
const LAST: [u8; 2] = [0x0f, 0x0b];
const ROOM: usize = 64;
/// RFLAGS of the code: interrupts off, and the bit that is always set.
const FLAGS: u64 = 2;

static RUNNING: AtomicBool = AtomicBool::new(false);
static STACK_POINTER: AtomicU64 = AtomicU64::new(0);
static VECTOR: AtomicU64 = AtomicU64::new(0);
static RIP: AtomicU64 = AtomicU64::new(0);
static RAX: AtomicU64 = AtomicU64::new(0);
static RDX: AtomicU64 = AtomicU64::new(0);

static CODE: [AtomicU8; ROOM] = [const { AtomicU8::new(0) }; ROOM];
static SCRATCH: Page<512> = Page([const { AtomicU64::new(0) }; 512]);
static STACK: Page<512> = Page([const { AtomicU64::new(0) }; 512]);

/// The boot table again, then ring 3: 32-bit code, data, 64-bit code; and the task's two words.
static SEGMENTS: [AtomicU64; 9] = [
    AtomicU64::new(0),
    AtomicU64::new(0x00af_9b00_0000_ffff),
    AtomicU64::new(0x00cf_9300_0000_ffff),
    AtomicU64::new(0x00cf_9b00_0000_ffff),
    AtomicU64::new(0x00cf_fb00_0000_ffff),
    AtomicU64::new(0x00cf_f300_0000_ffff),
    AtomicU64::new(0x00af_fb00_0000_ffff),
    AtomicU64::new(0),
    AtomicU64::new(0),
];

/// The task-state segment, in words of 32 bits because its fields are aligned to no more.
static TASK_STATE: [AtomicU32; 26] = [const { AtomicU32::new(0) }; 26];

/// Opens the identity map to ring 3 and loads segments for it.
pub(crate) fn prepare() {
    open_to_user(&ROOT);
    TASK_STATE[25].store(104 << 16, Relaxed);
    let task = address(&raw const TASK_STATE);
    let (low, middle, high) = (task & 0xffff, task >> 16 & 0xff, task >> 24 & 0xff);
    SEGMENTS[7].store(103 | low << 16 | middle << 32 | 0x89 << 40 | high << 56, Relaxed);
    SEGMENTS[8].store(task >> 32, Relaxed);
    let pointer = DescriptorTablePointer {
        limit: 9 * 8 - 1,
        base: VirtAddr::new(address(&raw const SEGMENTS)),
    };
    // SAFETY: The table lives for ever and its first four entries are those in use.
    unsafe { lgdt(&pointer) };
    // SAFETY: The descriptor is an available task of 104 bytes that lives for ever.
    unsafe { asm!("ltr {0:x}", in(reg) TASK, options(nostack)) };
}

/// Sets the user bit in `table` and the tables below it, down to the large pages.
fn open_to_user(table: &PageTable) {
    const PRESENT: u64 = 1;
    const USER: u64 = 4;
    const LARGE: u64 = 0x80;
    for entry in &table.0 {
        let value = entry.load(Relaxed);
        if value & PRESENT == 0 {
            continue;
        }
        entry.store(value | USER, Relaxed);
        if value & LARGE == 0 {
            let below = usize::try_from(value & !0xfff).unwrap_or(0);
            // SAFETY: The tables are statics of this image, at the addresses that their entries say.
            open_to_user(unsafe { &*ptr::with_exposed_provenance(below) });
        }
    }
}

/// Closes the page of 2 MiB at `address` to ring 3 again.
pub(crate) fn close_to_user(address: u64) {
    const USER: u64 = 4;
    let number = usize::try_from(address >> 21).unwrap_or(usize::MAX);
    let table = DIRECTORIES.get(number / 512);
    if let Some(entry) = table.map(|table| &table.0[number % 512]) {
        entry.store(entry.load(Relaxed) & !USER, Relaxed);
        tlb::flush(VirtAddr::new(address));
    }
}

/// Address of the memory that the code may use.
pub(crate) fn scratch() -> u64 {
    address(&raw const SCRATCH)
}

/// Sets word `index` of that memory.
pub(crate) fn set_scratch(index: usize, value: u64) {
    SCRATCH.0[index].store(value, Relaxed);
}

/// Runs `code`. `flags` are set in RFLAGS besides.
pub(crate) fn run(mode: Mode, code: &[u8], registers: Registers, flags: u64) -> Option<End> {
    let whole = code.iter().chain(&LAST);
    if code.len() + LAST.len() > ROOM {
        return None;
    }
    for (place, byte) in CODE.iter().zip(whole) {
        place.store(*byte, Relaxed);
    }
    let (cs, ss) = mode.selectors();
    let rip = address(&raw const CODE);
    // Half a page is above the stack pointer, for what returns without having been called.
    let rsp = address(&raw const STACK) + 2048;
    let start = Start { registers, rip, cs, rflags: FLAGS | flags, rsp, ss };
    without_interrupts(|| {
        RUNNING.store(true, Relaxed);
        let stack_0 = (&raw const TASK_STATE).cast::<u8>().wrapping_add(4).cast_mut();
        // SAFETY: The code ends in an exception, which leads to `come_back` with the stack as it was.
        // What it does to memory is its author's business.
        unsafe { go(&raw const start, STACK_POINTER.as_ptr(), stack_0) };
    });
    let at_end = RIP.load(Relaxed) == rip + code.len() as u64;
    let vector = VECTOR.load(Relaxed).to_le_bytes()[0];
    let vector = if vector == 6 && at_end { None } else { Some(vector) };
    Some(End { vector, rax: RAX.load(Relaxed), rdx: RDX.load(Relaxed) })
}

/// Called first by the handler of every vector: true if it ended code of [`run`], which then goes on.
pub(crate) fn ended(frame: &mut Frame) -> bool {
    // Other CPUs take interrupts meanwhile, on stacks of their own.
    let stack = address(&raw const STACK);
    let is_mine = frame.cs & 3 == 3 || (stack..=stack + 4096).contains(&frame.rsp);
    if !is_mine || !RUNNING.swap(false, Relaxed) {
        return false;
    }
    VECTOR.store(frame.vector, Relaxed);
    RIP.store(frame.rip, Relaxed);
    RAX.store(frame.rax, Relaxed);
    RDX.store(frame.rdx, Relaxed);
    frame.rip = come_back as *const () as u64;
    (frame.cs, frame.ss) = Mode::Kernel64.selectors();
    frame.rsp = STACK_POINTER.load(Relaxed);
    frame.rflags = FLAGS;
    true
}

fn address<T>(of: *const T) -> u64 {
    of.expose_provenance() as u64
}

/// # Safety
///
/// The code at `start` may do anything; see there.
#[unsafe(naked)]
unsafe extern "sysv64" fn go(start: *const Start, stack_pointer: *mut u64, stack_0: *mut u8) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rsi], rsp",
        "mov [rdx], rsp",
        "mov eax, {data}",
        "mov ds, eax",
        "mov es, eax",
        "push qword ptr [rdi + 11*8]",
        "push qword ptr [rdi + 10*8]",
        "push qword ptr [rdi + 9*8]",
        "push qword ptr [rdi + 8*8]",
        "push qword ptr [rdi + 7*8]",
        "mov rax, [rdi]",
        "mov rcx, [rdi + 8]",
        "mov rdx, [rdi + 2*8]",
        "mov rbx, [rdi + 3*8]",
        "mov rsi, [rdi + 4*8]",
        "mov r8,  [rdi + 6*8]",
        "mov rdi, [rdi + 5*8]",
        "mov rbp, r8",
        "mov r9, r8",
        "mov r10, r8",
        "mov r11, r8",
        "mov r12, r8",
        "mov r13, r8",
        "mov r14, r8",
        "mov r15, r8",
        "iretq",
        data = const USER_DATA,
    )
}

/// Where [`go`] goes on: as its own return.
///
/// # Safety
///
/// RSP is what `go` kept.
#[unsafe(naked)]
unsafe extern "sysv64" fn come_back() {
    naked_asm!("pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx", "ret",)
}
