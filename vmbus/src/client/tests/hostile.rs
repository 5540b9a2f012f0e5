// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hosts that do not keep the rules.

extern crate alloc;

use alloc::vec::Vec;

use proptest::prelude::*;

use super::{honest_host::message, *};
use crate::{
    fault::{Ends, What},
    message::{GpadlRange, Kind, MAX_MESSAGE},
};

const PAGES: [u64; 2] = [1, 2];

/// A client with channel 17 offered and memory 1 described for it.
fn client() -> (Small, ChannelHandle, GpadlId) {
    let mut client = Small::new(config());
    let _ = client.initiate_contact().unwrap();
    client.handle(&message(16, 15, &[(8, 1), (12, 4)])).unwrap();
    let _ = client.request_offers().unwrap();
    let Ok(Event::Offered(handle)) = client.handle(&message(196, 1, &[(184, 17)])) else {
        panic!()
    };
    let ranges = [GpadlRange::pages(&PAGES).unwrap()];
    let (gpadl, _messages) = client.create_gpadl(handle, &ranges).unwrap();
    (client, handle, gpadl)
}

/// The same, with the channel open.
fn open_client() -> (Small, ChannelHandle, GpadlId) {
    let (mut client, handle, gpadl) = client();
    client.handle(&message(20, 10, &[(8, 17), (12, gpadl.get())])).unwrap();
    let open = client.open(handle, &Open::new(gpadl, 1, 0)).unwrap();
    let open_id = u32::from_le_bytes(open.bytes()[12..16].try_into().unwrap());
    client.handle(&message(20, 6, &[(8, 17), (12, open_id)])).unwrap();
    (client, handle, gpadl)
}

const CHANNEL: ChannelId = ChannelId::new(17);

fn fault(client: &mut Small, length: usize, kind: u32, words: &[(usize, u32)]) -> (What, Ends) {
    let fault = client.handle(&message(length, kind, words)).unwrap_err();
    (fault.what, fault.ends)
}

#[test]
fn answers_to_nothing_end_the_channel_that_they_are_for() {
    for (kind, word) in [
        (Kind::OPEN_CHANNEL_RESULT, 0),
        (Kind::CLOSE_RESERVED_CHANNEL_RESPONSE, 0),
        (Kind::MODIFY_CHANNEL_RESPONSE, 0),
        (Kind::GPADL_CREATED, 1),
    ] {
        let (mut client, handle, gpadl) = open_client();
        let words = [(8, 17), (12, gpadl.get() * word)];
        let found = fault(&mut client, 20, kind.get(), &words);
        assert_eq!(found, (What::Unexpected(kind), Ends::Channel(CHANNEL)));
        assert_eq!(client.channel(handle).unwrap().state(), ChannelState::Failed);
        // It no longer gets signals, can be closed, its memory taken back; it cannot be reopened.
        assert_eq!(client.signalled(17), None);
        assert!(client.teardown_gpadl(gpadl).is_err());
        let _ = client.close(handle).unwrap();
        assert!(client.open(handle, &Open::new(gpadl, 1, 0)).is_err());
        let _ = client.teardown_gpadl(gpadl).unwrap();
    }
}

#[test]
fn memory_that_is_torn_down_unasked_ends_the_channel() {
    let (mut client, _, gpadl) = open_client();
    let found = fault(&mut client, 12, 12, &[(8, gpadl.get())]);
    assert_eq!(found, (What::Unexpected(Kind::GPADL_TORNDOWN), Ends::Channel(CHANNEL)));
}

#[test]
fn an_answer_that_mixes_channels_ends_the_one_that_asked() {
    let (mut client, _, gpadl) = client();
    client.handle(&message(196, 1, &[(184, 18)])).unwrap();
    let found = fault(&mut client, 20, 10, &[(8, 18), (12, gpadl.get())]);
    let other = ChannelId::new(18);
    assert_eq!(found, (What::WrongChannel(Kind::GPADL_CREATED, other), Ends::Channel(CHANNEL)));
}

