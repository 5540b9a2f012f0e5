// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sends packets through a ring, one by one or in batches, for a profiler to count instructions:
//! the difference between two numbers of packets is what the packets cost.
//!
//! ```text
//! packets COUNT BYTES BATCH
//! ```

use core::{hint::black_box, sync::atomic::AtomicU32};
use std::{env, process::ExitCode};

use vmbus::{
    PAGE_SIZE,
    ring::{Notify, Outgoing, Reader, Writer, packet::Completion},
};

fn main() -> ExitCode {
    let numbers: Vec<usize> =
        env::args().skip(1).filter_map(|number| number.parse().ok()).collect();
    let [count, bytes, batch] = numbers[..] else {
        eprintln!("usage: packets COUNT BYTES BATCH");
        return ExitCode::FAILURE;
    };
    match send(count, bytes, batch) {
        Some(signals) => {
            eprintln!("packets={count} bytes={bytes} batch={batch} signals={signals}");
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}

/// Sends and receives, and returns how often the reader was signalled.
fn send(count: usize, bytes: usize, batch: usize) -> Option<usize> {
    let memory: Vec<AtomicU32> = (0..17 * PAGE_SIZE / 4).map(|_| AtomicU32::new(0)).collect();
    let mut writer = Writer::new(&memory[..])?;
    let mut reader = Reader::new(&memory[..])?;
    let payload = vec![0x5a; bytes];
    let mut buffer = vec![0; bytes];
    let mut signals = 0;
    let mut transaction = 0;
    while transaction < count {
        for _ in 0..batch {
            let pieces: [&[u8]; 1] = [black_box(&payload)];
            let number = u64::try_from(transaction).ok()?;
            writer.push(&Outgoing::in_band(Completion::NotWanted, number, &pieces)).ok()?;
            transaction += 1;
        }
        signals += usize::from(writer.publish() == Notify::Signal);
        while let Some(mut packet) = reader.receive().ok()? {
            packet.read(black_box(&mut buffer));
        }
        let _ = reader.release();
    }
    Some(signals)
}
