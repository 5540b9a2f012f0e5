// SPDX-License-Identifier: MIT OR Apache-2.0
//! Quotes for L2: asked of the host, waited for by its notification, with no look in between.
//!
//! L2 asks by `TDG.VP.VMCALL<GetQuote>` with a buffer in its own private memory. L1 takes the report from
//! there into one of its shared buffers, asks the host, and tells L2 that it is in flight. A notification,
//! on whichever CPU, makes the callback look at all that is in flight; who finds an answer tells the CPU
//! that asked, which judges it, copies it once, and interrupts its L2 if that wants to be. The callback is
//! registered as long as the host has a buffer.
//!
//! A host that does not notify is found out when time is up: what is there by then is taken, all else
//! fails. Its buffer is not used again before the host says that it is done with it.
//!
//! # Orderings
//! Relaxed: a deadline is its CPU's own. The rest is `event_notify`'s.
//!
//! Spec: GHCI "`TDG.VP.VMCALL<GetQuote>`", "`TDG.VP.VMCALL<SetupEventNotifyInterrupt>`".

use core::sync::atomic::{AtomicU64, Ordering};

use ::event_notify::{Look, Registration, Request, Standing};
use log::warn;
use paravisor::{
    guest_memory::GuestMemory,
    quote::{self, Answer, BUFFER, HEADER, OUT_LEN, Place, REPORT, STATUS, judge, pieces},
    width,
};
use spin::{Mutex, Once};
use tdcall::{
    Instruction,
    tdvmcall::{
        self, VmcallStatus,
        get_quote::{QuoteHeader, QuoteStatus},
    },
};
use zerocopy::{FromZeros, IntoBytes};

use super::{fields::Refused, signals, vcpu::Vcpu, vm::vm};
use crate::{
    cpus::{self, MAX_VCPUS},
    interrupt::{counters, event_notify},
    memory::{guest::GuestRam, window::Window},
};

/// Requests at a time, of all CPUs.
const REQUESTS: usize = 8;

/// No deadline.
const NEVER: u64 = u64::MAX;

/// Bytes that are copied at a time.
const PIECE: usize = 512;

static PLACES: [Request; REQUESTS] = [const { Request::new() }; REQUESTS];
static JOBS: [Mutex<Option<Job>>; REQUESTS] = [const { Mutex::new(None) }; REQUESTS];
static WINDOW: Once<Option<Window>> = Once::new();
static WATCH: Mutex<Option<Registration>> = Mutex::new(None);
static DEADLINES: [AtomicU64; MAX_VCPUS] = [const { AtomicU64::new(NEVER) }; MAX_VCPUS];

/// What a request is for. Only the CPU that asked uses it.
#[derive(Clone, Copy, Debug)]
struct Job {
    place: Place,
    owner: usize,
    deadline: u64,
}

/// L2 asks for a quote.
pub(super) fn ask(vcpu: &Vcpu, gpa: u64, size: u64) -> Result<VmcallStatus, Refused> {
    let Some(place) = Place::new(gpa, size, vm().shared_bit) else {
        return Ok(VmcallStatus::INVALID_OPERAND);
    };
    let mut header = QuoteHeader::new_zeroed();
    if !GuestRam::get().read(place.at(0), header.as_mut_bytes()) || !place.asks(&header) {
        return Ok(VmcallStatus::INVALID_OPERAND);
    }
    match event_notify::standing() {
        Standing::Ready => {}
        Standing::Pending => return Ok(VmcallStatus::RETRY),
        Standing::Withdrawn => return Ok(VmcallStatus::SUBFUNC_UNSUPPORTED),
    }
    let Some(window) = window() else { return Ok(VmcallStatus::SUBFUNC_UNSUPPORTED) };
    let Some(slot) = claim(vcpu.index) else {
        counters::QUOTES_CROWDED.add();
        return Ok(VmcallStatus::RETRY);
    };
    let status = send(vcpu, (window, slot), place);
    if status != VmcallStatus::SUCCESS {
        free(slot);
    }
    vcpu.arm_timer()?;
    Ok(status)
}

