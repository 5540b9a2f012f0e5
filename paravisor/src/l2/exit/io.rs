// SPDX-License-Identifier: MIT OR Apache-2.0
//! IN, OUT, INS, OUTS.
//!
//! The platform says what is behind a port. Nothing else of the host's is offered, whatever the host
//! has. String forms move one unit a time through L2's memory, a bounded number of them an exit; the
//! instruction is simply executed again for the rest.

use paravisor::{
    exit::io::received,
    guest_memory::GuestMemory,
    platform::{Port, Wish},
    width::{self, low8, low32, ones},
};
use tdcall::{IoQualification, L2Exit};

use super::{Next, Refused};
use crate::{
    interrupt::counters::OPEN_BUS,
    l2::{
        devices, end, serial,
        vcpu::{Vcpu, is_long},
    },
    memory::guest::GuestRam,
};

/// Units moved an exit.
const MAX_UNITS: u64 = 512;
const RFLAGS_DF: u64 = 1 << 10;

/// Handles a port access.
pub(super) fn handle(vcpu: &mut Vcpu, report: &L2Exit) -> Result<Next, Refused> {
    let access = IoQualification::from_bits(report.qualification);
    let Some(size) = access.size() else { return Ok(Next::UNDEFINED_OPCODE) };
    if access.string() {
        return string(vcpu, report, access, size);
    }
    let rax = vcpu.state().rax;
    if access.is_in() {
        let value = input(vcpu, access.port(), size);
        vcpu.state().rax = received(rax, size, value.into());
    } else {
        output(vcpu, access.port(), size, low32(rax & ones(size)));
    }
    Ok(Next::Skip)
}

fn input(vcpu: &Vcpu, port: u16, size: u8) -> u32 {
    let absent = low32(ones(size));
    match Port::of(port, size) {
        Port::Serial(register) => serial::read(register).into(),
        Port::Clock => 0,
        Port::Pci => devices::port_read(vcpu, port, size),
        Port::Power(register) => register.read() & absent,
        Port::Absent => {
            OPEN_BUS.add();
            absent
        }
    }
}

fn output(vcpu: &mut Vcpu, port: u16, size: u8, value: u32) {
    match Port::of(port, size) {
        Port::Serial(register) => serial::write(register, low8(value.into())),
        Port::Clock => {}
        Port::Pci => devices::port_write(vcpu, port, size, value),
        Port::Power(register) => match register.write(value) {
            Wish::None => {}
            Wish::End(verdict) => end::by_l2(vcpu.index, verdict),
            Wish::Off => end::by_l2(vcpu.index, end::SUCCESS),
            Wish::Reset => end::of_l2(vcpu, format_args!("guest reset")),
        },
        Port::Absent => _ = OPEN_BUS.add(),
    }
}

/// INS or OUTS; the exit names the linear address of the first unit.
fn string(
    vcpu: &mut Vcpu,
    report: &L2Exit,
    access: IoQualification,
    size: u8,
) -> Result<Next, Refused> {
    let paging = Vcpu::paging()?;
    let mask = if is_long(report) { u64::MAX } else { 0xffff_ffff };
    let backwards = vcpu.state().rflags & RFLAGS_DF != 0;
    let step = if backwards { u64::from(size).wrapping_neg() } else { size.into() };
    let left = if access.rep() { vcpu.state().rcx & mask } else { 1 };
    let mut linear = report.gla;
    let mut done = 0;
    while done < left.min(MAX_UNITS) {
        let ram = GuestRam::get();
        let Some(gpa) = paging.translate(&ram, linear) else { return Ok(Next::GENERAL_PROTECTION) };
        if !unit(vcpu, access, (gpa, size)) {
            return Ok(Next::GENERAL_PROTECTION);
        }
        linear = linear.wrapping_add(step);
        done += 1;
        advance(vcpu, access, step, mask);
    }
    Ok(if done == left { Next::Skip } else { Next::Resume })
}

/// Moves one unit between `port` and memory. False if the memory is not L2's.
fn unit(vcpu: &mut Vcpu, access: IoQualification, (gpa, size): (u64, u8)) -> bool {
    let mut ram = GuestRam::get();
    let mut bytes = [0; 4];
    let Some(part) = bytes.get_mut(..usize::from(size)) else { return false };
    if access.is_in() {
        let value = input(vcpu, access.port(), size).to_le_bytes();
        part.copy_from_slice(&value[..usize::from(size)]);
        return ram.write(gpa, part);
    }
    if !ram.read(gpa, part) {
        return false;
    }
    output(vcpu, access.port(), size, u32::from_le_bytes(bytes));
    true
}

/// Moves the index register, and the count of a repeated instruction, by one unit.
fn advance(vcpu: &mut Vcpu, access: IoQualification, step: u64, mask: u64) {
    let state = vcpu.state();
    let index = if access.is_in() { &mut state.rdi } else { &mut state.rsi };
    *index = index.wrapping_add(step) & mask | *index & !mask;
    if access.rep() {
        state.rcx = state.rcx.wrapping_sub(width::wide(1)) & mask | state.rcx & !mask;
    }
}
