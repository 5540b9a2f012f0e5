// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the run loop tells, and what is rung.

use core::fmt;

use spin::{Mutex, Once};
use tdcall::ExitReason;

use super::{
    flood::{self, Flood},
    walk::{self, Refused, Sweep, Trapped},
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
        flood.burst(cpu, |vector| ring(cpu, vector));
    }
    let Some(sweep) = SWEEP.get() else { return };
    let mut sweep = sweep.lock();
    if vm != 0 {
        if let Some(vector) = sweep.starter(cpu) {
            iommu::ring(cpu, vector);
        }
    } else if sweep.walks(cpu)
        && let Some(vector) = sweep.boundary(vmcb.rip(), trapped)
    {
        let relayed = ring(sweep.target(), vector);
        sweep.rung(relayed);
    }
}

/// Rings reserved `vector` of `cpu`. Returns what L2 will take, `None` if the vector stands for nothing.
fn ring(cpu: usize, vector: u8) -> Option<u8> {
    observe::relayed_as(cpu, vector).filter(|_| iommu::ring(cpu, vector))
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
    with(|sweep, cpu| if asks(walk::MARK) { sweep.asked(cpu) } else { sweep.exited(cpu) });
    let Some(flood) = FLOOD.get() else { return };
    let cpu = cpus::current();
    if asks(flood::MARK) {
        flood.flow(cpu);
        (0..cpus::count()).for_each(|cpu| flood.burst(cpu, |vector| ring(cpu, vector)));
    } else if flood.springs(cpu) && reason != ExitReason::EXTERNAL_INTERRUPT {
        flood.burst(cpu, |vector| ring(cpu, vector));
    }
}

/// L1 takes `vector` before the instruction at `rip`.
pub(crate) fn l1_interrupt(vector: u8, rip: u64) {
    with(|sweep, cpu| sweep.taken(cpu, vector, rip));
}

/// L1 enters L2, or is refused to.
pub(crate) fn vp_enter(refused: Refused) {
    with(|sweep, cpu| sweep.entered(cpu, refused));
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
