// SPDX-License-Identifier: MIT OR Apache-2.0
//! The segments and the task state of each CPU.
//!
//! A TSS cannot be shared between CPUs, because it names stacks; a GDT cannot, because loading TR
//! marks the TSS busy in it.
//!
//! Spec: SDM "64-Bit Task State Segment".
#![expect(unsafe_code, reason = "loading segments changes what every address means")]

use alloc::{boxed::Box, vec};

use x86_64::{
    VirtAddr,
    instructions::{
        segmentation::{CS, DS, ES, SS, Segment},
        tables::load_tss,
    },
    structures::{
        gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector},
        tss::TaskStateSegment,
    },
};

use crate::interrupt::table;

const EMERGENCY_STACK: usize = 0x2000;

/// Makes and loads this CPU's descriptors, then the interrupt table.
pub(crate) fn load() {
    let mut tss = TaskStateSegment::new();
    for number in [table::DOUBLE_FAULT_STACK, table::NMI_STACK] {
        tss.interrupt_stack_table[usize::from(number) - 1] = emergency_stack();
    }
    let tss: &'static TaskStateSegment = Box::leak(Box::new(tss));
    let gdt = Box::leak(Box::new(GlobalDescriptorTable::new()));
    let code = gdt.append(Descriptor::kernel_code_segment());
    let data = gdt.append(Descriptor::kernel_data_segment());
    let task = gdt.append(Descriptor::tss_segment(tss));
    gdt.load();
    // SAFETY: `code` is a 64-bit code segment of the table just loaded.
    unsafe { CS::set_reg(code) };
    set_data_segments(data);
    // SAFETY: `task` is a TSS of the table just loaded, and not busy.
    unsafe { load_tss(task) };
    table::load(code);
}

fn set_data_segments(data: SegmentSelector) {
    // SAFETY: `data` is a flat data segment of this CPU's table.
    unsafe { SS::set_reg(data) };
    // SAFETY: As above.
    unsafe { DS::set_reg(data) };
    // SAFETY: As above.
    unsafe { ES::set_reg(data) };
}

/// The top of a new stack for a gate that brings its own.
fn emergency_stack() -> VirtAddr {
    let stack = Box::leak(vec![0_u128; EMERGENCY_STACK / size_of::<u128>()].into_boxed_slice());
    VirtAddr::from_ptr(stack.as_ptr_range().end)
}
