// SPDX-License-Identifier: MIT OR Apache-2.0
//! HLT: this CPU gives its time back to the host until there is something for L2.
//!
//! The module cannot keep a halted L2, so L1 halts in its place. The last look for work is made with
//! interrupts off and after the relay block says "halted"; the call to the host enables them by its
//! last instruction. So whoever leaves work either is seen here or kicks, and the kick ends the call.
//!
//! The module's timer for L2 does not run meanwhile; the host's timer stands in for it.
//!
//! Spec: GHCI "TDG.VP.VMCALL<Instruction.HLT>".

use proxy_irq::RelayBlock;
use tdcall::{Instruction, tdvmcall};

use super::{
    events,
    fields::Refused,
    requests::{Served, serve},
    run,
    signals::{self, Signal},
    vcpu::Vcpu,
    vm::vm,
};
use crate::{
    apic, cpus,
    interrupt::counters::{HOST_REFUSALS, TIMERS},
};

/// Why a halt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// L2 has an interrupt to take.
    Work,
    /// Another CPU has sent INIT.
    Reset,
    /// Another CPU has called this one to an address by the mailbox, although it has run before. It
    /// halts for good, and Linux 6.1 brings CPUs back that way.
    Called(u64),
}

const RFLAGS_IF: u64 = 1 << 9;

/// Halts until L2 has an interrupt that it can take. Context: IF=0.
pub(super) fn until_work(vcpu: &mut Vcpu) -> Result<Halt, Refused> {
    let (began, mut armed) = (cpu::tsc(), None);
    // Only an NMI or INIT would end such a halt.
    let for_good = vcpu.state().rflags & RFLAGS_IF == 0;
    loop {
        vcpu.take_attention()?;
        match signals::take(vcpu.index) {
            Some(Signal::Init) => return Ok(Halt::Reset),
            Some(Signal::Nmi) => {
                super::exit::nmi::give(vcpu)?;
                return Ok(Halt::Work);
            }
            Some(Signal::Event) => {
                events::serve(vcpu)?;
                continue;
            }
            // A CPU that runs, if only to halt, ignores it.
            Some(Signal::StartUp(_)) => continue,
            None => {}
        }
        let deadline = vcpu.deadline();
        if deadline.is_some_and(|deadline| deadline <= cpu::tsc()) {
            vcpu.take_timer()?;
            continue;
        }
        if serve(vcpu.block) == Served::NotYet {
            run::window();
            continue;
        }
        run::drain(vcpu);
        if !for_good && vcpu.page.deliverable().is_some() {
            return Ok(Halt::Work);
        }
        let mut look = None;
        if for_good {
            if let Some(entry) = vm().others.called(vcpu.index) {
                return Ok(Halt::Called(entry));
            }
            look = vm().others.next_look(began);
        }
        let next = [deadline, look].into_iter().flatten().min();
        // A host may end its timer early, and then it has to be asked again.
        let wanted = next.map(|next| (next, TIMERS.get()));
        if let Some((next, _)) = wanted.filter(|_| armed != wanted) {
            apic::arm_timer(next);
            armed = wanted;
        }
        turn_after_drain(vcpu.block);
    }
}

/// One turn of a CPU that runs no L2: does what others asked for, then halts until an interrupt.
/// Context: IF=0.
pub(super) fn turn(block: &RelayBlock) {
    match serve(block) {
        Served::All => turn_after_drain(block),
        Served::NotYet => run::window(),
    }
}

/// Halts until an interrupt, unless work is left. Context: IF=0 before and after.
fn turn_after_drain(block: &RelayBlock) {
    if block.try_halt().is_ok() && tdvmcall::hlt(&Instruction).is_err() {
        HOST_REFUSALS.add();
    }
    // A refused halt, or work that is left: an interrupt may be what brings it.
    run::window();
    block.wake();
}

/// The life of a CPU that has no part in L2.
pub(super) fn for_ever(index: usize) -> ! {
    let block = cpus::relay_block(index);
    loop {
        // Whoever calls this CPU means L2, which it has no part in.
        block.take_attention();
        turn(block);
    }
}
