// SPDX-License-Identifier: MIT OR Apache-2.0
//! The VM that runs the AML of the host's tables: the second one of the TD, on the first CPU, once, before L2.
//!
//! It reaches its two pages, and ports if [`RoutingRegisters`] has them. Its end is final: both pages are taken
//! away, and it is never entered again.
//!
//! Spec: TDX-ABI "TDG.VP.ENTER Leaf"; TDX-TDP "L2 VM Memory Management".
#![expect(unsafe_code, reason = "the module reads and writes the state page by address")]

use alloc::{boxed::Box, vec::Vec};

use acpi_routes::vm::{OWN, PAGE_TABLES, STACK};
use log::{info, warn};
use paravisor::{
    exit::io::received,
    intx::{
        aml_vm::{self, Access, Direction, Ending, Step, step},
        routing_registers::RoutingRegisters,
    },
    width::{self, low32, ones},
};
use proxy_irq::VirtualApicPage;
use tdcall::{
    EntryFlags, ExitReason, Instruction, L2EnterGuestState, L2Exit, VmIndex,
    md::tdvps::tsc_deadline,
    tdg::{self, L2Return},
};
use x86_64::instructions::interrupts;

use super::{
    controls, devices, entry_state,
    fields::{Refused, Vmcs, write_id},
    run::window,
};
use crate::memory::aml_vm::Pages;

/// The TD's second VM besides L1.
pub(super) const VM: VmIndex = VmIndex::VM2;

/// Milliseconds that it may take.
const BUDGET: u64 = 4000;

/// Refused accesses that are told one by one.
const TOLD: u64 = 4;

const CARRY: u64 = 1;

/// The VM, while it runs.
struct Running {
    state: *mut L2EnterGuestState,
    deadline: u64,
    registers: RoutingRegisters,
    /// Accesses to ports.
    accesses: u64,
}

/// The VM's virtual-APIC page: it has no interrupts.
static NO_INTERRUPTS: VirtualApicPage = VirtualApicPage::new();

/// Runs `program` over what has been written into the given page. Returns the page of answers, if it has answered.
/// Context: the first CPU, before L2 runs. Not inlined, for the sake of the stack.
#[inline(never)]
pub(super) fn run(
    pages: Pages,
    program: &[u8],
    registers: RoutingRegisters,
    millisecond: u64,
) -> Option<Vec<u8>> {
    let (own, given) = pages.addresses();
    let entry = match aml_vm::fill(pages.own, program, own, given) {
        Ok(entry) => entry,
        Err(error) => return nothing(format_args!("its program: {error}")),
    };
    let lent = match pages.lend(VM) {
        Ok(lent) => lent,
        Err((gpa, status)) => return nothing(format_args!("page {gpa:#x}: {status}")),
    };
    let deadline = cpu::tsc().saturating_add(BUDGET * millisecond);
    if let Err(refused) = set_up(lent.own() + (PAGE_TABLES - OWN.start), deadline) {
        return nothing(format_args!("{refused}"));
    }
    let mut running = Running::new(entry, deadline, registers);
    let ending = interrupts::without_interrupts(|| running.finish());
    let (ports, refused) = (running.accesses, running.registers.refused);
    info!("acpi: vm: {ending} ports={ports} refused={refused}");
    let returned = match lent.take_back() {
        Ok(returned) => returned,
        Err((gpa, status)) => {
            return nothing(format_args!("page {gpa:#x} stays with it: {status}"));
        }
    };
    (ending == Ending::Answered).then(|| aml_vm::answers(returned.own()).to_vec())
}

fn nothing<T>(why: core::fmt::Arguments<'_>) -> Option<T> {
    warn!("acpi: vm: it cannot be run: {why}");
    None
}

fn set_up(page_tables: u64, deadline: u64) -> Result<(), Refused> {
    let vmcs = Vmcs::of(VM);
    controls::set_up_bare(vmcs, &NO_INTERRUPTS)?;
    entry_state::set_long(vmcs, page_tables)?;
    write_id(tsc_deadline(VM), deadline, u64::MAX)
}

impl Running {
    fn new(entry: u64, deadline: u64, registers: RoutingRegisters) -> Self {
        // As if the program had been called.
        let state = L2EnterGuestState { rip: entry, rsp: STACK - 8, ..L2EnterGuestState::new() };
        Self { state: Box::into_raw(Box::new(state)), deadline, registers, accesses: 0 }
    }

    /// The state page, while the VM is out.
    fn state(&mut self) -> &mut L2EnterGuestState {
        // SAFETY: The page was leaked by `new`; the module uses it during an entry only, and `self`
        // is borrowed as long as the reference lives.
        unsafe { &mut *self.state }
    }

    /// Context: IF=0.
    fn finish(&mut self) -> Ending {
        loop {
            window();
            // The module ends it by the same deadline, unless it comes back before for another reason.
            if cpu::tsc() >= self.deadline {
                return Ending::Time;
            }
            let exit = match self.enter() {
                L2Return::Exit(exit) => exit,
                // What the host sends is believed as far as it ends the VM, which the host can do anyway.
                L2Return::HostRoutedAsync(exit)
                    if exit.reason.basic() == ExitReason::EPT_VIOLATION =>
                {
                    exit
                }
                L2Return::HostRoutedAsync(_)
                | L2Return::HostRoutedTdvmcall(_)
                | L2Return::PendingInterruptExit(_)
                | L2Return::NotEntered => continue,
                L2Return::Error(status) => return Ending::NotRun(status),
            };
            match step(&exit, self.state().rax) {
                Step::Again => {}
                Step::Port(access) => self.access(access, &exit),
                Step::Over(ending) => return ending,
            }
        }
    }

    fn enter(&self) -> L2Return {
        let state = width::wide(self.state.expose_provenance());
        // SAFETY: 1. The state page is private memory that nothing else uses. 2. L1 keeps nothing in what the VM
        // shares with it, as with L2.
        unsafe { tdg::vp_enter(&Instruction, EntryFlags::to(VM), state) }
    }

    /// Does an access, or refuses it, and steps over its instruction.
    fn access(&mut self, access: Access, exit: &L2Exit) {
        let Access { port, size, direction } = access;
        self.accesses += 1;
        let rax = self.state().rax;
        let received = match direction {
            Direction::In => {
                let value = self.registers.read((port, size), devices::host_read);
                value.map(|value| received(rax, size, value.into()))
            }
            Direction::Out => {
                let value = low32(rax & ones(size));
                self.registers.write((port, size), value, devices::host_write).map(|()| rax)
            }
        };
        if received.is_none() && self.registers.refused <= TOLD {
            warn!("acpi: vm: refused: port={port:#x} size={size} direction={direction:?}");
        }
        let state = self.state();
        state.rax = received.unwrap_or(rax);
        state.rflags =
            if received.is_some() { state.rflags & !CARRY } else { state.rflags | CARRY };
        state.rip = state.rip.wrapping_add(exit.instruction_length.into());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SAFETY: `new` made it, and the VM is not entered again.
        drop(unsafe { Box::from_raw(self.state) });
    }
}
