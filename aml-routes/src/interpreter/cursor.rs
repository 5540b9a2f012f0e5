// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes of AML, from front to back: integers, package lengths and names.
//!
//! Spec: ACPI "Package Length Encoding", "Name Objects Encoding".

use alloc::vec::Vec;

use crate::{Fault, Segment};

/// How many segments a name may have.
const MAX_SEGMENTS: usize = 16;

const ROOT: u8 = b'\\';
const PARENT: u8 = b'^';
const DUAL: u8 = 0x2e;
const MULTI: u8 = 0x2f;

/// What has not been read yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

/// A name as it stands in the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) start: Start,
    pub(super) segments: Vec<Segment>,
}

/// Where a name is looked up from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Root,
    /// So many scopes above this one.
    Above(usize),
}

impl<'a> Cursor<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Returns the next byte and leaves it there.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Fault::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.take(N)?.first_chunk().copied().ok_or(Fault::Truncated)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn word(&mut self) -> Result<u16, Fault> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn dword(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn qword(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads bytes up to a zero, which is passed over.
    pub(super) fn text(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.rest.iter().position(|byte| *byte == 0).ok_or(Fault::Truncated)?;
        let text = self.take(length)?;
        self.byte()?;
        Ok(text)
    }

    /// Reads the opcode; extended ones have 0x5B in the high byte.
    pub(super) fn opcode(&mut self) -> Result<u16, Fault> {
        match self.byte()? {
            0x5b => Ok(0x5b00 | u16::from(self.byte()?)),
            byte => Ok(byte.into()),
        }
    }

    /// Reads a number in the encoding of package lengths.
    pub(super) fn length(&mut self) -> Result<usize, Fault> {
        let lead = usize::from(self.byte()?);
        let following = self.take(lead >> 6)?;
        if following.is_empty() {
            return Ok(lead & 0x3f);
        }
        let places = following.iter().zip([4, 12, 20]);
        Ok(places.fold(lead & 0x0f, |length, (byte, shift)| length | usize::from(*byte) << shift))
    }

    /// Reads a package length and returns what it spans, which is passed over.
    pub(super) fn package(&mut self) -> Result<Self, Fault> {
        let before = self.rest.len();
        let length = self.length()?;
        let content = length.checked_sub(before - self.rest.len()).ok_or(Fault::Truncated)?;
        self.take(content).map(Self::new)
    }

    /// Tells whether a name comes next.
    pub(super) fn at_name(&self) -> bool {
        self.peek().is_some_and(|byte| {
            matches!(byte, ROOT | PARENT | DUAL | MULTI | b'_') || byte.is_ascii_uppercase()
        })
    }

    pub(super) fn segment(&mut self) -> Result<Segment, Fault> {
        let segment: [u8; 4] = self.array()?;
        segment_of(&segment).ok_or(Fault::Opcode(u16::from(segment[0])))
    }

    /// Reads a name; the null name has no segments.
    pub(super) fn name(&mut self) -> Result<Name, Fault> {
        let mut start = Start::Above(0);
        if self.peek() == Some(ROOT) {
            self.byte()?;
            start = Start::Root;
        }
        while let (Start::Above(above), Some(PARENT)) = (start, self.peek()) {
            self.byte()?;
            start = Start::Above(above + 1);
        }
        let count = match self.peek() {
            Some(0) => {
                self.byte()?;
                0
            }
            Some(DUAL) => {
                self.byte()?;
                2
            }
            Some(MULTI) => {
                self.byte()?;
                usize::from(self.byte()?)
            }
            _ => 1,
        };
        if count > MAX_SEGMENTS {
            return Err(Fault::Depth);
        }
        let segments = (0..count).map(|_| self.segment()).collect::<Result<_, _>>()?;
        Ok(Name { start, segments })
    }
}

impl Name {
    /// Makes a name of one segment.
    pub(super) fn of(segment: Segment) -> Self {
        Self { start: Start::Above(0), segments: alloc::vec![segment] }
    }

    /// Takes a name as people write it.
    pub(super) fn from_text(text: &[u8]) -> Option<Self> {
        let (start, rest) = match text.strip_prefix(b"\\") {
            Some(rest) => (Start::Root, rest),
            None => {
                let above = text.iter().take_while(|byte| **byte == PARENT).count();
                (Start::Above(above), text.get(above..)?)
            }
        };
        let parts = rest.split(|byte| *byte == b'.').take(MAX_SEGMENTS);
        let segments = parts.map(|part| {
            let mut segment = [b'_'; 4];
            segment.get_mut(..part.len())?.copy_from_slice(part);
            segment_of(&segment).filter(|_| !part.is_empty())
        });
        Some(Self { start, segments: segments.collect::<Option<_>>()? })
    }

    /// Returns the last segment, for a message.
    pub(super) fn last(&self) -> Segment {
        self.segments.last().copied().unwrap_or(Segment(*b"\\___"))
    }
}

fn segment_of(bytes: &[u8; 4]) -> Option<Segment> {
    let [first, rest @ ..] = bytes;
    let lead = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'_';
    let follows = |byte: &u8| lead(byte) || byte.is_ascii_digit();
    (lead(first) && rest.iter().all(follows)).then_some(Segment(*bytes))
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Name, Start};

    #[test]
    fn lengths_have_one_to_four_bytes() {
        let length = |bytes: &[u8]| Cursor::new(bytes).length();
        assert_eq!(length(&[0x3f]), Ok(0x3f));
        assert_eq!(length(&[0x45, 0x12]), Ok(0x125));
        assert_eq!(length(&[0xc5, 0x12, 0x34, 0x56]), Ok(0x0563_4125));
        assert!(length(&[0x80, 0]).is_err());
        assert!(Cursor::new(&[0]).package().is_err());
        assert!(Cursor::new(&[3, 1]).package().is_err());
        assert_eq!(Cursor::new(&[3, 1, 2]).package().unwrap().rest(), [1, 2]);
    }

    #[test]
    fn a_name_is_read_as_it_is_written() {
        let read = |bytes: &[u8]| Cursor::new(bytes).name().unwrap();
        assert_eq!(Some(read(b"\\\x2e_SB_PCI0")), Name::from_text(b"\\_SB.PCI0"));
        assert_eq!(Some(read(b"^^LNKA")), Name::from_text(b"^^LNKA"));
        assert_eq!(read(b"\\\0").segments, []);
        assert_eq!(read(b"\x2f\x03A___B___C___").start, Start::Above(0));
        assert!(Cursor::new(b"0ABC").name().is_err());
        assert_eq!(Name::from_text(b"TOOLONG"), None);
        assert_eq!(Name::from_text(b""), None);
    }
}
