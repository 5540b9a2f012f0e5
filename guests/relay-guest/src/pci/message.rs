// SPDX-License-Identifier: MIT OR Apache-2.0
//! The message of an interrupt: fixed delivery, edge, physical destination.
//!
//! Spec: SDM "Message Address Register Format", "Message Data Register Format".

/// Where messages for local APICs go.
const BASE: u32 = 0xfee0_0000;

/// What a device writes, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Lower half of the address; the upper half is 0.
    pub(crate) address: u32,
    /// The data.
    pub(crate) data: u32,
}

impl Message {
    /// The message that raises `vector` on the CPU with APIC id `destination`.
    pub(crate) fn new(vector: u8, destination: u8) -> Self {
        Self { address: BASE | u32::from(destination) << 12, data: u32::from(vector) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_destination_is_in_the_address_and_the_vector_in_the_data() {
        assert_eq!(Message::new(81, 0), Message { address: 0xfee0_0000, data: 81 });
        assert_eq!(Message::new(96, 3), Message { address: 0xfee0_3000, data: 96 });
    }
}
