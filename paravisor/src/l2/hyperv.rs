// SPDX-License-Identifier: MIT OR Apache-2.0
//! The registers that make a hypervisor of Hyper-V's kind, and the pages that go with them.

use log::warn;
use paravisor::{
    guest_memory::GuestMemory,
    hyperv::{
        hypercall_page,
        msr::{Constants, Effect, Fault, Registers, is_synthetic},
        reference_tsc::ReferenceTsc,
    },
    identity::Identity,
};
use spin::Mutex;

use super::vm::vm;
use crate::{interrupt::counters::CRASHES, memory::guest::GuestRam};

static REGISTERS: Mutex<Registers> = Mutex::new(Registers::NEW);

/// What stays as it is, for a TSC of `ratio` times the `crystal`'s frequency. The clock starts now.
pub(super) fn constants(ratio: u64, crystal: u64) -> Constants {
    let tsc_hertz = ratio.saturating_mul(crystal);
    let clock = ReferenceTsc::new(tsc_hertz, cpu::tsc());
    Constants { clock, tsc_hertz, apic_hertz: crystal }
}

/// Whether `msr` is a register that L2 has because of the identity.
pub(super) fn has(msr: u32) -> bool {
    vm().identity == Identity::HyperV && is_synthetic(msr)
}

/// L2 reads such a register on CPU `index`.
pub(super) fn read(index: usize, msr: u32) -> Result<u64, Fault> {
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    REGISTERS.lock().read(msr, (index, cpu::tsc()), &vm().hyperv)
}

/// L2 writes such a register. What does not work out has no effect.
pub(super) fn write(msr: u32, value: u64) -> Result<(), Fault> {
    let mut registers = REGISTERS.lock();
    let mut next = *registers;
    let mut ram = GuestRam::get();
    let is_done = match next.write(msr, value, ram.end())? {
        Effect::None => true,
        Effect::HypercallPage(gpa) => ram.write(gpa, &hypercall_page::CONTENT),
        Effect::ReferenceTscPage(gpa) => ram.write(gpa, &vm().hyperv.clock.page()),
        Effect::Crash(parameters) => {
            if CRASHES.add_and_tell() {
                warn!("L2 says that it has crashed: parameters={parameters:#x?}");
            }
            true
        }
    };
    // A page that the host may see is no place for what L2 will trust.
    if !is_done {
        return Err(Fault);
    }
    *registers = next;
    Ok(())
}

/// Whether L2 has switched hypercalls on.
pub(super) fn takes_hypercalls() -> bool {
    vm().identity == Identity::HyperV && REGISTERS.lock().takes_hypercalls()
}
