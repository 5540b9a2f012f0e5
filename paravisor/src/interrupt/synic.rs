// SPDX-License-Identifier: MIT OR Apache-2.0
//! The synthetic interrupt controller of a host of Hyper-V's kind: one vector of L1's own, by which the host
//! says that it has left a message or set a flag.
//!
//! Each CPU has four shared pages of its own: messages, event flags, and input and output of hypercalls.
//! The handler takes the messages that ask for interrupts of L2, which go to the relay; what else there may be
//! is left to the CPU's loop, since it needs more than a handler may do.
//!
//! To take a message may cost a call to the host, which waits to fill the slot again. Nothing is
//! trusted but what the relay's filter lets pass.
//!
//! # Orderings
//! Relaxed: each flag is set before the other CPUs are let go, or is a hint.
//!
//! Spec: TLFS "Synthetic Interrupt Controller"; GHCI "`TDG.VP.VMCALL<Instruction.WRMSR>`".

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use log::{info, warn};
use paravisor::hyperv_host::{
    identity::{self, Other},
    proxy::{self, Fault, Left, Sink},
};
use proxy_irq::L2Vector;
use spin::Once;
use tdcall::{
    Instruction,
    tdvmcall::{self, VmcallError},
};
use vmbus::synic::{EventFlags, MessagePage, Msr, Plan, Sint, SintIndex};

use super::{
    counters::{
        EOMS, HOST_REFUSALS, PROXIED, PROXY_FAULTS, PROXY_LOW, PROXY_MESSAGES, SYNIC_INTERRUPTS,
    },
    vectors,
};
use crate::{
    apic,
    cpus::{self, MAX_VCPUS},
    hypercall,
    memory::window::{Window, Words},
};

const PAGE: usize = 4096;
const MESSAGES: usize = 0;
const EVENT_FLAGS: usize = PAGE;
const INPUT: usize = 2 * PAGE;
const OUTPUT: usize = 3 * PAGE;
const ALL: usize = 4 * PAGE;
/// Bytes that a source has in either page.
const SLOT: usize = 256;

/// Who L1 is to the host: an open-source system without a number of its own.
const GUEST_OS_ID: u64 = 1 << 63 | 0x7f << 56 | 1;
const HV_X64_MSR_GUEST_OS_ID: u32 = 0x4000_0000;
const HV_X64_MSR_VP_INDEX: u32 = 0x4000_0002;

/// The bit that makes an address shared.
static SHARED_BIT: AtomicU64 = AtomicU64::new(0);
static IS_HYPER_V: AtomicBool = AtomicBool::new(false);
/// How many CPUs have their controller.
static READY: AtomicU32 = AtomicU32::new(0);
static PAGES: [Once<Window>; MAX_VCPUS] = [const { Once::new() }; MAX_VCPUS];
static ON: [AtomicBool; MAX_VCPUS] = [const { AtomicBool::new(false) }; MAX_VCPUS];

/// Why a CPU has no controller.
#[derive(Clone, Copy, Debug)]
enum Why {
    Vmcall(VmcallError),
    VpIndex(u64),
    Plan,
}

/// Finds out whether the host is of Hyper-V's kind, and says who L1 is. Context: the first CPU, before any other
/// comes.
pub(crate) fn ask() {
    let cpuid = |leaf| tdvmcall::cpuid(&Instruction, leaf, 0).ok();
    match identity::identify(cpuid) {
        Ok(()) => {}
        Err(Other::Vendor | Other::Silent(_)) => return,
        Err(other) => return warn!("synic: {other}"),
    }
    match tdvmcall::wrmsr(&Instruction, HV_X64_MSR_GUEST_OS_ID, GUEST_OS_ID) {
        Ok(()) => IS_HYPER_V.store(true, Ordering::Relaxed),
        Err(error) => warn!("synic: the host takes no guest identity: {error}"),
    }
}

/// Turns the controller of this CPU on, if the host has one. Context: main context, interrupts as they may be.
pub(crate) fn set_up(cpu: usize, shared_bit: u64) {
    let Some(place) = PAGES.get(cpu).filter(|_| IS_HYPER_V.load(Ordering::Relaxed)) else { return };
    SHARED_BIT.store(shared_bit, Ordering::Relaxed);
    let window = match Window::make(ALL, shared_bit) {
        Ok(window) => place.call_once(|| window),
        Err(error) => return warn!("synic: cpu={cpu}: {error}"),
    };
    match turn_on(cpu, window, shared_bit) {
        Ok(()) => {
            ON[cpu].store(true, Ordering::Relaxed);
            let ready = READY.fetch_add(1, Ordering::Relaxed) + 1;
            if ready == cpus::count() {
                info!("synic: vector={} cpus={ready}", vectors::SYNIC);
            }
        }
        Err(Why::Vmcall(error)) => warn!("synic: cpu={cpu}: {error}"),
        Err(Why::VpIndex(index)) => warn!("synic: cpu={cpu}: host: its index is {index:#x}"),
        Err(Why::Plan) => warn!("synic: cpu={cpu}: pages do not fit"),
    }
    if cpu == 0 {
        hypercall::ask();
    }
}

