// SPDX-License-Identifier: MIT OR Apache-2.0
//! The loop around L2.
//!
//! A pass: let L1's own interrupts through, do what others left, move what pends into L2's APIC, enter.
//! Interrupts are off from the drain to the entry, so whatever is posted later is either in L1's own
//! APIC, and the module refuses the entry, or arrives while L2 runs, and the module ends it. A refused
//! entry changes nothing: what was queued for L2 stays queued.
//!
//! Nothing between an interrupt of the relay and the next entry asks the host or reads or writes a
//! field, with two exceptions: an event whose delivery the exit interrupted has to be given back, and
//! a change of the IO-APIC's set of vectors by level has to be taken over.

use log::{debug, warn};
use paravisor::exit::event::Event;
use proxy_irq::Drained;
use tdcall::{ExitReason, InterruptionType, L2Exit, tdg::L2Return};
use x86_64::instructions::interrupts;

use super::{
    end, events,
    exit::{self, Next},
    fields::Refused,
    forward,
    halt::{self, Halt},
    requests::{Served, serve},
    signals::{self, Signal},
    vcpu::{Place, Vcpu},
    vm::vm,
    vmbus,
};
use crate::{apic, epitaph::give_up, interrupt::counters::DROPPED_EVENTS};

/// Runs this CPU's part of L2 for ever.
pub(crate) fn run(index: usize) -> ! {
    interrupts::disable();
    if index >= paravisor::width::index(vm().cpus.into()) {
        debug!("cpu {index}: not in use");
        halt::for_ever(index);
    }
    let mut vcpu = match Vcpu::new(index) {
        Ok(vcpu) => vcpu,
        Err(refused) => give_up(format_args!("L2 cannot be set up: {refused}")),
    };
    if let Err(refused) = vmbus::begin(&vcpu) {
        give_up(format_args!("the timer cannot be set: {refused}"));
    }
    let started = if index == 0 { vcpu.start_first() } else { wait_for_start(&mut vcpu) };
    if let Err(refused) = started {
        give_up(format_args!("L2 cannot be started: {refused}"));
    }
    loop {
        if let Err(refused) = pass(&mut vcpu) {
            end::of_l2(&mut vcpu, format_args!("field refused: {refused}"));
        }
    }
}

/// One turn of the loop.
fn pass(vcpu: &mut Vcpu) -> Result<(), Refused> {
    window();
    let saved = vcpu.state().rvi;
    let drained = match vcpu.block.drain_if_left_alone(saved) {
        Some(drained) => drained,
        None if attend(vcpu)? == Served::NotYet => return Ok(()),
        None => vcpu.block.drain(saved),
    };
    take_over(vcpu, drained);
    vcpu.write_event()?;
    if vcpu.block.try_enter_l2().is_err() {
        return Ok(());
    }
    let back = vcpu.enter();
    vcpu.block.resume();
    match back {
        L2Return::Exit(report) => {
            interrupts::enable();
            warn_spurious(vcpu);
            let next = take_exit(vcpu, &report)?;
            follow(vcpu, &report, next)
        }
        L2Return::PendingInterruptExit(report) => {
            give_back(vcpu, &report);
            Ok(())
        }
        L2Return::HostRoutedAsync(report) => {
            interrupts::enable();
            let next = take_host_routed(vcpu, &report)?;
            follow(vcpu, &report, next)
        }
        L2Return::HostRoutedTdvmcall(_) | L2Return::NotEntered => Ok(()),
        L2Return::Error(status) => end::of_l2(vcpu, format_args!("TDG.VP.ENTER refused: {status}")),
    }
}

/// Does what others have left for this CPU.
#[cold]
fn attend(vcpu: &mut Vcpu) -> Result<Served, Refused> {
    if vcpu.take_attention()? {
        take_signals(vcpu)?;
    }
    Ok(serve(vcpu.block))
}

/// Lets L1's pending interrupts through.
pub(super) fn window() {
    // STI holds interrupts off for one instruction more, which is a NOP that comes with it.
    interrupts::enable();
    interrupts::disable();
}

/// Moves what pends into L2's APIC. Context: IF=0.
pub(super) fn drain(vcpu: &mut Vcpu) {
    let saved = vcpu.state().rvi;
    let drained = vcpu.block.drain(saved);
    take_over(vcpu, drained);
}

#[inline]
fn take_over(vcpu: &mut Vcpu, drained: Drained) {
    vcpu.state().rvi = drained.rvi;
    if drained.aside {
        see_to_aside(vcpu);
    }
}

/// Interrupts that are not for L2 on this CPU.
#[cold]
fn see_to_aside(vcpu: &mut Vcpu) {
    let aside = vcpu.block.take_aside();
    vcpu.spurious |= aside.spurious;
    forward::pass_on(vcpu.block, aside.forwarded);
}

/// Tells of interrupts on reserved vectors that map to nothing. Called when L2 is out for a reason of
/// its own, so that nothing is said on the relay path; each slot is told of once.
fn warn_spurious(vcpu: &mut Vcpu) {
    let news = vcpu.spurious & !vcpu.spurious_told;
    if news != 0 {
        vcpu.spurious_told |= news;
        let count = vcpu.block.figures().spurious;
        warn!("spurious: cpu={} slots={news:#x} count={count}", vcpu.index);
    }
}

