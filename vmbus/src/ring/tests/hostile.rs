// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rings whose other side breaks the rules, also between two reads.

use super::*;

fn filled(in_index: u32, bytes: &[u8]) -> Vec<AtomicU32> {
    let memory = memory(1);
    memory.write(4096, bytes);
    set(&memory, 0, in_index);
    memory
}

fn fault_of(memory: &[AtomicU32]) -> RingFault {
    let mut reader = Reader::new(memory).unwrap();
    let Err(ReadError::Host(fault)) = reader.receive() else { panic!("accepted") };
    // It stays that way, whatever the host does next.
    set(memory, 0, 0);
    assert_eq!(reader.receive().unwrap_err(), ReadError::Host(fault));
    assert_eq!(reader.before_waiting(), Err(ReadError::Host(fault)));
    assert_eq!(reader.release(), Notify::Nobody);
    assert_eq!(reader.fault(), Some(fault));
    fault
}

#[test]
fn indices_outside_or_unaligned_end_the_ring() {
    for index in [4, 7, 4096, 4100, 8192, u32::MAX, 1 << 31] {
        assert_eq!(fault_of(&filled(index, &[])), RingFault::Index(index));
    }
}

#[test]
fn descriptors_that_do_not_fit_end_the_ring() {
    for (data_offset, length, index) in [
        (2, 2, 8),
        (2, 2, 16),
        (0, 2, 24),
        (1, 2, 24),
        (3, 2, 32),
        (2, 3, 24),
        (2, 0xffff, 4088),
        (0xffff, 0xffff, 4088),
        (2, 511, 4088),
    ] {
        let mut bytes = vec![6, 0];
        [data_offset, length].iter().for_each(|word: &u16| bytes.extend(word.to_le_bytes()));
        let expected = RingFault::Packet { data_offset, length, available: index };
        assert_eq!(fault_of(&filled(index, &bytes)), expected);
    }
}

#[test]
fn a_writer_that_unwrites_ends_the_ring() {
    let bytes = packet(6, 1, 0, b"12345678");
    let memory = filled(64, &[&bytes[..], &bytes[..]].concat());
    let mut reader = Reader::new(&memory[..]).unwrap();
    assert!(reader.receive().unwrap().is_some());
    assert!(reader.receive().unwrap().is_some());
    set(&memory, 0, 32);
    let fault = RingFault::Backwards { from: 64, to: 32 };
    assert_eq!(reader.receive().unwrap_err(), ReadError::Host(fault));
}

#[test]
fn a_reader_that_goes_where_nothing_was_written_ends_the_ring() {
    let payload = [0; 2000];
    let payload: [&[u8]; 1] = [&payload];
    let sent = Outgoing::in_band(Completion::Wanted, 0, &payload);
    // After three packets the writer is at 1976, and the host was last seen at 2024.
    for (out, fault) in [
        (2000, Some(RingFault::Backwards { from: 2024, to: 2000 })),
        (1984, Some(RingFault::Backwards { from: 2024, to: 1984 })),
        (3, Some(RingFault::Index(3))),
        (4096, Some(RingFault::Index(4096))),
        (u32::MAX - 7, Some(RingFault::Index(u32::MAX - 7))),
        (1976, None),
        (4048, None),
    ] {
        let memory = memory(1);
        let mut writer = Writer::new(&memory[..]).unwrap();
        let _ = writer.write(&sent).unwrap();
        let _ = writer.write(&sent).unwrap();
        set(&memory, 4, 2024);
        let _ = writer.write(&sent).unwrap();
        set(&memory, 4, out);
        let result = writer.write(&sent);
        assert_eq!(result.err(), fault.map(WriteError::Host), "out {out}");
        assert_eq!(writer.fault(), fault);
        // It stays that way, whatever the host does next.
        set(&memory, 4, 2024);
        assert_eq!(
            writer.write(&sent).is_err_and(|error| error != WriteError::Full),
            fault.is_some()
        );
    }
}

#[test]
fn a_reader_that_takes_back_what_it_read_ends_the_ring() {
    let memory = memory(1);
    let mut writer = Writer::new(&memory[..]).unwrap();
    let sent = Outgoing::in_band(Completion::Wanted, 0, &[]);
    for _ in 0..170 {
        let _ = writer.write(&sent).unwrap();
    }
    set(&memory, 4, 4000);
    let payload = [0; 3000];
    let payload: [&[u8]; 1] = [&payload];
    let large = Outgoing { payload: &payload, ..sent };
    let _ = writer.write(&large).unwrap();
    set(&memory, 4, 3504);
    let fault = RingFault::Backwards { from: 4000, to: 3504 };
    assert_eq!(writer.write(&large), Err(WriteError::Host(fault)));
}

