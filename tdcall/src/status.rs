// SPDX-License-Identifier: MIT OR Apache-2.0
//! The completion status that the TDX module returns in RAX.
//!
//! | bits  | meaning                                                         |
//! |-------|-----------------------------------------------------------------|
//! | 31:0  | details: operand id, level found, or VMX exit reason            |
//! | 39:32 | code inside the class                                           |
//! | 47:40 | class                                                           |
//! | 60    | host recoverability hint: chosen by the host, never part of a code |
//! | 61    | fatal                                                           |
//! | 62    | not recoverable                                                 |
//! | 63    | error                                                           |
//!
//! Codes are compared with [`Status::is`], never with `==`: details differ from call to call, and
//! the host may set bit 60 of a status that a guest sees. Class 0xFF is reserved for software; it
//! holds the case that the instruction did not reach the module at all but trapped.
//!
//! Spec: TDX-ABI, "Function Completion Status Codes".

mod class;
mod codes;
mod operand_id;

use core::fmt;

pub use class::Class;
pub use operand_id::OperandId;

/// A completion status, as found in RAX.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u64);

impl Status {
    const ERROR: u64 = 1 << 63;
    const NON_RECOVERABLE: u64 = 1 << 62;
    const FATAL: u64 = 1 << 61;
    const HOST_RECOVERABILITY_HINT: u64 = 1 << 60;
    const DETAILS: u64 = 0xFFFF_FFFF;
    const SOFTWARE_ERROR: u64 = Self::ERROR | 0xFF << 40;

    /// `SEAMCALL` ended with CF set: there is no module to call.
    pub const VM_FAIL_INVALID: Self = Self(Self::SOFTWARE_ERROR | 0xFFFF_0000);

    /// Returns the status that stands for "the instruction raised exception `vector`".
    #[must_use]
    pub const fn from_trap(vector: u8) -> Self {
        Self(Self::SOFTWARE_ERROR | vector as u64)
    }

    /// Returns the exception that kept the instruction from reaching the module, if one did.
    #[must_use]
    pub const fn trap(self) -> Option<u8> {
        let vector = self.0 & 0xFF;
        if self.0 ^ vector == Self::SOFTWARE_ERROR { Some(vector as u8) } else { None }
    }

    /// Returns the same code with `operand` as its details.
    #[must_use]
    pub const fn with_operand(self, operand: OperandId) -> Self {
        self.with_details(operand.0)
    }

    /// Returns the same code with other details.
    #[must_use]
    pub const fn with_details(self, details: u32) -> Self {
        Self(self.0 & !Self::DETAILS | details as u64)
    }

    /// Returns the same status with the host's recoverability hint set.
    #[must_use]
    pub const fn with_host_recoverability_hint(self) -> Self {
        Self(self.0 | Self::HOST_RECOVERABILITY_HINT)
    }

    /// Returns the code alone, its details cleared.
    #[must_use]
    pub const fn code(self) -> Self {
        self.with_details(0)
    }

    /// Tells whether this is `code`, whatever its details and whatever hint the host gave.
    #[must_use]
    pub const fn is(self, code: Self) -> bool {
        (self.0 ^ code.0) & !(Self::DETAILS | Self::HOST_RECOVERABILITY_HINT) == 0
    }

    /// Returns the low half.
    #[must_use]
    pub const fn details(self) -> u32 {
        (self.0 & Self::DETAILS) as u32
    }

    /// Returns the operand that the details name, for the codes whose details are an operand.
    #[must_use]
    pub const fn operand(self) -> Option<OperandId> {
        match self.class() {
            Class::OPERAND | Class::RESOURCE_BUSY => Some(OperandId(self.details())),
            _ => None,
        }
    }

    /// Returns the class.
    #[must_use]
    pub const fn class(self) -> Class {
        Class((self.0 >> 40 & 0xFF) as u8)
    }

    /// Tells whether bit 63 is set. A few codes that end a TD (seen by the host only) leave it clear.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 & Self::ERROR != 0
    }

    /// Tells whether trying again may help: an error of the module that is not marked permanent.
    #[must_use]
    pub const fn is_recoverable(self) -> bool {
        self.0 & (Self::ERROR | Self::NON_RECOVERABLE) == Self::ERROR
            && self.class().0 != Class::SOFTWARE.0
    }

    /// Tells whether the TD is lost.
    #[must_use]
    pub const fn is_fatal(self) -> bool {
        self.0 & Self::FATAL != 0
    }

    /// Tells whether the host hints that trying again may help. The host may lie.
    #[must_use]
    pub const fn host_recoverability_hint(self) -> bool {
        self.0 & Self::HOST_RECOVERABILITY_HINT != 0
    }

    /// Returns the name of the code as the specification spells it, without `TDX_`.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            _ if self.trap().is_some() => Some("SOFTWARE_TRAP"),
            Self::VM_FAIL_INVALID => Some("SOFTWARE_VM_FAIL_INVALID"),
            _ => Self::ALL.iter().find(|(code, _)| self.is(*code)).map(|(_, name)| *name),
        }
    }

    /// Turns everything but success into `Err`, information that is no error included.
    ///
    /// # Errors
    ///
    /// Returns the status itself if it is not [`Self::SUCCESS`].
    pub const fn success(self) -> Result<(), Self> {
        if self.is(Self::SUCCESS) { Ok(()) } else { Err(self) }
    }

    /// Turns errors into `Err`. What is left in `Ok` may still say more than success.
    ///
    /// # Errors
    ///
    /// Returns the status itself if bit 63 is set.
    pub const fn into_result(self) -> Result<Self, Self> {
        if self.is_error() { Err(self) } else { Ok(self) }
    }
}

impl From<u64> for Status {
    fn from(rax: u64) -> Self {
        Self(rax)
    }
}

impl core::error::Error for Status {}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name)?,
            None => write!(f, "{:#018x}", self.0)?,
        }
        if let Some(vector) = self.trap() {
            return write!(f, "(#{vector})");
        }
        match self.operand() {
            Some(operand) => write!(f, "({operand})"),
            None if self.details() != 0 => write!(f, "({:#x})", self.details()),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Status({:#018x} {self})", self.0)
    }
}

#[cfg(test)]
mod tests;
