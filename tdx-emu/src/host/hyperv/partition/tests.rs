// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the virtual CPUs of a partition see of it: result values, MSRs, messages. Numbers are written by hand.

use vmbus::SharedMemory;

use super::{Options, Partition, Redirection};
use crate::host::hyperv::guest::{SHARED_BIT, fake::Fake};

struct Stand {
    guest: Fake,
    partition: Partition<Fake>,
    /// Input of hypercalls, and the message pages of the CPUs.
    input: u64,
    pages: [u64; 2],
}

fn stand(options: Options) -> Stand {
    let guest = Fake::new(2);
    let (input, pages) = (guest.share(), [guest.share(), guest.share()]);
    let partition = Partition::new(options, 2);
    let stand = Stand { guest, partition, input, pages };
    for (cpu, page) in pages.into_iter().enumerate() {
        for (msr, value) in [
            (0x4000_0083, page | SHARED_BIT | 1),
            (0x4000_0090, 0xe3),
            (0x4000_0097, 0xe3),
            (0x4000_0080, 1),
        ] {
            assert_eq!(stand.write(cpu, msr, value), Some(()));
        }
    }
    stand
}

impl Stand {
    fn write(&self, cpu: usize, msr: u32, value: u64) -> Option<()> {
        self.partition.write_msr(self.guest, cpu, msr, value)
    }

    fn call(&self, cpu: usize, control: u64, input: u64) -> u64 {
        self.partition.hypercall(self.guest, cpu, control, input, 0)
    }

    /// Posts a message of VMBus with this type, connection and length.
    fn post(&self, kind: u32, connection: u32, length: u32, words: &[u32]) -> u64 {
        let head = [connection, 0, kind, length];
        let bytes: Vec<u8> = head.iter().chain(words).flat_map(|word| word.to_le_bytes()).collect();
        self.guest.page(self.input).write(0, &bytes);
        self.call(0, 0x5c, self.input | SHARED_BIT)
    }

    /// Type and first words of what a slot holds.
    fn slot(&self, cpu: usize, sint: usize) -> [u32; 4] {
        let mut bytes = [0; 32];
        self.guest.page(self.pages[cpu]).read(sint * 256, &mut bytes);
        let words = bytes.as_chunks().0;
        [0, 4, 5, 6].map(|index: usize| u32::from_le_bytes(words[index]))
    }
}

/// Contact by version 5.3, answered on CPU 1, source 7, without monitor pages.
const CONTACT: [u32; 10] = [14, 0, 0x5_0003, 1, 7, 0, 0, 0, 0, 0];

#[test]
fn a_message_is_answered_on_the_cpu_that_it_names() {
    let stand = stand(Options::default());
    assert_eq!(stand.post(1, 0x80_0074, 40, &CONTACT), 6, "no identity yet");
    assert_eq!(stand.write(0, 0x4000_0000, 1), Some(()));
    assert_eq!(stand.post(1, 0x80_0074, 40, &CONTACT), 0);
    assert_eq!(stand.slot(1, 7), [1, 15, 0, 1]);
    assert_eq!(stand.slot(0, 7)[0], 0);
    assert_eq!(stand.guest.posted(), [(1, 0xe3)]);
}

#[test]
fn messages_that_cannot_be_are_refused() {
    let stand = stand(Options::default());
    stand.write(0, 0x4000_0000, 1);
    for (kind, connection, length, status) in [
        (0, 0x80_0074, 40, 5),
        (0x8000_0001, 0x80_0074, 40, 5),
        (1, 0x80_0074, 241, 5),
        (1, 0x80_0074, u32::MAX, 5),
        (1, 3, 40, 0x12),
        // Cut short: it is nonsense, which has no effect.
        (1, 0x80_0074, 39, 0),
    ] {
        let refused = stand.post(kind, connection, length, &CONTACT);
        assert_eq!(refused, status, "{kind:#x} {connection:#x} {length}");
    }
    assert_eq!(stand.call(0, 0x1_005c, stand.input), 3, "there is no fast form");
    assert_eq!(stand.call(0, 0x5d, 4), 4, "a slow one has an address");
    assert_eq!(stand.call(0, 0x1_005d, 1 << 32 | 7), 5, "there is one flag only");
    assert_eq!(stand.call(0, 0xc0, stand.input), 2);
    assert!(stand.guest.posted().is_empty());
}

#[test]
fn what_handlers_added_is_passed_on_at_the_next_look() {
    let stand = stand(Options::default());
    stand.partition.proxy(1, 0x61);
    stand.partition.proxy(9, 0x61);
    stand.partition.poll(stand.guest, 0);
    assert_eq!(stand.slot(1, 0)[0], 0, "it is for the other CPU");
    stand.partition.poll(stand.guest, 1);
    assert_eq!(stand.slot(1, 0), [0x8001_000f, 0, 0x61, 0]);
    assert_eq!(stand.guest.posted(), [(1, 0xe3)]);
    stand.partition.poll(stand.guest, 1);
    assert!(stand.guest.posted().is_empty());
    // End of message is a look, too.
    stand.partition.proxy(1, 0x62);
    stand.guest.page(stand.pages[1]).write(0, &[0; 4]);
    assert_eq!(stand.write(1, 0x4000_0084, 0), Some(()));
    assert_eq!(stand.slot(1, 0), [0x8001_000f, 0, 0x62, 0]);
}

#[test]
fn capabilities_say_whether_interrupts_are_redirected() {
    for (redirection, value) in [(Redirection::Offered, 4), (Redirection::Absent, 0)] {
        let stand = stand(Options { redirection, ..Options::default() });
        stand.write(0, 0x4000_0000, 1);
        let mut head = vec![0xff; 8];
        head.extend([0xfe, 0xff, 0xff, 0xff, 0, 0, 0, 0, 6, 0, 0xd, 0]);
        stand.guest.page(stand.input).write(0, &head);
        let output = stand.guest.share();
        let control = 1 << 32 | 0x50;
        let result = stand.partition.hypercall(stand.guest, 0, control, stand.input, output);
        assert_eq!(result, 1 << 32);
        let mut bytes = [0; 16];
        stand.guest.page(output).read(0, &mut bytes);
        let mut wanted = [0; 16];
        wanted[4] = value;
        assert_eq!(bytes, wanted);
    }
}

#[test]
fn msrs_that_are_not_the_partition_s_are_refused() {
    let stand = stand(Options::default());
    assert_eq!(stand.partition.read_msr(1, 0x4000_0002), Some(1));
    assert_eq!(stand.write(1, 0x4000_0002, 0), None);
    for msr in [0x4000_0001, 0x4000_0073, 0x4000_0085, 0x4000_00a0, 0x4000_00f0] {
        assert_eq!((stand.partition.read_msr(0, msr), stand.write(0, msr, 0)), (None, None));
    }
    assert_eq!(stand.partition.read_msr(2, 0x4000_0080), None);
}
