// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the host answers in R10.
//!
//! Spec: GHCI, "TDG.VP.VMCALL Completion-Status Codes".

use core::fmt;

/// A completion status of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "the host may have refused"]
pub struct VmcallStatus(pub u64);

impl VmcallStatus {
    /// It was done.
    pub const SUCCESS: Self = Self(0);
    /// A part was done; call again for the rest.
    pub const RETRY: Self = Self(1);
    /// An operand is not valid.
    pub const INVALID_OPERAND: Self = Self(1 << 63);
    /// The GPA is in use.
    pub const GPA_INUSE: Self = Self(1 << 63 | 1);
    /// An operand is not aligned.
    pub const ALIGN_ERROR: Self = Self(1 << 63 | 2);
    /// The host does not have this sub-function; older hosts say [`Self::INVALID_OPERAND`].
    pub const SUBFUNC_UNSUPPORTED: Self = Self(1 << 63 | 3);

    /// Returns the name.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::SUCCESS => "SUCCESS",
            Self::RETRY => "RETRY",
            Self::INVALID_OPERAND => "INVALID_OPERAND",
            Self::GPA_INUSE => "GPA_INUSE",
            Self::ALIGN_ERROR => "ALIGN_ERROR",
            Self::SUBFUNC_UNSUPPORTED => "SUBFUNC_UNSUPPORTED",
            _ => return None,
        })
    }

    /// Turns everything but success into `Err`.
    ///
    /// # Errors
    ///
    /// Returns the status itself if it is not [`Self::SUCCESS`].
    pub const fn into_result(self) -> Result<(), Self> {
        if self.0 == 0 { Ok(()) } else { Err(self) }
    }
}

impl core::error::Error for VmcallStatus {}

impl fmt::Display for VmcallStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "host status {:#x}", self.0),
        }
    }
}
