// SPDX-License-Identifier: MIT OR Apache-2.0
//! L2's IO-APIC: the model, and what it sends to L2's CPUs.
//!
//! An interrupt is posted as one of L2's own: the host has no part in it. One by level needs two things
//! more of each CPU that may get it: the bit of its vector in the EOI-exit bitmap, so that its end
//! reaches the chip, and the one in the trigger-mode register, which drivers read. Only the CPU itself
//! can set them. It also keeps such vectors out of the relay's direct way. So a change of the set of such
//! vectors makes a new *edition*, and calls all CPUs to attention, who take it over before they enter L2.
//!
//! Lines of the host's devices end at its pins. The chip and the lines are one thing behind one lock,
//! under which the host is asked, too: what it is told of a line has the order of what L2 did.
//!
//! # Orderings
//! The set is stored before the edition is, with Release; then comes the call for attention, and then a
//! vector of the set is posted. A CPU that drains such a vector therefore finds the call when it is about
//! to enter L2, at the latest.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use log::{info, warn};
use paravisor::{
    intx::{Route, lines::Lines},
    io_apic::{Deliveries, IoApic, Line},
    width,
};
use proxy_irq::{L2Vector, RelayBlock};
use spin::Mutex;
use tdcall::md::l2_vmcs::Field;

use super::{
    fields::{Refused, write},
    host_io_apic::HostIoApic,
    vm::vm,
};
use crate::{
    cpus,
    interrupt::{lines, vectors::FIRST_LINE},
};

static CHIP: Mutex<Chip> =
    Mutex::new(Chip { io_apic: IoApic::new(), lines: Lines::new(FIRST_LINE) });
static EDITION: AtomicU32 = AtomicU32::new(0);
static LEVELS: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

const BITMAPS: [Field; 4] = [
    Field::EOI_EXIT_BITMAP_0,
    Field::EOI_EXIT_BITMAP_1,
    Field::EOI_EXIT_BITMAP_2,
    Field::EOI_EXIT_BITMAP_3,
];

/// The chip, and what ends at its pins beside the platform's own devices.
struct Chip {
    io_apic: IoApic,
    lines: Lines,
}

/// The set of vectors by level, as one CPU knows it.
#[derive(Debug, Default)]
pub(super) struct Levels {
    edition: u32,
    vectors: [u64; 4],
}

/// Gives the device of `route` a line. Returns L2's pin, if it gets one. Context: before L2 runs.
pub(super) fn assign(route: &Route, shared_bit: u64) -> Option<usize> {
    let assigned = CHIP.lock().lines.assign(&mut HostIoApic { shared_bit }, route);
    match assigned {
        Ok(pin) => info!("intx: {route} l2_pin={pin}"),
        Err(why) => warn!("intx refused: {route}: {why}"),
    }
    assigned.ok()
}

/// L2 reads `size` bytes at `offset` of the chip's page.
pub(super) fn read(offset: u64, size: u8) -> u32 {
    CHIP.lock().io_apic.read(offset, size)
}

/// L2 writes `size` bytes at `offset` of the chip's page.
pub(super) fn write_register(offset: u64, size: u8, value: u32) {
    let mut chip = CHIP.lock();
    let deliveries = chip.io_apic.write(offset, size, value);
    publish(chip.io_apic.level_vectors());
    send(&deliveries);
    chip.follow();
}

/// A device sets its line.
pub(super) fn set_line(pin: usize, line: Line) {
    send(&CHIP.lock().io_apic.set_line(pin, line));
}

/// A CPU has ended a vector of the set.
pub(super) fn end_of_interrupt(vector: L2Vector) {
    let mut chip = CHIP.lock();
    let deliveries = chip.io_apic.end_of_interrupt(vector);
    send(&deliveries);
    chip.follow();
}

/// Takes what the host has told of lines.
pub(super) fn serve_lines() {
    let told = lines::take();
    if told != 0 {
        serve(told);
    }
}

#[cold]
fn serve(mut told: u32) {
    let chip = &mut *CHIP.lock();
    while told != 0 {
        let line = told.trailing_zeros();
        told &= told - 1;
        send(&chip.lines.told(width::index(line.into()), &mut chip.io_apic));
    }
}

/// How often a pin has asked for what no CPU takes.
pub(super) fn nonsense() -> u64 {
    CHIP.lock().io_apic.nonsense()
}

/// A line for each line, and how many came on vectors of none.
pub(super) fn say_lines() {
    let chip = CHIP.lock();
    for line in chip.lines.figures() {
        let (gsi, pin, told, ended) = (line.gsi, line.pin, line.told, line.ended);
        info!("line: gsi={gsi} l2_pin={pin} told={told} ended={ended}");
    }
    if chip.lines.strays() != 0 {
        info!("count: stray_lines={}", chip.lines.strays());
    }
}

impl Chip {
    /// Has the lines follow what L2 did to the chip.
    fn follow(&mut self) {
        let mut host = HostIoApic { shared_bit: vm().shared_bit };
        send(&self.lines.follow(&mut self.io_apic, &mut host, vm().cpus));
    }
}

impl Levels {
    /// Takes over the newest set: when the CPU is called to attention, which it is for each of them.
    pub(super) fn follow(&mut self, block: &RelayBlock) -> Result<(), Refused> {
        let edition = EDITION.load(Ordering::Acquire);
        if edition == self.edition { Ok(()) } else { self.take_over(edition, block) }
    }

    #[cold]
    fn take_over(&mut self, edition: u32, block: &RelayBlock) -> Result<(), Refused> {
        for ((known, new), field) in self.vectors.iter_mut().zip(&LEVELS).zip(BITMAPS) {
            *known = new.load(Ordering::Relaxed);
            write(field, *known)?;
        }
        self.edition = edition;
        block.set_levels(self.banks());
        Ok(())
    }

    /// The set by dwords, as APICs have it.
    fn banks(&self) -> [u32; 8] {
        let mut words =
            self.vectors.iter().flat_map(|word| [width::low32(*word), width::high32(*word)]);
        core::array::from_fn(|_| words.next().unwrap_or(0))
    }
}

/// Makes `vectors` the set. Called with the chip locked, so there is one writer.
fn publish(vectors: [u64; 4]) {
    let mut changed = false;
    for (known, new) in LEVELS.iter().zip(vectors) {
        changed |= known.swap(new, Ordering::Relaxed) != new;
    }
    if changed {
        EDITION.fetch_add(1, Ordering::Release);
        // Before anything is posted: a CPU that takes a vector and has not seen its set yet looks again
        // before it enters L2. So no kick is needed.
        for cpu in 0..vm().cpus {
            let _ = cpus::relay_block(width::index(cpu.into())).call_attention();
        }
    }
}

/// Called with the chip locked, so that interrupts of a pin keep their order.
fn send(deliveries: &Deliveries) {
    for delivery in deliveries.iter() {
        for cpu in (0..vm().cpus).filter(|cpu| delivery.receivers.include(*cpu)) {
            let index = width::index(cpu.into());
            let kick = cpus::relay_block(index).post_trusted(delivery.vector);
            cpus::kick_if_needed(index, kick);
        }
    }
}
