// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything together: contact, offer, memory, open, an echo through both rings, close, unload; by
//! way of the pages of the SynIC, and with rings that lie scattered in the memory of the guest.

extern crate alloc;

use alloc::{vec, vec::Vec};
use core::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::{
    PAGE_SIZE, SharedMemory,
    message::GpadlRange,
    ring::{Notify, Outgoing as Packet, Reader, Waiting, Writer, packet::Completion},
    synic::{EventFlags, MessagePage, MessageType, SintIndex},
    transaction::Transactions,
};

/// The guest's memory: page 0 holds messages, page 1 event flags, the rest rings.
struct Guest(Vec<AtomicU32>);

const SINT: SintIndex = SintIndex::REDIRECTED_VMBUS;
const SLOT: usize = 7 * 256;
const CHANNEL: u32 = 17;

impl Guest {
    fn page(&self, number: u64) -> &[AtomicU32] {
        let words = PAGE_SIZE / 4;
        let first = usize::try_from(number).unwrap() * words;
        &self.0[first..first + words]
    }

    /// The host puts a message into the slot.
    fn post(&self, bytes: &[u8]) {
        let page = self.page(0);
        page.write(SLOT + 16, bytes);
        page.write(SLOT + 4, &[u8::try_from(bytes.len()).unwrap(), 0]);
        page.store(SLOT, 1, Ordering::Release);
    }

    /// The guest takes it out again.
    fn take(&self) -> Vec<u8> {
        let taken = MessagePage::new(self.page(0)).unwrap().take(SINT).unwrap();
        let message = taken.message.unwrap();
        assert_eq!(message.message_type, MessageType::VMBUS);
        message.payload().to_vec()
    }

    /// The host raises the channel's flag.
    fn raise(&self) {
        let word = SLOT + usize::try_from(CHANNEL / 32 * 4).unwrap();
        self.page(1).fetch_or(word, 1 << (CHANNEL % 32), Ordering::Release);
    }

    fn flags(&self) -> Vec<u16> {
        let mut flags = Vec::new();
        EventFlags::new(self.page(1)).unwrap().take(SINT, |flag| flags.push(flag));
        flags
    }
}

/// Pages of the guest, in the order of a GPADL.
struct Pages<'a> {
    guest: &'a Guest,
    numbers: Vec<u64>,
}

impl Pages<'_> {
    fn at(&self, offset: usize) -> (&[AtomicU32], usize) {
        (self.guest.page(self.numbers[offset / PAGE_SIZE]), offset % PAGE_SIZE)
    }

    /// Cuts a range at the ends of pages.
    fn pieces(offset: usize, length: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        let mut done = 0;
        core::iter::from_fn(move || {
            let at = offset + done;
            let piece = (PAGE_SIZE - at % PAGE_SIZE).min(length - done);
            let result = (piece != 0).then_some((at, done, done + piece));
            done += piece;
            result
        })
    }
}

impl SharedMemory for Pages<'_> {
    fn size(&self) -> usize {
        self.numbers.len() * PAGE_SIZE
    }

    fn load(&self, offset: usize, ordering: Ordering) -> u32 {
        let (page, offset) = self.at(offset);
        page.load(offset, ordering)
    }

    fn store(&self, offset: usize, value: u32, ordering: Ordering) {
        let (page, offset) = self.at(offset);
        page.store(offset, value, ordering);
    }

    fn swap(&self, offset: usize, value: u32, ordering: Ordering) -> u32 {
        let (page, offset) = self.at(offset);
        page.swap(offset, value, ordering)
    }

    fn fetch_or(&self, offset: usize, bits: u32, ordering: Ordering) -> u32 {
        let (page, offset) = self.at(offset);
        page.fetch_or(offset, bits, ordering)
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) {
        for (at, from, to) in Self::pieces(offset, bytes.len()) {
            let (page, offset) = self.at(at);
            page.read(offset, &mut bytes[from..to]);
        }
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        for (at, from, to) in Self::pieces(offset, bytes.len()) {
            let (page, offset) = self.at(at);
            page.write(offset, &bytes[from..to]);
        }
    }
}

/// Delivers all that the host has to say, by way of the message page.
fn deliver(guest: &Guest, client: &mut Small, host: &mut Host) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(bytes) = host.next() {
        guest.post(&bytes);
        events.push(client.handle(&guest.take()).unwrap());
    }
    events
}

