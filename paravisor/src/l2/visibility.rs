// SPDX-License-Identifier: MIT OR Apache-2.0
//! L2 decides which of its pages the host may see.
//!
//! One CPU at a time converts. The others wait, serving what the relay asks of them meanwhile.
#![expect(unsafe_code, reason = "memory of L2 changes hands")]

use core::ops::Range;

use log::warn;
use paravisor::{
    page_set::{PAGE, Visibility},
    platform_area::PlatformArea,
    width,
};
use spin::{Mutex, MutexGuard};

use super::{
    requests::serve,
    vcpu::Vcpu,
    vm::{VM, vm},
};
use crate::{
    interrupt::counters::HOST_REFUSALS,
    memory::{
        guest::GuestRam,
        visibility::{self, Stopped},
    },
};

/// Why pages stayed as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// They are not L2's RAM.
    NoMemory,
    /// They are part of the platform.
    Platform,
    /// The host did not play along.
    Host,
}

static CONVERSION: Mutex<()> = Mutex::new(());

/// Makes the pages of the list `wanted`, in order. Those that are so already stay untouched.
///
/// # Errors
/// How many were done, and why the next was not.
pub(super) fn change(
    vcpu: &Vcpu,
    pages: &[u64],
    wanted: Visibility,
) -> Result<(), (usize, Refusal)> {
    let checked = pages.iter().map(|page| check(*page)).enumerate();
    let refused = checked.filter_map(|(index, checked)| Some((index, checked.err()?))).next();
    let allowed = refused.map_or(pages.len(), |(index, _)| index);
    let _turn = turn(vcpu);
    let mut done = 0;
    while let Some(rest) = pages.get(done..allowed).filter(|rest| !rest.is_empty()) {
        let run = visibility::next_run(rest, wanted);
        if let Some(range) = run.convert
            && let Err(stopped) = convert(range.clone(), wanted)
        {
            let before = stopped.at.saturating_sub(range.start) / PAGE;
            return Err((done + width::index(before), tell(&range, stopped)));
        }
        done += run.length.max(1);
    }
    refused.map_or(Ok(()), Err)
}

fn check(page: u64) -> Result<(), Refusal> {
    let end = GuestRam::get().end();
    if page >= end / PAGE {
        Err(Refusal::NoMemory)
    } else if PlatformArea::below(end).keeps(page * PAGE) {
        Err(Refusal::Platform)
    } else {
        Ok(())
    }
}

/// Waits for its turn to convert.
fn turn(vcpu: &Vcpu) -> MutexGuard<'static, ()> {
    loop {
        if let Some(turn) = CONVERSION.try_lock() {
            return turn;
        }
        // What has to be let through first comes as soon as interrupts are on again.
        ::cpu::InterruptsOff::with(|_| serve(vcpu.block));
        core::hint::spin_loop();
    }
}

fn convert(range: Range<u64>, wanted: Visibility) -> Result<(), Stopped> {
    match wanted {
        // SAFETY: The range was checked to be L2's RAM, and the turn is this CPU's.
        Visibility::Shared => unsafe { visibility::share(range, vm().shared_bit) },
        // SAFETY: As above.
        Visibility::Private => unsafe { visibility::hide(range, VM) },
    }
}

fn tell(range: &Range<u64>, stopped: Stopped) -> Refusal {
    if HOST_REFUSALS.add_and_tell() {
        let (start, end) = (range.start, range.end);
        warn!("conversion of {start:#x}..{end:#x} stopped at {:#x}: {}", stopped.at, stopped.why);
    }
    Refusal::Host
}