fn turn_on(cpu: usize, window: &Window, shared_bit: u64) -> Result<(), Why> {
    let index = read(HV_X64_MSR_VP_INDEX)?;
    if index != paravisor::width::wide(cpu) {
        return Err(Why::VpIndex(index));
    }
    let page = |offset| window.gpa(offset) | shared_bit;
    let sint = Sint::routed(vectors::SYNIC).ok_or(Why::Plan)?;
    let plan = Plan::new(page(MESSAGES), page(EVENT_FLAGS))
        .ok_or(Why::Plan)?
        .with(SintIndex::INTERCEPTION, sint.with_proxy(true))
        .with(SintIndex::REDIRECTED_VMBUS, sint);
    for update in plan.enable() {
        let number = update.msr.number();
        let present = read(number)?;
        tdvmcall::wrmsr(&Instruction, number, update.apply(present)).map_err(Why::Vmcall)?;
    }
    Ok(())
}

fn read(msr: u32) -> Result<u64, Why> {
    tdvmcall::rdmsr(&Instruction, msr).map_err(Why::Vmcall)
}

/// Whether the host is of Hyper-V's kind.
pub(crate) fn is_hyper_v() -> bool {
    IS_HYPER_V.load(Ordering::Relaxed)
}

/// Whether the host can ask CPU `cpu` for interrupts by messages.
pub(crate) fn is_on(cpu: usize) -> bool {
    ON.get(cpu).is_some_and(|on| on.load(Ordering::Relaxed))
}

/// This CPU's pages for the input and output of a hypercall, and their addresses as the host has them.
/// None without a controller: a host that refused it may not have mapped them. Context: main context.
pub(crate) fn call_pages() -> Option<[(Words, u64); 2]> {
    let cpu = cpus::current();
    let window = PAGES.get(cpu).filter(|_| is_on(cpu))?.get()?;
    let shared_bit = SHARED_BIT.load(Ordering::Relaxed);
    let page = |offset| Some((window.words(offset, PAGE)?, window.gpa(offset) | shared_bit));
    Some([page(INPUT)?, page(OUTPUT)?])
}

/// This CPU's message page.
pub(crate) fn messages() -> Option<MessagePage<Words>> {
    let window = PAGES.get(cpus::current())?.get()?;
    MessagePage::new(window.words(MESSAGES, PAGE)?)
}

/// This CPU's event flags.
pub(crate) fn event_flags() -> Option<EventFlags<Words>> {
    let window = PAGES.get(cpus::current())?.get()?;
    EventFlags::new(window.words(EVENT_FLAGS, PAGE)?)
}

/// Tells the host that a slot of this CPU is free for the message that waits.
pub(crate) fn end_of_message() {
    EOMS.add();
    if tdvmcall::wrmsr(&Instruction, Msr::EOM.number(), 0).is_err() {
        HOST_REFUSALS.add();
    }
}

/// Takes the messages by which the host asks for interrupts of L2 on this CPU. Context: handler of the
/// vector, or main context with IF=0.
pub(crate) fn take_proxied() -> Left {
    let cpu = cpus::current();
    if !is_on(cpu) {
        return Left::Nothing;
    }
    let Some(page) = messages() else { return Left::Nothing };
    proxy::pump(&page, &mut ThisCpu(cpu))
}

/// As [`take_proxied`], and also what the host has not yet put into the slot: it does so when it is told that the slot
/// is free, whether or not it has said that it waits for that.
pub(crate) fn take_all_proxied() -> Left {
    if !is_on(cpus::current()) {
        return Left::Nothing;
    }
    if take_proxied() == Left::Perhaps {
        return Left::Perhaps;
    }
    end_of_message();
    take_proxied()
}

/// The host has left something for this CPU. Context: interrupt handler.
pub(super) fn handle() {
    SYNIC_INTERRUPTS.add();
    if take_proxied() == Left::Perhaps || has_more() {
        crate::l2::synic_hint();
    }
    apic::end_of_interrupt();
}

/// Whether there is anything else than proxied interrupts. Reads 65 words.
fn has_more() -> bool {
    let Some(window) = PAGES.get(cpus::current()).and_then(Once::get) else { return false };
    let slot = usize::from(SintIndex::REDIRECTED_VMBUS.get()) * SLOT;
    let is_set = |word: &AtomicU32| word.load(Ordering::Relaxed) != 0;
    window.words(MESSAGES + slot, 4).is_some_and(|words| words.iter().any(is_set))
        || window.words(EVENT_FLAGS + slot, SLOT).is_some_and(|words| words.iter().any(is_set))
}

/// The CPU that takes messages.
struct ThisCpu(usize);

impl Sink for ThisCpu {
    fn vector(&mut self, vector: u8) {
        match L2Vector::new(vector) {
            Some(vector) => {
                PROXIED.add();
                // The CPU is in no halt and not in L2: nobody has to be kicked.
                let _ = cpus::relay_block(self.0).post_remote(vector);
            }
            None => _ = PROXY_LOW[usize::from(vector & 15)].add(),
        }
    }

    fn message(&mut self) {
        PROXY_MESSAGES.add();
    }

    fn fault(&mut self, _: Fault) {
        PROXY_FAULTS.add();
    }

    fn end_of_message(&mut self) {
        end_of_message();
    }
}
