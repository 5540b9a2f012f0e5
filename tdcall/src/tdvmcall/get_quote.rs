// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.VMCALL<GetQuote>`: ask the host to turn a TDREPORT into a quote.
//!
//! | in  |                               | out |     |
//! |-----|-------------------------------|-----|-----|
//! | R12 | GPA of a buffer, shared bit set |     |     |
//! | R13 | size of the buffer            |     |     |
//!
//! The buffer begins with a [`QuoteHeader`](crate::tdvmcall::get_quote::QuoteHeader). The host answers at once and writes the quote at any
//! time later, so the buffer belongs to it until the header says that it is done; lengths in the
//! header are the host's word.
//!
//! Spec: GHCI, "`TDG.VP.VMCALL<GetQuote>`".

#![expect(unsafe_code, reason = "it uses the raw call")]

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{
    SubFunction, VmcallError,
    request::{ask, standard},
};
use crate::{GprMask, Registers, Tdcall};

/// The first 24 bytes of the buffer; the data follows.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct QuoteHeader {
    /// [`Self::VERSION`].
    pub version: u64,
    /// A [`QuoteStatus`].
    pub status: u64,
    /// Bytes of data that the guest gives: the size of a TDREPORT.
    pub in_len: u32,
    /// Bytes of data that the host gives.
    pub out_len: u32,
}

const _: () = assert!(size_of::<QuoteHeader>() == 24);

impl QuoteHeader {
    /// The only version there is.
    pub const VERSION: u64 = 1;
}

/// How far the host got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuoteStatus(pub u64);

impl QuoteStatus {
    /// The quote is there.
    pub const SUCCESS: Self = Self(0);
    /// The host failed.
    pub const ERROR: Self = Self(1 << 63);
    /// The host has no quoting service.
    pub const SERVICE_UNAVAILABLE: Self = Self(1 << 63 | 1);
    /// The host works on it.
    pub const IN_FLIGHT: Self = Self(u64::MAX);
}

/// Hands the buffer at `gpa` (with the shared bit) of `size` bytes to the host.
///
/// # Errors
///
/// Tells who refused. Success says nothing about the quote.
pub fn get_quote(call: &impl Tdcall, gpa: u64, size: u64) -> Result<(), VmcallError> {
    let input = Registers { r12: gpa, r13: size, ..standard(SubFunction::GET_QUOTE) };
    // SAFETY: The host writes shared memory only, to which Rust code never has references.
    unsafe { ask(call, GprMask::R12 | GprMask::R13, input) }.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::get_quote;
    use crate::{
        Registers,
        fake::Fake,
        tdvmcall::{VmcallError, VmcallStatus},
    };

    #[test]
    fn the_buffer_goes_in() {
        let r12 = 1 << 47 | 0x1000;
        let asked = Registers { rcx: 0x3C00, r11: 0x1_0002, r12, r13: 0x2000, ..Registers::ZERO };
        let refusal = Registers { r10: 1 << 63 | 3, ..Registers::ZERO };
        let fake = Fake::new().tdcall(asked, Registers::ZERO).tdcall(asked, refusal);
        assert_eq!(get_quote(&fake, r12, 0x2000), Ok(()));
        let error = VmcallError::Host(VmcallStatus::SUBFUNC_UNSUPPORTED);
        assert_eq!(get_quote(&fake, r12, 0x2000), Err(error));
    }
}
