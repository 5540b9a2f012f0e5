// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why an evaluation ended without a value. All of these are the tables' doing, and so the host's.

use core::fmt;

use crate::{Refused, Segment};

/// Why an evaluation ended without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The bytes end in the middle of something.
    Truncated,
    /// This opcode does not exist, or not here; extended ones have 0x5B in the high byte.
    Opcode(u16),
    /// This opcode exists and is not done here.
    Unsupported(u16),
    /// Nothing has this name.
    Missing(Segment),
    /// Something has this name already.
    Exists(Segment),
    /// A value of another kind was wanted.
    Kind,
    /// An index or a region's offset is out of bounds.
    Bounds,
    /// A division by zero.
    Division,
    /// The tables themselves say that they cannot go on.
    Fatal,
    /// More steps than allowed.
    Steps,
    /// Nested deeper than allowed.
    Depth,
    /// More memory than allowed.
    Memory,
    /// The machine refused an access.
    Refused,
    /// The crate gave up, and says why in words of its own.
    Crate,
}

impl From<Refused> for Fault {
    fn from(Refused: Refused) -> Self {
        Self::Refused
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = match self {
            Self::Opcode(opcode) => return write!(f, "opcode {opcode:#x} makes no sense"),
            Self::Unsupported(opcode) => return write!(f, "opcode {opcode:#x} is not done here"),
            Self::Missing(name) => return write!(f, "{name} is missing"),
            Self::Exists(name) => return write!(f, "{name} exists twice"),
            Self::Truncated => "bytes are missing",
            Self::Kind => "a value is of the wrong kind",
            Self::Bounds => "something is out of bounds",
            Self::Division => "division by zero",
            Self::Fatal => "the tables gave up",
            Self::Steps => "too many steps",
            Self::Depth => "nested too deeply",
            Self::Memory => "too much memory",
            Self::Refused => "the machine refused an access",
            Self::Crate => "the crate gave up",
        };
        f.write_str(plain)
    }
}
