// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one map of L1's vectors, the same on every CPU.
//!
//! | vectors   | what                                       |
//! |-----------|--------------------------------------------|
//! | 0x00–0x1f | exceptions                                 |
//! | 0x40–0x5f | reserved for the relay, one mapping each   |
//! | 0x60–0x67 | lines of the host's devices                |
//! | 0xe0      | L1's timer                                 |
//! | 0xe1      | kick: another CPU left work                |
//! | 0xe2      | event notification by the host             |
//! | 0xe3      | message or event flag of the host           |
//! | 0xff      | spurious                                   |
//!
//! The reserved block is 32-aligned, so it is one dword of the IRR and two priority classes, below
//! everything of L1's own. All other vectors have a handler that counts them, and so has an exception's
//! vector that the host has posted.

use paravisor::intx::lines::LINES;
use proxy_irq::ReservedBlock;

/// The first reserved vector.
pub(crate) const RELAY_BASE: u8 = 0x40;
/// The reserved block.
pub(crate) const RELAY: ReservedBlock = match ReservedBlock::new(RELAY_BASE) {
    Some(block) => block,
    // Evaluated by the compiler only.
    None => unreachable!(),
};

/// The first line of the host's devices.
pub(crate) const FIRST_LINE: u8 = 0x60;
/// The last one.
pub(crate) const LAST_LINE: u8 = 0x67;
const _: () = assert!((LAST_LINE - FIRST_LINE) as usize == LINES - 1, "a vector for each line");

/// L1's timer.
pub(crate) const TIMER: u8 = 0xe0;
/// Another CPU left work.
pub(crate) const KICK: u8 = 0xe1;
/// The host has finished something.
pub(crate) const EVENT_NOTIFY: u8 = 0xe2;
/// The host has left a message or set an event flag.
pub(crate) const SYNIC: u8 = 0xe3;
/// The APIC had nothing to deliver after all.
pub(crate) const SPURIOUS: u8 = 0xff;

/// NMI.
pub(crate) const NMI: u8 = 2;
/// #UD.
pub(crate) const INVALID_OPCODE: u8 = 6;
/// #DF.
pub(crate) const DOUBLE_FAULT: u8 = 8;
/// #GP.
pub(crate) const GENERAL_PROTECTION: u8 = 13;
/// #VE.
pub(crate) const VIRTUALIZATION: u8 = 20;
/// The first vector that an APIC delivers.
pub(crate) const FIRST_POSTABLE: u8 = 16;
/// The first vector that is no exception.
pub(crate) const FIRST_INTERRUPT: u8 = 32;