/// Tells the host. What the host refuses fails at once, which is an answer as well.
fn send(vcpu: &Vcpu, (window, slot): (&Window, usize), place: Place) -> VmcallStatus {
    let base = slot * BUFFER;
    let mut report = [0; REPORT];
    let is_read = GuestRam::get().read(place.at(width::wide(HEADER)), &mut report);
    if !is_read || !say(place, QuoteStatus::IN_FLIGHT) {
        return VmcallStatus::INVALID_OPERAND;
    }
    window.write(base, quote::request().as_bytes());
    window.write(base + HEADER, &report);
    let deadline = cpu::tsc().saturating_add(vm().quote_ticks);
    *JOBS[slot].lock() = Some(Job { place, owner: vcpu.index, deadline });
    counters::QUOTES_ASKED.add();
    let gpa = window.gpa(base) | vm().shared_bit;
    if let Err(error) = tdvmcall::get_quote(&Instruction, gpa, width::wide(BUFFER)) {
        if counters::HOST_REFUSALS.add_and_tell() {
            warn!("quote: cpu={} {error}", vcpu.index);
        }
        *JOBS[slot].lock() = None;
        say(place, QuoteStatus::SERVICE_UNAVAILABLE);
        free(slot);
        return VmcallStatus::SUCCESS;
    }
    PLACES[slot].sent();
    if look_at(window, slot) != Look::Nothing {
        counters::QUOTES_AT_ONCE.add();
        if let Some((place, status)) = take(vcpu, window, slot) {
            say(place, status);
        }
    }
    set_deadline(vcpu.index);
    VmcallStatus::SUCCESS
}

/// Looks at all that is in flight. Context: interrupt handler.
fn look() -> bool {
    let Some(window) = WINDOW.get().and_then(Option::as_ref) else { return false };
    let mut found = false;
    for slot in 0..REQUESTS {
        match look_at(window, slot) {
            Look::Nothing => continue,
            Look::Answer(owner) => {
                counters::QUOTES_NOTIFIED.add();
                signals::tell_event(owner.into());
            }
            Look::Stray => {
                counters::QUOTES_STRAY.add();
                signals::tell_event(cpus::current());
            }
        }
        found = true;
    }
    found
}

fn look_at(window: &Window, slot: usize) -> Look {
    let is_done = || QuoteStatus(window.word(slot * BUFFER + STATUS)) != QuoteStatus::IN_FLIGHT;
    PLACES[slot].look(is_done)
}

/// Takes the answers that this CPU was told of.
pub(super) fn settle(vcpu: &Vcpu) {
    let Some(window) = WINDOW.get().and_then(Option::as_ref) else { return };
    for (slot, place) in PLACES.iter().enumerate() {
        if place.is_answered(narrow(vcpu.index)) {
            finish(vcpu, window, slot);
        }
    }
    set_deadline(vcpu.index);
    unwatch();
}

/// When this CPU waits no longer, if it waits for anything.
pub(super) fn deadline(index: usize) -> Option<u64> {
    let deadline = DEADLINES.get(index)?.load(Ordering::Relaxed);
    (deadline != NEVER).then_some(deadline)
}

/// Time may be up. To be called when [`deadline`] has passed.
pub(super) fn expire(vcpu: &Vcpu) {
    let now = cpu::tsc();
    let Some(window) = WINDOW.get().and_then(Option::as_ref) else { return };
    for slot in 0..REQUESTS {
        let Some(job) = job_of(slot, vcpu.index).filter(|job| job.deadline <= now) else {
            continue;
        };
        counters::QUOTE_POLLS.add();
        if matches!(look_at(window, slot), Look::Answer(_)) {
            counters::QUOTES_MISSED.add();
            finish(vcpu, window, slot);
        } else if PLACES[slot].give_up().is_ok() {
            if counters::QUOTES_TIMED_OUT.add_and_tell() {
                warn!("quote: cpu={} the host has not answered in time", vcpu.index);
            }
            *JOBS[slot].lock() = None;
            end(vcpu, job.place, QuoteStatus::ERROR);
            if look_at(window, slot) == Look::Stray {
                counters::QUOTES_STRAY.add();
            }
        }
        // Else it was answered just now, and this CPU was told.
    }
    set_deadline(vcpu.index);
    unwatch();
}

