// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an exit leads to. The table of reasons decides; a file each does what takes more than that.
//!
//! Nothing here can end L1. What L2 does wrong gives L2 an exception; what makes it impossible to go on
//! gives an end of L2 that says why.

/// CPUID.
mod cpuid;

/// RDMSR, WRMSR.
mod msr;

/// IN, OUT, INS, OUTS.
mod io;

/// CR0, CR3, CR4, CR8.
mod control_register;

/// XSETBV.
mod xsetbv;

/// Addresses that L2's tables do not map.
mod ept_violation;

/// The instruction behind an intercepted access.
mod instruction;

/// Non-maskable interrupts for L2.
pub(super) mod nmi;

/// VMCALL.
mod hypercall;

/// TDCALL.
mod tdcall;

/// Interrupts between L2's CPUs.
mod ipi;

use ::tdcall::L2Exit;
use log::warn;
use paravisor::{
    exit::{
        event::Event,
        reason::{Emulation, Response, response},
    },
    width::low8,
};
use proxy_irq::L2Vector;

use super::{fields::Refused, io_apic, vcpu::Vcpu};
use crate::interrupt::counters::{UNKNOWN_EXITS, count_exit};

/// How L2 goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Where it is.
    Resume,
    /// After the instruction.
    Skip,
    /// With an exception.
    Inject(Event),
    /// Not until it has an interrupt; then after the instruction.
    Halt,
    /// Not at all.
    End(&'static str),
}

impl Next {
    const UNDEFINED_OPCODE: Self = Self::Inject(Event::UNDEFINED_OPCODE);
    const GENERAL_PROTECTION: Self = Self::Inject(Event::GENERAL_PROTECTION);
}

/// Handles an exit.
pub(super) fn handle(vcpu: &mut Vcpu, report: &L2Exit) -> Result<Next, Refused> {
    count_exit(report.reason);
    let Some(response) = response(report.reason) else {
        if UNKNOWN_EXITS.add_and_tell() {
            let (reason, rip) = (report.reason, vcpu.state().rip);
            warn!("unknown exit: cpu={} reason={reason} rip={rip:#x}", vcpu.index);
        }
        return Ok(Next::UNDEFINED_OPCODE);
    };
    match response {
        Response::Resume => Ok(Next::Resume),
        Response::SkipInKernel if report.cpl != 0 => Ok(Next::GENERAL_PROTECTION),
        Response::Skip | Response::SkipInKernel => Ok(Next::Skip),
        Response::UndefinedOpcode => Ok(Next::UNDEFINED_OPCODE),
        Response::GeneralProtection => Ok(Next::GENERAL_PROTECTION),
        Response::End(why) => Ok(Next::End(why)),
        Response::Emulate(emulation) => emulate(vcpu, report, emulation),
    }
}

fn emulate(vcpu: &mut Vcpu, report: &L2Exit, emulation: Emulation) -> Result<Next, Refused> {
    match emulation {
        Emulation::Exception => Ok(reflect(report)),
        Emulation::NmiWindow => {
            nmi::window_open(vcpu)?;
            Ok(Next::Resume)
        }
        Emulation::Cpuid => cpuid::handle(vcpu),
        Emulation::Halt => Ok(Next::Halt),
        Emulation::Tsc => Ok(read_tsc(vcpu, 0)),
        Emulation::TscWithProcessor => {
            let index = paravisor::width::wide(vcpu.index);
            Ok(read_tsc(vcpu, index))
        }
        Emulation::Hypercall => Ok(hypercall::handle(vcpu, report)),
        Emulation::ControlRegister => control_register::handle(vcpu, report),
        Emulation::Io => io::handle(vcpu, report),
        Emulation::ReadMsr => msr::read(vcpu),
        Emulation::WriteMsr => msr::write(vcpu),
        Emulation::EptViolation => ept_violation::handle(vcpu, report),
        Emulation::Timer => {
            vcpu.take_timer()?;
            Ok(Next::Resume)
        }
        Emulation::SetExtendedControl => xsetbv::handle(vcpu, report),
        Emulation::Tdcall => tdcall::handle(vcpu, report),
        Emulation::EndOfInterrupt => Ok(end_of_interrupt(report)),
    }
}

/// An event could not be delivered, because L2's tables did not map what it pushes to or reads from. If
/// that is memory of L2's own, it is given back and the event delivered after all: the host may have
/// had it inaccessible for a moment. Elsewhere is nothing: a processor would write to nowhere and go on
/// to shut down.
pub(super) fn during_delivery(vcpu: &mut Vcpu, report: &L2Exit) -> Next {
    let restored = ept_violation::restore_during_delivery(vcpu, report);
    restored.unwrap_or_else(|| {
        warn!("delivery of an event to nowhere: gpa={:#x}", report.gpa);
        Next::End("triple fault")
    })
}

/// The delivery of `event` would have switched tasks, which L2's processor cannot do: as if the gate
/// were not there.
pub(super) fn during_task_switch(event: Event) -> Next {
    match event.after_failed_delivery() {
        Some(event) => Next::Inject(event),
        None => Next::End("triple fault"),
    }
}

/// An exception L1 intercepts without wanting to.
fn reflect(report: &L2Exit) -> Next {
    let (code, length) = (report.interruption_error_code, report.instruction_length);
    match Event::from_exit(report.interruption, code, length) {
        Some(event) => Next::Inject(event),
        None => Next::Resume,
    }
}

/// The processor has ended the interrupt; its source is left.
fn end_of_interrupt(report: &L2Exit) -> Next {
    if let Some(vector) = L2Vector::new(low8(report.qualification)) {
        io_apic::end_of_interrupt(vector);
    }
    Next::Resume
}

fn read_tsc(vcpu: &mut Vcpu, processor: u64) -> Next {
    let now = cpu::tsc();
    let state = vcpu.state();
    (state.rax, state.rdx) = (now & 0xffff_ffff, now >> 32);
    state.rcx = if processor == 0 { state.rcx } else { processor };
    Next::Skip
}
