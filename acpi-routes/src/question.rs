// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is asked: where does this pin of this function lead?
//!
//! A function is named by the way to it, as ACPI names devices: the root bus, and a device and function
//! number for each bridge on the way and for the function itself. Bus numbers behind bridges are given
//! by software and mean nothing to the tables.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How many functions a way may consist of.
pub const MAX_DEPTH: usize = 8;

/// One of the four interrupt pins of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pin {
    /// INTA#.
    A,
    /// INTB#.
    B,
    /// INTC#.
    C,
    /// INTD#.
    D,
}

/// One question, as the asker writes it into memory.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Question {
    /// The segment of the root bus.
    pub segment: u16,
    /// The number of the root bus.
    pub root_bus: u8,
    depth: u8,
    way: [u8; MAX_DEPTH],
    pin: u8,
    reserved: [u8; 3],
}

const _: () = assert!(size_of::<Question>() == 16);

impl Pin {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::A, Self::B, Self::C, Self::D];

    /// Takes the content of the register "Interrupt Pin": 1 to 4, where 0 says that there is none.
    #[must_use]
    pub const fn from_register(value: u8) -> Option<Self> {
        match value {
            1 => Some(Self::A),
            2 => Some(Self::B),
            3 => Some(Self::C),
            4 => Some(Self::D),
            _ => None,
        }
    }

    /// Returns what the register "Interrupt Pin" holds.
    #[must_use]
    pub const fn register(self) -> u8 {
        self.index() + 1
    }

    /// Returns 0 for INTA to 3 for INTD, as ACPI counts.
    #[must_use]
    pub const fn index(self) -> u8 {
        self as u8
    }

    /// Returns the pin of the bridge that this pin of device number `device` behind it comes out at.
    ///
    /// Spec: PCIE "INTx Interrupt Signaling - Rules".
    #[must_use]
    pub const fn behind_bridge(self, device: u8) -> Self {
        match ((self.index() & 3) + (device & 3)) % 4 {
            0 => Self::A,
            1 => Self::B,
            2 => Self::C,
            _ => Self::D,
        }
    }
}

impl Question {
    /// Asks about `pin` of the function at the end of `way`: a device number in bits 7 to 3 and a
    /// function number in bits 2 to 0, for each bridge from the root bus on and for the function.
    ///
    /// `None` if the way is empty or too long.
    #[must_use]
    pub fn new(segment: u16, root_bus: u8, way: &[u8], pin: Pin) -> Option<Self> {
        let mut copy = [0; MAX_DEPTH];
        copy.get_mut(..way.len())?.copy_from_slice(way);
        let depth = u8::try_from(way.len()).ok().filter(|depth| *depth > 0)?;
        Some(Self { segment, root_bus, depth, way: copy, pin: pin.register(), reserved: [0; 3] })
    }

    /// Returns the way to the function; empty if the bytes are no question.
    #[must_use]
    pub fn way(&self) -> &[u8] {
        self.way.get(..usize::from(self.depth)).unwrap_or_default()
    }

    /// Returns the pin, if the bytes are a question.
    #[must_use]
    pub fn pin(&self) -> Option<Pin> {
        Pin::from_register(self.pin)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_DEPTH, Pin, Question};

    #[test]
    fn a_pin_turns_by_the_number_of_its_device_at_a_bridge() {
        let [a, b, c, d] = Pin::ALL;
        assert_eq!(a.behind_bridge(0), a);
        assert_eq!(a.behind_bridge(1), b);
        assert_eq!(d.behind_bridge(1), a);
        assert_eq!(c.behind_bridge(31), b);
        assert!(Pin::ALL.into_iter().all(|pin| Pin::from_register(pin.register()) == Some(pin)));
        assert_eq!(Pin::from_register(0), None);
        assert_eq!(Pin::from_register(5), None);
    }

    #[test]
    fn a_question_holds_a_way_of_one_to_eight_functions() {
        let ask = |way: &[u8]| Question::new(0, 0x20, way, Pin::ALL[2]);
        assert_eq!(ask(&[]), None);
        assert_eq!(ask(&[0; MAX_DEPTH + 1]), None);
        let question = ask(&[0x08, 0x00, 0x28]).unwrap();
        assert_eq!(question.way(), [0x08, 0x00, 0x28]);
        assert_eq!(question.pin(), Some(Pin::ALL[2]));
    }
}
