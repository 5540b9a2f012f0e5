// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a device reaches: shared memory, and no private memory.
//!
//! Memory that a device must not reach is checked from here; that the device's request was refused,
//! and not only without effect, is for the emulator to tell.

use super::machine::Machine;
use crate::devices::edu::{DMA_BYTES, Direction, Edu};
use crate::dma_page::DmaPage;
use crate::failure::Failure;
use crate::registers::Registers;
use crate::{handled, vectors, wait};

/// What private memory holds.
const SECRET: u32 = 0x5ec5_e700;

/// What is sent through the device and back.
const MESSAGE: u32 = 0x4d65_7300;

/// A page that is private, then shared, then private again; a transfer each way where it matters.
pub(crate) fn confined(machine: &mut Machine<'_>) -> Result<(), Failure> {
    let page = machine.dma_page()?;
    let edu = *machine.edu()?;
    edu.assign(0);
    line_up(&page);
    write(page.private, SECRET);
    transfer(&edu, Direction::ToDevice, &page)?;
    page_holds(page.private, SECRET, "reading changed the page")?;
    transfer(&edu, Direction::ToMemory, &page)?;
    page_holds(page.private, SECRET, "a device changed private memory")?;

    page.share()?;
    transfer(&edu, Direction::ToMemory, &page)?;
    if holds(page.shared, SECRET) {
        return Err(Failure::Dma("a device read private memory"));
    }
    write(page.shared, MESSAGE);
    transfer(&edu, Direction::ToDevice, &page)?;
    write(page.shared, 0);
    transfer(&edu, Direction::ToMemory, &page)?;
    page_holds(page.shared, MESSAGE, "a transfer lost what it carried")?;

    page.unshare()?;
    write(page.private, SECRET);
    transfer(&edu, Direction::ToMemory, &page)?;
    page_holds(page.private, SECRET, "a device changed a page that is private again")?;
    wait::until_quiet(wait::SHORT);
    Ok(())
}

/// Tells where the page is, for whoever reads the emulator's figures.
fn line_up(page: &DmaPage) {
    crate::console::line!("result dma page={}", page.address);
}

/// Copies between device and page, and waits for the end of it.
fn transfer(edu: &Edu, direction: Direction, page: &DmaPage) -> Result<(), Failure> {
    let wanted = handled::on(vectors::EDU, 0) + 1;
    edu.transfer(direction, page.address);
    wait::halt_until("the end of a transfer", || handled::on(vectors::EDU, 0) >= wanted)?;
    wait::poll_until("edu's acknowledgement", || edu.is_quiet())
}

/// Fills what a transfer covers with words that are all different.
fn write(memory: Registers, word: u32) {
    for (offset, number) in offsets() {
        memory.write(offset, word + number);
    }
}

fn holds(memory: Registers, word: u32) -> bool {
    offsets().all(|(offset, number)| memory.read(offset) == word + number)
}

fn page_holds(memory: Registers, word: u32, otherwise: &'static str) -> Result<(), Failure> {
    if holds(memory, word) { Ok(()) } else { Err(Failure::Dma(otherwise)) }
}

fn offsets() -> impl Iterator<Item = (usize, u32)> {
    (0..DMA_BYTES).step_by(4).zip(0..)
}