/// Takes the answer in `slot`, which is this CPU's, and tells L2.
fn finish(vcpu: &Vcpu, window: &Window, slot: usize) {
    if let Some((place, status)) = take(vcpu, window, slot) {
        end(vcpu, place, status);
    }
}

/// Takes the answer in `slot`, which is this CPU's, and leaves the slot. Returns how the request ended.
fn take(vcpu: &Vcpu, window: &Window, slot: usize) -> Option<(Place, QuoteStatus)> {
    let job = JOBS[slot].lock().take()?;
    let mut header = QuoteHeader::new_zeroed();
    window.read(slot * BUFFER, header.as_mut_bytes());
    let status = match judge(&header, job.place.room()) {
        Answer::Quote(length) if copy(window, slot, job.place, length) => {
            counters::QUOTES_GIVEN.add();
            QuoteStatus::SUCCESS
        }
        // L2 has given its memory away meanwhile.
        Answer::Quote(_) => QuoteStatus::ERROR,
        Answer::Failed(status) => {
            counters::QUOTES_FAILED.add();
            status
        }
        Answer::Nonsense(nonsense) => {
            if counters::QUOTES_NONSENSE.add_and_tell() {
                warn!("quote: cpu={} {nonsense}", vcpu.index);
            }
            QuoteStatus::ERROR
        }
    };
    PLACES[slot].release();
    Some((job.place, status))
}

/// Copies a quote to L2: once out of shared memory, piece by piece.
fn copy(window: &Window, slot: usize, place: Place, length: usize) -> bool {
    let mut ram = GuestRam::get();
    let mut piece = [0; PIECE];
    let all = pieces(length, PIECE).all(|range| {
        let Some(piece) = piece.get_mut(..range.len()) else { return false };
        window.read(slot * BUFFER + range.start, piece);
        ram.write(place.at(width::wide(range.start)), piece)
    });
    let length = width::low32(width::wide(length)).to_le_bytes();
    all && ram.write(place.at(width::wide(OUT_LEN)), &length)
}

/// Tells L2 how a request ended that it was told was in flight.
fn end(vcpu: &Vcpu, place: Place, status: QuoteStatus) {
    say(place, status);
    if let Some(vector) = vcpu.notify {
        vcpu.post(vector);
    }
}

/// Writes L2's status; false if its memory is not its own any more.
fn say(place: Place, status: QuoteStatus) -> bool {
    GuestRam::get().write(place.at(width::wide(STATUS)), &status.0.to_le_bytes())
}

/// Takes a place, and sees to it that somebody looks when the host notifies.
fn claim(index: usize) -> Option<usize> {
    let mut watch = WATCH.lock();
    let slot = PLACES.iter().position(|place| place.claim(narrow(index)))?;
    if watch.is_none() {
        *watch = event_notify::register(look).ok();
    }
    if watch.is_none() {
        PLACES[slot].release();
        return None;
    }
    Some(slot)
}

/// Leaves a place that the host was not told of.
fn free(slot: usize) {
    PLACES[slot].release();
    unwatch();
}

/// Looks no longer if the host has no buffer.
fn unwatch() {
    let mut watch = WATCH.lock();
    if PLACES.iter().all(Request::is_free)
        && let Some(registration) = watch.take()
    {
        event_notify::unregister(registration);
    }
}

/// The shared buffers, made when they are first needed.
fn window() -> Option<&'static Window> {
    let made = WINDOW.call_once(|| match Window::make(REQUESTS * BUFFER, vm().shared_bit) {
        Ok(window) => Some(window),
        Err(error) => {
            warn!("quote: {error}");
            None
        }
    });
    made.as_ref()
}

fn job_of(slot: usize, index: usize) -> Option<Job> {
    JOBS.get(slot)?.lock().filter(|job| job.owner == index)
}

fn set_deadline(index: usize) {
    let mine = (0..REQUESTS).filter_map(|slot| job_of(slot, index)).map(|job| job.deadline);
    if let Some(deadline) = DEADLINES.get(index) {
        deadline.store(mine.min().unwrap_or(NEVER), Ordering::Relaxed);
    }
}

/// A CPU's number as a request keeps it.
fn narrow(index: usize) -> u8 {
    u8::try_from(index).unwrap_or(u8::MAX)
}
