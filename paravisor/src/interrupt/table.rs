// SPDX-License-Identifier: MIT OR Apache-2.0
//! One interrupt gate per vector; one table for all CPUs, since every CPU has the same vectors.
//!
//! Interrupt gates leave IF=0, so handlers do not nest, which the relay relies on. #DF and NMI have
//! stacks of their own: the first may be about the stack, the second may come at any instruction.
//!
//! Spec: SDM "64-Bit Mode IDT".
#![expect(unsafe_code, reason = "loading a descriptor table changes where the CPU jumps")]

use spin::Once;
use x86_64::{
    VirtAddr,
    instructions::tables::lidt,
    structures::{DescriptorTablePointer, gdt::SegmentSelector},
};

use super::{dispatch, posted_exception, relay, vectors};

/// Index of the stack in the TSS, counted as the gates do, from 1.
pub(crate) const DOUBLE_FAULT_STACK: u16 = 1;
/// As above.
pub(crate) const NMI_STACK: u16 = 2;

#[repr(C)]
struct Gate {
    low: u64,
    high: u64,
}

#[repr(C, align(16))]
struct Table([Gate; 256]);

static TABLE: Once<Table> = Once::new();

/// Loads the table into this CPU, whose code segment is `code`.
pub(crate) fn load(code: SegmentSelector) {
    let table = TABLE.call_once(|| Table(core::array::from_fn(|vector| gate(vector, code))));
    let pointer = DescriptorTablePointer { limit: 256 * 16 - 1, base: VirtAddr::from_ptr(table) };
    // SAFETY: 1. The table is never written again. 2. Each gate leads to a stub. 3. `code` is this
    // CPU's code segment, the same on all of them.
    unsafe { lidt(&pointer) };
}

fn gate(vector: usize, code: SegmentSelector) -> Gate {
    let vector = u8::try_from(vector).unwrap_or(vectors::SPURIOUS);
    let handler = relay::stub(vector)
        .or_else(|| posted_exception::stub(vector))
        .unwrap_or_else(|| dispatch::stub(vector));
    let stack = match vector {
        vectors::DOUBLE_FAULT => DOUBLE_FAULT_STACK,
        vectors::NMI => NMI_STACK,
        _ => 0,
    };
    // Present, ring 0, type 14.
    let kind = 0x8e00_u64 << 32 | u64::from(stack) << 32;
    let low = handler & 0xffff | u64::from(code.0) << 16 | kind | (handler >> 16 & 0xffff) << 48;
    Gate { low, high: handler >> 32 }
}
