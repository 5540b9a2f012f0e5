// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host that keeps the rules. It reads and writes bytes at the offsets of the table of messages and
//! uses none of the crate's structures.

extern crate alloc;

use alloc::{collections::VecDeque, vec, vec::Vec};

use crate::message::Outgoing;

/// A host, and what it was told.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) newest: u32,
    pub(super) features: u32,
    /// Channels that it offers.
    pub(super) offers: Vec<u32>,
    /// Memory that it knows: number, channel, words still to come, pages.
    pub(super) gpadls: Vec<(u32, u32, usize, Vec<u64>)>,
    pub(super) open: Vec<u32>,
    pub(super) released: Vec<u32>,
    /// Status of the next open.
    pub(super) open_status: u32,
    version: u32,
    answers: VecDeque<Vec<u8>>,
    rest: Vec<u64>,
}

/// Where it wants messages once there is a connection.
pub(super) const PORT: u32 = 0x1234;

impl Host {
    pub(super) fn new(newest: u32, offers: &[u32]) -> Self {
        Self {
            newest,
            features: 0xff,
            offers: offers.to_vec(),
            gpadls: Vec::new(),
            open: Vec::new(),
            released: Vec::new(),
            open_status: 0,
            version: 0,
            answers: VecDeque::new(),
            rest: Vec::new(),
        }
    }

    /// The next message for the client.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        self.answers.pop_front()
    }

    pub(super) fn say(&mut self, length: usize, kind: u32, words: &[(usize, u32)]) {
        self.answers.push_back(message(length, kind, words));
    }

    pub(super) fn offer(&mut self, channel: u32) {
        self.say(196, 1, &[(8, 0xabcd), (184, channel), (192, 0x1_0000 | channel)]);
    }

    /// Takes a message of the client and does what it says.
    pub(super) fn post(&mut self, outgoing: &Outgoing) {
        let bytes = outgoing.bytes();
        let word = |offset: usize| word_at(bytes, offset);
        match word(0) {
            14 => {
                assert_eq!(outgoing.connection().get(), 4);
                self.contact(word(8), word(20));
                return;
            }
            _ => assert_eq!(outgoing.connection().get(), PORT),
        }
        match word(0) {
            3 => {
                self.offers.clone().into_iter().for_each(|channel| self.offer(channel));
                self.say(8, 4, &[]);
            }
            5 => self.open_channel(word(8), word(12), word(16)),
            7 => self.open.retain(|open| *open != word(8)),
            8 => {
                let length = usize::from(u16::from_le_bytes([bytes[16], bytes[17]]));
                self.gpadls.push((word(12), word(8), length / 8, Vec::new()));
                self.words(word(12), &bytes[20..]);
            }
            9 => self.words(word(12), &bytes[16..]),
            11 => {
                self.gpadls.retain(|gpadl| gpadl.0 != word(12));
                self.say(12, 12, &[(8, word(12))]);
            }
            13 => self.released.push(word(8)),
            16 => self.say(8, 17, &[]),
            18 => {
                self.open.push(word(8));
                self.say(20, 6, &[(8, word(8))]);
            }
            19 => {
                self.open.retain(|open| *open != word(8));
                self.say(12, 20, &[(8, word(8))]);
            }
            22 if self.version >= 0x5_0003 => self.say(16, 24, &[(8, word(8))]),
            22 | 29 => {}
            25 => self.say(12, 26, &[]),
            27 => self.say(8, 28, &[]),
            other => panic!("the client says {other}"),
        }
    }

    fn contact(&mut self, version: u32, asked: u32) {
        if version > self.newest {
            self.say(16, 15, &[]);
            return;
        }
        self.version = version;
        match version {
            0x6_0000 => {
                self.say(20, 15, &[(8, 1), (12, PORT), (16, asked & self.features)]);
            }
            _ => self.say(16, 15, &[(8, 1), (12, PORT)]),
        }
    }

    fn open_channel(&mut self, channel: u32, open_id: u32, ring: u32) {
        assert!(self.gpadls.iter().any(|gpadl| (gpadl.0, gpadl.1, gpadl.2) == (ring, channel, 0)));
        if self.open_status == 0 {
            self.open.push(channel);
        }
        self.say(20, 6, &[(8, channel), (12, open_id), (16, self.open_status)]);
    }

    fn words(&mut self, id: u32, bytes: &[u8]) {
        let words = bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
        let gpadl = self.gpadls.iter_mut().find(|gpadl| gpadl.0 == id).unwrap();
        self.rest = words.collect();
        gpadl.2 = gpadl.2.checked_sub(self.rest.len()).unwrap();
        gpadl.3.append(&mut self.rest);
        if gpadl.2 == 0 {
            let channel = gpadl.1;
            self.say(20, 10, &[(8, channel), (12, id)]);
        }
    }
}

/// A message of a host.
pub(super) fn message(length: usize, kind: u32, words: &[(usize, u32)]) -> Vec<u8> {
    let mut bytes = vec![0; length];
    for (offset, word) in words.iter().chain(&[(0, kind)]) {
        bytes[*offset..offset + 4].copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn word_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap())
}
