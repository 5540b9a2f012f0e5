// SPDX-License-Identifier: MIT OR Apache-2.0
//! The controller against the driver of the `vmbus` crate, and against a TD that means no good.

use vmbus::synic::{Eom, EventFlags, MessagePage, MessageType, SintIndex};

use super::{Added, Delivery, Message, ProxySet, SharedMemory, Synic, WAITING};
use crate::host::hyperv::guest::{Guest, SHARED_BIT, fake::Fake};

const SHARED: u64 = SHARED_BIT;

struct Stand {
    guest: Fake,
    synic: Synic,
    proxied: ProxySet,
    simp: u64,
    siefp: u64,
}

fn stand() -> Stand {
    let guest = Fake::new(2);
    let (simp, siefp) = (guest.share(), guest.share());
    let (synic, proxied) = (Synic::new(1), ProxySet::new());
    let mut stand = Stand { guest, synic, proxied, simp, siefp };
    for (msr, value) in [
        (0x4000_0083, simp | SHARED | 1),
        (0x4000_0082, siefp | 1),
        (0x4000_0090, 0x50),
        (0x4000_0097, 0x51),
        (0x4000_0080, 1),
    ] {
        assert_eq!(stand.write(msr, value), Some(()));
        assert_eq!(stand.synic.read(msr), Some(value));
    }
    stand
}

impl Stand {
    fn write(&mut self, msr: u32, value: u64) -> Option<()> {
        self.synic.write(self.guest, &self.proxied, msr, value)
    }

    fn take(&self, sint: u8) -> Option<(u32, Vec<u8>, Eom)> {
        let page = MessagePage::new(self.guest.page(self.simp)).unwrap();
        let taken = page.take(SintIndex::new(sint).unwrap())?;
        let message = taken.message.unwrap();
        Some((message.message_type.0, message.payload().to_vec(), taken.eom))
    }

    fn asks_for(&self, vector: u8) -> bool {
        self.synic.asks_for(self.guest, &self.proxied, vector)
    }

    fn send(&mut self, byte: u8) -> Delivery {
        self.synic.send(self.guest, 7, Message::new(1, &[byte; 12]).unwrap())
    }
}

#[test]
fn messages_come_one_by_one_in_order_and_by_end_of_message_alone() {
    let mut stand = stand();
    assert_eq!(stand.send(1), Delivery::Accepted);
    assert_eq!(stand.guest.posted(), [(1, 0x51)]);
    let first = stand.take(7).unwrap();
    assert_eq!(first, (1, vec![1; 12], Eom::NotNeeded));
    (2..5).for_each(|byte| assert_eq!(stand.send(byte), Delivery::Accepted));
    assert_eq!(stand.guest.posted(), [(1, 0x51)]);
    for byte in 2..6 {
        let eom = if byte == 5 { Eom::NotNeeded } else { Eom::Write };
        assert_eq!(stand.take(7), Some((1, vec![byte; 12], eom)));
        assert_eq!(stand.take(7), None, "nothing comes before the end of message");
        if byte == 2 {
            assert_eq!(stand.send(5), Delivery::Accepted);
            assert_eq!(stand.take(7), None, "nor because another one is sent");
        }
        stand.write(0x4000_0084, 0);
    }
    assert_eq!(stand.guest.posted(), [(1, 0x51); 3]);
    assert_eq!(stand.take(7), None);
}

#[test]
fn there_is_room_for_so_many_messages() {
    let mut stand = stand();
    (0..=WAITING).for_each(|_| assert_eq!(stand.send(9), Delivery::Accepted));
    assert_eq!(stand.send(9), Delivery::Full);
}

#[test]
fn what_was_sent_too_early_comes_when_the_page_is_there() {
    let mut stand = stand();
    stand.write(0x4000_0083, 0);
    assert_eq!(stand.send(5), Delivery::Accepted);
    assert!(stand.guest.posted().is_empty());
    stand.write(0x4000_0083, stand.simp | 1);
    assert_eq!(stand.take(7), Some((1, vec![5; 12], Eom::NotNeeded)));
}