#[test]
fn a_descriptor_changed_after_the_check_changes_nothing() {
    let bytes = packet(6, 1, 0, b"12345678");
    let memory = filled(32, &bytes);
    let mut reader = Reader::new(&memory[..]).unwrap();
    let mut incoming = reader.receive().unwrap().unwrap();
    memory.write(4096, &[0xff; 16]);
    assert_eq!(incoming.payload_left(), 8);
    let mut payload = [0; 64];
    assert_eq!(incoming.read(&mut payload), 8);
    assert_eq!(payload[..8], *b"12345678");
    let _ = reader.release();
    assert_eq!(word(&memory, 4), 32);
}

#[test]
fn what_the_host_writes_over_our_own_indices_is_not_believed() {
    let memory = memory(1);
    let mut writer = Writer::new(&memory[..]).unwrap();
    let sent = Outgoing::in_band(Completion::Wanted, 0, &[]);
    let _ = writer.write(&sent).unwrap();
    set(&memory, 0, 4000);
    let _ = writer.write(&sent).unwrap();
    assert_eq!(word(&memory, 0), 48);
    let bytes = packet(6, 1, 0, b"");
    let memory = filled(48, &[&bytes[..], &bytes[..]].concat());
    let mut reader = Reader::new(&memory[..]).unwrap();
    assert!(reader.receive().unwrap().is_some());
    set(&memory, 4, 4000);
    assert!(reader.receive().unwrap().is_some());
    let _ = reader.release();
    assert_eq!(word(&memory, 4), 48);
}

#[derive(Clone, Debug)]
enum Step {
    Word(usize, u32),
    Data(u32, Vec<u8>),
    Send(usize),
    Receive(usize),
    Release,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let index = prop_oneof![8 => (0_u32..512).prop_map(|word| word * 8), 1 => any::<u32>()];
    let offset = prop::sample::select(vec![0_usize, 4, 8, 12, 64]);
    let small = prop_oneof![0_u8..8, any::<u8>()];
    prop_oneof![
        3 => (offset, index).prop_map(|(offset, value)| Step::Word(offset, value)),
        2 => (0_u32..4000, proptest::collection::vec(small, 0..48))
            .prop_map(|(at, bytes)| Step::Data(at, bytes)),
        4 => (0_usize..2000).prop_map(Step::Send),
        4 => (0_usize..200).prop_map(Step::Receive),
        2 => Just(Step::Release),
        1 => Just(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Writer and reader share memory with a host that scribbles over all of it. Whatever it does,
    /// there is no panic, no look outside (`Strict` would say so), and a fault is final.
    #[test]
    fn no_host_breaks_a_ring(steps in proptest::collection::vec(step(), 0..60)) {
        let memory = memory(1);
        let shared = Strict(&memory);
        let mut writer = Writer::new(&shared).unwrap();
        let mut reader = Reader::new(&shared).unwrap();
        let payload = [7; 2000];
        for step in steps {
            let faults = (writer.fault(), reader.fault());
            match step {
                Step::Word(offset, value) => set(&memory, offset, value),
                Step::Data(at, bytes) => memory.write(4096 + usize::try_from(at).unwrap(), &bytes),
                Step::Send(length) => {
                    let pieces: [&[u8]; 1] = [&payload[..length]];
                    let _ = writer.write(&Outgoing::in_band(Completion::Wanted, 1, &pieces));
                }
                Step::Receive(length) => {
                    if let Ok(Some(mut incoming)) = reader.receive() {
                        let left = incoming.payload_left();
                        prop_assert!(left < 4096);
                        let mut bytes = vec![0; length];
                        let read = incoming.read(&mut bytes);
                        prop_assert_eq!(u32::try_from(read).unwrap() + incoming.payload_left(), left);
                    }
                }
                Step::Release => { let _ = reader.release(); }
                Step::Wait => { let _ = reader.unmask_interrupts(); }
            }
            prop_assert!(faults.0.is_none() || faults.0 == writer.fault());
            prop_assert!(faults.1.is_none() || faults.1 == reader.fault());
        }
    }
}

/// Memory that fails the test at an access that is outside, or not aligned.
#[derive(Debug)]
struct Strict<'a>(&'a [AtomicU32]);

impl Strict<'_> {
    fn check(&self, offset: usize, length: usize) {
        assert!(offset + length <= self.0.size(), "{length} bytes at {offset:#x}");
    }
}

impl SharedMemory for Strict<'_> {
    fn size(&self) -> usize {
        self.0.size()
    }

    fn load(&self, offset: usize, ordering: Ordering) -> u32 {
        self.check(offset, 4);
        self.0.load(offset, ordering)
    }

    fn store(&self, offset: usize, value: u32, ordering: Ordering) {
        self.check(offset, 4);
        self.0.store(offset, value, ordering);
    }

    fn swap(&self, _: usize, _: u32, _: Ordering) -> u32 {
        panic!("a ring exchanges nothing")
    }

    fn fetch_or(&self, _: usize, _: u32, _: Ordering) -> u32 {
        panic!("a ring sets no bits")
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) {
        self.check(offset, bytes.len());
        self.0.read(offset, bytes);
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        self.check(offset, bytes.len());
        self.0.write(offset, bytes);
    }
}
