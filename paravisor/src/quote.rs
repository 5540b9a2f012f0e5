// SPDX-License-Identifier: MIT OR Apache-2.0
//! Quotes: what L2 may ask for, and what the host may answer.
//!
//! | offset | size | buffer                                        |
//! |--------|------|-----------------------------------------------|
//! | 0      | 8    | version, 1                                    |
//! | 8      | 8    | status                                        |
//! | 16     | 4    | bytes of the report, 1024                     |
//! | 20     | 4    | bytes of the quote                            |
//! | 24     |      | report, then quote                            |
//!
//! There are two such buffers for each request. L2's is its own private memory. The host's is L1's, shared,
//! and of one size; the host sees L2's report in it and nothing else of L2. A header is copied once and
//! judged as a copy: what the host writes later does not matter.
//!
//! Spec: GHCI "`TDG.VP.VMCALL<GetQuote>`".

use core::{fmt, ops::Range};

use tdcall::tdvmcall::get_quote::{QuoteHeader, QuoteStatus};

/// Bytes of a header.
pub const HEADER: usize = size_of::<QuoteHeader>();
/// Where the status stands in it.
pub const STATUS: usize = core::mem::offset_of!(QuoteHeader, status);
/// Where the length of the quote stands in it.
pub const OUT_LEN: usize = core::mem::offset_of!(QuoteHeader, out_len);
/// Bytes of a report.
pub const REPORT: usize = 1024;
/// Bytes of the buffer that L1 shows the host. Today's quotes have about 5 KiB.
pub const BUFFER: usize = 16 << 10;
/// Most bytes of a buffer of L2's.
pub const LARGEST: u64 = 128 << 10;

const PAGE: u64 = 4096;

/// A buffer of L2's: whole private pages, of which more is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    gpa: u64,
    size: u64,
}

impl Place {
    /// The buffer that L2 names. A shared one is refused: L1 would have to trust the host for what L2 asks.
    #[must_use]
    pub fn new(gpa: u64, size: u64, shared_bit: u64) -> Option<Self> {
        let is_good = gpa & shared_bit == 0
            && gpa.is_multiple_of(PAGE)
            && size.is_multiple_of(PAGE)
            && (PAGE..=LARGEST).contains(&size)
            && gpa.checked_add(size).is_some();
        is_good.then_some(Self { gpa, size })
    }

    /// The address of the byte at `offset`, which is in the header or the data.
    #[must_use]
    pub const fn at(self, offset: u64) -> u64 {
        self.gpa.wrapping_add(offset)
    }

    /// Bytes of data that it has room for.
    #[must_use]
    pub const fn room(self) -> u64 {
        self.size - HEADER as u64
    }

    /// Whether its header asks for a quote.
    #[must_use]
    pub fn asks(self, header: &QuoteHeader) -> bool {
        header.version == QuoteHeader::VERSION && header.in_len as usize == REPORT
    }
}

/// The header that L1 shows the host.
#[must_use]
pub const fn request() -> QuoteHeader {
    QuoteHeader { version: QuoteHeader::VERSION, status: 0, in_len: 1024, out_len: 0 }
}

/// What the host has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A quote of so many bytes.
    Quote(usize),
    /// It failed, or has no such service.
    Failed(QuoteStatus),
    /// It cannot be what it says.
    Nonsense(Nonsense),
}

/// What the host must not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nonsense {
    /// A status that there is not, or one that is no end.
    Status(u64),
    /// A length that no quote has, or that its buffer has no room for.
    Length(u32),
}

impl fmt::Display for Nonsense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the host answered with status {status:#x}"),
            Self::Length(length) => write!(f, "the host answered with length {length:#x}"),
        }
    }
}

