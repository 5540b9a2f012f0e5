// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TD touched memory that is not there: give it, or let L1 deal with its guest.
//!
//! | who, where                           | what                                     |
//! |--------------------------------------|------------------------------------------|
//! | any VM, private memory of the TD     | give it; the TD accepts it. L2 goes on, or L1 if the command line says so |
//! | L2, shared (device registers)        | resume L1, which emulates the access     |
//! | L2, private but no memory of the TD  | resume L1                                |
//! | L1 changes attributes, table missing | give the table                           |
//! | L1, otherwise                        | the TD cannot go on                      |
//!
//! Spec: TDX-ABI "TDH.VP.ENTER Leaf", extended exit qualification; TDX-TDP "EPT Violations".

use tdcall::{ExtendedExitQualification, ExtendedExitQualificationKind as Kind, Registers};

use super::{
    end::{self, Verdict},
    private_memory::{Failure, LARGE},
    td::{SHARED_BIT, Td},
    vcpu::Vcpu,
};
use crate::module::RESUME_L1;

/// Handles an EPT violation; returns the flags for the next entry.
pub(crate) fn handle(td: &Td, vcpu: &Vcpu, registers: &Registers) -> u64 {
    let gpa = registers.r8;
    let vm = registers.rcx >> 32 & 3;
    let extended = ExtendedExitQualification::from_bits(registers.rdx);
    if extended.kind() == Kind::PENDING_EPT_VIOLATION {
        died(vcpu, format_args!("the TD used memory before it accepted it: vm={vm} gpa={gpa:#x}"));
    }
    let is_memory = gpa & SHARED_BIT == 0 && td.private.contains(gpa);
    if !is_memory && vm != 0 {
        return RESUME_L1;
    }
    if !is_memory && extended.kind() != Kind::GPA_DETAILS {
        died(vcpu, format_args!("L1 touched what is no memory: gpa={gpa:#x}"));
    }
    let given = match extended.kind() {
        Kind::ACCEPT | Kind::ATTRIBUTES_WRITE => {
            td.private.provide(gpa, extended.requested_level())
        }
        Kind::GPA_DETAILS => {
            td.private.add_l2_tables(gpa, extended.requested_level() + 1, extended.vm())
        }
        _ => td.private.provide(gpa, LARGE),
    };
    if let Err(failure) = given {
        let verdict = match failure {
            Failure::NoMemory => Verdict::Unsupported,
            Failure::Refused(_) | Failure::Iommu(_) => Verdict::Bug,
        };
        end::run(
            verdict,
            format_args!("memory cannot be given: gpa={gpa:#x} vm={vm} {extended:?}: {failure}"),
        );
    }
    if vm != 0 && td.resume_l1 { RESUME_L1 } else { 0 }
}

fn died(vcpu: &Vcpu, message: core::fmt::Arguments<'_>) -> ! {
    end::run(Verdict::Died, format_args!("{message} rip={:#x}", vcpu.rip()))
}
