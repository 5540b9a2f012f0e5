// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupt entry: 256 stubs, one saved-register frame, one descriptor table.
//!
//! The `x86_64` crate's table gives each exception its own handler type and leaves reserved
//! exceptions out. Here every vector, reserved ones too, arrives at one function with one
//! `Frame`, because an unexpected vector must be reported rather than end in a triple fault.
//!
//! The gates use no IST and the stubs no `SWAPGS`: there is no ring 3, and a hypervisor's TR and GS
//! may hold its guest's values.
//!
//! Spec: SDM "Interrupt Descriptor Table (IDT)"; SDM "Stack Frame After Exception or Interrupt".
#![expect(unsafe_code, reason = "loading a descriptor table changes where the CPU jumps")]

use core::fmt::{self, Display, Formatter};

use x86_64::{
    VirtAddr,
    instructions::tables::lidt,
    structures::{DescriptorTablePointer, gdt::SegmentSelector},
};

/// What the stub of a vector saved, in memory order; the handler may change it.
#[repr(C)]
#[derive(Clone, Debug)]
pub struct Frame {
    /// R15.
    pub r15: u64,
    /// R14.
    pub r14: u64,
    /// R13.
    pub r13: u64,
    /// R12.
    pub r12: u64,
    /// R11.
    pub r11: u64,
    /// R10.
    pub r10: u64,
    /// R9.
    pub r9: u64,
    /// R8.
    pub r8: u64,
    /// RBP.
    pub rbp: u64,
    /// RDI.
    pub rdi: u64,
    /// RSI.
    pub rsi: u64,
    /// RDX.
    pub rdx: u64,
    /// RCX.
    pub rcx: u64,
    /// RBX.
    pub rbx: u64,
    /// RAX.
    pub rax: u64,
    /// The vector whose stub ran.
    pub vector: u64,
    /// The exception's error code; 0 for vectors without one.
    pub error_code: u64,
    /// Where the interrupted code goes on.
    pub rip: u64,
    /// Its code segment.
    pub cs: u64,
    /// Its flags.
    pub rflags: u64,
    /// Its stack pointer.
    pub rsp: u64,
    /// Its stack segment.
    pub ss: u64,
}

// 22 words: the stub's `call` then finds RSP aligned to 16, as the C ABI wants.
const _: () = assert!(size_of::<Frame>() == 22 * 8);

impl Display for Frame {
    /// Prints all registers, four to a line, without a newline at the end.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (vector, error) = (self.vector, self.error_code);
        writeln!(
            f,
            "vector {vector} error {error:#x} rip {:#018x} rsp {:#018x}",
            self.rip, self.rsp
        )?;
        writeln!(f, "cs {:#06x} ss {:#06x} rflags {:#018x}", self.cs, self.ss, self.rflags)?;
        let rows = [
            [("rax", self.rax), ("rbx", self.rbx), ("rcx", self.rcx), ("rdx", self.rdx)],
            [("rsi", self.rsi), ("rdi", self.rdi), ("rbp", self.rbp), (" r8", self.r8)],
            [(" r9", self.r9), ("r10", self.r10), ("r11", self.r11), ("r12", self.r12)],
        ];
        for [(a, va), (b, vb), (c, vc), (d, vd)] in rows {
            writeln!(f, "{a} {va:#018x} {b} {vb:#018x} {c} {vc:#018x} {d} {vd:#018x}")?;
        }
        write!(f, "r13 {:#018x} r14 {:#018x} r15 {:#018x}", self.r13, self.r14, self.r15)
    }
}

/// A 64-bit interrupt gate: entering through it clears IF.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Gate {
    low: u64,
    high: u64,
}

impl Gate {
    /// Present, DPL 0, type 14 (interrupt gate), no IST.
    const INTERRUPT: u64 = 0x8e00 << 32;

    const fn new(handler: u64, code: SegmentSelector) -> Self {
        let (offset_15_0, offset_31_16) = (handler & 0xffff, handler >> 16 & 0xffff);
        let low = offset_15_0 | (code.0 as u64) << 16 | Self::INTERRUPT | offset_31_16 << 48;
        Self { low, high: handler >> 32 }
    }
}

/// The interrupt descriptor table.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct Table([Gate; 256]);

