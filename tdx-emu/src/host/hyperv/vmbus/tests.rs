// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's side against the client of the `vmbus` crate.

use core::sync::atomic::Ordering::Relaxed;

use vmbus::{
    Client, Config, Event, Features, Guid, SharedMemory, Version,
    client::{ChannelHandle, MonitorPages, Open, Signal},
    message::{ConnectionId, GpadlRange},
    monitor::MonitorPage,
    ring::{Notify, Outgoing as Packet, PacketKind, Reader, Writer, packet::Completion},
    synic::SintIndex,
};

use super::{Manner, Outgoing, Vmbus};
use crate::host::hyperv::{
    guest::{PAGE, Pages, SHARED_BIT, fake::Fake},
    status::HvStatus,
};

/// What is refused.
mod refused;

const RING: usize = 4;

struct Stand {
    guest: Fake,
    host: Vmbus<Fake>,
    client: Client<4, 4>,
    flags: Vec<(usize, usize, u16)>,
}

fn stand(manner: Manner) -> Stand {
    let guest = Fake::new(2);
    let (parent_to_child, child_to_parent) = (guest.share(), guest.share() | SHARED_BIT);
    let config = Config {
        contact: ConnectionId::new(0x80_0074),
        newest: Version::V6_0,
        oldest: Version::V5_2,
        features: Features::GUEST_SPECIFIED_SIGNAL_PARAMETERS
            | Features::MODIFY_CONNECTION
            | Features::PAUSE_RESUME,
        target_vp: 1,
        sint: 7,
        vtl: 2,
        monitor_pages: Some(MonitorPages { parent_to_child, child_to_parent }),
        client_id: Guid::default(),
    };
    let (host, client) = (Vmbus::new(manner), Client::new(config));
    Stand { guest, host, client, flags: Vec::new() }
}

impl Stand {
    fn post(&mut self, message: &vmbus::message::Outgoing) -> Vec<Event> {
        let posted = self.host.post(self.guest, message.connection().get(), message.bytes());
        assert_eq!(posted, Ok(()));
        self.collect()
    }

    fn collect(&mut self) -> Vec<Event> {
        let (mut events, client, flags) = (Vec::new(), &mut self.client, &mut self.flags);
        self.host.deliver(|outgoing| {
            match outgoing {
                Outgoing::Message { cpu, sint, message } => {
                    assert_eq!((cpu, sint), (1, 7));
                    events.push(client.handle(message.bytes()).unwrap());
                }
                Outgoing::Signal { cpu, sint, flag } => flags.push((cpu, sint, flag)),
            }
            true
        });
        events
    }

    fn connect(&mut self) -> Vec<ChannelHandle> {
        loop {
            let message = self.client.initiate_contact().unwrap();
            match self.post(&message)[..] {
                [Event::Connected(_)] => break,
                [Event::VersionRefused(_)] => {}
                ref other => panic!("{other:?}"),
            }
        }
        let message = self.client.request_offers().unwrap();
        let events = self.post(&message);
        let [Event::Offered(first), Event::Offered(second), Event::OffersDelivered] = events[..]
        else {
            panic!("{events:?}")
        };
        vec![first, second]
    }

    /// Opens a channel on fresh memory: what it writes to, and what it reads from.
    fn open(
        &mut self,
        handle: ChannelHandle,
        target_vp: u32,
    ) -> (vmbus::message::GpadlId, Writer<Pages<Fake>>, Reader<Pages<Fake>>) {
        let pages: Vec<u64> =
            (0..2 * RING).map(|_| (self.guest.share() | SHARED_BIT) / PAGE).collect();
        let ranges = [GpadlRange::pages(&pages).unwrap()];
        let (gpadl, messages) = self.client.create_gpadl(handle, &ranges).unwrap();
        let messages: Vec<_> = messages.collect();
        let mut events = Vec::new();
        for message in messages {
            events.extend(self.post(&message));
        }
        assert_eq!(events, [Event::GpadlCreated(gpadl)]);
        let cut = u32::try_from(RING).unwrap();
        let message = self.client.open(handle, &Open::new(gpadl, cut, target_vp)).unwrap();
        assert_eq!(self.post(&message), [Event::Opened(handle)]);
        let (client, host) = pages.split_at(RING);
        let writer = Writer::new(Pages::new(self.guest, client)).unwrap();
        (gpadl, writer, Reader::new(Pages::new(self.guest, host)).unwrap())
    }

