// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is checked, in the order in which it is: what leaves no traces first.
//!
//! Spec: TDX-ABI, "Interface Functions", one section for each leaf.
#![expect(unsafe_code, reason = "instructions are tried that may raise exceptions")]

use crate::{tally::Tally, trap};

/// RAX, leaf numbers, `TDG.VP.INFO`, `TDG.VP.VMCALL`.
mod dispatch;

/// Instructions that raise #VE, and `TDG.VP.VEINFO.GET`.
mod virtualization;

/// MSRs of L1.
mod msr;

/// CPUID of L1.
mod cpuid;

/// `TDG.MEM.PAGE.ACCEPT`.
mod accept;

/// `TDG.MEM.PAGE.ATTR.RD` and `TDG.MEM.PAGE.ATTR.WR`.
mod attributes;

/// Metadata.
pub(crate) mod fields;

/// `TDG.MR.RTMR.EXTEND` and `TDG.MR.REPORT`.
mod measurement;

/// `TDG.VP.ENTER`.
mod enter;

/// `TDG.VP.INVEPT` and `TDG.VP.INVGLA`.
mod invalidation;

/// L1's interrupts, and L2's.
mod interrupts;

/// NMIs, what a TD cannot be sent, and halts.
pub(crate) mod non_maskable;

/// A host like QEMU: its files, and the routes of its lines.
mod files;

/// A host of Hyper-V's kind.
mod hyperv;

/// The first CPU arrives from assembly.
pub(crate) extern "C" fn run() -> ! {
    trap::load();
    let tally = &mut Tally::default();
    dispatch::run(tally);
    virtualization::run(tally);
    msr::run(tally);
    cpuid::run(tally);
    accept::run(tally);
    attributes::run(tally);
    measurement::run(tally);
    fields::run(tally);
    enter::run(tally);
    invalidation::run(tally);
    interrupts::run(tally);
    non_maskable::run(tally);
    files::run(tally);
    hyperv::run(tally);
    tally.end()
}
