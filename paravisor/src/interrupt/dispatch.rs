// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every vector that is not the relay's.
//!
//! Handlers count and return; whoever left work left it in memory, and the loop around L2 looks
//! there. An exception that nothing explains is a bug of L1 and ends it.
//!
//! The host can post any vector from 16 on, those of exceptions and the spurious one included. So what
//! decides is not the vector but the APIC: a vector in service is an interrupt and gets its EOI. Left
//! in service, it would hold back all below it for ever.

use cpu::interrupt::Frame;

use super::{
    counters::{
        KICKS, NMIS, SPURIOUS_INTERRUPTS, TIMERS, UNEXPECTED_INTERRUPTS, UNEXPECTED_OF_VECTOR,
    },
    event_notify, lines, synic, vectors, virtualization,
};
use crate::{apic, epitaph};

cpu::interrupt_stubs!(stubs => dispatch);

/// Bytes of a stub, as `cpu` lays them out.
const STUB: u64 = 16;

/// The code behind `vector`.
pub(super) fn stub(vector: u8) -> u64 {
    core::ptr::from_ref(stubs()).addr() as u64 + u64::from(vector) * STUB
}

extern "C" fn dispatch(frame: &mut Frame) {
    let vector = u8::try_from(frame.vector).unwrap_or(vectors::SPURIOUS);
    match vector {
        vectors::TIMER => count_and_end(&TIMERS),
        vectors::KICK => count_and_end(&KICKS),
        vectors::EVENT_NOTIFY => event_notify::handle(),
        vectors::SYNIC => synic::handle(),
        vectors::FIRST_LINE..=vectors::LAST_LINE => lines::handle(vector),
        vectors::SPURIOUS => count_and_end_if_in_service(vector),
        vectors::FIRST_POSTABLE..vectors::FIRST_INTERRUPT if apic::is_in_service(vector) => {
            count_unexpected(vector);
        }
        vectors::FIRST_INTERRUPT.. => count_unexpected(vector),
        vectors::NMI => _ = NMIS.add(),
        vectors::VIRTUALIZATION => virtualization::handle(frame),
        vectors::INVALID_OPCODE | vectors::GENERAL_PROTECTION => fix_up(frame, vector),
        _ => epitaph::exception(frame),
    }
}

fn count_and_end(counter: &super::counters::Counter) {
    counter.add();
    apic::end_of_interrupt();
}

fn count_unexpected(vector: u8) {
    UNEXPECTED_OF_VECTOR[usize::from(vector)].add();
    count_and_end(&UNEXPECTED_INTERRUPTS);
}

/// A spurious interrupt of a real APIC is not in service; one that the host has posted is.
fn count_and_end_if_in_service(vector: u8) {
    SPURIOUS_INTERRUPTS.add();
    if apic::is_in_service(vector) {
        apic::end_of_interrupt();
    }
}

/// A TDCALL outside a TD, or a register that does not exist, has a landing pad; all else has not.
fn fix_up(frame: &mut Frame, vector: u8) {
    match tdcall::fixup(frame.rip, vector) {
        Some(fixup) => {
            frame.rip = fixup.rip;
            frame.rax = fixup.rax;
        }
        None => epitaph::exception(frame),
    }
}
