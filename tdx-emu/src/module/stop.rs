// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the handling of an exit ends when it does not simply complete.

use tdcall::status::Status;

use super::{td_exit::TdExit, vcpu::VirtualizationException};

/// Why an instruction of the guest was not completed, or completed with an error.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    /// A TDCALL completed with a status other than success.
    Status(Status),
    /// Exception without error code.
    Exception(u8),
    /// Exception with error code 0.
    ExceptionWithError(u8),
    /// Virtualization exception.
    Ve(VirtualizationException),
    /// Leave to the host.
    TdExit(TdExit),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<TdExit> for Stop {
    fn from(exit: TdExit) -> Self {
        Self::TdExit(exit)
    }
}
