// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a host with whims does to its TD: see `whims.rs` for the acts.
//!
//! It stays within what a host can do. Registers are those that the call has shown; the module drops all others.
//! Interrupts are posted, as every host can. Memory is what L1 shares: the ranges of L1's own part of the RAM that
//! MapGPA has made shared. The CPU that booted the machine has nothing else to do and changes them all the time, so
//! also between two reads of L1's.
//!
//! # Orderings
//! Relaxed: what is written to L1's memory is not to be relied on, and the bits only grow.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use spin::Mutex;
use tdcall::{
    GprMask, Registers,
    tdvmcall::{SubFunction, VmcallStatus},
};

use super::{
    end,
    hyperv::{guest::Guest, hands::TheTd},
    pci,
    quote_manner::Manner,
    td::{SHARED_BIT, Td},
    vcpu::Vcpu,
    whims::{Act, Whims},
};
use crate::{machine::clock, module};

/// L1's own part of the RAM, which is at its end.
const OWN: u64 = 16 << 20;

/// Words in a page.
const WORDS: u64 = 1024;

/// Turns of a loop between two changes of memory, at most.
const PAUSE: u64 = 2000;

/// How long a TD runs, at most.
const LIMIT_NS: u64 = 20_000_000_000;

/// The lowest vector that can be posted.
const FIRST_VECTOR: u64 = 31;
/// L1's vectors for devices.
const RESERVED: u64 = 0x40;
/// The block of L1's other vectors.
const OTHERS: u64 = 0xe0;

/// A host with whims.
#[derive(Debug)]
pub(crate) struct Hostile {
    /// The whims.
    pub(crate) whims: Whims,
    /// What L1 shares, as page addresses.
    shared: Mutex<Vec<u64>>,
    /// A bit for each virtual CPU on which L1 can take an NMI.
    ready: AtomicU32,
}

