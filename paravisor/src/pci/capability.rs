// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finding the two capabilities in a list that the host wrote.
//!
//! A list may point anywhere in the function's 256 bytes and form a circle; it is followed for no
//! more steps than a list without repetition can have.
//!
//! Spec: PCI "Capabilities List".

/// Where the capabilities are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// MSI.
    pub msi: Option<u8>,
    /// MSI-X.
    pub msix: Option<u8>,
}

const STATUS: u8 = 0x06;
const STATUS_HAS_LIST: u32 = 1 << 4;
const FIRST: u8 = 0x34;
const ID_MSI: u32 = 0x05;
const ID_MSIX: u32 = 0x11;
/// The largest MSI capability takes 24 bytes, MSI-X 12.
const LAST_MSI: u8 = 0xff - 23;
const LAST_MSIX: u8 = 0xff - 11;
/// The header takes the first 64 bytes; each capability at least a dword of the rest.
const MAX_STEPS: u32 = 48;

/// Walks the list by `read(register, size)`. A capability that would not fit is left out.
pub fn find(mut read: impl FnMut(u8, u8) -> u32) -> Capabilities {
    let mut found = Capabilities::default();
    if read(STATUS, 2) & STATUS_HAS_LIST == 0 {
        return found;
    }
    let mut at = pointer(read(FIRST, 1));
    for _ in 0..MAX_STEPS {
        if at < 0x40 {
            break;
        }
        let header = read(at, 2);
        match header & 0xff {
            ID_MSI if at <= LAST_MSI => found.msi = found.msi.or(Some(at)),
            ID_MSIX if at <= LAST_MSIX => found.msix = found.msix.or(Some(at)),
            _ => {}
        }
        at = pointer(header >> 8);
    }
    found
}

const fn pointer(raw: u32) -> u8 {
    (raw & 0xfc) as u8
}

#[cfg(test)]
mod tests {
    use super::{Capabilities, find};

    fn config(bytes: &[(usize, u8)]) -> Capabilities {
        let mut space = [0u8; 256];
        for (at, byte) in bytes {
            space[*at] = *byte;
        }
        find(|register, size| {
            let at = usize::from(register);
            (0..usize::from(size)).fold(0, |all, i| all | u32::from(space[at + i]) << (8 * i))
        })
    }

    #[test]
    fn both_capabilities_are_found_in_any_order() {
        let list = [(6, 0x10), (0x34, 0x40), (0x40, 0x11), (0x41, 0x60), (0x60, 5)];
        assert_eq!(config(&list), Capabilities { msi: Some(0x60), msix: Some(0x40) });
    }

    #[test]
    fn without_the_status_bit_there_is_no_list() {
        assert_eq!(config(&[(0x34, 0x40), (0x40, 5)]), Capabilities::default());
    }

    #[test]
    fn a_circle_ends_and_a_pointer_into_the_header_ends_the_list() {
        assert_eq!(config(&[(6, 0x10), (0x34, 0x40), (0x41, 0x40)]), Capabilities::default());
        assert_eq!(config(&[(6, 0x10), (0x34, 0x10)]), Capabilities::default());
    }

    #[test]
    fn a_capability_that_reaches_beyond_the_space_is_left_out() {
        assert_eq!(config(&[(6, 0x10), (0x34, 0xfc), (0xfc, 5)]), Capabilities::default());
        assert_eq!(config(&[(6, 0x10), (0x34, 0xfc), (0xfc, 0x11)]), Capabilities::default());
    }
}
