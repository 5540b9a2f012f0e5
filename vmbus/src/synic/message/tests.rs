// SPDX-License-Identifier: MIT OR Apache-2.0
extern crate alloc;

use alloc::vec::Vec;
use core::{cell::Cell, sync::atomic::AtomicU32};

use super::*;

fn page() -> Vec<AtomicU32> {
    (0..1024).map(|_| AtomicU32::new(0)).collect()
}

fn post(page: &[AtomicU32], sint: usize, message_type: u32, flags: u8, payload: &[u8]) {
    let slot = sint * 256;
    page.write(slot + 16, payload);
    page.write(slot + 8, &0x1122_3344_5566_7788_u64.to_le_bytes());
    page.write(slot + 4, &[u8::try_from(payload.len()).unwrap(), flags, 0, 0]);
    page.store(slot, message_type, Ordering::Release);
}

fn take(page: &[AtomicU32], sint: u8) -> Option<Taken> {
    MessagePage::new(page).unwrap().take(SintIndex::new(sint).unwrap())
}

#[test]
fn a_message_is_copied_and_its_slot_freed() {
    let memory = page();
    post(&memory, 7, 1, 0, b"hello");
    assert!(take(&memory, 6).is_none());
    let taken = take(&memory, 7).unwrap();
    let message = taken.message.unwrap();
    assert_eq!(message.message_type, MessageType::VMBUS);
    assert_eq!(message.payload(), b"hello");
    assert_eq!(message.sender, 0x1122_3344_5566_7788);
    assert_eq!(taken.eom, Eom::NotNeeded);
    assert!(take(&memory, 7).is_none());
}

#[test]
fn the_end_of_message_is_owed_when_another_waits() {
    let memory = page();
    post(&memory, 0, 0x8001_000f, 1, &[0; 36]);
    assert_eq!(take(&memory, 0).unwrap().eom, Eom::Write);
}

#[test]
fn a_message_that_claims_too_much_is_refused_and_its_slot_freed() {
    for claimed in [241, 255] {
        let memory = page();
        post(&memory, 15, 9, 1, &[]);
        memory.write(15 * 256 + 4, &[claimed]);
        let taken = take(&memory, 15).unwrap();
        let fault = MessageFault::TooLong { message_type: MessageType(9), claimed };
        assert_eq!(taken.message, Err(fault));
        assert_eq!(taken.eom, Eom::Write);
        assert!(take(&memory, 15).is_none());
    }
}

/// A host that raises the pending flag in the very moment in which the slot becomes free.
struct LateHost<'a> {
    memory: &'a [AtomicU32],
    freed: Cell<bool>,
}

impl SharedMemory for LateHost<'_> {
    fn size(&self) -> usize {
        self.memory.size()
    }

    fn load(&self, offset: usize, ordering: Ordering) -> u32 {
        self.memory.load(offset, ordering)
    }

    fn store(&self, offset: usize, value: u32, ordering: Ordering) {
        assert!(!self.freed.replace(true), "the slot is freed once");
        self.memory.store(offset, value, ordering);
        self.memory.fetch_or(offset + 4, 1 << 8, ordering);
    }

    fn swap(&self, _: usize, _: u32, _: Ordering) -> u32 {
        panic!("the message page is never exchanged")
    }

    fn fetch_or(&self, _: usize, _: u32, _: Ordering) -> u32 {
        panic!("bits of the message page are never set")
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) {
        assert!(!self.freed.get(), "a slot is not read after it was freed");
        self.memory.read(offset, bytes);
    }

    fn write(&self, _: usize, _: &[u8]) {
        panic!("the message page is never written")
    }
}

#[test]
fn the_flag_is_looked_at_after_the_slot_is_free_and_the_copy_made_before() {
    let memory = page();
    post(&memory, 2, 1, 0, &[3; 240]);
    let host = LateHost { memory: &memory, freed: Cell::new(false) };
    let taken = MessagePage::new(host).unwrap().take(SintIndex::VMBUS).unwrap();
    assert_eq!(taken.eom, Eom::Write);
    assert_eq!(taken.message.unwrap().payload(), [3; 240]);
}
