// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.VMCALL<Instruction.IO>`: read or write an I/O port of the host.
//!
//! | in  |                      | out |                  |
//! |-----|----------------------|-----|------------------|
//! | R12 | size: 1, 2 or 4      | R11 | value, of a read |
//! | R13 | 0: read, 1: write    |     |                  |
//! | R14 | port                 |     |                  |
//! | R15 | value, of a write    |     |                  |
//!
//! Spec: GHCI, "`TDG.VP.VMCALL<Instruction.IO>`".

#![expect(unsafe_code, reason = "it uses the raw call")]

use super::{
    SubFunction, VmcallError,
    request::{ask, standard},
};
use crate::{GprMask, Registers, Tdcall};

/// The size of a port access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IoSize {
    /// One byte.
    Byte = 1,
    /// Two bytes.
    Word = 2,
    /// Four bytes.
    Dword = 4,
}

impl IoSize {
    /// Makes a size from a number of bytes, if there is such an access.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Option<Self> {
        match bytes {
            1 => Some(Self::Byte),
            2 => Some(Self::Word),
            4 => Some(Self::Dword),
            _ => None,
        }
    }

    /// Returns the number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u8 {
        self as u8
    }

    /// Returns a mask of the bits that are accessed.
    #[must_use]
    pub const fn mask(self) -> u32 {
        u32::MAX >> (32 - 8 * self.bytes())
    }
}

/// The request as the host gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoRequest {
    /// Which port.
    pub port: u16,
    /// How many bytes.
    pub size: IoSize,
    /// The value to write, or nothing for a read.
    pub write: Option<u32>,
}

impl IoRequest {
    /// Takes R12 to R15 apart (for who plays the host), if they are valid.
    #[must_use]
    pub fn from_registers(r: &Registers) -> Option<Self> {
        let size = IoSize::from_bytes(r.r12)?;
        let write = match r.r13 {
            0 => None,
            1 => Some((r.r15 & 0xFFFF_FFFF) as u32 & size.mask()),
            _ => return None,
        };
        Some(Self { port: u16::try_from(r.r14).ok()?, size, write })
    }

    /// Returns the registers that ask for this.
    #[must_use]
    pub fn to_registers(&self) -> Registers {
        Registers {
            r12: u64::from(self.size.bytes()),
            r13: u64::from(self.write.is_some()),
            r14: u64::from(self.port),
            r15: u64::from(self.write.unwrap_or(0)),
            ..standard(SubFunction::INSTRUCTION_IO)
        }
    }

    fn ask(&self, call: &impl Tdcall) -> Result<Registers, VmcallError> {
        let arguments = GprMask::R12 | GprMask::R13 | GprMask::R14 | GprMask::R15;
        // SAFETY: Whatever the host does with the port, it reaches shared memory only.
        unsafe { ask(call, arguments, self.to_registers()) }
    }
}

/// Reads `port`; the bits above `size` are zero, whatever the host says.
///
/// # Errors
///
/// Tells who refused.
pub fn io_read(call: &impl Tdcall, port: u16, size: IoSize) -> Result<u32, VmcallError> {
    let r = IoRequest { port, size, write: None }.ask(call)?;
    Ok((r.r11 & 0xFFFF_FFFF) as u32 & size.mask())
}

/// Writes the lowest bytes of `value` to `port`.
///
/// # Errors
///
/// Tells who refused.
pub fn io_write(
    call: &impl Tdcall,
    port: u16,
    size: IoSize,
    value: u32,
) -> Result<(), VmcallError> {
    IoRequest { port, size, write: Some(value & size.mask()) }.ask(call).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::{IoRequest, IoSize, io_read, io_write};
    use crate::{Registers, fake::Fake};

    #[test]
    fn a_byte_to_the_serial_port() {
        let asked = Registers {
            rcx: 0xFC00,
            r11: 30,
            r12: 1,
            r13: 1,
            r14: 0x3F8,
            r15: 0x41,
            ..Registers::ZERO
        };
        let fake = Fake::new().tdcall(asked, Registers::ZERO);
        assert_eq!(io_write(&fake, 0x3F8, IoSize::Byte, 0x141), Ok(()));
        let request = IoRequest { port: 0x3F8, size: IoSize::Byte, write: Some(0x41) };
        assert_eq!(IoRequest::from_registers(&asked), Some(request));
    }

    #[test]
    fn a_host_cannot_return_more_than_was_asked_for() {
        let asked = Registers { rcx: 0xFC00, r11: 30, r12: 2, r14: 0xCFC, ..Registers::ZERO };
        let fake = Fake::new().tdcall(asked, Registers { r11: !0, ..Registers::ZERO });
        assert_eq!(io_read(&fake, 0xCFC, IoSize::Word), Ok(0xFFFF));
    }

    #[test]
    fn a_request_that_is_none_is_refused_by_the_host_side() {
        let good = IoRequest { port: 1, size: IoSize::Dword, write: None }.to_registers();
        assert!(IoRequest::from_registers(&good).is_some());
        for bad in [
            Registers { r12: 3, ..good },
            Registers { r12: 8, ..good },
            Registers { r13: 2, ..good },
            Registers { r14: 0x1_0000, ..good },
        ] {
            assert_eq!(IoRequest::from_registers(&bad), None);
        }
    }
}
