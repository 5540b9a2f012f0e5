// SPDX-License-Identifier: MIT OR Apache-2.0
//! VMBus: contact, offers, memory, an echo by call and one by the monitor page, close, unload.
//!
//! Spec: VMBUS.

use super::{
    BUS_VECTOR,
    host::{
        CHILD_TO_PARENT, EVENTS, Message, PARENT_TO_CHILD, RINGS, comes, end_of_message, hypercall,
        interrupts, of, post, read, set_bits, set_word, take, word, write,
    },
};
use crate::tally::Tally;

/// Where contact is made.
const CONTACT: u32 = 0x80_0074;
const SINT: u64 = 7;

/// A channel that was offered.
#[derive(Clone, Copy, Debug)]
struct Offer {
    channel: u32,
    connection: u32,
    monitor: Option<u8>,
}

pub(super) fn run(tally: &mut Tally) {
    let Some(connection) = contact(tally) else { return };
    let Some([plain, monitored]) = offers(tally, connection) else { return };
    open(tally, connection, plain, 0);
    echo(tally, plain, 0);
    let gone = taken_away(tally, connection, plain);
    open(tally, connection, monitored, 1);
    monitored_echo(tally, monitored);
    if !gone {
        close(tally, connection, plain);
    }
    tally.check("bus: unload", post(connection, &[16, 0]), 0);
    answer(tally, "bus: unloaded", &[17, 0]);
    tally.check("bus: unloaded channels are gone", signal(monitored.connection), 0x12);
    interrupts();
}

/// Closes the channel and has its memory forgotten.
fn close(tally: &mut Tally, connection: u32, offer: Offer) {
    tally.check("bus: close", post(connection, &[7, 0, offer.channel]), 0);
    tally.check("bus: close is not answered", take(SINT), None);
    tally.check("bus: closed", signal(offer.connection), 0x12);
    let teardown = post(connection, &[11, 0, offer.channel, GPADLS[0]]);
    tally.check("bus: teardown", teardown, 0);
    answer(tally, "bus: torn down", &[12, 0, GPADLS[0]]);
}

/// Some hosts take the channel away after a few packets, and offer it again when its number is given back; returns
/// whether this one did.
fn taken_away(tally: &mut Tally, connection: u32, offer: Offer) -> bool {
    let Some(message) = take(SINT) else { return false };
    tally.check("bus: taken away", message.words[..3] == [2, 0, offer.channel], true);
    tally.check("bus: and closed", signal(offer.connection), 0x12);
    tally.check("bus: number given back", post(connection, &[13, 0, offer.channel]), 0);
    let again = take(SINT).map(|message| (message.words[0], message.words[46]));
    tally.check("bus: offered again, by another number", again, Some((1, 3)));
    interrupts();
    true
}

/// Proposes a version that there is not, and then the ones that there are.
fn contact(tally: &mut Tally) -> Option<u32> {
    let propose = |version: u32| {
        let [to_child, to_parent] = [PARENT_TO_CHILD, CHILD_TO_PARENT].map(of);
        let ([a, b], [c, d]) = (halves(to_child), halves(to_parent));
        // Type, padding, version, processor, source 7 at trust level 2, no features, monitor pages.
        post(CONTACT, &[14, 0, version, 0, 2 << 8 | 7, 0, a, b, c, d])
    };
    tally.check("bus: a version from the future", propose(0x7_0000), 0);
    let refused = take(SINT).map(|message| (message.words[0], message.words[2] & 0xff));
    tally.check("bus: is refused", refused, Some((15, 0)));
    let versions = [0x6_0000, 0x5_0003, 0x5_0002];
    let agreed = versions.into_iter().find_map(|version| {
        let posted = propose(version);
        let message = take(SINT).filter(|_| posted == 0)?;
        (message.words[2] & 0xffff == 1).then_some(message)
    });
    tally.check("bus: contact", agreed.map(|message| message.words[0]), Some(15));
    let taken = interrupts();
    tally.check("bus: by an interrupt", (taken.0 > 0, taken.1), (true, BUS_VECTOR));
    agreed.map(|message| message.words[3])
}

fn offers(tally: &mut Tally, connection: u32) -> Option<[Offer; 2]> {
    tally.check("bus: offers", post(connection, &[3, 0]), 0);
    let first = take(SINT)?;
    tally.check("bus: more is said to wait", first.pending, true);
    tally.check("bus: but waits for the end of message", take(SINT), None);
    interrupts();
    tally.check("bus: end of message", end_of_message(), 0);
    tally.check("bus: brings an interrupt", interrupts(), (1, BUS_VECTOR));
    let second = take(SINT)?;
    end_of_message();
    answer(tally, "bus: all offers delivered", &[4, 0]);
    let offer = |message: &Message| {
        let [monitor, allocated, ..] = message.words[47].to_le_bytes();
        let monitor = (allocated != 0).then_some(monitor);
        Offer { channel: message.words[46], connection: message.words[48], monitor }
    };
    tally.check("bus: two offers", [first, second].map(|m| (m.words[0], m.length)), [(1, 196); 2]);
    let offers = [first, second].map(|message| offer(&message));
    let monitors = offers.map(|offer| offer.monitor);
    tally.check("bus: one is monitored", monitors, [None, Some(5)]);
    Some(offers)
}

