// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host that writes into a ring what it likes, also while the ring is read.

use vmbus::{
    PAGE_SIZE, SharedMemory,
    ring::{ReadError, Reader},
};

use crate::{Input, synic_pages::Changing};

/// Bytes of data that an input fills before the first look.
const FILL: usize = 192;

/// Fills indices and the first packets from the input, then reads while the host goes on.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let Some(shape) = input.byte() else { return };
    let pages = usize::from(shape & 3) + 1;
    let (control, data) = (input.bytes(16), input.bytes(FILL));
    let memory = Changing::new((pages + 1) * PAGE_SIZE, input);
    let mut reader = Reader::new(&memory).expect("the memory is a control page and data");
    memory.words().write(0, control);
    memory.words().write(PAGE_SIZE, data);
    for round in 0..64_usize {
        let before = reader.fault();
        match reader.receive() {
            Ok(Some(mut packet)) => {
                let whole = packet.headers_left() + packet.payload_left();
                assert!(usize::try_from(whole).is_ok_and(|whole| whole + 24 < pages * PAGE_SIZE));
                let mut bytes = [0; 40];
                let mut total = 0;
                while total < 4 * PAGE_SIZE {
                    let count = match round & 1 {
                        0 => packet.read_headers(&mut bytes),
                        _ => packet.read(&mut bytes),
                    };
                    total += count;
                    if count == 0 {
                        break;
                    }
                }
            }
            Ok(None) => {}
            Err(ReadError::Host(fault)) => {
                assert_eq!(reader.fault(), Some(fault));
                assert!(before.is_none_or(|before| before == fault), "a fault is final");
            }
        }
        match round & 7 {
            1 | 4 => {
                let _ = reader.release();
            }
            3 => reader.mask_interrupts(),
            6 => {
                let _ = reader.unmask_interrupts();
            }
            _ => {}
        }
    }
}
