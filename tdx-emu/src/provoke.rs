// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts at chosen moments, for tests of L1: devices that ring when it hurts most.
//!
//! The run loop tells what happens on each CPU; `walk` and `flood` say when to ring, and `hands` rings: by the IOMMU's
//! own table, so that the message takes the way of a device's and is counted as one. Nothing of this runs
//! unless the command line asks for it.
//!
//! # How every instruction is met
//! L1 is single-stepped: RFLAGS.TF is set before each VMRUN of L1 and #DB is intercepted, so that L0 stands at
//! each instruction boundary of L1 in turn and knows its RIP. That needs no counted instructions and no timer that
//! would have to end at the right nanosecond, works with any number of CPUs, and meets each boundary by
//! construction. L1 sees nothing of it: TF is taken out of its RFLAGS after each exit, no interrupt is delivered
//! while it is set, and a trap that comes late is swallowed.

/// What is rung when: the walk through a pass.
mod walk;

/// Bursts without an end.
mod flood;

/// What the run loop tells, and what is rung.
#[cfg(target_os = "none")]
mod hands;

pub(crate) use self::{flood::Plan as FloodPlan, walk::Plan as SweepPlan};
#[cfg(target_os = "none")]
pub(crate) use self::{
    hands::{
        before, begin, hide, l1_interrupt, l2_exit, l2_interrupt, print, step_on, traps, vp_enter,
    },
    walk::{Refused, Trapped},
};
