// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nonsense in the mailbox, while a CPU waits for a command there.

use core::arch::naked_asm;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use super::access::Numbers;
use crate::acpi::Mailbox;
use crate::console::line;
use crate::failure::Failure;
use crate::{apic, cpus, wait};

/// The CPU that waits.
const SLEEPER: u8 = 1;
const WAKE_UP: u16 = 1;
const NOWHERE: u64 = 0x1234_5678_9000;

/// How often a CPU came here by the mailbox.
static WOKEN: AtomicU64 = AtomicU64::new(0);

/// Commands that are none, for CPUs that are none; then one that counts, twice.
pub(super) fn run(cpus: u8) -> Result<(), Failure> {
    let mailbox = Mailbox::find().ok_or(Failure::BadDevice("no mailbox"))?;
    if cpus <= SLEEPER {
        return Err(Failure::BadDevice("no second CPU"));
    }
    apic::reset(SLEEPER);
    let numbers = Numbers::new();
    let entry = on_waking as *const () as u64;
    for command in [0, 2, 3, 0x100, 0x101, 0x7fff, 0xffff] {
        stays(mailbox, command, SLEEPER.into(), entry)?;
    }
    for id in [0, 2, 16, 0x100, 0x0100_0001, u32::MAX] {
        stays(mailbox, WAKE_UP, id, entry)?;
    }
    // Places where no CPU can start: it goes on waiting.
    for nowhere in [NOWHERE, 1 << 47, 1 << 63, u64::MAX, 0x0700_0000] {
        mailbox.ask(WAKE_UP, SLEEPER.into(), nowhere);
        wait::until_quiet(wait::SHORT);
    }
    // All of the page but its first word.
    for offset in (8..0x1000).step_by(8) {
        mailbox.set_word(offset, numbers.next());
    }
    mailbox.ask(WAKE_UP, SLEEPER.into(), entry);
    wait::poll_until("waking", || WOKEN.load(SeqCst) == 1)?;
    // Nobody waits any more: the CPU runs. The command is not taken, and the CPU not started again.
    stays(mailbox, WAKE_UP, SLEEPER.into(), entry)?;
    mailbox.ask(0, 0, 0);
    line!("result nonsense=mailbox woken={}", WOKEN.load(SeqCst));
    cpus::restart(cpus)
}

/// A command that nobody takes is still there after a while.
fn stays(mailbox: Mailbox, command: u16, id: u32, entry: u64) -> Result<(), Failure> {
    let woken = WOKEN.load(SeqCst);
    mailbox.ask(command, id, entry);
    wait::until_quiet(wait::SHORT);
    if mailbox.command() == command && WOKEN.load(SeqCst) == woken {
        Ok(())
    } else {
        Err(Failure::BadDevice("a command was taken by somebody"))
    }
}

/// Where a CPU starts that the mailbox wakes: without a stack, it counts itself and goes on for ever. It
/// does not halt: a CPU that halts with interrupts off may be called again.
#[unsafe(naked)]
extern "C" fn on_waking() {
    naked_asm!("lock inc qword ptr [rip + {woken}]", "2:", "pause", "jmp 2b", woken = sym WOKEN)
}
