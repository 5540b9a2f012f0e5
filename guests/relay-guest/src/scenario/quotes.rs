// SPDX-License-Identifier: MIT OR Apache-2.0
//! All CPUs ask for quotes at once, each in a buffer of its own, and sleep until they are told.
//!
//! A CPU looks at its buffer when the call returns and when it was interrupted, and never else: what it
//! finds in flight after an interrupt was announced in vain. The quote must be the emulator's own words
//! and the report that was given, which no other CPU gave.
//!
//! # Orderings
//! Release by who has counted, Acquire by who reads the counts. A buffer is its CPU's own; what is written
//! there by another hand is written before the interrupt.
//!
//! Spec: GHCI "`TDG.VP.VMCALL<GetQuote>`".

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use x86_64::instructions::interrupts;

use super::machine::Machine;
use crate::console::line;
use crate::failure::Failure;
use crate::tdvmcall::tdvmcall;
use crate::{cpus, handled, vectors, wait};

const SERVICES: u64 = 0x1_0000;
const GET_QUOTE: u64 = 0x1_0002;
const NOTIFY: u64 = 0x1_0004;

const SUCCESS: u64 = 0;
const RETRY: u64 = 1;
const IN_FLIGHT: u64 = u64::MAX;

/// Words and bytes of a buffer.
const WORDS: usize = 1024;
const SIZE: u64 = 8192;
/// Version, status, lengths; then data.
const HEADER: usize = 3;
const REPORT: usize = 128;
/// What a quote of the emulator begins with, and the bytes before the report.
const MARKER: &[u8; 16] = b"NOT A REAL QUOTE";
const MARKER_LENGTH: usize = 73;

/// CPUs that there are buffers for.
const CPUS: usize = 8;

#[repr(C, align(4096))]
struct Buffer([AtomicU64; WORDS]);

static BUFFERS: [Buffer; CPUS] = [const { Buffer([const { AtomicU64::new(0) }; WORDS]) }; CPUS];

/// Rounds, and CPUs, which says "go".
static ROUNDS: AtomicU32 = AtomicU32::new(0);
static GO: AtomicU32 = AtomicU32::new(0);
static READY: AtomicU32 = AtomicU32::new(0);
static DONE: AtomicU32 = AtomicU32::new(0);

/// What became of the requests.
static GOOD: AtomicU32 = AtomicU32::new(0);
static FAILED: AtomicU32 = AtomicU32::new(0);
static WRONG: AtomicU32 = AtomicU32::new(0);
static IN_VAIN: AtomicU32 = AtomicU32::new(0);
static AGAIN: AtomicU32 = AtomicU32::new(0);
static UNSERVED: AtomicU32 = AtomicU32::new(0);

/// Asks on all CPUs and says what came of it.
pub(crate) fn run(machine: &Machine<'_>) -> Result<(), Failure> {
    let (rounds, count) = (machine.count(5), machine.cpus());
    if usize::from(count) > CPUS {
        return Err(Failure::BadDevice("one to eight CPUs wanted"));
    }
    ROUNDS.store(rounds, Ordering::Relaxed);
    let (status, services) = tdvmcall(SERVICES, 1, 0);
    line!("info  quotes: status={status:#x} services={services:#x}");
    for cpu in 1..count {
        cpus::put_to_work(cpu, work);
        wait::poll_until("a CPU", || READY.load(Ordering::Acquire) == u32::from(cpu))?;
    }
    GO.store(1, Ordering::Release);
    ask_all(0)?;
    let others = u32::from(count) - 1;
    wait::poll_until("the other CPUs", || DONE.load(Ordering::Acquire) == others)?;
    let all = [&GOOD, &FAILED, &WRONG, &IN_VAIN, &AGAIN, &UNSERVED];
    let [good, failed, wrong, in_vain, again, unserved] = all.map(|f| f.load(Ordering::Acquire));
    line!(
        "result quotes cpus={count} asked={} good={good} failed={failed} wrong={wrong} \
         in_vain={in_vain} again={again} unserved={unserved}",
        rounds * u32::from(count)
    );
    Ok(())
}

/// The life of another CPU.
fn work() {
    interrupts::enable();
    READY.fetch_add(1, Ordering::Release);
    let go = || GO.load(Ordering::Acquire) != 0;
    if wait::poll_until("the first request", go).is_ok() && ask_all(cpus::current()).is_ok() {
        DONE.fetch_add(1, Ordering::Release);
    }
}

fn ask_all(cpu: u8) -> Result<(), Failure> {
    let (status, _) = tdvmcall(NOTIFY, vectors::QUOTE.into(), 0);
    if status != SUCCESS {
        return Err(Failure::Hypercall("a notification"));
    }
    for round in 0..ROUNDS.load(Ordering::Relaxed) {
        ask(cpu, round)?;
    }
    Ok(())
}

/// One request, from its report to its end.
fn ask(cpu: u8, round: u32) -> Result<(), Failure> {
    let Some(buffer) = BUFFERS.get(usize::from(cpu)) else { return Ok(()) };
    let seed = u64::from(cpu) << 32 | u64::from(round);
    fill(buffer, seed);
    let before = handled::on(vectors::QUOTE, cpu);
    let gpa = (&raw const *buffer).expose_provenance() as u64;
    let status = || buffer.0[1].load(Ordering::Acquire);
    loop {
        match tdvmcall(GET_QUOTE, gpa, SIZE).0 {
            SUCCESS => break,
            RETRY => AGAIN.fetch_add(1, Ordering::Release),
            _ => {
                UNSERVED.fetch_add(1, Ordering::Release);
                return Ok(());
            }
        };
        core::hint::spin_loop();
    }
    if status() == IN_FLIGHT {
        wait::halt_until("a quote", || handled::on(vectors::QUOTE, cpu) > before)?;
    }
    let outcome = match status() {
        IN_FLIGHT => &IN_VAIN,
        SUCCESS if is_quote(buffer, seed) => &GOOD,
        SUCCESS => &WRONG,
        _ => &FAILED,
    };
    outcome.fetch_add(1, Ordering::Release);
    Ok(())
}

/// A header, and a report that only this request has.
fn fill(buffer: &Buffer, seed: u64) {
    let header = [1, 0, 1024];
    for (word, value) in buffer.0.iter().zip(header) {
        word.store(value, Ordering::Relaxed);
    }
    for (word, value) in buffer.0[HEADER..].iter().take(REPORT).zip(1_u64..) {
        word.store(seed ^ value << 48, Ordering::Relaxed);
    }
}

fn is_quote(buffer: &Buffer, seed: u64) -> bool {
    let byte = |at: usize| {
        let word = buffer.0[HEADER + at / 8].load(Ordering::Relaxed);
        word.to_le_bytes()[at % 8]
    };
    let length = buffer.0[2].load(Ordering::Relaxed) >> 32;
    let is_marked = MARKER.iter().enumerate().all(|(at, wanted)| byte(at) == *wanted);
    let is_echo = (0..REPORT).zip(1_u64..).all(|(index, value)| {
        let word: [u8; 8] = core::array::from_fn(|at| byte(MARKER_LENGTH + index * 8 + at));
        u64::from_le_bytes(word) == seed ^ value << 48
    });
    length == (MARKER_LENGTH + REPORT * 8) as u64 && is_marked && is_echo
}
