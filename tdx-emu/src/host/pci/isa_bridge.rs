// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ISA bridge, as far as the TD reaches it: its name, and the registers that route lines of link devices.
//!
//! AML of the machine's tables reads these registers to say where a link leads. It is the machine's own bridge,
//! whose other registers are the host's, or one that the machine does not have: that of an i440FX, for a TD that
//! is given the tables of such a machine.
//!
//! Spec: PIIX3 "PIRQRC\[A:D\]"; ICH9 "PIRQ\[n\]_ROUT".

use super::platform::Platform;

/// Where the machine's own is.
const OWN: u8 = 0x1f << 3;
/// Vendor and device of the one that is known.
const ICH9: u32 = 0x2918_8086;

/// Where that of an i440FX is.
const OTHER: u8 = 1 << 3;
const PIIX3: u32 = 0x7000_8086;
/// As the firmware leaves its registers, as on the machine.
const PIIX3_ROUTES: [u8; 4] = [0x0a, 0x0a, 0x0b, 0x0b];
/// As they come out of reset: no line.
const PIIX3_OFF: [u8; 4] = [0x80; 4];
/// An ISA bridge.
const PIIX3_CLASS: u32 = 0x0601_0000;
/// It has more functions.
const PIIX3_HEADER: u32 = 0x0080_0000;

const IDS: u8 = 0x00;
const CLASS: u8 = 0x08;
const HEADER: u8 = 0x0c;
/// Of the dword at [`HEADER`]: its type.
const HEADER_TYPE: u32 = 0x00ff_0000;

const FIRST: u8 = 0x60;
/// The machine's own has four more.
const SECOND: u8 = 0x68;

/// What can be written into one of the registers: no line, or one of 16.
const WRITABLE: u8 = 0x8f;

/// Which bridge the TD sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The machine's.
    #[default]
    Own,
    /// That of an i440FX.
    Piix3,
    /// The same, with all links off.
    Piix3Off,
}

impl Choice {
    /// By its word on the command line.
    pub(crate) fn named(word: &str) -> Option<Self> {
        match word {
            "own" => Some(Self::Own),
            "piix3" => Some(Self::Piix3),
            "piix3-off" => Some(Self::Piix3Off),
            _ => None,
        }
    }
}

/// The bridge.
#[derive(Clone, Copy, Debug)]
pub(super) enum IsaBridge {
    Ich9,
    Piix3([u8; 4]),
}

impl IsaBridge {
    /// Returns the bridge, if there is one.
    pub(super) fn find(choice: Choice, platform: &mut impl Platform) -> Option<Self> {
        match choice {
            Choice::Own => (platform.config_read(OWN, IDS, 4) == ICH9).then_some(Self::Ich9),
            Choice::Piix3 => Some(Self::Piix3(PIIX3_ROUTES)),
            Choice::Piix3Off => Some(Self::Piix3(PIIX3_OFF)),
        }
    }

    /// Device and function.
    pub(super) const fn devfn(self) -> u8 {
        match self {
            Self::Ich9 => OWN,
            Self::Piix3(_) => OTHER,
        }
    }

    /// Reads 1, 2 or 4 bytes that do not cross a double word.
    pub(super) fn read(self, offset: u8, size: u8, platform: &mut impl Platform) -> u32 {
        let dword = self.dword(offset & !3, platform) >> (8 * (offset & 3));
        if size >= 4 { dword } else { dword & ((1 << (8 * size)) - 1) }
    }

    /// Writes 1, 2 or 4 bytes that do not cross a double word.
    pub(super) fn write(&mut self, offset: u8, size: u8, value: u32, platform: &mut impl Platform) {
        if !self.routes(offset) {
            return;
        }
        for (offset, byte) in (offset..offset.saturating_add(size)).zip(value.to_le_bytes()) {
            let byte = byte & WRITABLE;
            match self {
                Self::Ich9 => platform.config_write(OWN, offset, 1, byte.into()),
                Self::Piix3(routes) => {
                    if let Some(route) = routes.get_mut(usize::from(offset % 4)) {
                        *route = byte;
                    }
                }
            }
        }
    }

    /// Whether there are routing registers.
    const fn routes(self, offset: u8) -> bool {
        match self {
            Self::Ich9 => matches!(offset & !3, FIRST | SECOND),
            Self::Piix3(_) => offset & !3 == FIRST,
        }
    }

    fn dword(self, offset: u8, platform: &mut impl Platform) -> u32 {
        match (self, offset) {
            (Self::Ich9, IDS | CLASS | FIRST | SECOND) => platform.config_read(OWN, offset, 4),
            (Self::Ich9, HEADER) => platform.config_read(OWN, offset, 4) & HEADER_TYPE,
            (Self::Piix3(routes), FIRST) => u32::from_le_bytes(routes),
            (Self::Piix3(_), IDS) => PIIX3,
            (Self::Piix3(_), CLASS) => PIIX3_CLASS,
            (Self::Piix3(_), HEADER) => PIIX3_HEADER,
            _ => 0,
        }
    }
}
