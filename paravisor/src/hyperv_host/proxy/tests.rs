// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host with a queue of messages and one slot, and hosts that keep no rule.

use alloc::{collections::VecDeque, vec, vec::Vec};
use core::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use vmbus::{
    SharedMemory,
    proxy_interrupt::ProxyFault,
    synic::{MessageFault, MessagePage, MessageType},
};

use super::{Fault, LIMIT, Left, Sink, pump};

fn page() -> Vec<AtomicU32> {
    (0..1024).map(|_| AtomicU32::new(0)).collect()
}

/// The host's side, and what L1 was brought.
struct Host<'a> {
    page: &'a [AtomicU32],
    queue: VecDeque<(u32, Vec<u8>)>,
    vectors: Vec<u8>,
    faults: Vec<Fault>,
    eoms: u32,
    messages: u32,
}

impl<'a> Host<'a> {
    fn new(page: &'a [AtomicU32]) -> Self {
        Self { page, queue: VecDeque::new(), vectors: vec![], faults: vec![], eoms: 0, messages: 0 }
    }

    fn asks(mut self, message_type: u32, payload: &[u8]) -> Self {
        self.queue.push_back((message_type, payload.to_vec()));
        self
    }

    fn one(self, vector: u8) -> Self {
        let mut payload = [0; 36];
        payload[4] = vector;
        self.asks(0x8001_000f, &payload)
    }

    fn set(self, vectors: &[u8]) -> Self {
        let mut payload = [0; 36];
        payload[1] = 1;
        for vector in vectors {
            payload[4 + usize::from(vector / 8)] |= 1 << (vector % 8);
        }
        self.asks(0x8001_000f, &payload)
    }

    /// Fills the slot if it is free, and says whether more waits.
    fn fill(&mut self) {
        if self.page.load(0, Ordering::Relaxed) != 0 {
            return;
        }
        let Some((message_type, payload)) = self.queue.pop_front() else { return };
        let more = u8::from(!self.queue.is_empty());
        self.page.write(4, &[u8::try_from(payload.len()).unwrap(), more]);
        self.page.write(16, &payload);
        self.page.store(0, message_type, Ordering::Release);
    }

    fn pump(&mut self) -> Left {
        pump(&MessagePage::new(self.page).unwrap(), self)
    }
}

impl Sink for Host<'_> {
    fn message(&mut self) {
        self.messages += 1;
    }

    fn vector(&mut self, vector: u8) {
        self.vectors.push(vector);
    }

    fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    fn end_of_message(&mut self) {
        self.eoms += 1;
        self.fill();
    }
}

#[test]
fn both_forms_arrive_and_each_waiting_message_is_asked_for() {
    let page = page();
    let mut host = Host::new(&page).one(0x51).set(&[0x31, 0xff, 3]).one(0x52);
    host.fill();
    assert_eq!(host.pump(), Left::Nothing);
    assert_eq!(host.vectors, [0x51, 3, 0x31, 0xff, 0x52]);
    assert_eq!((host.eoms, host.faults.len()), (2, 0), "no call when nothing waits");
    assert_eq!(host.pump(), Left::Nothing);
    assert_eq!(host.vectors.len(), 5, "a message is taken once");
}

#[test]
fn what_is_no_proxy_interrupt_is_dropped_by_name_and_frees_the_slot() {
    let page = page();
    let mut host = Host::new(&page)
        .asks(1, &[0; 36])
        .asks(0x8001_000f, &[0; 35])
        .asks(0x8001_000f, &[2; 36])
        .asks(0x8001_000f, &[0; 241])
        .one(0x51);
    host.fill();
    assert_eq!(host.pump(), Left::Nothing);
    let long = MessageFault::TooLong { message_type: MessageType(0x8001_000f), claimed: 241 };
    assert_eq!(
        host.faults,
        [
            Fault::Type(MessageType(1)),
            Fault::Payload(ProxyFault::TooShort(35)),
            Fault::Payload(ProxyFault::Vtl(2)),
            Fault::Message(long),
        ]
    );
    assert_eq!((host.vectors.as_slice(), host.messages), (&[0x51][..], 5));
}

#[test]
fn a_host_that_never_stops_is_left_after_a_while() {
    let page = page();
    let mut host = (0..100).fold(Host::new(&page), |host, _| host.one(0x51));
    host.fill();
    assert_eq!(host.pump(), Left::Perhaps);
    assert_eq!(host.vectors.len(), usize::try_from(LIMIT).unwrap());
    while host.pump() == Left::Perhaps {}
    assert_eq!(host.vectors.len(), 100, "the rest is found by looking again");
}

proptest! {
    #[test]
    fn a_page_of_anything_ends(words in proptest::collection::vec(any::<u32>(), 1024)) {
        let page: Vec<_> = words.into_iter().map(AtomicU32::new).collect();
        let mut host = Host::new(&page);
        host.pump();
        prop_assert_eq!(page[0].load(Ordering::Relaxed), 0);
        prop_assert!(host.eoms <= LIMIT);
    }
}
