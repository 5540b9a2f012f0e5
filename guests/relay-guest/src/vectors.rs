// SPDX-License-Identifier: MIT OR Apache-2.0
//! The map of the guest's vectors.
//!
//! | vectors   | use |
//! |-----------|-----|
//! | 0–31      | exceptions |
//! | 80        | timer |
//! | 81        | edu |
//! | 82        | serial port |
//! | 83        | raised by an instruction |
//! | 84        | a quote is there |
//! | 85        | sent by another CPU |
//! | 86        | devices by a line |
//! | 96–159    | doorbell entry 0–63, first set |
//! | 160–223   | doorbell entry 0–63, second set |
//! | 255       | spurious interrupt of the APIC |

/// The non-maskable interrupt.
pub(crate) const NMI: u8 = 2;

/// The breakpoint.
pub(crate) const BREAKPOINT: u8 = 3;

/// The interrupt of the APIC's timer.
pub(crate) const TIMER: u8 = 80;

/// The interrupt of the edu device.
pub(crate) const EDU: u8 = 81;

/// The interrupt of the serial port.
pub(crate) const SERIAL: u8 = 82;

/// What a CPU raises by an instruction; there is nobody to acknowledge it to.
pub(crate) const SOFTWARE: u8 = 83;

/// A quote is there.
pub(crate) const QUOTE: u8 = 84;

/// What a CPU sends for an interrupt that it took. Nobody has to be told.
pub(crate) const ECHO: u8 = 85;

/// Devices by a line.
pub(crate) const LINE: u8 = 86;

/// The APIC's vector for an interrupt that went away before it was taken.
pub(crate) const SPURIOUS: u8 = 255;

/// Most entries of the doorbell device.
pub(crate) const MAX_ENTRIES: u16 = 64;

/// First vectors of the two sets; an entry moves between them.
const SETS: [u8; 2] = [96, 160];

/// Which of an entry's two vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    /// The vector an entry starts with.
    First,
    /// The vector it can be moved to.
    Second,
}

/// The vector of doorbell entry `entry`, which is below [`MAX_ENTRIES`].
pub(crate) fn doorbell(set: Set, entry: u16) -> u8 {
    let [entry, _] = (entry % MAX_ENTRIES).to_le_bytes();
    let [first, second] = SETS;
    entry + if set == Set::First { first } else { second }
}

/// The doorbell entry that `vector` belongs to.
pub(crate) fn doorbell_entry(vector: u8) -> Option<u16> {
    SETS.iter()
        .filter_map(|first| vector.checked_sub(*first))
        .map(u16::from)
        .find(|entry| *entry < MAX_ENTRIES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_vector_belongs_to_at_most_one_source() {
        for set in [Set::First, Set::Second] {
            for entry in 0..MAX_ENTRIES {
                let vector = doorbell(set, entry);
                assert_eq!(doorbell_entry(vector), Some(entry));
                assert!(vector >= 32 && ![EDU, SERIAL, SPURIOUS].contains(&vector));
            }
        }
        assert_ne!(doorbell(Set::First, 5), doorbell(Set::Second, 5));
        assert_eq!((doorbell_entry(EDU), doorbell_entry(SPURIOUS)), (None, None));
    }
}