/// Judges the host's header; L2 has room for `room` bytes of data. A quote that is too large for L2's buffer
/// is no fault of the host's and fails.
#[must_use]
pub fn judge(header: &QuoteHeader, room: u64) -> Answer {
    match QuoteStatus(header.status) {
        QuoteStatus::SUCCESS => {
            let length = header.out_len as usize;
            if length == 0 || length > BUFFER - HEADER {
                Answer::Nonsense(Nonsense::Length(header.out_len))
            } else if u64::from(header.out_len) > room {
                Answer::Failed(QuoteStatus::ERROR)
            } else {
                Answer::Quote(length)
            }
        }
        status @ (QuoteStatus::ERROR | QuoteStatus::SERVICE_UNAVAILABLE) => Answer::Failed(status),
        QuoteStatus(status) => Answer::Nonsense(Nonsense::Status(status)),
    }
}

/// The pieces in which `length` bytes of data are copied, as offsets into a buffer.
pub fn pieces(length: usize, piece: usize) -> impl Iterator<Item = Range<usize>> {
    let (end, piece) = (HEADER + length, piece.max(1));
    (HEADER..end).step_by(piece).map(move |start| start..end.min(start + piece))
}

#[cfg(test)]
mod tests {
    use super::{Answer, BUFFER, HEADER, LARGEST, Nonsense, Place, judge, pieces, request};
    use tdcall::tdvmcall::get_quote::{QuoteHeader, QuoteStatus};

    const SHARED: u64 = 1 << 47;

    #[test]
    fn a_buffer_is_whole_private_pages_of_a_sane_number() {
        assert!(Place::new(0x5000, 0x2000, SHARED).is_some());
        assert!(Place::new(0x5000, LARGEST, SHARED).is_some());
        let last = SHARED - 0x1000;
        for (gpa, size) in [
            (SHARED | 0x5000, 0x2000),
            (0x5008, 0x2000),
            (0x5000, 0x2001),
            (0x5000, 0),
            (0x5000, LARGEST + 0x1000),
            (0x5000, !0xfff),
            (!0xfff, 0x1000),
        ] {
            assert_eq!(Place::new(gpa, size, SHARED), None, "{gpa:#x} {size:#x}");
        }
        assert_eq!(Place::new(last, 0x1000, SHARED).unwrap().room(), 4096 - 24);
    }

    #[test]
    fn only_a_report_can_be_quoted() {
        let place = Place::new(0, 0x2000, SHARED).unwrap();
        assert!(place.asks(&request()));
        assert!(!place.asks(&QuoteHeader { version: 2, ..request() }));
        for in_len in [0, 1023, 1025, u32::MAX] {
            assert!(!place.asks(&QuoteHeader { in_len, ..request() }));
        }
    }

    #[test]
    fn a_quote_has_a_length_that_its_buffers_have_room_for() {
        let answer = |out_len, room| judge(&QuoteHeader { out_len, ..request() }, room);
        let most = u32::try_from(BUFFER - HEADER).unwrap();
        assert_eq!(answer(1097, 8000), Answer::Quote(1097));
        assert_eq!(answer(most, LARGEST), Answer::Quote(BUFFER - HEADER));
        assert_eq!(answer(8001, 8000), Answer::Failed(QuoteStatus::ERROR));
        for length in [0, most + 1, u32::MAX] {
            assert_eq!(answer(length, LARGEST), Answer::Nonsense(Nonsense::Length(length)));
        }
    }

    #[test]
    fn a_failure_is_told_from_nonsense() {
        let answer = |status| judge(&QuoteHeader { status, out_len: 5, ..request() }, 8000);
        for status in [QuoteStatus::ERROR, QuoteStatus::SERVICE_UNAVAILABLE] {
            assert_eq!(answer(status.0), Answer::Failed(status));
        }
        for status in [1, 0x1234, u64::MAX, 1 << 63 | 2] {
            assert_eq!(answer(status), Answer::Nonsense(Nonsense::Status(status)));
        }
    }

    #[test]
    fn the_pieces_of_a_copy_are_the_data_and_nothing_else() {
        let pieces: std::vec::Vec<_> = pieces(1000, 512).collect();
        assert_eq!(pieces, [24..536, 536..1024]);
        assert_eq!(super::pieces(0, 512).count(), 0);
        assert!(super::pieces(2, 0).eq([24..25, 25..26]), "pieces of nothing are no copy");
    }
}
