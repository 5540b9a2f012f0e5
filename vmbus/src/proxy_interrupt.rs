// SPDX-License-Identifier: MIT OR Apache-2.0
//! Proxy interrupts: vectors that the host asks L1 to deliver to L2.
//!
//! They come as messages of type [`MessageType::PROXY_INTERRUPT`](crate::synic::MessageType) in the
//! slot of SINT0 of the very CPU that they are for. The payload has two forms:
//!
//! | offset | field |
//! |---|---|
//! | 0 | virtual trust level that is meant; L2 is 0 |
//! | 1 | 0: one vector; 1: a set |
//! | 2 | reserved, 16 bits |
//! | 4 | the vector, 32 bits; or the set, eight words of 32 bits |
//!
//! What comes out is what the host *alleges*, not more: which of the vectors L2 really configured on
//! this CPU is for the relay's filter to say. Vectors below 16, which no device can have, are
//! therefore kept in the set, so that the filter counts them like everything else it refuses.

use core::fmt;

use zerocopy::{
    FromBytes, Immutable, KnownLayout, Unaligned,
    little_endian::{U16, U32},
};

/// The payload as it stands in the message.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
struct Payload {
    vtl: u8,
    assert_multiple: u8,
    reserved: U16,
    asserted: [U32; 8],
}

const _: () = assert!(size_of::<Payload>() == 36);

/// Vectors, one bit each.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct VectorSet([u32; 8]);

/// What is wrong with a payload; the host is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyFault {
    /// It is shorter than the structure.
    TooShort(usize),
    /// It means another trust level than L2's.
    Vtl(u8),
    /// It has neither of the two forms.
    Form(u8),
    /// Bits are set that have no meaning.
    Reserved(u16),
    /// A single vector beyond 255.
    Vector(u32),
}

/// Checks a payload whole and returns the vectors that the host asks for.
///
/// # Errors
///
/// Nothing of a payload is used if anything in it is wrong. Bytes behind the structure are not
/// looked at.
pub fn parse(payload: &[u8]) -> Result<VectorSet, ProxyFault> {
    let (payload, _) =
        Payload::read_from_prefix(payload).map_err(|_| ProxyFault::TooShort(payload.len()))?;
    if payload.vtl != 0 {
        return Err(ProxyFault::Vtl(payload.vtl));
    }
    if payload.reserved.get() != 0 {
        return Err(ProxyFault::Reserved(payload.reserved.get()));
    }
    let [first, ..] = payload.asserted;
    match payload.assert_multiple {
        0 => u8::try_from(first.get())
            .map(VectorSet::one)
            .map_err(|_| ProxyFault::Vector(first.get())),
        1 => Ok(VectorSet(payload.asserted.map(U32::get))),
        other => Err(ProxyFault::Form(other)),
    }
}

impl VectorSet {
    /// Returns the set of one vector.
    #[must_use]
    pub fn one(vector: u8) -> Self {
        let mut set = Self::default();
        if let Some(word) = set.0.get_mut(usize::from(vector >> 5)) {
            *word = 1 << (vector & 31);
        }
        set
    }

    /// Returns the set as words: bit *b* of word *w* is vector 32 *w* + *b*.
    #[must_use]
    pub const fn words(self) -> [u32; 8] {
        self.0
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Yields the vectors, lowest first.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        let mut words = self.0;
        core::iter::from_fn(move || {
            let (index, word) = (0_u32..).zip(&mut words).find(|(_, word)| **word != 0)?;
            let bit = word.trailing_zeros();
            *word &= word.wrapping_sub(1);
            u8::try_from(index << 5 | bit).ok()
        })
    }

    /// Whether a vector is in the set.
    #[must_use]
    pub fn contains(self, vector: u8) -> bool {
        self.0.get(usize::from(vector >> 5)).is_some_and(|word| word >> (vector & 31) & 1 != 0)
    }
}

impl fmt::Debug for VectorSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for ProxyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("host: proxy interrupt ")?;
        match self {
            Self::TooShort(length) => write!(f, "of {length} bytes"),
            Self::Vtl(vtl) => write!(f, "for trust level {vtl}"),
            Self::Form(form) => write!(f, "of form {form}"),
            Self::Reserved(bits) => write!(f, "with reserved bits {bits:#x}"),
            Self::Vector(vector) => write!(f, "with vector {vector:#x}"),
        }
    }
}

impl core::error::Error for ProxyFault {}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    extern crate alloc;

    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn payload(head: [u8; 4], words: [u32; 8]) -> Vec<u8> {
        head.into_iter().chain(words.into_iter().flat_map(u32::to_le_bytes)).collect()
    }

    #[test]
    fn one_vector_is_one_bit() {
        for vector in 0..=u8::MAX {
            let words = [u32::from(vector), 0, 0, 0, 0, 0, 0, 7];
            let set = parse(&payload([0; 4], words)).unwrap();
            assert_eq!(set.iter().collect::<Vec<_>>(), [vector]);
        }
    }

    #[test]
    fn a_set_is_taken_as_it_stands() {
        let words = [1 << 31, 0, 0b101, 0, 0, 0, 0, 1 << 31];
        let set = parse(&payload([0, 1, 0, 0], words)).unwrap();
        assert_eq!(set.iter().collect::<Vec<_>>(), [31, 64, 66, 255]);
        assert_eq!(set.words(), words);
        assert!(parse(&payload([0, 1, 0, 0], [0; 8])).unwrap().is_empty());
    }

    #[test]
    fn what_is_not_right_is_refused_whole() {
        let words = [0x31; 8];
        assert_eq!(parse(&payload([1, 0, 0, 0], words)), Err(ProxyFault::Vtl(1)));
        assert_eq!(parse(&payload([0, 2, 0, 0], words)), Err(ProxyFault::Form(2)));
        assert_eq!(parse(&payload([0, 1, 0, 1], words)), Err(ProxyFault::Reserved(0x100)));
        assert_eq!(parse(&payload([0; 4], [256; 8])), Err(ProxyFault::Vector(256)));
        assert_eq!(parse(&payload([0; 4], words)[..35]), Err(ProxyFault::TooShort(35)));
    }

    proptest! {
        #[test]
        fn bytes_of_any_kind_give_a_set_or_a_fault(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(set) = parse(&bytes) {
                prop_assert_eq!(bytes[0], 0);
                prop_assert_eq!(bytes[1] == 0, set.iter().count() == 1 && bytes[1] != 1);
            }
        }
    }
}
