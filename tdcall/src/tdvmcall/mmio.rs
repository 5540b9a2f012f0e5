// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.VMCALL<#VE.RequestMMIO>`: read or write a register of a device of the host.
//!
//! | in  |                              | out |                  |
//! |-----|------------------------------|-----|------------------|
//! | R12 | size: 1, 2, 4 or 8           | R11 | value, of a read |
//! | R13 | 0: read, 1: write            |     |                  |
//! | R14 | GPA, with the shared bit     |     |                  |
//! | R15 | value, of a write            |     |                  |
//!
//! Spec: GHCI, "`TDG.VP.VMCALL<#VE.RequestMMIO>`".

#![expect(unsafe_code, reason = "it uses the raw call")]

use super::{
    SubFunction, VmcallError,
    request::{ask, standard},
};
use crate::{GprMask, Registers, Tdcall};

/// The size of a memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MmioSize {
    /// One byte.
    Byte = 1,
    /// Two bytes.
    Word = 2,
    /// Four bytes.
    Dword = 4,
    /// Eight bytes.
    Qword = 8,
}

impl MmioSize {
    /// Makes a size from a number of bytes, if there is such an access.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Option<Self> {
        match bytes {
            1 => Some(Self::Byte),
            2 => Some(Self::Word),
            4 => Some(Self::Dword),
            8 => Some(Self::Qword),
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
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - 8 * self.bytes())
    }
}

/// The request as the host gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmioRequest {
    /// Which address, with the shared bit.
    pub gpa: u64,
    /// How many bytes.
    pub size: MmioSize,
    /// The value to write, or nothing for a read.
    pub write: Option<u64>,
}

impl MmioRequest {
    /// Takes R12 to R15 apart (for who plays the host), if they are valid.
    #[must_use]
    pub const fn from_registers(r: &Registers) -> Option<Self> {
        let Some(size) = MmioSize::from_bytes(r.r12) else { return None };
        let write = match r.r13 {
            0 => None,
            1 => Some(r.r15 & size.mask()),
            _ => return None,
        };
        Some(Self { gpa: r.r14, size, write })
    }

    /// Returns the registers that ask for this.
    #[must_use]
    pub fn to_registers(&self) -> Registers {
        Registers {
            r12: u64::from(self.size.bytes()),
            r13: u64::from(self.write.is_some()),
            r14: self.gpa,
            r15: self.write.unwrap_or(0),
            ..standard(SubFunction::REQUEST_MMIO)
        }
    }

    fn ask(&self, call: &impl Tdcall) -> Result<Registers, VmcallError> {
        let arguments = GprMask::R12 | GprMask::R13 | GprMask::R14 | GprMask::R15;
        // SAFETY: Whatever the host does with the address, it reaches shared memory only.
        unsafe { ask(call, arguments, self.to_registers()) }
    }
}

/// Reads from `gpa`; the bits above `size` are zero, whatever the host says.
///
/// # Errors
///
/// Tells who refused.
pub fn mmio_read(call: &impl Tdcall, gpa: u64, size: MmioSize) -> Result<u64, VmcallError> {
    let r = MmioRequest { gpa, size, write: None }.ask(call)?;
    Ok(r.r11 & size.mask())
}

/// Writes the lowest bytes of `value` to `gpa`.
///
/// # Errors
///
/// Tells who refused.
pub fn mmio_write(
    call: &impl Tdcall,
    gpa: u64,
    size: MmioSize,
    value: u64,
) -> Result<(), VmcallError> {
    MmioRequest { gpa, size, write: Some(value & size.mask()) }.ask(call).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::{MmioRequest, MmioSize, mmio_read, mmio_write};
    use crate::{Registers, fake::Fake};

    const GPA: u64 = 1 << 47 | 0xFEBF_1010;

    #[test]
    fn a_register_is_read_and_written() {
        let read = Registers { rcx: 0xFC00, r11: 48, r12: 4, r14: GPA, ..Registers::ZERO };
        let write = Registers { r12: 8, r13: 1, r15: !0, ..read };
        let fake = Fake::new()
            .tdcall(read, Registers { r11: !0, ..Registers::ZERO })
            .tdcall(write, Registers::ZERO);
        assert_eq!(mmio_read(&fake, GPA, MmioSize::Dword), Ok(0xFFFF_FFFF));
        assert_eq!(mmio_write(&fake, GPA, MmioSize::Qword, !0), Ok(()));
        let request = MmioRequest { gpa: GPA, size: MmioSize::Qword, write: Some(!0) };
        assert_eq!(MmioRequest::from_registers(&write), Some(request));
        assert_eq!(MmioRequest::from_registers(&Registers { r12: 3, ..read }), None);
        assert_eq!(MmioRequest::from_registers(&Registers { r13: 2, ..read }), None);
    }
}
