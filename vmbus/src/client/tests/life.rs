// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whole lives of connections and channels, with a host that keeps the rules.

extern crate alloc;

use alloc::vec::Vec;

use super::*;
use crate::{
    fault::{Ends, Refused},
    message::GpadlRange,
    monitor::MonitorId,
    synic::SintIndex,
};

/// Delivers all that the host has to say.
fn deliver(client: &mut Small, host: &mut Host) -> Vec<Event> {
    core::iter::from_fn(|| host.next()).map(|bytes| client.handle(&bytes).unwrap()).collect()
}

fn connected(host: &mut Host) -> Small {
    let mut client = Small::new(config());
    for _ in 0..3 {
        host.post(&client.initiate_contact().unwrap());
        if let [Event::Connected(_)] = deliver(&mut client, host)[..] {
            return client;
        }
    }
    panic!("no contact")
}

fn offered(host: &mut Host) -> (Small, Vec<ChannelHandle>) {
    let mut client = connected(host);
    host.post(&client.request_offers().unwrap());
    let mut events = deliver(&mut client, host);
    assert_eq!(events.pop(), Some(Event::OffersDelivered));
    let handle = |event| match event {
        Event::Offered(handle) => handle,
        other => panic!("{other:?}"),
    };
    (client, events.into_iter().map(handle).collect())
}

fn gpadl(client: &mut Small, host: &mut Host, handle: ChannelHandle) -> GpadlId {
    let pages: Vec<u64> = (0x100..0x140).collect();
    let ranges = [GpadlRange::pages(&pages).unwrap()];
    let (id, messages) = client.create_gpadl(handle, &ranges).unwrap();
    messages.for_each(|message| host.post(&message));
    assert_eq!(deliver(client, host), [Event::GpadlCreated(id)]);
    id
}

fn opened(host: &mut Host) -> (Small, ChannelHandle, GpadlId) {
    let (mut client, handles) = offered(host);
    let ring = gpadl(&mut client, host, handles[0]);
    host.post(&client.open(handles[0], &Open::new(ring, 8, 1)).unwrap());
    assert_eq!(deliver(&mut client, host), [Event::Opened(handles[0])]);
    (client, handles[0], ring)
}

#[test]
fn versions_are_offered_from_the_newest_down() {
    for (newest, version, features) in [
        (0x6_0000, Version::V6_0, 0x27),
        (0x5_0003, Version::V5_3, 0),
        (0x5_0002, Version::V5_2, 0),
    ] {
        let client = connected(&mut Host::new(newest, &[]));
        let negotiated = client.negotiated().unwrap();
        assert_eq!((negotiated.version, negotiated.features.bits()), (version, features));
        assert_eq!(negotiated.connection.get(), honest_host::PORT);
    }
}

#[test]
fn a_host_without_common_version_ends_the_ladder() {
    let mut host = Host::new(0x5_0001, &[]);
    let mut client = Small::new(config());
    let mut events = Vec::new();
    for _ in 0..3 {
        host.post(&client.initiate_contact().unwrap());
        events.append(&mut deliver(&mut client, &mut host));
    }
    let refused = Event::VersionRefused;
    let expected = [refused(Version::V6_0), refused(Version::V5_3), Event::ContactFailed(0)];
    assert_eq!(events, expected);
    assert_eq!(*client.connection(), ConnectionState::Disconnected);
}

#[test]
fn features_that_were_not_asked_for_are_not_granted() {
    let mut host = Host::new(0x6_0000, &[]);
    let mut client = Small::new(Config { features: Features::PAUSE_RESUME, ..config() });
    host.post(&client.initiate_contact().unwrap());
    let _ = host.next();
    host.say(40, 15, &[(8, 1), (12, honest_host::PORT), (16, !0), (24, 0xbad), (32, 0xbad)]);
    deliver(&mut client, &mut host);
    let negotiated = client.negotiated().unwrap();
    assert_eq!(negotiated.features, Features::PAUSE_RESUME);
    assert_eq!(negotiated.monitor_pages, config().monitor_pages);
}