/// The numbers of the channels' memory.
const GPADLS: [u32; 2] = [0x11, 0x12];

/// The lower half of a word, and the upper one.
fn halves(word: u64) -> [u32; 2] {
    let [a, b, c, d, upper @ ..] = word.to_le_bytes();
    [[a, b, c, d], upper].map(u32::from_le_bytes)
}

fn open(tally: &mut Tally, connection: u32, offer: Offer, index: usize) {
    let (channel, gpadl) = (offer.channel, GPADLS[index]);
    let mut description = [8, 0, channel, gpadl, 1 << 16 | 40, 4 * 4096, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let numbers = (RINGS[index] >> 12..).take(4);
    for (words, number) in description[7..].as_chunks_mut().0.iter_mut().zip(numbers) {
        *words = halves(of(number << 12) >> 12);
    }
    tally.check("bus: memory", post(connection, &description), 0);
    answer(tally, "bus: memory is known", &[10, 0, channel, gpadl, 0]);
    let mut open = [0; 37];
    open[..7].copy_from_slice(&[5, 0, channel, 0x99, gpadl, 0, 2]);
    tally.check("bus: open", post(connection, &open), 0);
    answer(tally, "bus: opened", &[6, 0, channel, 0x99, 0]);
    tally.check("bus: open again", post(connection, &open), 0);
    let again = take(SINT).map(|message| (message.words[0], message.words[4] != 0));
    tally.check("bus: is refused", again, Some((6, true)));
    interrupts();
}

/// Puts a packet of 8 bytes at `start` of the client's ring.
fn send(index: usize, start: u32, flags: u64, payload: u64) {
    let data = RINGS[index] + 0x1000 + u64::from(start);
    // In-band, payload behind two words, three words, then the transaction, the payload and a footer.
    write(data, 6 | 2 << 16 | 3 << 32 | flags << 48);
    write(data + 8, 0x7777);
    write(data + 16, payload);
    write(data + 24, u64::from(start) << 32);
    set_word(RINGS[index], start + 32);
}

/// What is at `start` of the host's ring: type and flags, transaction, payload.
fn received(index: usize, start: u32) -> [u64; 3] {
    let data = RINGS[index] + 0x3000 + u64::from(start);
    [0, 8, 16].map(|offset| read(data + offset))
}

fn signal(connection: u32) -> u64 {
    hypercall(0x1_005d, u64::from(connection), 0)
}

fn echo(tally: &mut Tally, offer: Offer, index: usize) {
    send(index, 0, 1, 0x0123_4567_89ab_cdef);
    tally.check("echo: signal", signal(offer.connection), 0);
    let host = RINGS[index] + 0x2000;
    tally.check("echo: read and answered", (word(RINGS[index] + 4), word(host)), (32, 32));
    let completion = [11 | 2 << 16 | 3 << 32, 0x7777, 0x0123_4567_89ab_cdef];
    tally.check("echo: a completion", received(index, 0), completion);
    let flags = EVENTS + SINT * 256;
    tally.check("echo: event flag", word(flags), 1 << offer.channel);
    tally.check("echo: interrupt", interrupts(), (1, BUS_VECTOR));
    // The flag stays set, and the host's packet unread: neither interrupts again.
    send(index, 32, 0, 5);
    tally.check("echo: signal again", signal(offer.connection), 0);
    tally.check("echo: no interrupt for a ring that is not empty", interrupts(), (0, BUS_VECTOR));
    tally.check("echo: in-band", received(index, 32), [6 | 2 << 16 | 3 << 32, 0x7777, 5]);
    set_word(flags, 0);
    set_word(host + 4, 64);
    send(index, 64, 0, 6);
    tally.check("echo: signal once more", signal(offer.connection), 0);
    tally.check("echo: interrupt for an empty ring", interrupts(), (1, BUS_VECTOR));
    set_word(flags, 0);
}

fn monitored_echo(tally: &mut Tally, offer: Offer) {
    send(1, 0, 0, 0xfeed);
    let Some(bit) = offer.monitor else { return };
    set_bits(CHILD_TO_PARENT + 8 + u64::from(bit >> 5) * 8, 1 << (bit & 31));
    let came = comes(|| word(RINGS[1] + 0x2000) == 32);
    tally.check("monitor: the host looks by itself", came, true);
    tally.check("monitor: it takes the bit", word(CHILD_TO_PARENT + 8), 0);
    tally.check("monitor: the packet", received(1, 0)[2], 0xfeed);
    tally.check("monitor: interrupt", interrupts(), (1, BUS_VECTOR));
    tally.check("monitor: event flag", word(EVENTS + SINT * 256), 1 << offer.channel);
}

/// Wants a message that begins with these words.
fn answer(tally: &mut Tally, name: &str, wanted: &[u32]) {
    let message = take(SINT);
    let got = message.as_ref().map(|message| (message.kind, &message.words[..wanted.len()]));
    tally.check(name, got, Some((1, wanted)));
}