    fn signal(&mut self, handle: ChannelHandle) {
        let pages = self.client.channel(handle).unwrap().signal(None);
        let Signal::Event(connection) = pages else { panic!("{pages:?}") };
        assert_eq!(self.host.signal(connection.get()), Ok(()));
        assert_eq!(self.collect(), []);
    }
}

fn received(reader: &mut Reader<Pages<Fake>>) -> Vec<(PacketKind, u64, Vec<u8>)> {
    let mut packets = Vec::new();
    while let Some(mut packet) = reader.receive().unwrap() {
        let mut payload = vec![0; usize::try_from(packet.payload_left()).unwrap()];
        packet.read(&mut payload);
        let descriptor = packet.descriptor();
        packets.push((descriptor.kind, descriptor.transaction.get(), payload));
    }
    let _ = reader.release();
    packets
}

#[test]
fn a_client_goes_all_the_way_from_contact_to_unload() {
    for newest in [0x6_0000, 0x5_0003, 0x5_0002] {
        let mut stand = stand(Manner { newest, ..Manner::default() });
        let [echo, _] = stand.connect()[..] else { panic!() };
        let (gpadl, mut writer, mut reader) = stand.open(echo, 0);
        let payload: [&[u8]; 1] = [b"to and fro"];
        let packet = Packet::in_band(Completion::Wanted, 77, &payload);
        assert_eq!(writer.write(&packet), Ok(Notify::Signal));
        stand.signal(echo);
        let id = stand.client.channel(echo).unwrap().event_flag();
        assert_eq!(stand.flags, [(0, 7, u16::try_from(id).unwrap())]);
        let back = received(&mut reader);
        assert_eq!(back, [(PacketKind::COMPLETION, 77, b"to and fro\0\0\0\0\0\0".to_vec())]);
        let moved = stand.client.modify_channel(echo, 1).unwrap();
        let answered = stand.post(&moved);
        assert_eq!(answered.len(), usize::from(newest > 0x5_0002), "{answered:?}");
        writer.write(&Packet::in_band(Completion::NotWanted, 78, &[])).map(drop).unwrap();
        stand.signal(echo);
        assert_eq!(stand.flags.pop(), Some((1, 7, u16::try_from(id).unwrap())));
        assert_eq!(received(&mut reader), [(PacketKind::IN_BAND, 78, vec![])]);
        let close = stand.client.close(echo).unwrap();
        assert_eq!(stand.post(&close), []);
        let teardown = stand.client.teardown_gpadl(gpadl).unwrap();
        assert_eq!(stand.post(&teardown), [Event::GpadlTornDown(gpadl)]);
        let unload = stand.client.unload().unwrap();
        assert_eq!(stand.post(&unload), [Event::Unloaded]);
        assert_eq!(stand.host.figures().nonsense, 0);
        assert_eq!(stand.host.signal(0x2_7001), Err(HvStatus::INVALID_CONNECTION_ID));
    }
}

