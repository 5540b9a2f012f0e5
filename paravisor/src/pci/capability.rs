// SPDX-License-Identifier: MIT OR Apache-2.0
//! The list of capabilities, as the host wrote it.
//!
//! A list may point anywhere in the function's 256 bytes and form a circle; it is followed for no
//! more steps than a list without repetition can have.
//!
//! Spec: PCI "Capabilities List".

use alloc::vec::Vec;

/// What a capability is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(pub u8);

impl Id {
    /// Power management.
    pub const POWER: Self = Self(0x01);
    /// MSI.
    pub const MSI: Self = Self(0x05);
    /// What the vendor of the device wanted to say.
    pub const VENDOR: Self = Self(0x09);
    /// PCI Express.
    pub const EXPRESS: Self = Self(0x10);
    /// MSI-X.
    pub const MSIX: Self = Self(0x11);
}

/// One capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Register of its first byte.
    pub offset: u8,
    /// What it is about.
    pub id: Id,
    /// How many bytes L2 sees of it.
    pub length: u8,
}

const STATUS: u8 = 0x06;
const STATUS_HAS_LIST: u32 = 1 << 4;
const FIRST: u8 = 0x34;
const HEADER_END: u8 = 0x40;
/// The header takes the first 64 bytes; each capability at least a dword of the rest.
const MAX_STEPS: u32 = 48;

/// Walks the list by `read(register, size)`. What L2 has no use for, what there is already and what
/// would not fit is left out.
pub fn list(mut read: impl FnMut(u8, u8) -> u32) -> Vec<Capability> {
    let mut found = Vec::<Capability>::new();
    if read(STATUS, 2) & STATUS_HAS_LIST == 0 {
        return found;
    }
    let mut offset = pointer(read(FIRST, 1));
    for _ in 0..MAX_STEPS {
        if offset < HEADER_END {
            break;
        }
        let [id, next, low, high] = read(offset, 4).to_le_bytes();
        let id = Id(id);
        let clashes =
            |other: &Capability| other.offset == offset || other.id == id && id != Id::VENDOR;
        let length = length(id, [low, high]).filter(|length| fits(offset, *length));
        if let Some(length) = length.filter(|_| !found.iter().any(clashes)) {
            found.push(Capability { offset, id, length });
        }
        offset = pointer(next.into());
    }
    found
}

/// Bytes that a capability takes, of which the last two of its first dword may tell.
const fn length(id: Id, [low, high]: [u8; 2]) -> Option<u8> {
    const WIDE: u8 = 1 << 7;
    const MASKABLE: u8 = 1 << 0;
    match id {
        Id::POWER => Some(8),
        Id::MSI => Some(match (low & WIDE != 0, high & MASKABLE != 0) {
            (false, false) => 12,
            (true, false) => 16,
            (false, true) => 20,
            (true, true) => 24,
        }),
        Id::VENDOR if low >= 4 => Some(low),
        Id::EXPRESS => Some(0x3c),
        Id::MSIX => Some(12),
        _ => None,
    }
}

const fn fits(offset: u8, length: u8) -> bool {
    offset.checked_add(length - 1).is_some()
}

const fn pointer(raw: u32) -> u8 {
    (raw & 0xfc) as u8
}

#[cfg(test)]
mod tests {
    use super::{Capability, list};
    use alloc::{vec, vec::Vec};

    fn config(bytes: &[(usize, u8)]) -> Vec<(u8, u8)> {
        let mut space = [0u8; 260];
        for (at, byte) in bytes {
            space[*at] = *byte;
        }
        let found = list(|register, size| {
            let at = usize::from(register);
            (0..usize::from(size)).fold(0, |all, i| all | u32::from(space[at + i]) << (8 * i))
        });
        found.into_iter().map(|Capability { offset, id, .. }| (offset, id.0)).collect()
    }

    #[test]
    fn capabilities_are_found_in_any_order() {
        let bytes = [(6, 0x10), (0x34, 0x40), (0x40, 0x11), (0x41, 0x60), (0x60, 5)];
        assert_eq!(config(&bytes), [(0x40, 0x11), (0x60, 5)]);
    }

    #[test]
    fn without_the_status_bit_there_is_no_list() {
        assert_eq!(config(&[(0x34, 0x40), (0x40, 5)]), []);
    }

    #[test]
    fn a_circle_ends_and_a_pointer_into_the_header_ends_the_list() {
        assert_eq!(config(&[(6, 0x10), (0x34, 0x40), (0x40, 5), (0x41, 0x40)]), [(0x40, 5)]);
        assert_eq!(config(&[(6, 0x10), (0x34, 0x10)]), []);
    }

    #[test]
    fn a_capability_that_reaches_beyond_the_space_is_left_out() {
        for (at, id) in [(0xf8, 5), (0xf8, 0x11), (0xc8, 0x10), (0xfc, 1)] {
            assert_eq!(config(&[(6, 0x10), (0x34, at), (at.into(), id)]), []);
        }
        assert_eq!(config(&[(6, 0x10), (0x34, 0xf4), (0xf4, 0x11)]), [(0xf4, 0x11)]);
    }

    #[test]
    fn what_l2_has_no_use_for_is_left_out_and_so_is_a_second_of_a_kind() {
        let vital_product_data = [(6, 0x10), (0x34, 0x40), (0x40, 3), (0x41, 0x50), (0x50, 0x13)];
        assert_eq!(config(&vital_product_data), []);
        let twice = [(6, 0x10), (0x34, 0x40), (0x40, 5), (0x41, 0x60), (0x60, 5)];
        assert_eq!(config(&twice), [(0x40, 5)]);
        let mut vendor = vec![(6, 0x10), (0x34, 0x40), (0x40, 9), (0x41, 0x60), (0x60, 9)];
        assert_eq!(config(&vendor), [], "too short to be one");
        vendor.extend([(0x42, 16), (0x62, 0xa0)]);
        assert_eq!(config(&vendor), [(0x40, 9), (0x60, 9)]);
    }
}