/// An exit in L2's own right.
fn take_exit(vcpu: &mut Vcpu, report: &L2Exit) -> Result<Next, Refused> {
    give_back(vcpu, report);
    if let Some(event) = vcpu.event {
        // The exit is about the delivery, not about the instruction at RIP.
        return Ok(match report.reason.basic() {
            ExitReason::TRIPLE_FAULT => Next::End("triple fault"),
            ExitReason::EPT_VIOLATION => exit::during_delivery(vcpu, report),
            ExitReason::TASK_SWITCH => exit::during_task_switch(event),
            _ => Next::Resume,
        });
    }
    exit::handle(vcpu, report)
}

/// An exit that went to the host, which sent it here. The host is free to do that at any time, so
/// only what L1 can check for itself has an effect.
fn take_host_routed(vcpu: &mut Vcpu, report: &L2Exit) -> Result<Next, Refused> {
    give_back(vcpu, report);
    match report.reason.basic() {
        ExitReason::EPT_VIOLATION if vcpu.event.is_some() => {
            Ok(exit::during_delivery(vcpu, report))
        }
        ExitReason::EPT_VIOLATION => exit::handle(vcpu, report),
        ExitReason::EXCEPTION_OR_NMI => Ok(bounced(report)),
        _ => Ok(Next::Resume),
    }
}

/// An exception that L1 had injected and whose delivery was interrupted comes back as an exit.
fn bounced(report: &L2Exit) -> Next {
    let information = report.interruption;
    if information.kind() == InterruptionType::NMI {
        return Next::Resume;
    }
    match Event::from_exit(information, report.interruption_error_code, report.instruction_length) {
        Some(event) => Next::Inject(event),
        None => Next::Resume,
    }
}

/// Queues the event whose delivery the exit interrupted.
fn give_back(vcpu: &mut Vcpu, report: &L2Exit) {
    if !report.idt_vectoring.valid() {
        return;
    }
    vcpu.event = Event::from_exit(
        report.idt_vectoring,
        report.idt_vectoring_error_code,
        report.instruction_length,
    );
    if vcpu.event.is_none() {
        DROPPED_EVENTS.add();
    }
}

fn follow(vcpu: &mut Vcpu, report: &L2Exit, next: Next) -> Result<(), Refused> {
    match next {
        Next::Resume => {}
        Next::Skip => vcpu.skip(report),
        Next::Inject(event) => vcpu.event = Some(event),
        Next::Halt => {
            vcpu.skip(report);
            vcpu.end_shadow()?;
            interrupts::disable();
            if exit::nmi::wakes(vcpu)? {
                return Ok(());
            }
            match halt::until_work(vcpu)? {
                Halt::Work => {}
                Halt::Reset => wait_for_start(vcpu)?,
                Halt::Called(entry) => {
                    vcpu.take_init()?;
                    start(vcpu, Place::LongMode(entry))?;
                }
            }
        }
        Next::End(why) => end::of_l2(vcpu, format_args!("{why}")),
    }
    Ok(())
}

/// Takes all that this CPU was told: two signals may have come with one kick.
fn take_signals(vcpu: &mut Vcpu) -> Result<(), Refused> {
    while let Some(signal) = signals::take(vcpu.index) {
        match signal {
            Signal::Init => wait_for_start(vcpu)?,
            Signal::Nmi => exit::nmi::give(vcpu)?,
            Signal::Event => events::serve(vcpu)?,
            // A CPU that runs ignores it.
            Signal::StartUp(_) => {}
        }
    }
    Ok(())
}

/// Waits as a CPU does after INIT, then starts. What interrupts it meanwhile is lost, as with an APIC
/// that is not switched on; and left pending it would keep this CPU from halting.
fn wait_for_start(vcpu: &mut Vcpu) -> Result<(), Refused> {
    vcpu.take_init()?;
    let began = cpu::tsc();
    let place = loop {
        window();
        vcpu.take_attention()?;
        match signals::take(vcpu.index) {
            Some(Signal::StartUp(page)) => break Place::RealMode(page),
            Some(Signal::Init | Signal::Nmi) => continue,
            Some(Signal::Event) => events::serve(vcpu)?,
            None => {}
        }
        if let Some(entry) = vm().others.called(vcpu.index) {
            break Place::LongMode(entry);
        }
        if let Some(next) = vm().others.next_look(began) {
            apic::arm_timer(next);
        }
        lose_interrupts(vcpu);
        halt::turn(vcpu.block);
    };
    start(vcpu, place)
}

fn start(vcpu: &mut Vcpu, place: Place) -> Result<(), Refused> {
    lose_interrupts(vcpu);
    debug!("cpu {}: start {place:x?}", vcpu.index);
    vcpu.start_woken(place)
}

/// Forgets what pends. Context: IF=0.
fn lose_interrupts(vcpu: &mut Vcpu) {
    drain(vcpu);
    vcpu.block.reset_apic();
    vcpu.state().rvi = 0;
}