#[test]
fn a_bit_of_the_monitor_page_stands_for_a_call() {
    let mut stand = stand(Manner::default());
    let [_, monitored] = stand.connect()[..] else { panic!() };
    assert!(!stand.host.wants_poll());
    let (_, mut writer, mut reader) = stand.open(monitored, 0);
    assert!(stand.host.wants_poll());
    let vmbus::client::ConnectionState::Connected(negotiated) = *stand.client.connection() else {
        panic!()
    };
    let channel = stand.client.channel(monitored).unwrap();
    let Signal::Monitor(id) = channel.signal(negotiated.monitor_pages) else { panic!() };
    let page = negotiated.monitor_pages.unwrap().child_to_parent & !SHARED_BIT;
    let payload: [&[u8]; 1] = [&[9; 8]];
    writer.write(&Packet::in_band(Completion::NotWanted, 1, &payload)).map(drop).unwrap();
    stand.host.poll(stand.guest);
    assert!(received(&mut reader).is_empty());
    MonitorPage::new(stand.guest.page(page)).unwrap().trigger(id);
    stand.host.poll(stand.guest);
    assert_eq!(received(&mut reader), [(PacketKind::IN_BAND, 1, vec![9; 8])]);
    assert_eq!(stand.host.figures().triggers, 1);
    assert!((0..1024).all(|word| stand.guest.page(page)[word].load(Relaxed) == 0));
}

#[test]
fn a_packet_waits_for_room_and_none_is_lost() {
    let mut stand = stand(Manner::default());
    let [echo, _] = stand.connect()[..] else { panic!() };
    let (_, mut writer, mut reader) = stand.open(echo, 0);
    let payload: [&[u8]; 1] = [&[3; 1000]];
    let (mut sent, mut back) = (0, 0);
    while back < 100 {
        while sent < 100
            && writer.write(&Packet::in_band(Completion::Wanted, sent, &payload)).is_ok()
        {
            sent += 1;
        }
        stand.signal(echo);
        for (_, transaction, _) in received(&mut reader) {
            assert_eq!(transaction, back);
            back += 1;
        }
    }
    assert_eq!(stand.host.figures().packets, 100);
}

#[test]
fn a_channel_is_taken_away_and_comes_back_with_another_number() {
    let mut stand = stand(Manner { rescind_after: Some(1), ..Manner::default() });
    let [echo, _] = stand.connect()[..] else { panic!() };
    let (_, mut writer, _) = stand.open(echo, 0);
    writer.write(&Packet::in_band(Completion::NotWanted, 1, &[])).map(drop).unwrap();
    assert_eq!(stand.host.signal(0x2_7001), Ok(()));
    assert_eq!(stand.collect(), [Event::Rescinded(echo)]);
    let released = stand.client.release(echo).unwrap();
    let events = stand.post(&released);
    let [Event::Offered(again)] = events[..] else { panic!("{events:?}") };
    assert_eq!(stand.client.channel(again).unwrap().offer().channel.get(), 3);
    let (_, mut writer, mut reader) = stand.open(again, 0);
    writer.write(&Packet::in_band(Completion::NotWanted, 2, &[])).map(drop).unwrap();
    stand.signal(again);
    assert_eq!(received(&mut reader).len(), 1);
}

#[test]
fn silence_holds_back_what_is_not_lost() {
    let mut stand = stand(Manner::default());
    let [echo, _] = stand.connect()[..] else { panic!() };
    let (_, mut writer, mut reader) = stand.open(echo, 0);
    let pause = stand.client.pause().unwrap();
    assert_eq!(stand.post(&pause), [Event::Paused]);
    writer.write(&Packet::in_band(Completion::NotWanted, 1, &[])).map(drop).unwrap();
    stand.signal(echo);
    // However often: what is held back does not grow.
    for transaction in 2..9 {
        let packet = Packet::in_band(Completion::NotWanted, transaction, &[]);
        writer.write(&packet).map(drop).unwrap();
        assert!(!received(&mut reader).is_empty());
        stand.signal(echo);
    }
    assert!(stand.flags.is_empty());
    let resume = stand.client.resume().unwrap();
    assert_eq!(stand.post(&resume), []);
    assert_eq!(stand.flags.len(), 1);
}

