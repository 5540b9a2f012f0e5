// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes and words of a ring, and signals, beside a host that keeps the rules.

use super::*;

fn in_band<'a>(transaction: u64, payload: &'a [&'a [u8]]) -> Outgoing<'a> {
    Outgoing::in_band(Completion::NotWanted, transaction, payload)
}

#[test]
fn memory_of_the_wrong_size_makes_no_ring() {
    for words in [0, 1, 1024, 1025, 2047, 2049] {
        let memory: Vec<_> = (0..words).map(|_| AtomicU32::new(0)).collect();
        assert!(Writer::new(&memory[..]).is_none() && Reader::new(&memory[..]).is_none());
    }
}

#[test]
fn a_packet_is_laid_out_as_in_the_table() {
    let memory = memory(1);
    let mut writer = Writer::new(&memory[..]).unwrap();
    assert_eq!(word(&memory, 64), 1);
    assert_eq!(writer.write(&in_band(0x1122, &[b"hel", b"lo"])), Ok(Notify::Signal));
    let mut second = in_band(7, &[]);
    second.completion = Completion::Wanted;
    second.headers = &[0xaa; 16];
    assert_eq!(writer.write(&second), Ok(Notify::Nobody));
    let mut bytes = vec![0; 72];
    memory.read(4096, &mut bytes);
    assert_eq!(bytes[..32], packet(6, 0x1122, 0, b"hello"));
    assert_eq!(bytes[32..40], [6, 0, 4, 0, 4, 0, 1, 0]);
    assert_eq!(bytes[48..64], [0xaa; 16]);
    assert_eq!(bytes[64..], [0, 0, 0, 0, 32, 0, 0, 0]);
    assert_eq!([0, 4, 8, 12].map(|offset| word(&memory, offset)), [72, 0, 0, 0]);
}

#[test]
fn a_packet_is_read_in_pieces_and_its_room_given_back() {
    let memory = memory(1);
    memory.write(4096, &packet(11, 99, 0, b"twelve bytes"));
    set(&memory, 0, 40);
    let mut reader = Reader::new(&memory[..]).unwrap();
    let mut incoming = reader.receive().unwrap().unwrap();
    assert_eq!(incoming.descriptor().kind, PacketKind::COMPLETION);
    assert_eq!(incoming.descriptor().transaction.get(), 99);
    assert_eq!((incoming.headers_left(), incoming.payload_left()), (0, 16));
    let mut bytes = [0xff; 7];
    assert_eq!(incoming.read(&mut bytes), 7);
    assert_eq!(&bytes, b"twelve ");
    let mut rest = [0xff; 20];
    assert_eq!(incoming.read(&mut rest), 9);
    assert_eq!(&rest[..9], b"bytes\0\0\0\0");
    assert_eq!(incoming.read(&mut rest), 0);
    assert_eq!(word(&memory, 4), 0);
    assert_eq!(reader.release(), Notify::Nobody);
    assert_eq!(word(&memory, 4), 40);
    assert!(reader.receive().unwrap().is_none());
}

#[test]
fn headers_come_before_the_payload_and_can_be_skipped() {
    for skip in [false, true] {
        let memory = memory(1);
        let mut writer = Writer::new(&memory[..]).unwrap();
        let kind = PacketKind::TRANSFER_PAGES;
        let headers = &[5, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0];
        let sent = Outgoing { kind, headers, ..in_band(0, &[&[1; 8]]) };
        let _ = writer.write(&sent).unwrap();
        let mut reader = Reader::new(&memory[..]).unwrap();
        let mut incoming = reader.receive().unwrap().unwrap();
        let mut header = [0; 8];
        if !skip {
            assert_eq!(incoming.read_headers(&mut header), 8);
            let (pages, _) = packet::TransferPages::read_from_prefix(&header[..]).unwrap();
            assert_eq!((pages.set.get(), pages.count.get()), (5, 1));
            assert_eq!(incoming.headers_left(), 8);
        }
        assert_eq!(incoming.read(&mut header), 8);
        assert_eq!(header, [1; 8]);
    }
}

#[test]
fn a_writer_signals_only_when_the_ring_was_empty_and_signals_are_wanted() {
    let memory = memory(1);
    let mut writer = Writer::new(&memory[..]).unwrap();
    let write = |writer: &mut Writer<_>| writer.write(&in_band(0, &[])).unwrap();
    assert_eq!(write(&mut writer), Notify::Signal);
    assert_eq!(write(&mut writer), Notify::Nobody);
    set(&memory, 4, 48);
    set(&memory, 8, 1);
    assert_eq!(write(&mut writer), Notify::Nobody);
    set(&memory, 4, 72);
    set(&memory, 8, 0);
    writer.push(&in_band(0, &[])).unwrap();
    writer.push(&in_band(0, &[])).unwrap();
    assert_eq!(word(&memory, 0), 72);
    assert_eq!(writer.publish(), Notify::Signal);
    assert_eq!(word(&memory, 0), 120);
    assert_eq!(writer.publish(), Notify::Nobody);
}

#[test]
fn a_full_ring_asks_for_room_and_takes_the_wish_back() {
    let memory = memory(1);
    let mut writer = Writer::new(&memory[..]).unwrap();
    let kib = [0; 1000];
    let payload: [&[u8]; 1] = [&kib];
    for _ in 0..3 {
        let _ = writer.write(&in_band(0, &payload)).unwrap();
    }
    assert_eq!(writer.write(&in_band(0, &payload)), Err(WriteError::Full));
    assert_eq!(word(&memory, 12), 1024);
    // 4096 - 3072 - 8 bytes are free: eight more are too few, as the ring must not become full.
    set(&memory, 4, 1024);
    assert_eq!(writer.write(&in_band(0, &payload)), Ok(Notify::Nobody));
    assert_eq!(word(&memory, 12), 0);
    assert_eq!(word(&memory, 0), 0);
}

#[test]
fn a_reader_signals_when_the_awaited_room_appears_and_not_again() {
    let memory = memory(1);
    let whole = packet(6, 0, 0, &[0; 1000]);
    for start in [0, 1024, 2048] {
        memory.write(4096 + start, &whole);
    }
    set(&memory, 0, 3072);
    let mut reader = Reader::new(&memory[..]).unwrap();
    let mut signals = Vec::new();
    // 1016 bytes are free at first. The low three bits of the wish mean nothing.
    set(&memory, 12, 2040 | 7);
    for _ in 0..3 {
        assert!(reader.receive().unwrap().is_some());
        signals.push(reader.release());
    }
    assert_eq!(signals, [Notify::Signal, Notify::Nobody, Notify::Nobody]);
    assert_eq!(reader.release(), Notify::Nobody);
}

#[test]
fn what_was_written_before_the_wish_counts_as_used() {
    let memory = memory(1);
    let whole = packet(6, 0, 0, &[0; 1000]);
    memory.write(4096, &whole);
    set(&memory, 0, 2048);
    let mut reader = Reader::new(&memory[..]).unwrap();
    assert!(reader.receive().unwrap().is_some());
    // The writer writes on, then finds 1016 bytes free and waits for 2000; now there are 2040.
    set(&memory, 0, 3072);
    set(&memory, 12, 2000);
    assert_eq!(reader.release(), Notify::Signal);
}

#[test]
fn the_last_look_before_waiting_finds_what_came_unsignalled() {
    let memory = memory(1);
    let mut reader = Reader::new(&memory[..]).unwrap();
    reader.mask_interrupts();
    assert_eq!(word(&memory, 8), 1);
    assert!(reader.receive().unwrap().is_none());
    memory.write(4096, &packet(6, 0, 0, b""));
    set(&memory, 0, 24);
    assert_eq!(reader.unmask_interrupts(), Ok((Waiting::Packet, Notify::Nobody)));
    assert_eq!(word(&memory, 8), 0);
    assert!(reader.receive().unwrap().is_some());
    assert_eq!(reader.before_waiting(), Ok((Waiting::Nothing, Notify::Nobody)));
    assert_eq!(word(&memory, 4), 24, "room is released before the wait");
}

#[test]
fn sizes_that_are_no_packet_are_refused() {
    let memory = memory(32);
    let mut writer = Writer::new(&memory[..]).unwrap();
    let uneven = Outgoing { headers: &[0; 4], ..in_band(0, &[]) };
    assert_eq!(writer.write(&uneven), Err(WriteError::Size));
    let large = vec![0; 32 * 4096];
    let mut write = |bytes: usize| writer.write(&in_band(0, &[&large[..bytes]]));
    assert_eq!(write(32 * 4096 - 31), Err(WriteError::Size));
    assert_eq!(write(32 * 4096 - 32), Ok(Notify::Signal));
    assert_eq!(write(32 * 4096 - 32), Err(WriteError::Full));
}

#[test]
fn payload_is_copied_once_each_way_and_little_else() {
    const PACKETS: usize = 10_000;
    let memory = memory(4);
    let (there, back) = (Counting::new(&memory), Counting::new(&memory));
    let mut writer = Writer::new(&there).unwrap();
    let mut reader = Reader::new(&back).unwrap();
    let (there_before, back_before) = (there.words.get(), back.words.get());
    let payload = [0x5a_u8; 1024];
    let pieces: [&[u8]; 2] = [&payload[..100], &payload[100..]];
    let mut buffer = [0; 1024];
    let mut signals = 0;
    for transaction in 0..PACKETS {
        let sent = writer.write(&in_band(u64::try_from(transaction).unwrap(), &pieces)).unwrap();
        signals += usize::from(sent == Notify::Signal);
        let mut incoming = reader.receive().unwrap().unwrap();
        assert_eq!(incoming.read(&mut buffer), 1024);
        assert_eq!(buffer, payload);
        assert_eq!(reader.release(), Notify::Nobody);
    }
    // One packet at a time: every one finds the ring empty. Payload and 24 bytes of frame are written
    // once, payload and 16 bytes of descriptor read once.
    assert_eq!(signals, PACKETS);
    assert_eq!((there.written.get(), there.read.get()), (PACKETS * 1048, 0));
    assert_eq!((back.written.get(), back.read.get()), (0, PACKETS * 1040));
    // Words of the control page: in, mask and out, and out once a ring full; in, out, pending size.
    assert!(there.words.get() - there_before <= PACKETS * 3 + PACKETS / 15 + 1);
    assert_eq!(back.words.get() - back_before, PACKETS * 3);
}

#[test]
fn a_batch_costs_one_signal_and_one_look() {
    let memory = memory(4);
    let back = Counting::new(&memory);
    let mut writer = Writer::new(&memory[..]).unwrap();
    let mut reader = Reader::new(&back).unwrap();
    let words = back.words.get();
    for _ in 0..100 {
        writer.push(&in_band(0, &[&[1; 64]])).unwrap();
    }
    assert_eq!(writer.publish(), Notify::Signal);
    for _ in 0..100 {
        assert!(reader.receive().unwrap().is_some());
    }
    assert_eq!(reader.release(), Notify::Nobody);
    assert_eq!(back.words.get() - words, 3);
}

proptest! {
    #[test]
    fn what_goes_in_comes_out_in_order(
        steps in proptest::collection::vec((0_usize..1500, any::<bool>(), any::<u8>()), 1..200),
    ) {
        let memory = memory(1);
        let mut writer = Writer::new(&memory[..]).unwrap();
        let mut reader = Reader::new(&memory[..]).unwrap();
        let mut expected = alloc::collections::VecDeque::new();
        let mut transaction = 0;
        for (length, read, fill) in steps {
            let payload = vec![fill; length];
            match writer.write(&in_band(transaction, &[&payload])) {
                Ok(_) => {
                    expected.push_back((transaction, payload));
                    transaction += 1;
                }
                Err(error) => prop_assert_eq!(error, WriteError::Full),
            }
            if read {
                let incoming = reader.receive().unwrap();
                prop_assert_eq!(incoming.is_some(), !expected.is_empty());
                if let (Some(mut incoming), Some((transaction, payload))) =
                    (incoming, expected.pop_front())
                {
                    prop_assert_eq!(incoming.descriptor().transaction.get(), transaction);
                    let mut bytes = vec![0; payload.len()];
                    prop_assert_eq!(incoming.read(&mut bytes), payload.len());
                    prop_assert_eq!(bytes, payload);
                    prop_assert!(incoming.payload_left() < 8);
                }
                let _ = reader.release();
            }
        }
    }
}
