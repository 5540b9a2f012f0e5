// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the run loop tells, and what is rung.

use core::fmt;

use spin::{Mutex, Once};
use tdcall::ExitReason;

use super::{
    flood::{self, Flood},
    walk::{self, Ran, Refused, Sweep, Trapped},
};
use crate::{
    iommu,
    machine::cpus,
    observe,
    svm::vmcb::{Vmcb, rflags},
};

/// "Single step" in DR6.
const SINGLE_STEP: u64 = 1 << 14;

static SWEEP: Once<Mutex<Sweep>> = Once::new();

static FLOOD: Once<Flood> = Once::new();

/// Begins what the command line asks for.
pub(crate) fn begin(sweep: Option<walk::Plan>, flood: Option<flood::Plan>) {
    if let Some(plan) = sweep {
        SWEEP.call_once(|| Mutex::new(Sweep::new(plan)));
    }
    if let Some(plan) = flood {
        FLOOD.call_once(|| Flood::new(plan));
    }
}

/// Whether L1's single-step traps are L0's.
pub(crate) fn traps() -> bool {
    SWEEP.is_completed()
}

/// Virtual machine `vm` is about to run; `trapped` if a single step of it has just ended.
pub(crate) fn before(vm: usize, vmcb: Vmcb, trapped: Trapped) {
    let cpu = cpus::current();
    if vm != 0
        && let Some(flood) = FLOOD.get()
        && !flood.springs(cpu)
    {
        flood.burst(cpu, |vector| ring_here(cpu, vector));
    }
    let Some(sweep) = SWEEP.get() else { return };
    let mut sweep = sweep.lock();
    if vm != 0 {
        if let Some(vector) = sweep.starter(cpu) {
            let target = sweep.target();
            sweep.started(observe::relayed_as(target, vector));
            iommu::ring(target, vector);
        }
    } else if sweep.walks(cpu)
        && let Some(vector) = sweep.boundary(vmcb.rip(), trapped)
    {
        // Awaited before it is rung: another CPU may be quick.
        let target = sweep.target();
        let waits = sweep.rung(vector, observe::relayed_as(target, vector));
        if observe::is_banked(target, vector) {
            sweep.note_banked();
        }
        iommu::ring(target, vector);
        drop(sweep);
        if waits
            && !came_about(Sweep::is_answered)
            && let Some(sweep) = SWEEP.get()
        {
            sweep.lock().give_up();
        }
    }
}

/// Waits until another CPU brings about that `condition` holds, and not for ever.
fn came_about(condition: impl Fn(&Sweep) -> bool) -> bool {
    const PATIENCE: u64 = 1 << 33;
    let holds = || SWEEP.get().is_some_and(|sweep| condition(&sweep.lock()));
    let since = ::cpu::tsc();
    while !holds() {
        if ::cpu::tsc().wrapping_sub(since) > PATIENCE {
            return false;
        }
        core::hint::spin_loop();
    }
    true
}

/// Rings reserved `vector` of `cpu`. Returns what L2 will take there, `None` if the vector stands for nothing.
fn ring_here(cpu: usize, vector: u8) -> Option<u8> {
    let destination = observe::relayed_as(cpu, vector).filter(|(end, _)| *end == cpu);
    destination.filter(|_| iommu::ring(cpu, vector)).map(|(_, vector)| vector)
}

/// Makes L1 stop behind its next instruction if it is being walked through. Not while an interrupt is
/// delivered: its handler stops at once, and would give the flag back to L1.
pub(crate) fn step_on(vmcb: Vmcb) {
    let walks = |sweep: &Mutex<Sweep>| sweep.lock().walks(cpus::current());
    if vmcb.event_inj() == 0 && SWEEP.get().is_some_and(walks) {
        vmcb.set_rflags(vmcb.rflags() | rflags::TF);
    }
}

/// L1 exited: nobody sees that it was made to stop.
pub(crate) fn hide(vmcb: Vmcb) {
    if traps() {
        vmcb.set_rflags(vmcb.rflags() & !rflags::TF);
        vmcb.set_dr6(vmcb.dr6() & !SINGLE_STEP);
    }
}

/// L2 exits to L1 for `reason`, with `rax` in RAX.
pub(crate) fn l2_exit(reason: ExitReason, rax: u64) {
    let asks = |mark| reason == ExitReason::CPUID && rax == mark;
    let ran = if reason == ExitReason::EXTERNAL_INTERRUPT { Ran::Perhaps } else { Ran::Yes };
    // What another CPU has still to take is no reason to call this one late.
    let is_alone = |sweep: &Sweep| !sweep.is_awaited_but_on(cpus::current());
    if asks(walk::MARK) && traps() && !came_about(is_alone) {
        with(|sweep, _| sweep.despair());
    }
    // L2 ends a level-triggered vector before it takes the next one: it is still at it.
    if reason != ExitReason::VIRTUALIZED_EOI {
        with(|sweep, cpu| if asks(walk::MARK) { sweep.asked(cpu) } else { sweep.exited(cpu, ran) });
    }
    let Some(flood) = FLOOD.get() else { return };
    let cpu = cpus::current();
    if asks(flood::MARK) {
        flood.flow(cpu);
        (0..cpus::count()).for_each(|cpu| flood.burst(cpu, |vector| ring_here(cpu, vector)));
    } else if flood.springs(cpu) && reason != ExitReason::EXTERNAL_INTERRUPT {
        flood.burst(cpu, |vector| ring_here(cpu, vector));
    }
}

/// L1 takes `vector` before the instruction at `rip`.
pub(crate) fn l1_interrupt(vector: u8, rip: u64) {
    with(|sweep, cpu| sweep.taken(cpu, vector, rip));
}

/// L1 enters L2, or is refused to.
pub(crate) fn vp_enter(refused: Refused) {
    with(|sweep, cpu| {
        // The CPU that walks stands still, so what was posted for it is still there.
        let walker = if refused == Refused::No { sweep.waits_for(cpu) } else { None };
        if walker.is_some_and(observe::has_remote_post) {
            sweep.answer();
        }
        sweep.entered(cpu, refused);
    });
}

/// L2 takes `vector`.
pub(crate) fn l2_interrupt(vector: u8) {
    with(|sweep, cpu| sweep.delivered(cpu, vector));
    if let Some(flood) = FLOOD.get() {
        flood.delivered(cpus::current(), vector);
    }
}

/// Prints what came of it.
pub(crate) fn print(sink: &mut dyn FnMut(fmt::Arguments<'_>)) {
    if let Some(sweep) = SWEEP.get() {
        sink(format_args!("{}", *sweep.lock()));
    }
    if let Some(flood) = FLOOD.get() {
        sink(format_args!("{flood}"));
    }
}

fn with(tell: impl FnOnce(&mut Sweep, usize)) {
    if let Some(sweep) = SWEEP.get() {
        tell(&mut sweep.lock(), cpus::current());
    }
}