#[test]
fn monitor_pages_of_the_host_are_taken_if_it_was_allowed_to_choose() {
    let mut host = Host::new(0x6_0000, &[]);
    let features = Features::SERVER_SPECIFIED_MONITOR_PAGES;
    let mut client = Small::new(Config { features, monitor_pages: None, ..config() });
    host.post(&client.initiate_contact().unwrap());
    let _ = host.next();
    host.say(40, 15, &[(8, 1), (12, honest_host::PORT), (16, 0x40), (24, 0x7000), (32, 0x8000)]);
    deliver(&mut client, &mut host);
    let pages = MonitorPages { parent_to_child: 0x7000, child_to_parent: 0x8000 };
    assert_eq!(client.negotiated().unwrap().monitor_pages, Some(pages));
}

#[test]
fn a_channel_lives_from_offer_to_unload() {
    let mut host = Host::new(0x6_0000, &[17]);
    let (mut client, handle, ring) = opened(&mut host);
    assert_eq!(host.open, [17]);
    assert_eq!(host.gpadls[0].3.len(), 65);
    assert_eq!((host.gpadls[0].3[0], host.gpadls[0].3[64]), (64 * 4096, 0x13f));
    assert_eq!(client.signalled(17), Some(handle));
    assert_eq!(client.signalled(18), None);
    let channel = client.channel(handle).unwrap();
    assert_eq!((channel.state(), channel.target_vp()), (ChannelState::Open, 1));
    assert_eq!(channel.signal(None), Signal::Event(ConnectionId::new(0x1_0011)));
    assert_eq!(client.teardown_gpadl(ring), Err(Refused::InUse));
    host.post(&client.close(handle).unwrap());
    assert_eq!(client.signalled(17), None);
    host.post(&client.teardown_gpadl(ring).unwrap());
    assert_eq!(deliver(&mut client, &mut host), [Event::GpadlTornDown(ring)]);
    assert_eq!((host.open.len(), host.gpadls.len()), (0, 0));
    host.post(&client.unload().unwrap());
    assert_eq!(deliver(&mut client, &mut host), [Event::Unloaded]);
    assert!(client.channel(handle).is_none());
    host.post(&client.initiate_contact().unwrap());
    assert_eq!(client.figures().faults, 0);
}

#[test]
fn memory_of_one_channel_makes_no_rings_of_another() {
    let mut host = Host::new(0x6_0000, &[17, 18]);
    let (mut client, handles) = offered(&mut host);
    let ring = gpadl(&mut client, &mut host, handles[0]);
    let open = Open::new(ring, 8, 0);
    assert_eq!(client.open(handles[1], &open), Err(Refused::GpadlState));
    let sint = SintIndex::VMBUS;
    assert_eq!(client.open_reserved(handles[1], &open, sint), Err(Refused::GpadlState));
    assert!(client.open(handles[0], &open).is_ok());
}

#[test]
fn a_monitored_channel_is_signalled_by_its_bit() {
    let mut host = Host::new(0x6_0000, &[]);
    let (mut client, _) = offered(&mut host);
    host.say(196, 1, &[(184, 3), (188, 0x0125), (192, 9)]);
    let [Event::Offered(handle)] = deliver(&mut client, &mut host)[..] else { panic!() };
    let channel = client.channel(handle).unwrap();
    let pages = config().monitor_pages;
    assert_eq!(channel.signal(pages), Signal::Monitor(MonitorId::new(0x25).unwrap()));
    assert_eq!(channel.signal(None), Signal::Event(ConnectionId::new(9)));
    host.say(196, 1, &[(184, 4), (188, 0x01ff), (192, 9)]);
    let [Event::Offered(handle)] = deliver(&mut client, &mut host)[..] else { panic!() };
    let channel = client.channel(handle).unwrap();
    assert_eq!(channel.signal(pages), Signal::Event(ConnectionId::new(9)));
}

