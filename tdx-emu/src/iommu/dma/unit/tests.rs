// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commands, given to a unit that does what the specification says, and to one that does not.

use core::cell::RefCell;
use std::collections::HashMap;

use super::{Absent, Registers, Unit, Unresponsive};

/// 39 and 48 bits, fault registers at 0x220, one of them; invalidation at 0xf0.
const CAP: u64 = 0x600 | 0x22 << 24;
const ECAP: u64 = 0xf << 8;

#[derive(Default)]
struct Fake {
    words: RefCell<HashMap<u64, u64>>,
    written: RefCell<Vec<(u64, u64)>>,
    now: RefCell<u64>,
    dead: bool,
}

impl Fake {
    fn new(cap: u64) -> Self {
        let fake = Self::default();
        for (offset, value) in [(0, 0x10), (8, cap), (0x10, ECAP), (0x38, 1 << 31)] {
            fake.words.borrow_mut().insert(offset, value);
        }
        fake
    }

    fn get(&self, offset: u64) -> u64 {
        self.words.borrow().get(&offset).copied().unwrap_or(0)
    }

    fn write(&self, offset: u64, value: u64) {
        self.written.borrow_mut().push((offset, value));
        let mut words = self.words.borrow_mut();
        match offset {
            // One-shot bits end at once; the root table pointer stays set once it was.
            0x18 if !self.dead => {
                let set = words.get(&0x1c).copied().unwrap_or(0) & 1 << 30;
                words.insert(0x1c, value & !(1 << 27) | set);
            }
            0x28 | 0xf8 if !self.dead => drop(words.insert(offset, value & !(1 << 63))),
            0x34 => {
                let old = words.get(&0x34).copied().unwrap_or(0);
                words.insert(0x34, old & !value);
            }
            0x228 => {
                let old = words.get(&0x228).copied().unwrap_or(0);
                words.insert(0x228, old & !(value & 1 << 63));
            }
            _ => drop(words.insert(offset, value)),
        }
    }
}

impl Registers for &Fake {
    fn read32(&self, offset: u64) -> u32 {
        u32::try_from(self.get(offset) & 0xffff_ffff).unwrap()
    }

    fn read64(&self, offset: u64) -> u64 {
        self.get(offset)
    }

    fn write32(&self, offset: u64, value: u32) {
        self.write(offset, value.into());
    }

    fn write64(&self, offset: u64, value: u64) {
        self.write(offset, value);
    }

    fn now_ns(&self) -> u64 {
        *self.now.borrow_mut() += 1_000_000;
        *self.now.borrow()
    }
}

#[test]
fn the_root_is_set_and_everything_forgotten_before_translation_begins() {
    let fake = Fake::new(CAP);
    let unit = Unit::new(&fake).unwrap();
    unit.set_root(0x5000).unwrap();
    unit.announce_faults(0xfee0_1000, 0xf3);
    unit.enable().unwrap();
    let expected = [
        (0x18, 0),
        (0x20, 0x5000),
        (0x18, 1 << 30),
        (0x28, 1 << 63 | 1 << 61),
        (0xf8, 1 << 63 | 1 << 60),
        (0x3c, 0xf3),
        (0x40, 0xfee0_1000),
        (0x44, 0),
        (0x38, 0),
        (0x18, 1 << 31), // without the one-shot bit, although the status still has it
    ];
    assert_eq!(*fake.written.borrow(), expected);
    assert_eq!(unit.levels, 3);
}

#[test]
fn unmapping_waits_for_the_domain_to_be_forgotten() {
    let fake = Fake::new(CAP);
    let unit = Unit::new(&fake).unwrap();
    unit.unmapped().unwrap();
    assert_eq!(*fake.written.borrow(), [(0xf8, 1 << 63 | 2 << 60 | 1 << 32)]);
    unit.mapped().unwrap();
    assert_eq!(fake.written.borrow().len(), 1, "mapping needs no command");
}

#[test]
fn hardware_that_wants_more_gets_it() {
    let fake = Fake::new(CAP | 1 << 7 | 1 << 4);
    Unit::new(&fake).unwrap().mapped().unwrap();
    let expected = [(0x18, 1 << 27), (0xf8, 1 << 63 | 2 << 60 | 1 << 32)];
    assert_eq!(*fake.written.borrow(), expected);
}

#[test]
fn a_unit_that_does_not_answer_is_given_up() {
    let fake = Fake { dead: true, ..Fake::new(CAP) };
    let unit = Unit::new(&fake).unwrap();
    assert_eq!(unit.set_root(0x5000), Err(Unresponsive));
    assert_eq!(unit.enable(), Err(Unresponsive));
    assert_eq!(unit.unmapped(), Err(Unresponsive));
}

#[test]
fn faults_are_taken_once_and_an_overflow_is_told() {
    let fake = Fake::new(CAP);
    fake.words.borrow_mut().extend([(0x220, 0x9000), (0x228, 1 << 63 | 6 << 32 | 0x10), (0x34, 3)]);
    let unit = Unit::new(&fake).unwrap();
    let mut faults = Vec::new();
    assert!(unit.take_faults(|fault| faults.push(fault)));
    assert!(!unit.take_faults(|fault| faults.push(fault)));
    assert_eq!(faults.len(), 1);
    assert_eq!((faults[0].address, faults[0].reason, faults[0].write), (0x9000, 6, true));
}

#[test]
fn what_is_no_unit_is_not_used() {
    let nothing = Fake::default();
    assert!(matches!(Unit::new(&nothing), Err(Absent::Unusable(_))));
    let ones = Fake::default();
    ones.words.borrow_mut().insert(0, u64::MAX);
    assert!(matches!(Unit::new(&ones), Err(Absent::Unusable(_))));
    assert!(matches!(Unit::new(&Fake::new(0)), Err(Absent::Unusable(_))));
    assert_eq!(Unit::new(&Fake::new(0x400)).unwrap().levels, 4);
}
