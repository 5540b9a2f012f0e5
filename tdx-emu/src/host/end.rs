// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of the run: stop the virtual CPUs, print the figures, leave QEMU.
//!
//! # Orderings
//! Relaxed: whoever ends the run waits for the others to leave the TD, which synchronises.

use core::{
    fmt,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use super::{hyperv::hands::TheTd, td::Td};
use crate::{
    iommu::dma,
    machine::{clock, console, interrupt},
    observe, provoke,
    svm::stale_code,
};

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The guest says so.
    Success,
    /// The guest says so.
    Failure,
    /// The TD cannot go on.
    Died,
    /// The emulator cannot do what the TD needs.
    Unsupported,
    /// The emulator has a bug.
    Bug,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Died => "died",
            Self::Unsupported => "unsupported",
            Self::Bug => "bug",
        }
    }

    fn exit_value(self) -> u8 {
        match self {
            Self::Success => 0x10,
            Self::Failure => 0x11,
            Self::Died => 0x13,
            Self::Unsupported => 0x14,
            Self::Bug => 0x15,
        }
    }
}

/// How long the other virtual CPUs get to leave the TD.
const PATIENCE_NS: u64 = 1_000_000_000;

static ENDING: AtomicBool = AtomicBool::new(false);

/// Ends the run. Only the first call does; other CPUs that come here wait for it.
pub(crate) fn run(verdict: Verdict, message: fmt::Arguments<'_>) -> ! {
    if ENDING.swap(true, Relaxed) {
        park();
    }
    if let Some(td) = Td::get() {
        stop_others(td);
        td.consoles.iter().for_each(super::console::Console::finish);
        say_interrupts(td);
        if !td.quoting.figures().is_empty() {
            log::info!("quotes: {}", td.quoting.figures());
        }
    }
    if !matches!(verdict, Verdict::Success | Verdict::Failure) {
        log::error!("{message}");
    }
    let sink = &mut console::report;
    dma::collect_faults();
    if let Some(td) = Td::get() {
        observe::print(sink, td.vcpus.len());
    }
    provoke::print(sink);
    let message = alloc::format!("{message}");
    observe::end(sink, verdict.name(), &message, clock::tsc());
    console::exit(verdict.exit_value())
}

/// What is known of interrupts that leave no other trace.
fn say_interrupts(td: &Td) {
    for vcpu in &td.vcpus {
        if !vcpu.nmis.is_empty() {
            log::info!("nmis: cpu={} {}", vcpu.index, vcpu.nmis);
        }
        let [ended, merged, recognised] = vcpu.timer.figures();
        if ended != 0 {
            let cpu = vcpu.index;
            log::info!("timer: cpu={cpu} ended={ended} merged={merged} recognised={recognised}");
        }
    }
    if stale_code::dropped() != 0 {
        log::info!("stale_code: dropped={}", stale_code::dropped());
    }
    if let Some(hyperv) = td.hyperv.as_ref().filter(|hyperv| !hyperv.is_empty()) {
        log::info!("hyperv: {hyperv}");
        hyperv.each_untaken(TheTd, observe::proxied_in_vain);
    }
    if !td.campaign.is_empty() {
        log::info!("campaign: {}", td.campaign);
    }
    if !td.hostile.whims.is_empty() {
        log::info!("hostile: {}", td.hostile.whims);
    }
    if td.smis.exits() != 0 {
        log::info!("smis: exits={}", td.smis.exits());
    }
}

/// Stays here if the run is ending. To be called where no lock is held.
pub(crate) fn check() {
    if ENDING.load(Relaxed) {
        park();
    }
}

fn park() -> ! {
    loop {
        interrupt::wait();
    }
}

fn stop_others(td: &Td) {
    let deadline = clock::now_ns() + PATIENCE_NS;
    for vcpu in td.vcpus.iter().filter(|vcpu| vcpu.index != crate::machine::cpus::current()) {
        let crossings = vcpu.crossings();
        vcpu.kick();
        while vcpu.is_still_inside(crossings) && clock::now_ns() < deadline {
            core::hint::spin_loop();
        }
    }
}
