// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host that sends payloads of proxy interrupts.

use vmbus::proxy_interrupt::{VectorSet, parse};

/// Parses the input. What is accepted is compared with a reading of the table by hand.
pub fn run(input: &[u8]) {
    let Ok(set) = parse(input) else { return };
    assert!(input.len() >= 36 && input[0] == 0 && input[2..4] == [0, 0]);
    let word =
        |index: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| input[4 + 4 * index + byte]));
    let expected = match input[1] {
        0 => VectorSet::one(u8::try_from(word(0)).unwrap_or_default()).words(),
        1 => [0, 1, 2, 3, 4, 5, 6, 7].map(word),
        other => unreachable!("form {other} was accepted"),
    };
    assert_eq!(set.words(), expected);
    let bits: u32 = expected.iter().map(|word| word.count_ones()).sum();
    assert_eq!(usize::try_from(bits).ok(), Some(set.iter().count()));
    assert!(input[1] == 1 || word(0) < 256);
}
