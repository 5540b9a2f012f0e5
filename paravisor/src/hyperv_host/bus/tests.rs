// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host that answers by the script, is busy, refuses, or breaks its rings.

use alloc::vec;
use core::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use vmbus::ring::{Outgoing as Packet, Reader, Writer};

use super::*;

type Words = &'static [AtomicU32];

const PAGE: usize = 4096;

fn fresh(pages: usize) -> Words {
    Vec::leak((0..pages * PAGE / 4).map(|_| AtomicU32::new(0)).collect())
}

#[derive(Default)]
struct Machine {
    /// What the client will be told.
    says: VecDeque<Vec<u8>>,
    /// Types of what it has posted.
    posted: Vec<u32>,
    signals: Vec<Signal>,
    memory: Vec<(Words, Words)>,
    rings: Option<(Reader<Words>, Writer<Words>)>,
    /// How many posts find no room, and what the others are refused with.
    busy: u32,
    refuses: Option<u16>,
}

fn message(length: usize, kind: u32, words: &[(usize, u32)]) -> Vec<u8> {
    let mut bytes = vec![0; length];
    bytes[..4].copy_from_slice(&kind.to_le_bytes());
    for (at, word) in words {
        bytes[*at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn offer(channel: u32, monitored: u8) -> Vec<u8> {
    let mut bytes = message(196, 1, &[(184, channel), (192, 0x2_7000 | channel)]);
    let guid = [0x68, 0x63, 0x79, 0x6c, 0x63, 0x65, 0x6f, 0x68, 0, 0, 0, 0, 0, 0, 0, 1 + monitored];
    bytes[8..24].copy_from_slice(&guid);
    (bytes[188], bytes[189]) = (5, monitored);
    bytes
}

impl Machine {
    fn say(&mut self, bytes: Vec<u8>) {
        self.says.push_back(bytes);
    }

    fn answer(&mut self, bytes: &[u8]) {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        match word(0) {
            14 if word(8) > 0x5_0003 => self.say(message(16, 15, &[])),
            14 => self.say(message(16, 15, &[(8, 1), (12, 77)])),
            3 => {
                self.say(offer(11, 0));
                self.say(message(8, 4, &[]));
            }
            8 => self.say(message(20, 10, &[(8, word(8)), (12, word(12))])),
            5 => {
                let (to_host, from_host) = *self.memory.last().unwrap();
                self.rings = Some((Reader::new(to_host).unwrap(), Writer::new(from_host).unwrap()));
                self.say(message(20, 6, &[(8, word(8)), (12, word(12))]));
            }
            _ => {}
        }
    }

    /// Tells the client all that there is to say.
    fn run(&mut self, bus: &mut Bus<Words>) {
        while let Some(bytes) = self.says.pop_front() {
            bus.message(self, &bytes);
        }
    }

    /// Answers what is in the ring; returns whether the client must be signalled.
    fn echo(&mut self) -> bool {
        let Some((reader, writer)) = &mut self.rings else { return false };
        let mut signal = false;
        let mut bytes = [0; 256];
        while let Some(mut packet) = reader.receive().unwrap() {
            let transaction = packet.descriptor().transaction.get();
            let length = packet.read(&mut bytes);
            let payload: [&[u8]; 1] = [&bytes[..length]];
            let answer = Packet::completion(transaction, &payload);
            signal |= writer.write(&answer).unwrap() == Notify::Signal;
        }
        let (waiting, _) = reader.before_waiting().unwrap();
        assert_eq!(waiting, vmbus::ring::Waiting::Nothing);
        signal
    }
}

impl Host<Words> for Machine {
    fn post(&mut self, outgoing: &Outgoing) -> HvStatus {
        if self.busy > 0 {
            self.busy -= 1;
            return HvStatus::INSUFFICIENT_BUFFERS;
        }
        if let Some(status) = self.refuses {
            return HvStatus(status);
        }
        let bytes = outgoing.bytes().to_vec();
        self.posted.push(u32::from_le_bytes(bytes[..4].try_into().unwrap()));
        self.answer(&bytes);
        HvStatus::SUCCESS
    }

    fn signal(&mut self, signal: Signal) {
        self.signals.push(signal);
    }

    fn rings(&mut self) -> Option<Rings<Words>> {
        let (to_host, from_host) = (fresh(2), fresh(2));
        self.memory.push((to_host, from_host));
        Some(Rings { to_host, from_host, pages: vec![1, 2, 3, 4] })
    }
}

fn connected(goal: u64) -> (Bus<Words>, Machine) {
    let (mut bus, mut machine) = (Bus::new(config(None), goal), Machine::default());
    bus.begin(&mut machine);
    machine.run(&mut bus);
    (bus, machine)
}

#[test]
fn the_known_channel_is_opened_and_every_packet_comes_back() {
    let (mut bus, mut machine) = connected(1000);
    assert_eq!(machine.posted, [14, 14, 3, 8, 5], "one version down, then offers");
    while machine.echo() {
        assert_eq!(bus.flag(&mut machine, 11), echo::Left::Nothing);
    }
    let figures = bus.figures();
    assert_eq!(figures.echo, echo::Figures { sent: 1000, answered: 1000, wrong: 0 });
    assert_eq!((figures.opened, figures.channels, figures.faults), (1, 1, 0));
    assert_eq!(machine.signals.len(), 63, "one for each window of 16");
    assert!(machine.signals.iter().all(|signal| signal.input() == Some(0x2_700b)));
}

#[test]
fn a_client_without_a_goal_opens_nothing() {
    let (bus, machine) = connected(0);
    assert_eq!(machine.posted, [14, 14, 3]);
    assert_eq!((bus.figures().channels, bus.figures().opened), (1, 0));
}

#[test]
fn what_the_host_has_no_room_for_waits_in_order() {
    let (mut bus, mut machine) = (Bus::new(config(None), 1), Machine::default());
    machine.busy = 1;
    bus.begin(&mut machine);
    assert!(bus.waits());
    machine.run(&mut bus);
    assert!(machine.posted.is_empty());
    bus.retry(&mut machine);
    machine.run(&mut bus);
    assert!(!bus.waits() && bus.is_connected());
}

#[test]
fn a_host_that_refuses_a_message_is_left_alone() {
    let (mut bus, mut machine) = connected(1000);
    machine.refuses = Some(0x12);
    machine.say(message(12, 2, &[(8, 11)]));
    machine.run(&mut bus);
    assert!(!bus.is_connected() && !bus.waits());
    assert_eq!(bus.figures().echo.sent, 16, "what a lost channel did is not forgotten");
    assert_eq!(bus.flag(&mut machine, 11), echo::Left::Nothing);
    assert_eq!(bus.figures().stray_flags, 1);
}

#[test]
fn a_channel_that_is_taken_back_is_released_and_may_come_again() {
    let (mut bus, mut machine) = connected(3);
    machine.say(message(12, 2, &[(8, 11)]));
    machine.run(&mut bus);
    assert_eq!(machine.posted.last(), Some(&13));
    machine.say(offer(11, 0));
    machine.run(&mut bus);
    while machine.echo() {
        bus.flag(&mut machine, 11);
    }
    assert_eq!((bus.figures().opened, bus.figures().echo.answered), (2, 3));
}

#[test]
fn a_broken_ring_ends_its_channel_and_no_more() {
    let (mut bus, mut machine) = connected(1000);
    let (_, from_host) = machine.memory[0];
    // The host claims to have written 24 bytes to an odd place.
    from_host[0].store(23, Ordering::Release);
    bus.flag(&mut machine, 11);
    assert_eq!((bus.figures().broken, machine.posted.last()), (1, Some(&7)));
    assert!(bus.is_connected());
}

#[test]
fn an_answer_to_nothing_is_counted_and_changes_nothing() {
    let (mut bus, mut machine) = connected(5);
    let stray: [&[u8]; 1] = [&[0; 64]];
    let (_, writer) = machine.rings.as_mut().unwrap();
    assert_eq!(writer.write(&Packet::completion(99, &stray)), Ok(Notify::Signal));
    bus.flag(&mut machine, 11);
    while machine.echo() {
        bus.flag(&mut machine, 11);
    }
    let figures = bus.figures().echo;
    assert_eq!((figures.sent, figures.answered, figures.wrong), (5, 5, 1));
}

#[test]
fn a_monitored_channel_is_signalled_by_its_bit() {
    let pages = MonitorPages { parent_to_child: 0x1000, child_to_parent: 0x2000 };
    let (mut bus, mut machine) = (Bus::new(config(Some(pages)), 1), Machine::default());
    bus.begin(&mut machine);
    machine.run(&mut bus);
    machine.signals.clear();
    machine.say(offer(12, 1));
    machine.run(&mut bus);
    assert!(matches!(machine.signals[..], [Signal::Monitor(id)] if id.get() == 5));
}

proptest! {
    #[test]
    fn messages_of_any_kind_end_the_connection_at_worst(
        messages in proptest::collection::vec(
            (0_u32..32, proptest::collection::vec(any::<u8>(), 0..232)), 0..32),
        flags in proptest::collection::vec(0_u16..2048, 0..8),
    ) {
        let (mut bus, mut machine) = connected(20);
        for (kind, body) in messages {
            let mut bytes = message(8, kind, &[]);
            bytes.extend(body);
            machine.say(bytes);
        }
        machine.run(&mut bus);
        for flag in flags {
            bus.flag(&mut machine, flag);
        }
        prop_assert!(machine.posted.len() < 200);
    }
}
