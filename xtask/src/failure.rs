// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why something did not work: a message for a person, outermost reason first.

use core::fmt;

/// A failure that ends the command.
pub struct Failure(String);

/// A result whose failure is for a person.
pub type Result<T> = core::result::Result<T, Failure>;

impl Failure {
    /// Makes a failure from its message, which says what to do if there is something.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Failure {}

/// Puts what was being done before what went wrong.
pub(crate) trait Context<T> {
    /// Turns an error into a failure that begins with `what`.
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for core::result::Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Failure(format!("{}: {error}", what())))
    }
}
