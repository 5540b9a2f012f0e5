// SPDX-License-Identifier: MIT OR Apache-2.0
//! `selftest=1` on L0's command line: checks this layer on the machine it runs on, instead of
//! running a TD.
//!
//! Worth its place because a broken machine layer shows up as a guest that behaves oddly: this tells
//! the two apart in a second. Ends with 0x10, or with 0x15 and the assertion that failed.

use core::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

use super::{boot::Boot, clock, console, cpus, interrupt, lapic, memory};

/// Asks a CPU for an [`ANSWER`].
const PING: u8 = 0x40;
/// Asks a CPU to arm its timer, whose end sends an [`ANSWER`].
const ARM: u8 = 0x41;
/// Goes to the CPU that boots only.
const ANSWER: u8 = 0x42;

const ROUNDS: usize = 100;
const PATIENCE_NS: u64 = 10_000_000_000;
const TIMER_NS: u64 = 2_000_000;

/// How many answers the CPU that boots has taken.
static ANSWERS: AtomicUsize = AtomicUsize::new(0);
/// When the timer that was armed last must not ring before.
static DEADLINE: AtomicU64 = AtomicU64::new(0);
/// How many timers rang too early.
static EARLY: AtomicUsize = AtomicUsize::new(0);

/// Runs all checks and ends the run.
pub(crate) fn run(boot: &Boot) -> ! {
    let ram: u64 = boot.memory.iter().map(|range| range.end - range.start).sum();
    let (free, image) = (memory::free_pages_left() * memory::PAGE_SIZE, boot.image.len());
    log::info!("memory: ram={}MiB free={}MiB image={image}B", ram >> 20, free >> 20);
    check_memory();
    interrupt::set_handler(PING, |_| answer());
    interrupt::set_handler(ARM, |_| arm());
    interrupt::set_handler(ANSWER, |_| _ = ANSWERS.fetch_add(1, Release));
    interrupt::set_handler(lapic::TIMER_VECTOR, |_| ring());
    cpus::start_others(wait_for_ever);
    for cpu in cpus::all() {
        check_interrupts(cpu);
        check_nmi(cpu);
        log::info!("passed: cpu={cpu} apic_id={}", cpus::apic_id(cpu));
    }
    assert!(EARLY.load(Relaxed) == 0, "no timer rings early");
    assert!(interrupt::unexpected_count() == 0, "no interrupt without handler");
    console::report(format_args!(r#"{{"type":"end","status":"success","message":"selftest"}}"#));
    log::info!("passed");
    console::exit(0x10)
}

fn wait_for_ever(_: usize) -> ! {
    loop {
        interrupt::wait();
    }
}

/// Pages are zeroed, aligned, and come back.
fn check_memory() {
    let before = memory::free_pages_left();
    let (Some(page), Some(large)) = (memory::alloc_page(), memory::alloc_pages(512, 512)) else {
        console::error_exit(0x15, format_args!("selftest: no memory"));
    };
    assert!(large % (2 << 20) == 0, "a large page is aligned");
    assert!(before - memory::free_pages_left() == 513, "pages are counted");
    memory::free_page(page);
    for index in 0..512 {
        memory::free_page(large + index * memory::PAGE_SIZE);
    }
    assert!(memory::free_pages_left() == before, "pages come back");
    let heap: alloc::vec::Vec<usize> = (0..100_000).collect();
    assert!(heap.iter().sum::<usize>() == 99_999 * 50_000, "the heap holds");
}

/// IPIs in both directions, and the timer.
fn check_interrupts(cpu: usize) {
    for _ in 0..ROUNDS {
        exchange(cpu, PING);
    }
    exchange(cpu, ARM);
}

fn check_nmi(cpu: usize) {
    let before = interrupt::nmi_count(cpu);
    lapic::send_nmi(cpu);
    let deadline = clock::now_ns() + PATIENCE_NS;
    while interrupt::nmi_count(cpu) == before && clock::now_ns() < deadline {
        interrupt::window();
    }
    assert!(interrupt::nmi_count(cpu) == before + 1, "an NMI arrives");
}

/// Sends `vector` to `cpu` and sleeps until the answer came.
fn exchange(cpu: usize, vector: u8) {
    let expected = ANSWERS.load(Acquire) + 1;
    lapic::send_ipi(cpu, vector);
    let deadline = clock::now_ns() + PATIENCE_NS;
    while ANSWERS.load(Acquire) < expected {
        assert!(clock::now_ns() < deadline, "an answer comes");
        interrupt::wait();
    }
}

fn answer() {
    match cpus::current() {
        cpus::BOOT => lapic::self_ipi(ANSWER),
        _ => lapic::send_ipi(cpus::BOOT, ANSWER),
    }
}

fn arm() {
    let deadline = clock::now_ns() + TIMER_NS;
    DEADLINE.store(deadline, Relaxed);
    lapic::arm_timer(deadline);
}

fn ring() {
    if clock::now_ns() < DEADLINE.load(Relaxed) {
        EARLY.fetch_add(1, Relaxed);
    }
    answer();
}