impl Table {
    /// Makes the table whose gate `v` leads to stub `v` of [`interrupt_stubs!`](crate::interrupt_stubs).
    #[must_use]
    pub fn new(stubs: &'static Stubs, code: SegmentSelector) -> Self {
        Self(core::array::from_fn(|vector| Gate::new(&raw const stubs.0[vector] as u64, code)))
    }

    /// Loads the table into this CPU's IDTR.
    ///
    /// # Safety
    ///
    /// `code`, as given to [`Table::new`], must be a 64-bit ring 0 code segment of this CPU's
    /// current GDT.
    pub unsafe fn load(&'static self) {
        let base = VirtAddr::from_ptr(self);
        let pointer = DescriptorTablePointer { limit: 256 * 16 - 1, base };
        // SAFETY: 1. the table lives forever and is never written again. 2. Every gate leads to a
        // stub made by `interrupt_stubs!`, the only source of `Stubs`. 3. The caller vouches for
        // the code segment.
        unsafe { lidt(&pointer) };
    }
}

/// The machine code of the 256 stubs: 16 bytes each.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct Stubs([[u8; 16]; 256]);

/// Defines the 256 stubs, once in a binary, and `fn $name() -> &'static Stubs` to find them.
///
/// Each stub saves all general registers in a [`Frame`] and calls
/// `$handler: extern "C" fn(&mut Frame)` with DF = 0 and IF = 0, on the interrupted stack. The
/// handler must not touch x87, SSE or AVX state, which a soft-float target guarantees.
#[macro_export]
macro_rules! interrupt_stubs {
    ($name:ident => $handler:path) => {
        core::arch::global_asm!(
            ".pushsection .text.cpu_interrupt_stubs, \"ax\", @progbits",
            ".balign 16",
            ".globl cpu_interrupt_stubs",
            ".type cpu_interrupt_stubs, @function",
            "cpu_interrupt_stubs:",
            ".set cpu_interrupt_vector, 0",
            ".rept 256",
            ".balign 16",
            // Vectors 8, 10-14, 17, 21, 29 and 30 come with an error code; the others get a 0.
            ".ifeq (0x60227d00 >> (cpu_interrupt_vector & 31)) & (cpu_interrupt_vector < 32) & 1",
            "pushq $0",
            ".endif",
            "pushq $cpu_interrupt_vector",
            "jmp .Lcpu_interrupt_common",
            ".set cpu_interrupt_vector, cpu_interrupt_vector + 1",
            ".endr",
            ".size cpu_interrupt_stubs, . - cpu_interrupt_stubs",
            ".balign 16",
            ".Lcpu_interrupt_common:",
            "pushq %rax; pushq %rbx; pushq %rcx; pushq %rdx",
            "pushq %rsi; pushq %rdi; pushq %rbp; pushq %r8",
            "pushq %r9; pushq %r10; pushq %r11; pushq %r12",
            "pushq %r13; pushq %r14; pushq %r15",
            "cld",
            "movq %rsp, %rdi",
            "call {handler}",
            "popq %r15; popq %r14; popq %r13",
            "popq %r12; popq %r11; popq %r10; popq %r9",
            "popq %r8; popq %rbp; popq %rdi; popq %rsi",
            "popq %rdx; popq %rcx; popq %rbx; popq %rax",
            // The vector and the error code.
            "addq $16, %rsp",
            "iretq",
            ".popsection",
            handler = sym $handler,
            options(att_syntax),
        );

        /// Returns the code of the 256 interrupt stubs.
        fn $name() -> &'static $crate::interrupt::Stubs {
            // SAFETY: the assembly above defines this symbol with the size and alignment of `Stubs`.
            unsafe extern "C" {
                #[link_name = "cpu_interrupt_stubs"]
                safe static STUBS: $crate::interrupt::Stubs;
            }
            // A handler of another type would not be called as the stubs call it.
            const _: extern "C" fn(&mut $crate::interrupt::Frame) = $handler;
            &STUBS
        }
    };
}

#[cfg(test)]
mod tests {
    use super::Gate;
    use x86_64::structures::gdt::SegmentSelector;

    #[test]
    fn a_gate_spreads_its_offset_over_three_fields() {
        let gate = Gate::new(0x1122_3344_5566_7788, SegmentSelector(0x08));
        assert_eq!(gate.low, 0x5566_8e00_0008_7788);
        assert_eq!(gate.high, 0x1122_3344);
    }
}
