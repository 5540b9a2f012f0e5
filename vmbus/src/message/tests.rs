// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes against offsets that are transcribed from the table of messages, not from the structures.

extern crate alloc;

use alloc::{vec, vec::Vec};

use proptest::prelude::*;
use zerocopy::little_endian::{U16, U64};

use super::{from_host::Supported, to_host::*, *};
use crate::{Guid, PAGE_SIZE};

const PORT: ConnectionId = ConnectionId::new(0x77);

fn bytes<B: Body>(body: &B) -> Vec<u8> {
    Outgoing::new(PORT, body).bytes().to_vec()
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap())
}

/// A message of the host: type, and words at offsets.
fn of_host(length: usize, kind: u32, words: &[(usize, u32)]) -> Vec<u8> {
    let mut bytes = vec![0; length];
    bytes[..4].copy_from_slice(&kind.to_le_bytes());
    for (offset, word) in words {
        bytes[*offset..offset + 4].copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn contact() -> InitiateContact {
    InitiateContact {
        version: U32::new(0x6_0000),
        target_vp: U32::new(3),
        sint: 7,
        vtl: 2,
        padding: U16::ZERO,
        features: U32::new(0x8f),
        parent_to_child: U64::new(0x1111_0000),
        child_to_parent: U64::new(0x2222_0000),
    }
}

#[test]
fn contact_is_laid_out_as_in_the_table() {
    let base = bytes(&contact());
    assert_eq!(base.len(), 40);
    assert_eq!((u32_at(&base, 0), u32_at(&base, 8), u32_at(&base, 12)), (14, 0x6_0000, 3));
    assert_eq!((base[16], base[17], u32_at(&base, 20)), (7, 2, 0x8f));
    assert_eq!((u64_at(&base, 24), u64_at(&base, 32)), (0x1111_0000, 0x2222_0000));
    let named = InitiateContactWithClientId { base: contact(), client: Guid::new(1, 2, 3, 4) };
    let named = bytes(&named);
    assert_eq!((named.len(), u32_at(&named, 40), named[55]), (56, 1, 4));
}

#[test]
fn open_is_laid_out_as_in_the_table() {
    let base = OpenChannel {
        channel: ChannelId::new(11),
        open_id: U32::new(12),
        ring: GpadlId::new(13),
        target_vp: U32::new(14),
        downstream_page: U32::new(15),
        user_data: [0xee; 120],
    };
    let plain = bytes(&base);
    assert_eq!((plain.len(), u32_at(&plain, 0)), (148, 5));
    let words = [8, 12, 16, 20, 24].map(|offset| u32_at(&plain, offset));
    assert_eq!((words, plain[28], plain[147]), ([11, 12, 13, 14, 15], 0xee, 0xee));
    let signal = OpenChannelWithSignal {
        base,
        connection: ConnectionId::new(0x1_2345),
        event_flag: U16::new(0x678),
        flags: U16::new(1),
    };
    let signal = bytes(&signal);
    assert_eq!((signal.len(), u32_at(&signal, 148)), (156, 0x1_2345));
    assert_eq!(signal[152..], [0x78, 6, 1, 0]);
}

#[test]
fn short_messages_are_laid_out_as_in_the_table() {
    let channel = ChannelId::new(0x21);
    let words = |bytes: Vec<u8>| {
        assert_eq!(bytes[4..8], [0; 4]);
        let offsets = [0].into_iter().chain((8..bytes.len()).step_by(4));
        offsets.map(|offset| u32_at(&bytes, offset)).collect::<Vec<_>>()
    };
    let two = U32::new(2);
    assert_eq!(words(bytes(&RequestOffers {})), [3]);
    assert_eq!(words(bytes(&CloseChannel { channel })), [7, 0x21]);
    let gpadl = GpadlId::new(0x31);
    assert_eq!(words(bytes(&GpadlTeardown { channel, gpadl })), [11, 0x21, 0x31]);
    assert_eq!(words(bytes(&RelIdReleased { channel })), [13, 0x21]);
    assert_eq!(words(bytes(&Unload {})), [16]);
    let reserved = OpenReservedChannel {
        channel,
        target_vp: two,
        target_sint: U32::new(7),
        ring: gpadl,
        downstream_page: U32::new(9),
    };
    assert_eq!(words(bytes(&reserved)), [18, 0x21, 2, 7, 0x31, 9]);
    let close = CloseReservedChannel { channel, target_vp: two, target_sint: U32::new(7) };
    assert_eq!(words(bytes(&close)), [19, 0x21, 2, 7]);
    assert_eq!(words(bytes(&ModifyChannel { channel, target_vp: two })), [22, 0x21, 2]);
    let pages =
        ModifyConnection { parent_to_child: U64::new(0x1000), child_to_parent: U64::new(0x2000) };
    assert_eq!(words(bytes(&pages)), [25, 0x1000, 0, 0x2000, 0]);
    assert_eq!(words(bytes(&Pause {})), [27]);
    assert_eq!(words(bytes(&Resume {})), [29]);
}

#[test]
fn the_call_that_posts_has_256_bytes_of_input() {
    let input = Outgoing::new(PORT, &RequestOffers {}).post_message();
    let input = input.as_bytes();
    assert_eq!(input.len(), 256);
    let words = [0, 4, 8, 12, 16, 20].map(|offset| u32_at(input, offset));
    assert_eq!(words, [0x77, 0, 1, 8, 3, 0]);
}

#[test]
fn an_offer_is_read_from_its_offsets() {
    let mut bytes = of_host(196, 1, &[(184, 0x41), (192, 0x1_0041), (8, 0xba61_63d9)]);
    bytes[56..60].copy_from_slice(&[0x11, 0x20, 5, 0]);
    bytes[60] = 0x99;
    bytes[179] = 0x98;
    bytes[180..184].copy_from_slice(&[2, 0, 6, 0]);
    bytes[188..190].copy_from_slice(&[33, 1]);
    let HostMessage::Offer(offer) = HostMessage::parse(&bytes).unwrap() else { panic!() };
    assert_eq!(offer.interface.as_bytes()[..4], [0xd9, 0x63, 0x61, 0xba]);
    assert_eq!(offer.flags().bits(), 0x2011);
    assert_eq!((offer.mmio_mebibytes.get(), offer.mmio_mebibytes_optional.get()), (5, 6));
    assert_eq!((offer.user_defined[0], offer.user_defined[119]), (0x99, 0x98));
    assert_eq!((offer.subchannel.get(), offer.channel.get()), (2, 0x41));
    assert_eq!((offer.monitor_id, offer.monitor_allocated), (33, 1));
    assert_eq!(offer.connection.get(), 0x1_0041);
}

#[test]
fn answers_to_contact_are_told_apart_by_size() {
    let words = [(8, 1), (12, 0x5555), (16, 0x2f), (24, 0x1000), (32, 0x2000)];
    let read = |length: usize| {
        let bytes = of_host(40, 15, &words);
        match HostMessage::parse(&bytes[..length]) {
            Ok(HostMessage::VersionResponse(response)) => Ok(response),
            Ok(_) => panic!("another message"),
            Err(malformed) => Err(malformed),
        }
    };
    let kind = Kind::VERSION_RESPONSE;
    assert_eq!(read(15).unwrap_err(), Malformed::TooShort { kind, length: 15 });
    for (length, features, pages) in [
        (16, None, None),
        (19, None, None),
        (20, Some(0x2f), None),
        (39, Some(0x2f), None),
        (40, Some(0x2f), Some((0x1000, 0x2000))),
    ] {
        let response = read(length).unwrap();
        assert_eq!((response.supported, response.state), (Supported::Yes, 0));
        assert_eq!(response.connection.get(), 0x5555);
        assert_eq!((response.features, response.monitor_pages), (features, pages));
    }
    let neither = HostMessage::parse(&of_host(16, 15, &[(8, 2)]));
    assert_eq!(neither.unwrap_err(), Malformed::Boolean(2));
}

#[test]
fn every_message_of_the_host_has_its_least_size() {
    let sizes = [
        (1, 196),
        (2, 12),
        (4, 8),
        (6, 20),
        (10, 20),
        (12, 12),
        (15, 16),
        (17, 8),
        (20, 12),
        (24, 16),
        (26, 9),
        (28, 8),
    ];
    for (kind, size) in sizes {
        let bytes = of_host(240, kind, &[]);
        assert!(HostMessage::parse(&bytes[..size]).is_ok(), "type {kind}");
        assert!(HostMessage::parse(&bytes[..size - 1]).is_err(), "type {kind}");
    }
    let known: Vec<_> = sizes.iter().map(|(kind, _)| *kind).collect();
    for kind in (0..64).chain([u32::MAX]).filter(|kind| !known.contains(kind)) {
        let fault = HostMessage::parse(&of_host(240, kind, &[])).unwrap_err();
        assert_eq!(fault, Malformed::Kind(Kind(U32::new(kind))));
    }
}

fn messages(ranges: &[GpadlRange<'_>]) -> Vec<Vec<u8>> {
    GpadlMessages::new(PORT, ChannelId::new(5), GpadlId::new(6), ranges)
        .unwrap()
        .map(|message| message.bytes().to_vec())
        .collect()
}

#[test]
fn memory_is_cut_into_messages_of_27_and_28_words() {
    for (pages, expected) in [(26, 1), (27, 2), (54, 2), (55, 3), (400, 15)] {
        let numbers: Vec<u64> = (0..pages).map(|page| 0x8000_0000_0000 + page).collect();
        let ranges = [GpadlRange::pages(&numbers).unwrap()];
        let messages = messages(&ranges);
        assert_eq!(messages.len(), expected, "{pages} pages");
        let (header, bodies) = messages.split_first().unwrap();
        assert_eq!([0, 8, 12].map(|offset| u32_at(header, offset)), [8, 5, 6]);
        let length = 8 * (pages + 1);
        assert_eq!(u32_at(header, 16), u32::try_from(1 << 16 | length).unwrap());
        assert_eq!(u64_at(header, 20), pages * 4096);
        let mut words: Vec<u8> = header[28..].to_vec();
        for (index, body) in (0..).zip(bodies) {
            assert_eq!([0, 8, 12].map(|offset| u32_at(body, offset)), [9, index, 6]);
            words.extend(&body[16..]);
        }
        let expected: Vec<u8> = numbers.iter().flat_map(|page| page.to_le_bytes()).collect();
        assert_eq!(words, expected);
        assert!(messages.iter().all(|message| message.len() <= 240));
    }
}

#[test]
fn ranges_follow_each_other() {
    let (first, second) = ([1, 2], [3]);
    let ranges =
        [GpadlRange::part(&first, 0xff0, 0x20).unwrap(), GpadlRange::pages(&second).unwrap()];
    let messages = messages(&ranges);
    let words = [20, 28, 36, 44, 52].map(|offset| u64_at(&messages[0], offset));
    assert_eq!(words, [0xff0 << 32 | 0x20, 1, 2, 4096, 3]);
    assert_eq!(u32_at(&messages[0], 16), 2 << 16 | 40);
}

#[test]
fn what_no_message_can_say_is_refused() {
    assert!(GpadlRange::pages(&[]).is_none());
    assert!(GpadlRange::part(&[1], 4096, 1).is_none());
    assert!(GpadlRange::part(&[1], 0, 4097).is_none());
    assert!(GpadlRange::part(&[1, 2], 0, 4096).is_none());
    let pages = vec![0; 8191];
    let (channel, gpadl) = (ChannelId::new(1), GpadlId::new(1));
    let fits = |pages: &[u64]| {
        let range = [GpadlRange::pages(pages).unwrap()];
        GpadlMessages::new(PORT, channel, gpadl, &range).is_some()
    };
    assert!(fits(&pages[..8190]));
    assert!(!fits(&pages));
    assert!(GpadlMessages::new(PORT, channel, gpadl, &[]).is_none());
    assert_eq!(PAGE_SIZE, 4096);
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_a_fault(mut bytes in proptest::collection::vec(any::<u8>(), 0..256), kind in 0_u8..32) {
        let _ = HostMessage::parse(&bytes);
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        bytes.iter_mut().skip(1).take(3).for_each(|byte| *byte = 0);
        let _ = HostMessage::parse(&bytes);
    }
}
