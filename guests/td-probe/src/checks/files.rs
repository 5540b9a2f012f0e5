// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host like QEMU, which has files for its TD and an ISA bridge whose routes the TD reaches. On any other it is
//! left out.
//!
//! Spec: QEMU "fw_cfg"; ICH9 "PIRQ\[n\]_ROUT".

use super::hyperv::host::{io, set_word, share_range, word};
use crate::{
    memory::{self, OPERANDS, SHARED, SMALL},
    tally::Tally,
};

const SELECTOR: u64 = 0x510;
const DATA: u64 = 0x511;
const HIGH: u64 = 0x514;
const LOW: u64 = 0x518;

/// A request, and what it names.
const REQUEST: u64 = SMALL + 96 * 0x1000;
const TARGET: u64 = REQUEST + 0xff8;

const DIRECTORY: u32 = 0x19;
const SELECT: u32 = 1 << 3;
const READ: u32 = 1 << 1;
const WRITE: u32 = 1 << 4;

pub(super) fn run(tally: &mut Tally) {
    if item(0) != u32::from_le_bytes(*b"QEMU") {
        return;
    }
    tally.check("files: bytes and requests", item(1), 3);
    let signature = [HIGH, LOW].map(|port| io(4, port, None));
    tally.check("files: requests", signature, [0x554d_4551, 0x4746_4320]);
    requests(tally);
    routes(tally);
}

fn requests(tally: &mut Tally) {
    memory::write(OPERANDS, 0x1122_3344);
    start(OPERANDS);
    tally.check("files: a private request is not answered", memory::read(OPERANDS), 0x1122_3344);
    tally.check("files: two pages are shared", share_range(SHARED | REQUEST, 0x2000), 0);
    let by_bytes = item(DIRECTORY);
    for (name, bit) in [("files: a request", SHARED), ("files: without the shared bit", 0)] {
        (0..4).for_each(|index| set_word(TARGET + 4 * index, 0xeeee_eeee));
        let answer = request(bit, DIRECTORY << 16 | SELECT | READ, 12, bit | TARGET);
        tally.check(name, answer, 0);
        let found = [word(TARGET), word(TARGET + 12)];
        tally.check("files: it reads over a page", found, [by_bytes, 0xeeee_eeee]);
    }
    let answer = request(SHARED, DIRECTORY << 16 | SELECT | READ, 4, OPERANDS);
    tally.check("files: a private target is refused", answer, 1);
    tally.check("files: and is not reached", memory::read(OPERANDS), 0x1122_3344);
    let answer = request(SHARED, DIRECTORY << 16 | SELECT | WRITE, 4, SHARED | TARGET);
    tally.check("files: none is written", answer, 1);
    tally.check("files: after all of it the same", item(DIRECTORY), by_bytes);
}

/// The routes are as the firmware of QEMU leaves them.
fn routes(tally: &mut Tally) {
    tally.check("bridge: an ICH9", config(0, None), 0x2918_8086);
    for register in [0x60, 0x68] {
        tally.check("bridge: four routes", config(register, None), 0x0b0b_0a0a);
        config(register, Some(0x808b_0a05));
        tally.check("bridge: they can be changed", config(register, None), 0x808b_0a05);
        config(register, Some(0x0b0b_0a0a));
        tally.check("bridge: and changed back", config(register, None), 0x0b0b_0a0a);
    }
    config(0x40, Some(1));
    tally.check("bridge: the rest is not there", config(0x40, None), 0);
}

/// The first four bytes of an item.
fn item(number: u32) -> u32 {
    io(2, SELECTOR, Some(number));
    let byte = || io(1, DATA, None).to_le_bytes()[0];
    u32::from_le_bytes([byte(), byte(), byte(), byte()])
}

/// Makes a request; returns what is answered.
fn request(bit: u64, control: u32, length: u32, target: u64) -> u32 {
    let [high, low] = halves(target);
    for (index, value) in (0..).zip([control.to_be(), length.to_be(), high, low]) {
        set_word(REQUEST + 4 * index, value);
    }
    start(bit | REQUEST);
    u32::from_be(word(REQUEST))
}

fn start(gpa: u64) {
    let [high, low] = halves(gpa);
    io(4, HIGH, Some(high));
    io(4, LOW, Some(low));
}

/// Both halves, the upper one first, as the device wants them.
fn halves(gpa: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = gpa.to_be_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

/// A register of the ISA bridge.
fn config(register: u32, written: Option<u32>) -> u64 {
    io(4, 0xcf8, Some(0x8000_f800 | register));
    io(4, 0xcfc, written)
}
