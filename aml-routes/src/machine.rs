// SPDX-License-Identifier: MIT OR Apache-2.0
//! What AML reaches outside of itself: ports, configuration space and memory.

/// Where an access goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// A port.
    Port(u16),
    /// A register of a PCI function.
    Config {
        /// The segment.
        segment: u16,
        /// The bus.
        bus: u8,
        /// The device in bits 7 to 3, the function in bits 2 to 0.
        function: u8,
        /// The register's offset.
        offset: u16,
    },
    /// A physical address.
    Memory(u64),
}

/// How much is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 8 bits.
    Byte,
    /// 16 bits.
    Word,
    /// 32 bits.
    Dword,
    /// 64 bits.
    Qword,
}

/// The machine does not allow an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// Whoever carries out the accesses.
pub trait Machine {
    /// Reads; bits beyond the width are ignored.
    ///
    /// # Errors
    ///
    /// If the access is not allowed. The evaluation ends then.
    fn read(&mut self, from: Location, width: Width) -> Result<u64, Refused>;

    /// Writes.
    ///
    /// # Errors
    ///
    /// If the access is not allowed. The evaluation ends then.
    fn write(&mut self, to: Location, width: Width, value: u64) -> Result<(), Refused>;
}

/// A machine that refuses everything.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Width {
    /// Returns the number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Byte => 1,
            Self::Word => 2,
            Self::Dword => 4,
            Self::Qword => 8,
        }
    }
}

impl Machine for Nothing {
    fn read(&mut self, _: Location, _: Width) -> Result<u64, Refused> {
        Err(Refused)
    }

    fn write(&mut self, _: Location, _: Width, _: u64) -> Result<(), Refused> {
        Err(Refused)
    }
}