impl Hostile {
    /// The host of `seed`, or an honest one.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self { whims: Whims::new(seed), shared: Mutex::new(Vec::new()), ready: AtomicU32::new(0) }
    }

    /// How quotes are made, if they are not to be made in the manner `asked`.
    pub(crate) fn manner(&self, asked: Manner) -> Manner {
        if self.whims.has(Act::Quotes) { Manner::any(self.whims.word()) } else { asked }
    }

    /// How often a notification is sent.
    pub(crate) fn times(&self) -> u32 {
        if self.whims.take(Act::Silence).is_some() {
            0
        } else if self.whims.take(Act::Notify).is_some() {
            2
        } else {
            1
        }
    }

    /// Whether a halt ends at once.
    pub(crate) fn wakes(&self) -> bool {
        self.whims.take(Act::Halts).is_some()
    }

    /// Changes the answer to the call `asked`, and notes what L1 shares.
    pub(crate) fn spoil(&self, td: &Td, asked: &Registers, answer: &mut Registers) {
        if self.whims.is_empty() {
            return;
        }
        self.note(td, asked);
        if let Some(word) = act(asked).and_then(|act| self.whims.take(act)) {
            self.change(word, asked, answer);
        }
        if asked.r10 == 0 && self.whims.take(Act::Lies).is_some() {
            answer.r10 = self.status();
        }
    }

    /// A status, often one that there is.
    fn status(&self) -> u64 {
        let word = self.whims.word();
        match word & 7 {
            0 | 1 => VmcallStatus::RETRY.0,
            2 => VmcallStatus::INVALID_OPERAND.0,
            3 => VmcallStatus::GPA_INUSE.0,
            4 => VmcallStatus::ALIGN_ERROR.0,
            5 => VmcallStatus::SUBFUNC_UNSUPPORTED.0,
            _ => self.whims.value(0),
        }
    }

    /// Any registers that the call has shown.
    fn change(&self, word: u64, asked: &Registers, answer: &mut Registers) {
        let shown = GprMask::from_bits_truncate(u16::try_from(asked.rcx & 0xffff).unwrap_or(0));
        if asked.r10 == 0 && word & 3 == 0 {
            answer.r10 = self.status();
        }
        let registers = [
            (GprMask::R11, &mut answer.r11),
            (GprMask::R12, &mut answer.r12),
            (GprMask::R13, &mut answer.r13),
            (GprMask::R14, &mut answer.r14),
            (GprMask::R15, &mut answer.r15),
            (GprMask::RDX, &mut answer.rdx),
            (GprMask::R8, &mut answer.r8),
        ];
        for (place, (bit, register)) in registers.into_iter().enumerate() {
            if shown.contains(bit) && word >> (8 + place) & 1 != 0 {
                // As if the answer were about what was asked.
                let before = if word & 4 == 0 { *register } else { asked.r12 };
                *register = self.whims.value(before);
            }
        }
    }

    /// Notes pages that L1 shares.
    fn note(&self, td: &Td, asked: &Registers) {
        let (gpa, size) = (asked.r12 & !SHARED_BIT, asked.r13);
        let is_sharing = (asked.r10, asked.r11) == (0, SubFunction::MAP_GPA.0)
            && asked.r12 & SHARED_BIT != 0
            && size <= OWN;
        if is_sharing && td.private.contains(gpa.saturating_add(OWN)) {
            // Of L2's part: what becomes of that is not L1's concern.
            return;
        }
        if is_sharing && self.whims.has(Act::Scribble) {
            self.shared.lock().extend((gpa..gpa + size).step_by(4096));
        }
    }

    /// Interrupts that nobody asked for. To be called before `next` is entered.
    pub(crate) fn interrupt(&self, td: &Td, next: &Vcpu) {
        if self.whims.is_empty() {
            return;
        }
        self.mind_the_time(next);
        if module::debug_has_table(next.tdvpr) {
            self.ready.fetch_or(1 << next.index, Relaxed);
        }
        let any = |word: u64| td.vcpus.get(usize::try_from(word >> 8 & 15).unwrap_or(0));
        if let Some(word) = self.whims.take(Act::Vectors) {
            let number = word >> 16;
            let vector = match word & 3 {
                0 => FIRST_VECTOR + number % (256 - FIRST_VECTOR),
                1 => OTHERS + number % 8,
                _ => RESERVED + number % 32,
            };
            if let (Some(vcpu), Ok(vector)) = (any(word), u8::try_from(vector)) {
                vcpu.post(vector);
            }
        }
        if let Some(vcpu) = self.whims.take(Act::Nmis).and_then(any) {
            // Without a table it dies by it, on any host and whoever it is: there is nothing to learn. It is made to
            // leave the TD, so that it is seen when it has one.
            if self.ready.load(Relaxed) >> vcpu.index & 1 == 0 {
                vcpu.kick();
            } else {
                vcpu.post_nmi();
            }
        }
        if let Some(vcpu) = self.whims.take(Act::Notify).and_then(any) {
            td.quoting.notify_in_vain(vcpu);
        }
    }

    /// Turns the TD off when its time is up: a guest may wait for ever for what a host has kept from it. To be called
    /// before `vcpu` is entered or waits.
    pub(crate) fn mind_the_time(&self, vcpu: &Vcpu) {
        if self.whims.is_empty() {
            return;
        }
        if clock::now_ns() > LIMIT_NS {
            end::run(end::Verdict::Died, format_args!("the host has turned the TD off"));
        }
        vcpu.timer.look_at(LIMIT_NS);
    }

    /// Changes what L1 shares, for ever if the host is given to that. To be called by a CPU without a virtual one.
    pub(crate) fn scribble(&self) {
        if !self.whims.has(Act::Scribble) {
            return;
        }
        loop {
            end::check();
            let word = self.whims.word();
            (0..word % PAUSE).for_each(|_| core::hint::spin_loop());
            let page = {
                let pages = self.shared.lock();
                let count = pages.len().max(1);
                pages.get(usize::try_from(word >> 16).unwrap_or(0) % count).copied()
            };
            let Some(page) = page else { continue };
            // Where headers, slots and indices are, more often than elsewhere.
            let place = match word >> 12 & 3 {
                0 => word >> 40 & (WORDS - 1),
                1 => (word >> 40 & 15) * 64 + (word >> 48 & 7),
                _ => word >> 40 & 15,
            };
            let place = usize::try_from(place).unwrap_or(0);
            let changed = TheTd.with_page(page, |words| {
                if let Some(word) = words.get(place) {
                    let value = self.whims.value(word.load(Relaxed).into());
                    word.store(u32::try_from(value & 0xffff_ffff).unwrap_or(0), Relaxed);
                }
            });
            if changed.is_some() {
                self.whims.count(Act::Scribble);
            }
        }
    }
}

/// Which act the answer to a call is an occasion for.
fn act(asked: &Registers) -> Option<Act> {
    if asked.r10 != 0 {
        return Some(Act::Hypercalls);
    }
    let is_read = asked.r13 == 0;
    Some(match SubFunction(asked.r11) {
        SubFunction::INSTRUCTION_CPUID => Act::Cpuid,
        SubFunction::INSTRUCTION_IO if is_read && asked.r14 >= u64::from(pci::ADDRESS) => {
            Act::Ports
        }
        SubFunction::REQUEST_MMIO if is_read => Act::Memory,
        SubFunction::INSTRUCTION_RDMSR | SubFunction::INSTRUCTION_WRMSR => Act::Msrs,
        SubFunction::GET_TD_VM_CALL_INFO | SubFunction::SETUP_EVENT_NOTIFY_INTERRUPT => {
            Act::Services
        }
        SubFunction::MAP_GPA => Act::Conversion,
        SubFunction::GET_QUOTE => Act::Quotes,
        _ => return None,
    })
}
