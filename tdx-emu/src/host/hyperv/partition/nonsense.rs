// SPDX-License-Identifier: MIT OR Apache-2.0
//! L1 does anything, in any order: the host goes on, keeps what it keeps within bounds, and still serves a client
//! that begins anew.

use proptest::{collection::vec, prelude::*};
use vmbus::SharedMemory;

use super::{Options, Partition};
use crate::host::hyperv::{
    guest::{Guest, PAGE, SHARED_BIT, fake::Fake},
    vmbus::Manner,
};

/// Pages of the TD: input and output of calls, two for the controller, two monitor pages, two rings of two.
const PAGES: u64 = 10;
const INPUT: u64 = PAGE;
const MESSAGES: u64 = 3 * PAGE;
const EVENTS: u64 = 4 * PAGE;
const FIRST_OF_RING: u64 = 7;

/// Twice what may wait before calls are refused: each call adds a few at most.
const MOST_WAITING: usize = 128;

/// What L1 does.
#[derive(Clone, Debug)]
enum Act {
    WriteMsr(usize, u32, u64),
    Call(u64, u64, u64),
    Post(u32, Vec<u32>),
    Scribble(u64, usize, u32),
    Unshare(u64),
    Proxy(usize, u8),
    Poll(usize),
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![0..12_u32, any::<u32>(), Just(u32::MAX), Just(0x5_0003), Just(0x6_0000)]
}

fn address() -> impl Strategy<Value = u64> {
    prop_oneof![
        (0..=PAGES + 1, 0..PAGE).prop_map(|(page, offset)| page * PAGE + (offset & !7)),
        (0..=PAGES + 1).prop_map(|page| (page * PAGE) | SHARED_BIT),
        any::<u64>(),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let msr = prop_oneof![0x4000_0080..0x4000_00a0_u32, Just(0x4000_0000), any::<u32>()];
    let code = prop_oneof![
        Just(0x5c_u64),
        Just(0x1_005d),
        Just(0x5d),
        Just(2 << 17 | 0x7e),
        Just(3 << 32 | 0x50),
        Just(2 << 32 | 0x51),
        any::<u64>(),
    ];
    let value = prop_oneof![address().prop_map(|gpa| gpa | 1), 0..512_u64, any::<u64>()];
    prop_oneof![
        2 => (0..3_usize, msr, value).prop_map(|(cpu, msr, value)| Act::WriteMsr(cpu, msr, value)),
        2 => (code, address(), address()).prop_map(|(code, input, output)| Act::Call(code, input, output)),
        6 => (0..31_u32, vec(number(), 0..12)).prop_map(|(kind, words)| Act::Post(kind, words)),
        4 => (1..=PAGES, 0..1024_usize, number()).prop_map(|(page, word, value)| {
            // The first words are indices, and those of slots and packets.
            let offset = if word < 512 { word % 8 * 4 } else { word * 4 };
            Act::Scribble(page * PAGE, offset, value)
        }),
        1 => (1..=PAGES).prop_map(|page| Act::Unshare(page * PAGE)),
        1 => (0..3_usize, any::<u8>()).prop_map(|(cpu, vector)| Act::Proxy(cpu, vector)),
        2 => (0..3_usize).prop_map(Act::Poll),
    ]
}

struct Stand {
    guest: Fake,
    partition: Partition<Fake>,
}

impl Stand {
    fn new() -> Self {
        let guest = Fake::new(2);
        for _ in 0..PAGES {
            guest.share();
        }
        let vmbus = Manner { rescind_after: Some(2), ..Manner::default() };
        let partition = Partition::new(Options { vmbus, ..Options::default() }, 2);
        let stand = Self { guest, partition };
        stand.begin();
        stand
    }

    /// What a client does that means well, from identity to an open channel.
    fn begin(&self) {
        let write = |msr, value| self.partition.write_msr(self.guest, 0, msr, value);
        for (msr, value) in [
            (0x4000_0000, 1),
            (0x4000_0083, MESSAGES | 1),
            (0x4000_0082, EVENTS | 1),
            (0x4000_0097, 0x50),
            (0x4000_0080, 1),
        ] {
            assert_eq!(write(msr, value), Some(()));
        }
        let (low, high) = (5 * 4096, 6 * 4096);
        self.post(0x80_0074, &[14, 0, 0x5_0003, 0, 7, 0, low, 0, high, 0]);
        self.post(0x75, &[3, 0]);
        let mut memory = vec![8, 0, 1, 7, 1 << 16 | 40, 4 * 4096, 0];
        let first = u32::try_from(FIRST_OF_RING).unwrap();
        memory.extend((first..first + 4).flat_map(|number| [number, 0]));
        self.post(0x75, &memory);
        let mut open = [0; 37];
        open[..7].copy_from_slice(&[5, 0, 1, 9, 7, 0, 2]);
        self.post(0x75, &open);
    }

    fn post(&self, connection: u32, words: &[u32]) -> u64 {
        let head = [connection, 0, 1, u32::try_from(words.len() * 4).unwrap()];
        let bytes: Vec<u8> = head.iter().chain(words).flat_map(|word| word.to_le_bytes()).collect();
        let _ = self.guest.with_page(INPUT, |page| page.write(0, &bytes));
        self.partition.hypercall(self.guest, 0, 0x5c, INPUT, 0)
    }

    fn act(&self, act: &Act) {
        match act {
            Act::WriteMsr(cpu, msr, value) => {
                let _ = self.partition.write_msr(self.guest, *cpu, *msr, *value);
            }
            Act::Call(control, input, output) => {
                let result = self.partition.hypercall(self.guest, 1, *control, *input, *output);
                assert_eq!(result & 0xffff_f000_ffff_0000, 0, "a status, and elements");
            }
            Act::Post(kind, words) => {
                let words: Vec<u32> = [*kind, 0].iter().chain(words).copied().collect();
                let connection = if *kind == 14 { 4 } else { 0x75 };
                let _ = self.post(connection, &words);
            }
            Act::Scribble(page, offset, value) => {
                let scribble = |page: &[_]| page.write(*offset, &value.to_le_bytes());
                let _ = self.guest.with_page(*page, scribble);
            }
            Act::Unshare(page) => self.guest.unshare(*page),
            Act::Proxy(cpu, vector) => {
                self.partition.proxy(*cpu, *vector);
            }
            Act::Poll(cpu) => self.partition.poll(self.guest, *cpu),
        }
        assert!(self.partition.waiting() <= MOST_WAITING);
    }
}

proptest! {
    #[test]
    fn nothing_that_l1_does_ends_the_host(acts in vec(act(), 0..200)) {
        let stand = Stand::new();
        acts.iter().for_each(|act| stand.act(act));
        // Pages come back, and so does a client.
        (1..=PAGES).for_each(|page| stand.guest.share_again(page * PAGE));
        stand.begin();
        let slot = |sint: usize| {
            let mut word = [0; 4];
            stand.guest.page(MESSAGES).read(sint * 256, &mut word);
            u32::from_le_bytes(word)
        };
        prop_assert_eq!(slot(7), 1, "the answer to contact");
    }
}