/// Opens the channel with rings in `pages`, the client's first.
fn open(guest: &Guest, host: &mut Host, pages: &[u64]) -> (Small, ChannelHandle, GpadlId) {
    let mut client = Small::new(config());
    host.post(&client.initiate_contact().unwrap());
    deliver(guest, &mut client, host);
    host.post(&client.request_offers().unwrap());
    let events = deliver(guest, &mut client, host);
    let Event::Offered(handle) = events[0] else { panic!("{events:?}") };
    let ranges = [GpadlRange::pages(pages).unwrap()];
    let (gpadl, messages) = client.create_gpadl(handle, &ranges).unwrap();
    messages.for_each(|message| host.post(&message));
    assert_eq!(deliver(guest, &mut client, host), [Event::GpadlCreated(gpadl)]);
    let downstream = u32::try_from(pages.len() / 2).unwrap();
    host.post(&client.open(handle, &Open::new(gpadl, downstream, 0)).unwrap());
    assert_eq!(deliver(guest, &mut client, host), [Event::Opened(handle)]);
    (client, handle, gpadl)
}

/// The host's end of the channel: sends back what it gets, as the completion of what asked for it.
struct Echo<'a> {
    input: Reader<Pages<'a>>,
    output: Writer<Pages<'a>>,
}

impl Echo<'_> {
    /// Answers all packets; returns whether the guest must be signalled.
    fn serve(&mut self) -> bool {
        let mut signal = false;
        let mut bytes = [0; 256];
        while let Some(mut packet) = self.input.receive().unwrap() {
            assert_eq!(packet.descriptor().completion(), Completion::Wanted);
            let transaction = packet.descriptor().transaction.get();
            let length = packet.read(&mut bytes);
            let payload: [&[u8]; 1] = [&bytes[..length]];
            let answer = Packet::completion(transaction, &payload);
            signal |= self.output.write(&answer).unwrap() == Notify::Signal;
        }
        assert_eq!(self.input.before_waiting(), Ok((Waiting::Nothing, Notify::Nobody)));
        signal
    }
}

#[test]
fn an_echo_channel_works_from_contact_to_unload() {
    let guest = Guest((0..20 * PAGE_SIZE / 4).map(|_| AtomicU32::new(0)).collect());
    let mut host = Host::new(0x6_0000, &[CHANNEL]);
    let scattered = [19, 3, 11, 5, 2, 7, 18, 6];
    let (mut client, handle, gpadl) = open(&guest, &mut host, &scattered);
    // The host finds the rings by what it was told, the guest by what it knows.
    let told = host.gpadls[0].3[1..].to_vec();
    let ring = |numbers: &[u64]| Pages { guest: &guest, numbers: numbers.to_vec() };
    let mut echo = Echo {
        input: Reader::new(ring(&told[..4])).unwrap(),
        output: Writer::new(ring(&told[4..])).unwrap(),
    };
    let mut writer = Writer::new(ring(&scattered[..4])).unwrap();
    let mut reader = Reader::new(ring(&scattered[4..])).unwrap();
    let mut transactions = Transactions::<Vec<u8>, 8>::new();
    for round in 0_u8..200 {
        let payload = vec![round; usize::from(round) + 1];
        let transaction = transactions.begin(payload.clone()).unwrap();
        let sent = writer.write(&Packet::in_band(Completion::Wanted, transaction, &[&payload]));
        assert_eq!(sent, Ok(Notify::Signal));
        if echo.serve() {
            guest.raise();
        }
        let flags = guest.flags();
        assert_eq!(
            flags.iter().map(|flag| client.signalled(*flag)).collect::<Vec<_>>(),
            [Some(handle)]
        );
        let mut answer = reader.receive().unwrap().unwrap();
        let asked = transactions.complete(answer.descriptor().transaction.get()).unwrap();
        let mut bytes = vec![0; asked.len()];
        assert_eq!(answer.read(&mut bytes), asked.len());
        assert_eq!(bytes, asked);
        assert_eq!(reader.before_waiting(), Ok((Waiting::Nothing, Notify::Nobody)));
    }
    assert_eq!(transactions.waiting(), 0);
    host.post(&client.close(handle).unwrap());
    host.post(&client.teardown_gpadl(gpadl).unwrap());
    assert_eq!(deliver(&guest, &mut client, &mut host), [Event::GpadlTornDown(gpadl)]);
    host.post(&client.unload().unwrap());
    assert_eq!(deliver(&guest, &mut client, &mut host), [Event::Unloaded]);
    assert_eq!((client.figures().faults, client.figures().late), (0, 0));
}
