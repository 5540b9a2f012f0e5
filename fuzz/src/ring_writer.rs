// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host that takes packets out of a ring as it likes, also while the ring is written.

use vmbus::{
    PAGE_SIZE,
    ring::{Outgoing, WriteError, Writer, packet::Completion},
};

use crate::{Input, synic_pages::Changing};

/// Packets that an input describes: two bytes each.
const PACKETS: usize = 24;

/// Writes packets of the lengths that the input says, while the host goes on.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let Some(shape) = input.byte() else { return };
    let pages = usize::from(shape & 3) + 1;
    let mut lengths = Input::new(input.bytes(2 * PACKETS));
    let memory = Changing::new((pages + 1) * PAGE_SIZE, input);
    let mut writer = Writer::new(&memory).expect("the memory is a control page and data");
    let payload = vec![0x5a; 5 * PAGE_SIZE];
    while let Some(length) = lengths.byte() {
        let flags = lengths.byte().unwrap_or(0);
        let length = usize::from(length) << (flags & 7);
        let (first, second) = payload[..length.min(payload.len())].split_at(length / 3);
        let headers: &[u8] = if flags & 8 == 0 { &[] } else { &[9; 24] };
        let pieces = [first, second];
        let packet =
            Outgoing { headers, ..Outgoing::in_band(Completion::Wanted, 1 << 40, &pieces) };
        let before = writer.fault();
        match writer.push(&packet) {
            Ok(()) | Err(WriteError::Full) => assert_eq!(writer.fault(), None),
            Err(WriteError::Size) => {
                let size = Writer::<&Changing<'_>>::packet_size(&packet).expect("it has a size");
                assert!(usize::try_from(size).is_ok_and(|size| size + 8 > pages * PAGE_SIZE));
            }
            Err(WriteError::Host(fault)) => {
                assert_eq!(writer.fault(), Some(fault));
                assert!(before.is_none_or(|before| before == fault), "a fault is final");
            }
        }
        if flags & 16 == 0 {
            let _ = writer.publish();
        }
    }
}
