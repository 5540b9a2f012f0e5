// SPDX-License-Identifier: MIT OR Apache-2.0
//! INS and OUTS.
//!
//! They exit before the processor looks at memory, so L1 makes the checks that it would have made: a
//! program of ring 3 that may use a port must not reach the kernel's memory by it. Units are moved one at
//! a time, a bounded number of them an exit; the instruction is simply executed again for the rest.
//!
//! Spec: SDM volume 2, "INS/INSB/INSW/INSD", "OUTS/OUTSB/OUTSW/OUTSD".
#![expect(unsafe_code, reason = "the address of a page fault is in CR2, which L1 shares with L2")]

use paravisor::{
    exit::event::Event,
    guest_memory::GuestMemory,
    page_walk::{Fault, Intent, Paging},
    width,
};
use tdcall::{IoQualification, L2Exit};

use super::{Next, Refused, input, output};
use crate::{
    l2::vcpu::{Vcpu, is_long},
    memory::guest::GuestRam,
};

/// Units moved an exit.
const MAX_UNITS: u64 = 512;
const PAGE: u64 = 0x1000;
const RFLAGS_DF: u64 = 1 << 10;
const RFLAGS_AC: u64 = 1 << 18;

/// Where one unit lies: its bytes in the first page, and in the next one.
#[derive(Clone, Copy)]
struct Place {
    first: (u64, usize),
    second: (u64, usize),
}

/// Handles either; the exit names the linear address of the first unit.
pub(super) fn handle(
    vcpu: &mut Vcpu,
    report: &L2Exit,
    access: IoQualification,
    size: u8,
) -> Result<Next, Refused> {
    let paging = Vcpu::paging()?;
    let space = if is_long(report) { u64::MAX } else { 0xffff_ffff };
    let mask = index_mask(report);
    let rflags = vcpu.state().rflags;
    let intent = Intent {
        write: access.is_in(),
        user: report.cpl == 3,
        alignment_check: rflags & RFLAGS_AC != 0,
    };
    let step = if rflags & RFLAGS_DF != 0 { u64::from(size).wrapping_neg() } else { size.into() };
    let left = if access.rep() { vcpu.state().rcx & mask } else { 1 };
    let mut linear = report.gla;
    let mut done = 0;
    while done < left.min(MAX_UNITS) {
        let place = match find(&paging, linear, size, intent) {
            Ok(place) => place,
            Err((at, fault)) => return Ok(raise(at, fault)),
        };
        if !unit(vcpu, access, place, size) {
            return Ok(Next::GENERAL_PROTECTION);
        }
        linear = linear.wrapping_add(step) & space;
        done += 1;
        advance(vcpu, access, step, mask);
    }
    Ok(if done == left { Next::Skip } else { Next::Resume })
}

/// The bits of the index and count registers that the instruction uses, by its address size.
const fn index_mask(report: &L2Exit) -> u64 {
    match report.instruction_info >> 7 & 7 {
        0 => 0xffff,
        1 => 0xffff_ffff,
        _ => u64::MAX,
    }
}

/// Finds a unit's memory, or says where it cannot be accessed and why.
fn find(paging: &Paging, linear: u64, size: u8, intent: Intent) -> Result<Place, (u64, Fault)> {
    let ram = GuestRam::get();
    let to_end = width::index(PAGE - linear % PAGE);
    let translate = |at| paging.translate_for(&ram, at, intent).map_err(|fault| (at, fault));
    let length = usize::from(size).min(to_end);
    let rest = usize::from(size) - length;
    let first = (translate(linear)?, length);
    let next = linear.wrapping_add(width::wide(length));
    let second = if rest == 0 { (0, 0) } else { (translate(next)?, rest) };
    Ok(Place { first, second })
}

/// The exception of a unit that cannot be accessed.
fn raise(at: u64, fault: Fault) -> Next {
    let Fault::Page(code) = fault else { return Next::GENERAL_PROTECTION };
    // SAFETY: CR2 is L2's while L1 has no page fault, and one of L1's is the end of it.
    unsafe { core::arch::asm!("mov cr2, {}", in(reg) at, options(nomem, nostack)) };
    Next::Inject(Event::page_fault(code))
}

/// Moves one unit between a port and memory. False if the memory is not L2's RAM.
fn unit(vcpu: &mut Vcpu, access: IoQualification, place: Place, size: u8) -> bool {
    let mut ram = GuestRam::get();
    let mut bytes = [0; 4];
    let Place { first: (gpa, split), second: (next, rest) } = place;
    let Some(whole) = bytes.get_mut(..usize::from(size)) else { return false };
    if access.is_in() {
        let value = input(vcpu, access.port(), size).to_le_bytes();
        whole.copy_from_slice(&value[..usize::from(size)]);
        let (low, high) = whole.split_at(split);
        return ram.write(gpa, low) && (rest == 0 || ram.write(next, high));
    }
    let (low, high) = whole.split_at_mut(split);
    if !ram.read(gpa, low) || rest != 0 && !ram.read(next, high) {
        return false;
    }
    output(vcpu, access.port(), size, u32::from_le_bytes(bytes));
    true
}

/// Moves the index register, and the count of a repeated instruction, by one unit. Registers of 16 bits
/// leave the rest alone, those of 32 clear it.
fn advance(vcpu: &mut Vcpu, access: IoQualification, step: u64, mask: u64) {
    let kept = if mask == 0xffff { !mask } else { 0 };
    let state = vcpu.state();
    let index = if access.is_in() { &mut state.rdi } else { &mut state.rsi };
    *index = index.wrapping_add(step) & mask | *index & kept;
    if access.rep() {
        state.rcx = state.rcx.wrapping_sub(width::wide(1)) & mask | state.rcx & kept;
    }
}