#[test]
fn an_answer_to_another_open_ends_the_channel() {
    let (mut client, handle, gpadl) = client();
    client.handle(&message(20, 10, &[(8, 17), (12, gpadl.get())])).unwrap();
    let _ = client.open(handle, &Open::new(gpadl, 1, 0)).unwrap();
    let found = fault(&mut client, 20, 6, &[(8, 17), (12, 0xffff)]);
    assert_eq!(found, (What::WrongOpen(CHANNEL, 0xffff), Ends::Channel(CHANNEL)));
}

#[test]
fn a_channel_offered_twice_ends() {
    let (mut client, handle, _) = open_client();
    let found = fault(&mut client, 196, 1, &[(184, 17)]);
    assert_eq!(found, (What::DuplicateOffer(CHANNEL), Ends::Channel(CHANNEL)));
    assert_eq!(client.channel(handle).unwrap().state(), ChannelState::Failed);
    // A rescind is how it goes; a second one is dropped.
    assert_eq!(client.handle(&message(12, 2, &[(8, 17)])), Ok(Event::Rescinded(handle)));
    let found = fault(&mut client, 12, 2, &[(8, 17)]);
    assert_eq!(found, (What::RescindedTwice(CHANNEL), Ends::Nothing));
    let _ = client.release(handle).unwrap();
}

#[test]
fn what_means_nothing_known_is_dropped() {
    let (mut client, ..) = open_client();
    let channel = ChannelId::new(99);
    for kind in [2, 6, 20, 24] {
        let (what, ends) = fault(&mut client, 20, kind, &[(8, 99)]);
        assert!(matches!(what, What::UnknownChannel(_, id) if id == channel));
        assert_eq!(ends, Ends::Nothing);
    }
    for (kind, offset) in [(10, 12), (12, 8)] {
        let (what, ends) = fault(&mut client, 20, kind, &[(offset, 99)]);
        assert!(matches!(what, What::UnknownGpadl(_, id) if id == GpadlId::new(99)));
        assert_eq!(ends, Ends::Nothing);
    }
    assert_eq!(fault(&mut client, 240, 5, &[]).1, Ends::Nothing);
    assert_eq!(fault(&mut client, 240, 0xffff_ffff, &[]).1, Ends::Nothing);
    assert_eq!(client.figures().faults, 8);
    assert!(client.signalled(17).is_some());
}

#[test]
fn messages_out_of_turn_end_the_connection() {
    for (kind, length) in [(4, 8), (15, 16), (17, 8), (26, 12), (28, 8)] {
        let (mut client, handle, _) = open_client();
        client.handle(&message(8, 4, &[])).unwrap();
        let (what, ends) = fault(&mut client, length, kind, &[]);
        assert!(matches!(what, What::Unexpected(_)));
        assert_eq!(ends, Ends::Connection);
        // Nothing is believed any more, and nothing is said but the end.
        assert_eq!(client.handle(&message(196, 1, &[(184, 40)])), Ok(Event::Late));
        assert!(client.close(handle).is_err());
        let _ = client.unload().unwrap();
        assert_eq!(client.handle(&message(8, 17, &[])), Ok(Event::Unloaded));
    }
}

#[test]
fn offers_that_nobody_asked_for_end_the_connection() {
    let mut client = Small::new(config());
    let _ = client.initiate_contact().unwrap();
    client.handle(&message(16, 15, &[(8, 1), (12, 4)])).unwrap();
    let found = fault(&mut client, 196, 1, &[(184, 17)]);
    assert_eq!(found, (What::Unexpected(Kind::OFFER_CHANNEL), Ends::Connection));
}

#[test]
fn messages_cut_short_end_the_connection() {
    let (mut client, ..) = open_client();
    let (_, ends) = fault(&mut client, 195, 1, &[]);
    assert_eq!(ends, Ends::Connection);
}

#[test]
fn without_connection_there_is_nothing_to_end() {
    let mut client = Small::new(config());
    for kind in 0..32 {
        let result = client.handle(&message(240, kind, &[]));
        assert_eq!(result.unwrap_err().ends, Ends::Nothing);
        assert_eq!(client.handle(&message(8, kind, &[])).unwrap_err().ends, Ends::Nothing);
    }
    assert_eq!(*client.connection(), ConnectionState::Disconnected);
}

