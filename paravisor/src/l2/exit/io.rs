// SPDX-License-Identifier: MIT OR Apache-2.0
//! IN, OUT, INS, OUTS.
//!
//! The platform says what is behind a port. Of the host's ports, L2 has those in base address registers
//! of its devices, and nothing else, whatever the host has.

/// INS and OUTS.
mod string;

use paravisor::{
    exit::io::received,
    platform::{Port, Ways, Wish},
    width::{low8, low32, ones},
};
use tdcall::{IoQualification, L2Exit};

use super::{Next, Refused};
use crate::{
    interrupt::counters::OPEN_BUS,
    l2::{devices, end, serial, vcpu::Vcpu},
};

/// Handles a port access.
pub(super) fn handle(vcpu: &mut Vcpu, report: &L2Exit) -> Result<Next, Refused> {
    let access = IoQualification::from_bits(report.qualification);
    let Some(size) = access.size() else { return Ok(Next::UNDEFINED_OPCODE) };
    if access.string() {
        return string::handle(vcpu, report, access, size);
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
        Port::Device => devices::device_port_read(vcpu, port, size).unwrap_or_else(|| {
            OPEN_BUS.add();
            absent
        }),
        Port::Ways | Port::Absent => {
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
        Port::Ways => match Ways::chosen(value) {
            Some(ways) => devices::choose_ways(vcpu, ways),
            None => _ = OPEN_BUS.add(),
        },
        Port::Device => {
            if devices::device_port_write(vcpu, port, size, value).is_none() {
                OPEN_BUS.add();
            }
        }
        Port::Absent => _ = OPEN_BUS.add(),
    }
}
