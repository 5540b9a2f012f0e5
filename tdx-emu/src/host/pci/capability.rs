// SPDX-License-Identifier: MIT OR Apache-2.0
//! The list of capabilities in configuration space.
//!
//! Spec: PCI "Capabilities List".

use super::platform::Platform;

const STATUS: u8 = 0x06;
const HAS_CAPABILITIES: u32 = 1 << 4;
const CAPABILITIES: u8 = 0x34;

/// A list cannot be longer than the space it lies in; a loop in it would be.
const MOST: usize = 48;

/// Each capability: its id and where it starts.
pub(super) fn each(devfn: u8, platform: &mut impl Platform, mut found: impl FnMut(u8, u8)) {
    let byte = |platform: &mut _, offset| {
        let [byte, ..] = Platform::config_read(platform, devfn, offset, 1).to_le_bytes();
        byte
    };
    if platform.config_read(devfn, STATUS, 2) & HAS_CAPABILITIES == 0 {
        return;
    }
    let mut start = byte(platform, CAPABILITIES) & !3;
    for _ in 0..MOST {
        if start < 0x40 {
            break;
        }
        found(byte(platform, start), start);
        start = byte(platform, start + 1) & !3;
    }
}

/// Where the capability `id` starts.
pub(super) fn find(devfn: u8, id: u8, platform: &mut impl Platform) -> Option<u8> {
    let mut place = None;
    each(devfn, platform, |found, start| {
        if found == id {
            place = place.or(Some(start));
        }
    });
    place
}