/// What can be done to a client in a step: a message of the host, or a command.
#[derive(Clone, Debug)]
enum Step {
    Random(Vec<u8>),
    Likely { kind: u32, length: usize, words: Vec<(usize, u32)> },
    Command { which: u8, channel: usize, gpadl: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let word = prop_oneof![0_u32..6, Just(17), any::<u32>()];
    let words = proptest::collection::vec(((2_usize..59).prop_map(|word| word * 4), word), 0..6);
    let small = (8_usize..24, 0_u32..6).prop_map(|(offset, word)| (offset & !3, word));
    let few = proptest::collection::vec(small, 0..5);
    prop_oneof![
        1 => proptest::collection::vec(any::<u8>(), 0..=MAX_MESSAGE).prop_map(Step::Random),
        2 => (0_u32..31, words).prop_map(|(kind, words)| Step::Likely { kind, length: 240, words }),
        6 => (1_u32..29, 8_usize..240, few)
            .prop_map(|(kind, cut, mut words)| {
                words.push((184, u32::try_from(cut % 6).unwrap()));
                Step::Likely { kind, length: if cut < 20 { 12 } else { 240 }, words }
            }),
        6 => (0_u8..14, 0_usize..5, 0_u32..6)
            .prop_map(|(which, channel, gpadl)| Step::Command { which, channel, gpadl }),
    ]
}

fn command(client: &mut Small, which: u8, channel: usize, gpadl: u32) {
    let gpadl = GpadlId::new(gpadl);
    let handle = client.channels().nth(channel).map(|(handle, _)| handle);
    let sint = crate::synic::SintIndex::VMBUS;
    let open = Open::new(gpadl, 1, 0);
    let sent = match (which, handle) {
        (0 | 13, _) => client.initiate_contact(),
        (1, _) => client.request_offers(),
        (2, Some(handle)) => {
            let ranges = [GpadlRange::pages(&PAGES).unwrap()];
            if let Ok((_, messages)) = client.create_gpadl(handle, &ranges) {
                assert_eq!(messages.count(), 1);
            }
            return;
        }
        (3, Some(handle)) => client.open(handle, &open),
        (4, Some(handle)) => client.close(handle),
        (5, _) => client.teardown_gpadl(gpadl),
        (6, Some(handle)) => client.release(handle),
        (7, Some(handle)) => client.modify_channel(handle, 1),
        (8, _) => client.modify_connection(None),
        (9, Some(handle)) => client.open_reserved(handle, &open, sint),
        (10, Some(handle)) => client.close_reserved(handle, 0, sint),
        (11, _) => client.pause(),
        (12, _) if channel == 0 => client.unload(),
        _ => return,
    };
    if let Ok(message) = sent {
        assert!((8..=MAX_MESSAGE).contains(&message.bytes().len()));
    }
}

/// What holds of a client whatever happened to it.
fn check(client: &Small) {
    let mut ids: Vec<_> =
        client.channels().map(|(_, channel)| channel.offer().channel.get()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), client.channels().count(), "two channels with one number");
    for (handle, channel) in client.channels() {
        assert!(client.channel(handle).is_some());
        if channel.state() == ChannelState::Open {
            let ring = channel.ring().expect("an open channel has a ring");
            assert!(client.check_ring(handle, ring).is_ok(), "an open channel's memory is known");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_host_breaks_what_holds_of_a_client(steps in proptest::collection::vec(step(), 0..80)) {
        let mut client = Small::new(config());
        for step in steps {
            match step {
                Step::Random(bytes) => { let _ = client.handle(&bytes); }
                Step::Likely { kind, length, words } => {
                    let mut bytes = message(240, kind, &words);
                    bytes.truncate(length);
                    let _ = client.handle(&bytes);
                }
                Step::Command { which, channel, gpadl } => {
                    command(&mut client, which, channel, gpadl);
                }
            }
            check(&client);
        }
    }
}
