// SPDX-License-Identifier: MIT OR Apache-2.0
//! The local APIC in xAPIC mode: QEMU 7.2's TCG has no x2APIC.
//!
//! Every function acts on the APIC of the CPU that calls it.
//!
//! Spec: SDM "Advanced Programmable Interrupt Controller (APIC)".
#![expect(unsafe_code, reason = "memory-mapped registers")]

use cpu::apic::{Register, XAPIC_BASE};

use super::{clock, cpus, memory};

/// Arrives when the timer of [`arm_timer`] ends.
pub(crate) const TIMER_VECTOR: u8 = 0xf0;

/// Arrives when an interrupt vanished while it was being delivered; gets no EOI.
pub(crate) const SPURIOUS_VECTOR: u8 = 0xff;

const SVR_ENABLE: u32 = 1 << 8;
const LVT_MASKED: u32 = 1 << 16;
/// Divide by 1: the timer of QEMU's APIC then counts nanoseconds.
const TIMER_DIVIDE_BY_1: u32 = 0b1011;

const ICR_NMI: u32 = 0b100 << 8;
const ICR_INIT: u32 = 0b101 << 8;
const ICR_STARTUP: u32 = 0b110 << 8;
const ICR_PENDING: u32 = 1 << 12;
const ICR_ASSERT: u32 = 1 << 14;
const ICR_SELF: u32 = 0b01 << 18;
const ICR_ALL_BUT_SELF: u32 = 0b11 << 18;

/// Switches the APIC on, with all local sources masked.
pub(crate) fn enable() {
    for source in [
        Register::LVT_TIMER,
        Register::LVT_THERMAL,
        Register::LVT_PERFORMANCE,
        Register::LVT_LINT0,
        Register::LVT_LINT1,
        Register::LVT_ERROR,
    ] {
        write(source, LVT_MASKED);
    }
    write(Register::TPR, 0);
    write(Register::TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
    write(Register::SVR, SVR_ENABLE | u32::from(SPURIOUS_VECTOR));
}

/// Ends the interrupt in service.
pub(crate) fn eoi() {
    write(Register::EOI, 0);
}

/// Returns this CPU's APIC ID.
pub(super) fn id() -> u8 {
    let [.., id] = read(Register::ID).to_le_bytes();
    id
}

/// Interrupts CPU `cpu` with `vector`.
pub(crate) fn send_ipi(cpu: usize, vector: u8) {
    send_to(cpu, ICR_ASSERT | u32::from(vector));
}

/// Sends an NMI to CPU `cpu`.
pub(crate) fn send_nmi(cpu: usize) {
    send_to(cpu, ICR_ASSERT | ICR_NMI);
}

/// Interrupts this CPU with `vector`.
pub(crate) fn self_ipi(vector: u8) {
    command(ICR_SELF | ICR_ASSERT | u32::from(vector));
}

/// Resets all other CPUs and starts them in real mode at the page number `page`.
pub(super) fn start_all_others(page: u8) {
    command(ICR_ALL_BUT_SELF | ICR_ASSERT | ICR_INIT);
    command(ICR_ALL_BUT_SELF | ICR_ASSERT | ICR_STARTUP | u32::from(page));
}

/// Raises [`TIMER_VECTOR`] on this CPU when [`clock::now_ns`] reaches `deadline_ns`.
///
/// The timer counts 32 bits: a deadline more than four seconds away ends early, so the handler must
/// compare and arm again. A deadline in the past ends at once.
pub(crate) fn arm_timer(deadline_ns: u64) {
    let delay = deadline_ns.saturating_sub(clock::now_ns()).max(1);
    write(Register::LVT_TIMER, u32::from(TIMER_VECTOR));
    write(Register::TIMER_INITIAL_COUNT, u32::try_from(delay).unwrap_or(u32::MAX));
}

/// Stops the timer of this CPU. An interrupt that it already raised still arrives.
pub(crate) fn disarm_timer() {
    count_down_silently(0);
}

/// Counts down from `count` without an interrupt at the end.
pub(super) fn count_down_silently(count: u32) {
    write(Register::LVT_TIMER, LVT_MASKED);
    write(Register::TIMER_INITIAL_COUNT, count);
}

/// Returns what is left of the count.
pub(super) fn timer_count() -> u32 {
    read(Register::TIMER_CURRENT_COUNT)
}

fn send_to(cpu: usize, low: u32) {
    write(Register::ICR_HIGH, u32::from(cpus::apic_id(cpu)) << 24);
    command(low);
}

fn command(low: u32) {
    write(Register::ICR, low);
    while read(Register::ICR) & ICR_PENDING != 0 {
        core::hint::spin_loop();
    }
}

fn read(register: Register) -> u32 {
    let register = memory::at::<u32>(XAPIC_BASE + register.offset());
    // SAFETY: the identity map covers the APIC's page, which every CPU has at its reset address
    // and L0 never moves; registers are 32 bits wide and 16 bytes apart. No read has an effect.
    unsafe { register.read_volatile() }
}

fn write(register: Register, value: u32) {
    let register = memory::at::<u32>(XAPIC_BASE + register.offset());
    // SAFETY: mapped as for `read`. What the write causes are interrupts at vectors that the
    // descriptor table covers, or the start of CPUs at code made for it.
    unsafe { register.write_volatile(value) };
}