#[test]
fn broken_rings_end_a_channel_and_nothing_else() {
    let mut stand = stand(Manner::default());
    let [echo, monitored] = stand.connect()[..] else { panic!() };
    let (_, _, _) = stand.open(echo, 0);
    let ring = stand.guest.page(3 * PAGE);
    ring.store(0, 12345, Relaxed);
    stand.signal(echo);
    stand.signal(echo);
    assert_eq!(stand.host.figures().broken, 1);
    let (_, mut writer, mut reader) = stand.open(monitored, 0);
    writer.write(&Packet::in_band(Completion::NotWanted, 1, &[])).map(drop).unwrap();
    stand.signal(monitored);
    assert_eq!(received(&mut reader).len(), 1);
}

#[test]
fn a_reserved_channel_is_answered_and_interrupted_where_it_says() {
    let mut stand = stand(Manner::default());
    let [echo, _] = stand.connect()[..] else { panic!() };
    let (gpadl, mut writer, mut reader) = stand.open(echo, 0);
    let close = stand.client.close(echo).unwrap();
    assert_eq!(stand.post(&close), []);
    let cut = u32::try_from(RING).unwrap();
    let sint = SintIndex::new(3).unwrap();
    let open = stand.client.open_reserved(echo, &Open::new(gpadl, cut, 0), sint).unwrap();
    let posted = stand.host.post(stand.guest, open.connection().get(), open.bytes());
    let mut answers = Vec::new();
    let mut collect = |outgoing| {
        match outgoing {
            Outgoing::Message { cpu, sint, message } => {
                answers.push((cpu, sint, message.bytes()[0]));
            }
            Outgoing::Signal { cpu, sint, flag } => {
                answers.push((cpu, sint, u8::try_from(flag).unwrap()));
            }
        }
        true
    };
    stand.host.deliver(&mut collect);
    writer.write(&Packet::in_band(Completion::NotWanted, 4, &[])).map(drop).unwrap();
    let signalled = stand.host.signal(0x2_7001);
    stand.host.deliver(&mut collect);
    let close = [19, 0, 1, 1, 4].map(u32::to_le_bytes).concat();
    let closed = stand.host.post(stand.guest, 0x75, &close);
    stand.host.deliver(&mut collect);
    assert_eq!((posted, signalled, closed), (Ok(()), Ok(()), Ok(())));
    // The result of the open, the channel's flag, and that it is closed.
    assert_eq!(answers, [(0, 3, 6), (0, 3, 1), (1, 4, 20)]);
    assert_eq!(received(&mut reader).len(), 1);
    assert_eq!(stand.host.signal(0x2_7001), Err(HvStatus::INVALID_CONNECTION_ID));
}

#[test]
fn monitor_pages_can_be_moved_while_connected() {
    let mut stand = stand(Manner::default());
    let [_, monitored] = stand.connect()[..] else { panic!() };
    let (_, mut writer, mut reader) = stand.open(monitored, 0);
    let (parent_to_child, child_to_parent) = (stand.guest.share(), stand.guest.share());
    let moved = Some(MonitorPages { parent_to_child, child_to_parent });
    let message = stand.client.modify_connection(moved).unwrap();
    assert_eq!(stand.post(&message), [Event::ConnectionModified]);
    let Signal::Monitor(id) = stand.client.channel(monitored).unwrap().signal(moved) else {
        panic!()
    };
    writer.write(&Packet::in_band(Completion::NotWanted, 1, &[])).map(drop).unwrap();
    MonitorPage::new(stand.guest.page(child_to_parent)).unwrap().trigger(id);
    stand.host.poll(stand.guest);
    assert_eq!(received(&mut reader).len(), 1);
    stand.guest.unshare(child_to_parent);
    let message = stand.client.modify_connection(moved).unwrap();
    assert_eq!(stand.post(&message), [Event::ConnectionModifyRefused(1)]);
    let message = stand.client.modify_connection(None).unwrap();
    assert_eq!(stand.post(&message), [Event::ConnectionModified]);
    assert!(!stand.host.wants_poll());
}
