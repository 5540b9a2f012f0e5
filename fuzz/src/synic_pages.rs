// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host that fills message slots and sets event flags, also while they are read.

use core::{
    cell::RefCell,
    sync::atomic::{AtomicU32, Ordering},
};

use vmbus::{
    PAGE_SIZE, SharedMemory, proxy_interrupt,
    synic::{Eom, EventFlags, MessagePage, MessageType, SintIndex},
};

use crate::Input;

/// A page that the host changes at every access: the input says how.
pub(crate) struct Changing<'a> {
    words: Vec<AtomicU32>,
    input: RefCell<Input<'a>>,
}

impl<'a> Changing<'a> {
    pub(crate) fn new(bytes: usize, input: Input<'a>) -> Self {
        let words = (0..bytes / 4).map(|_| AtomicU32::new(0)).collect();
        Self { words, input: RefCell::new(input) }
    }

    /// The memory without the changes.
    pub(crate) fn words(&self) -> &[AtomicU32] {
        &self.words
    }

    /// Lets the host change a word, or not.
    pub(crate) fn change(&self, near: usize) {
        let mut input = self.input.borrow_mut();
        if let Some(distance @ 0..128) = input.byte() {
            let value = input.word();
            let offset = near.saturating_add(usize::from(distance)) & !3;
            self.words.store(offset, value, Ordering::Relaxed);
        }
    }
}

impl SharedMemory for Changing<'_> {
    fn size(&self) -> usize {
        self.words.size()
    }

    fn load(&self, offset: usize, ordering: Ordering) -> u32 {
        assert!(offset.is_multiple_of(4) && offset < self.size());
        self.change(offset);
        self.words.load(offset, ordering)
    }

    fn store(&self, offset: usize, value: u32, ordering: Ordering) {
        assert!(offset.is_multiple_of(4) && offset < self.size());
        self.words.store(offset, value, ordering);
        self.change(offset);
    }

    fn swap(&self, offset: usize, value: u32, ordering: Ordering) -> u32 {
        assert!(offset.is_multiple_of(4) && offset < self.size());
        let before = self.words.swap(offset, value, ordering);
        self.change(offset);
        before
    }

    fn fetch_or(&self, offset: usize, bits: u32, ordering: Ordering) -> u32 {
        assert!(offset.is_multiple_of(4) && offset < self.size());
        self.words.fetch_or(offset, bits, ordering)
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) {
        assert!(offset.checked_add(bytes.len()).is_some_and(|end| end <= self.size()));
        self.change(offset);
        self.words.read(offset, bytes);
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset.checked_add(bytes.len()).is_some_and(|end| end <= self.size()));
        self.words.write(offset, bytes);
    }
}

/// Fills one slot and one source's flags from the input, then takes both while the host goes on.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let Some(sint) = input.byte().and_then(|index| SintIndex::new(index & 15)) else { return };
    let slot = usize::from(sint.get()) * 256;
    let (message, flags) = (input.bytes(64), input.bytes(64));
    let memory = Changing::new(PAGE_SIZE, input);
    memory.words().write(slot, message);
    let page = MessagePage::new(&memory).expect("a page is large enough");
    for _ in 0..4 {
        let Some(taken) = page.take(sint) else { break };
        assert!(matches!(taken.eom, Eom::Write | Eom::NotNeeded));
        if let Ok(message) = taken.message {
            assert!(message.payload().len() <= 240);
            assert_ne!(message.message_type, MessageType::NONE);
            let _ = proxy_interrupt::parse(message.payload());
        }
    }
    memory.words().write(slot, flags);
    let mut last = None;
    EventFlags::new(&memory).expect("a page is large enough").take(sint, |flag| {
        assert!(flag < 2048 && last.is_none_or(|last| last < flag));
        last = Some(flag);
    });
}