#[test]
fn one_vector_is_a_number_and_several_are_a_set() {
    let mut stand = stand();
    assert_eq!(stand.proxied.add(0xff), Added::AtOnce);
    assert!(stand.asks_for(0xff));
    stand.synic.pass_on(stand.guest, &stand.proxied);
    assert_eq!(stand.guest.posted(), [(1, 0x50)]);
    // While the slot is taken they gather, and the same one twice is one.
    let added = [0x21, 0x80, 0x21].map(|vector| stand.proxied.add(vector));
    assert_eq!(added, [Added::AtOnce, Added::AtOnce, Added::Merged]);
    assert!([0xff, 0x21, 0x80].into_iter().all(|vector| stand.asks_for(vector)));
    stand.synic.pass_on(stand.guest, &stand.proxied);
    assert!(stand.guest.posted().is_empty());
    let (kind, payload, eom) = stand.take(0).unwrap();
    assert_eq!((MessageType(kind), eom), (MessageType::PROXY_INTERRUPT, Eom::Write));
    assert_eq!(payload[..8], [0, 0, 0, 0, 0xff, 0, 0, 0]);
    stand.synic.pass_on(stand.guest, &stand.proxied);
    assert_eq!(stand.take(0), None, "the end of message is owed");
    let set = |payload: &[u8]| -> Vec<u8> {
        vmbus::proxy_interrupt::parse(payload).unwrap().iter().collect()
    };
    assert_eq!(set(&payload), [0xff]);
    assert!(!stand.asks_for(0xff));
    stand.write(0x4000_0084, 0);
    assert!(stand.asks_for(0x80) && stand.asks_for(0x21) && !stand.asks_for(0x20));
    let (_, payload, eom) = stand.take(0).unwrap();
    assert_eq!((payload[1], set(&payload), eom), (1, vec![0x21, 0x80], Eom::NotNeeded));
    assert!(stand.proxied.is_empty());
}

#[test]
fn a_flag_interrupts_when_it_was_clear() {
    let stand = stand();
    (0..2).for_each(|_| stand.synic.signal(stand.guest, 7, 2047));
    stand.synic.signal(stand.guest, 7, 2048);
    assert_eq!(stand.guest.posted(), [(1, 0x51)]);
    let mut flags = Vec::new();
    let page = EventFlags::new(stand.guest.page(stand.siefp)).unwrap();
    page.take(SintIndex::REDIRECTED_VMBUS, |flag| flags.push(flag));
    assert_eq!(flags, [2047]);
}

#[test]
fn a_masked_source_gets_nothing_and_a_polled_one_no_interrupt() {
    let mut stand = stand();
    stand.write(0x4000_0097, 1 << 16 | 0x51);
    stand.send(1);
    stand.synic.signal(stand.guest, 7, 3);
    assert_eq!(stand.take(7), None);
    stand.write(0x4000_0097, 1 << 18);
    assert_eq!(stand.take(7), Some((1, vec![1; 12], Eom::NotNeeded)));
    assert!(stand.guest.posted().is_empty());
}

#[test]
fn nonsense_is_refused_and_leaves_the_register_as_it_was() {
    let mut stand = stand();
    let private = stand.guest.share();
    stand.guest.unshare(private);
    for (msr, value) in [
        (0x4000_0083, private | 1),
        (0x4000_0082, 0x7fff_ffff_f001),
        (0x4000_0090, 15),
        (0x4000_0081, 1),
        (0x4000_008f, 0),
        (0x4000_00a0, 0),
    ] {
        let before = stand.synic.read(msr);
        assert_eq!(stand.write(msr, value), None, "{msr:#x}");
        assert_eq!(stand.synic.read(msr), before);
    }
    assert_eq!(stand.synic.read(0x4000_0081), Some(1));
}

#[test]
fn a_page_that_is_gone_swallows_messages_without_harm() {
    let mut stand = stand();
    stand.guest.unshare(stand.simp);
    stand.guest.unshare(stand.siefp);
    assert_eq!(stand.send(1), Delivery::Accepted);
    stand.synic.signal(stand.guest, 7, 3);
    assert!(stand.guest.posted().is_empty());
    assert!(stand.guest.with_page(stand.simp, |page| page.load(0, super::Relaxed)).is_none());
}