#[test]
fn a_channel_that_the_host_does_not_open_can_be_opened_again() {
    let mut host = Host::new(0x5_0003, &[17]);
    let (mut client, handles) = offered(&mut host);
    let ring = gpadl(&mut client, &mut host, handles[0]);
    host.open_status = 0xc000_009a;
    host.post(&client.open(handles[0], &Open::new(ring, 8, 0)).unwrap());
    let expected = [Event::OpenRefused(handles[0], 0xc000_009a)];
    assert_eq!(deliver(&mut client, &mut host), expected);
    host.open_status = 0;
    host.post(&client.open(handles[0], &Open::new(ring, 8, 0)).unwrap());
    assert_eq!(deliver(&mut client, &mut host), [Event::Opened(handles[0])]);
}

#[test]
fn interrupts_move_when_the_host_says_so() {
    for (newest, answered) in [(0x6_0000, 1), (0x5_0003, 1), (0x5_0002, 0)] {
        let mut host = Host::new(newest, &[17]);
        let (mut client, handle, _) = opened(&mut host);
        host.post(&client.modify_channel(handle, 3).unwrap());
        assert_eq!(client.channel(handle).unwrap().target_vp() == 1, answered == 1);
        assert_eq!(client.modify_channel(handle, 2).is_err(), answered == 1);
        let events = deliver(&mut client, &mut host);
        assert_eq!(events.len(), answered);
        if answered == 1 {
            assert_eq!(client.channel(handle).unwrap().target_vp(), 3);
        }
    }
}

#[test]
fn a_channel_signals_as_the_client_chose_if_the_host_lets_it() {
    let chosen = SignalParameters {
        connection: ConnectionId::new(0x2_7011),
        event_flag: 0x55,
        interrupt: Interrupt::Redirected,
    };
    let mut host = Host::new(0x6_0000, &[17]);
    let (mut client, handles) = offered(&mut host);
    let ring = gpadl(&mut client, &mut host, handles[0]);
    let open = Open { signal: Some(chosen), ..Open::new(ring, 8, 0) };
    let message = client.open(handles[0], &open).unwrap();
    assert_eq!(message.bytes()[148..], [0x11, 0x70, 2, 0, 0x55, 0, 1, 0]);
    host.post(&message);
    deliver(&mut client, &mut host);
    assert_eq!(client.signalled(0x55), Some(handles[0]));
    assert_eq!(client.channel(handles[0]).unwrap().signal(None).input(), Some(0x2_7011));

    let mut host = Host::new(0x5_0003, &[17]);
    let (mut client, handles) = offered(&mut host);
    let ring = gpadl(&mut client, &mut host, handles[0]);
    let open = Open { ring, ..open };
    assert_eq!(client.open(handles[0], &open), Err(Refused::NotGranted));
}

#[test]
fn without_a_choice_the_fields_say_what_holds_without_the_feature() {
    let mut host = Host::new(0x6_0000, &[17, 2048]);
    let (mut client, handles) = offered(&mut host);
    let ring = gpadl(&mut client, &mut host, handles[0]);
    let message = client.open(handles[0], &Open::new(ring, 8, 0)).unwrap();
    assert_eq!(message.bytes()[148..], [17, 0, 1, 0, 17, 0, 0, 0]);
    let beyond = gpadl(&mut client, &mut host, handles[1]);
    assert_eq!(client.open(handles[1], &Open::new(beyond, 8, 0)), Err(Refused::EventFlag));
    let mut host = Host::new(0x5_0003, &[17]);
    let (mut client, handles) = offered(&mut host);
    let ring = gpadl(&mut client, &mut host, handles[0]);
    let message = client.open(handles[0], &Open::new(ring, 8, 0)).unwrap();
    assert_eq!(message.bytes().len(), 148);
}

#[test]
fn a_rescinded_channel_is_released_and_its_handle_is_dead() {
    let mut host = Host::new(0x6_0000, &[17]);
    let (mut client, old, _) = opened(&mut host);
    host.say(12, 2, &[(8, 17)]);
    assert_eq!(deliver(&mut client, &mut host), [Event::Rescinded(old)]);
    assert_eq!(client.signalled(17), None);
    assert_eq!(client.close(old), Err(Refused::ChannelState));
    host.post(&client.release(old).unwrap());
    assert_eq!(host.released, [17]);
    // The host uses the number again, for another channel.
    host.offer(17);
    let [Event::Offered(new)] = deliver(&mut client, &mut host)[..] else { panic!() };
    assert_ne!(old, new);
    assert_eq!(client.release(old), Err(Refused::NoChannel));
    let pages = [1];
    let ranges = [GpadlRange::pages(&pages).unwrap()];
    assert_eq!(client.create_gpadl(old, &ranges).unwrap_err(), Refused::NoChannel);
    // The memory of the old channel makes no rings of the new one.
    assert_eq!(client.open(new, &Open::new(GpadlId::new(1), 8, 0)), Err(Refused::NoGpadl));
}

#[test]
fn offers_without_room_are_dropped_and_counted() {
    let mut host = Host::new(0x6_0000, &[1, 2, 3, 4, 5, 6]);
    let mut client = connected(&mut host);
    host.post(&client.request_offers().unwrap());
    let events = deliver(&mut client, &mut host);
    let dropped = [5, 6].map(|id| Event::OfferDropped(ChannelId::new(id)));
    assert_eq!(events[4..6], dropped);
    assert_eq!(client.figures().offers_dropped, 2);
    assert_eq!(client.channels().count(), 4);
    // Its number goes back all the same, and only its own.
    let rescind = honest_host::message(12, 2, &[(8, 5)]);
    assert_eq!(client.handle(&rescind).unwrap_err().ends, Ends::Nothing);
    host.post(&client.release_dropped(ChannelId::new(5)).unwrap());
    assert_eq!(host.released, [5]);
    assert_eq!(client.release_dropped(ChannelId::new(4)), Err(Refused::ChannelState));
}

#[test]
fn a_reserved_channel_is_opened_and_closed_by_its_own_messages() {
    let mut host = Host::new(0x6_0000, &[17]);
    let (mut client, handles) = offered(&mut host);
    let ring = gpadl(&mut client, &mut host, handles[0]);
    let open = Open::new(ring, 8, 2);
    let sint = SintIndex::REDIRECTED_VMBUS;
    host.post(&client.open_reserved(handles[0], &open, sint).unwrap());
    assert_eq!(deliver(&mut client, &mut host), [Event::Opened(handles[0])]);
    assert_eq!(client.close(handles[0]), Err(Refused::ChannelState));
    host.post(&client.close_reserved(handles[0], 2, sint).unwrap());
    assert_eq!(deliver(&mut client, &mut host), [Event::ReservedClosed(handles[0])]);
    assert!(host.open.is_empty());
    host.post(&client.teardown_gpadl(ring).unwrap());
}

#[test]
fn the_connection_is_changed_paused_and_resumed_if_the_host_lets_it() {
    let mut host = Host::new(0x6_0000, &[]);
    let mut client = connected(&mut host);
    let pages = MonitorPages { parent_to_child: 0x3000, child_to_parent: 0x4000 };
    host.post(&client.modify_connection(Some(pages)).unwrap());
    assert_eq!(client.modify_connection(None), Err(Refused::Busy));
    assert_eq!(deliver(&mut client, &mut host), [Event::ConnectionModified]);
    assert_eq!(client.negotiated().unwrap().monitor_pages, Some(pages));
    host.post(&client.pause().unwrap());
    assert_eq!(deliver(&mut client, &mut host), [Event::Paused]);
    host.post(&client.resume().unwrap());
    let mut client = connected(&mut Host::new(0x5_0003, &[]));
    assert_eq!(client.modify_connection(None), Err(Refused::NotGranted));
    assert_eq!(client.pause(), Err(Refused::NotGranted));
}

#[test]
fn what_crosses_with_an_unload_is_late() {
    let mut host = Host::new(0x6_0000, &[1, 2]);
    let mut client = connected(&mut host);
    host.post(&client.request_offers().unwrap());
    host.post(&client.unload().unwrap());
    let events = deliver(&mut client, &mut host);
    assert_eq!(events, [Event::Late, Event::Late, Event::Late, Event::Unloaded]);
    assert_eq!((client.figures().late, client.figures().faults), (3, 0));
}
