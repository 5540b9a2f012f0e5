// SPDX-License-Identifier: MIT OR Apache-2.0
//! The answers, as they lie in one page that somebody else has written, and what L1 makes of it.
//!
//! | at | what |
//! |---|---|
//! | 0 | [`Header`] |
//! | 16 | one [`Entry`] a question, in the order of the questions |
//!
//! L1 copies the page once and calls [`Answer::check`] on the copy. What passes is whole: one entry for
//! each question, no value that has no meaning, no global system interrupt that no I/O APIC has, and
//! no input that is said to trigger in two ways.
//!
//! It proves nothing about truth. A host that lies in its tables sends interrupts to the wrong input,
//! which it could do without them as well.

use core::fmt;

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{Polarity, Route, Source, Trigger, Unknown};

/// How many routes fit into a page beside the header.
pub const MAX_ROUTES: usize = 4096 / size_of::<Entry>() - 1;

const MAGIC: u32 = u32::from_le_bytes(*b"INTX");
const VERSION: u16 = 1;

/// What the page begins with.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
pub struct Header {
    magic: U32,
    version: U16,
    /// How many entries follow.
    count: U16,
    reserved: [u8; 8],
}

/// The answer to one question.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
pub struct Entry {
    /// The question's index.
    question: U16,
    /// 0, or the code of an [`Unknown`]; then the rest is zero.
    unknown: u8,
    trigger: u8,
    polarity: u8,
    source: u8,
    reserved: [u8; 2],
    gsi: U32,
    reserved_high: U32,
}

const _: () = assert!(size_of::<Header>() == 16);
const _: () = assert!(size_of::<Entry>() == 16);

/// Why a page is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// It is too short, or begins with something else.
    Header,
    /// It has not one entry for each question.
    Count,
    /// This entry has a value without a meaning.
    Entry(u16),
    /// No I/O APIC has the input that this entry names.
    Input(u16),
    /// This entry says of an input what another entry says otherwise.
    Conflict(u16),
}

/// Answers that were checked.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    entries: &'a [Entry],
}

impl<'a> Answer<'a> {
    /// Checks a private copy of the page, given how many questions were asked and which global system
    /// interrupts exist.
    ///
    /// # Errors
    ///
    /// What is wrong first. Nothing of such a page is to be used.
    pub fn check(
        page: &'a [u8],
        questions: usize,
        exists: impl Fn(u32) -> bool,
    ) -> Result<Self, Bad> {
        let (header, rest) = Header::ref_from_prefix(page).map_err(|_| Bad::Header)?;
        let known = header.magic == MAGIC && header.version == VERSION;
        if !known || header.reserved != [0; 8] {
            return Err(Bad::Header);
        }
        if questions > MAX_ROUTES || usize::from(header.count.get()) != questions {
            return Err(Bad::Count);
        }
        let (entries, _) =
            <[Entry]>::ref_from_prefix_with_elems(rest, questions).map_err(|_| Bad::Header)?;
        for (index, entry) in (0..).zip(entries) {
            let route = entry.decode(index).ok_or(Bad::Entry(index))?;
            let Ok(route) = route else { continue };
            if !exists(route.gsi) {
                return Err(Bad::Input(index));
            }
            // 255 entries at most, so looking back at all of them is bounded.
            let earlier = entries.iter().take(usize::from(index));
            let otherwise = |other: &Entry| {
                let same = other.unknown == 0 && other.gsi == entry.gsi;
                same && (other.trigger, other.polarity) != (entry.trigger, entry.polarity)
            };
            if earlier.into_iter().any(otherwise) {
                return Err(Bad::Conflict(index));
            }
        }
        Ok(Self { entries })
    }

    /// Returns the answer to the question of this index; one that was not asked has none.
    pub fn route(&self, question: usize) -> Result<Route, Unknown> {
        let decoded = u16::try_from(question)
            .ok()
            .and_then(|index| self.entries.get(question)?.decode(index));
        decoded.unwrap_or(Err(Unknown::Question))
    }

    /// Returns all answers, in the order of the questions.
    pub fn routes(&self) -> impl Iterator<Item = Result<Route, Unknown>> {
        (0..self.entries.len()).map(|question| self.route(question))
    }
}

impl Entry {
    fn new(question: u16, answer: &Result<Route, Unknown>) -> Self {
        let nothing = Self {
            question: question.into(),
            unknown: 0,
            trigger: 0,
            polarity: 0,
            source: 0,
            reserved: [0; 2],
            gsi: U32::ZERO,
            reserved_high: U32::ZERO,
        };
        match answer {
            Err(unknown) => Self { unknown: unknown.code(), ..nothing },
            Ok(route) => Self {
                trigger: route.trigger.code(),
                polarity: route.polarity.code(),
                source: route.source.code(),
                gsi: route.gsi.into(),
                ..nothing
            },
        }
    }

    /// Returns what it says; `None` if it is none.
    fn decode(&self, question: u16) -> Option<Result<Route, Unknown>> {
        if self.question != question || self.reserved != [0; 2] || self.reserved_high != 0 {
            return None;
        }
        if self.unknown != 0 {
            let rest = (self.trigger, self.polarity, self.source, self.gsi.get());
            return Some(Err(Unknown::from_code(self.unknown).filter(|_| rest == (0, 0, 0, 0))?));
        }
        Some(Ok(Route {
            gsi: self.gsi.get(),
            trigger: Trigger::from_code(self.trigger)?,
            polarity: Polarity::from_code(self.polarity)?,
            source: Source::from_code(self.source)?,
        }))
    }
}

/// Writes answers into a page; says how many had room.
pub fn encode(page: &mut [u8], answers: &[Result<Route, Unknown>]) -> usize {
    let answers = answers.get(..MAX_ROUTES).unwrap_or(answers);
    let count = u16::try_from(answers.len()).unwrap_or(0);
    let header = Header {
        magic: MAGIC.into(),
        version: VERSION.into(),
        count: count.into(),
        reserved: [0; 8],
    };
    let entries = (0..).zip(answers).map(|(index, answer)| Entry::new(index, answer));
    let mut chunks = page.chunks_exact_mut(size_of::<Entry>());
    let mut written = 0;
    if let Some(first) = chunks.next() {
        first.copy_from_slice(header.as_bytes());
    }
    for (chunk, entry) in chunks.zip(entries) {
        chunk.copy_from_slice(entry.as_bytes());
        written += 1;
    }
    written
}

/// Writes the same reason for all questions into a page.
pub fn encode_failure(page: &mut [u8], questions: usize, unknown: Unknown) -> usize {
    encode(page, [Err(unknown); MAX_ROUTES].get(..questions).unwrap_or_default())
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("it begins with something else"),
            Self::Count => f.write_str("it does not answer what was asked"),
            Self::Entry(index) => write!(f, "answer {index} has no meaning"),
            Self::Input(index) => write!(f, "answer {index} names an input that does not exist"),
            Self::Conflict(index) => write!(f, "answer {index} contradicts another one"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{Answer, Bad, MAX_ROUTES, encode, encode_failure};
    use crate::{Polarity, Route, Source, Trigger, Unknown};

    const ROUTE: Route =
        Route { gsi: 20, trigger: Trigger::Level, polarity: Polarity::High, source: Source::Link };

    const EDGE: Route = Route { trigger: Trigger::Edge, ..ROUTE };

    fn page(answers: &[Result<Route, Unknown>]) -> [u8; 4096] {
        let mut page = [0; 4096];
        assert_eq!(encode(&mut page, answers), answers.len());
        page
    }

    fn check(page: &[u8], questions: usize) -> Result<Answer<'_>, Bad> {
        Answer::check(page, questions, |gsi| gsi < 24)
    }

    #[test]
    fn what_is_written_is_read() {
        let answers = [Ok(ROUTE), Err(Unknown::NoLink), Ok(ROUTE), Err(Unknown::Question)];
        let page = page(&answers);
        let answer = check(&page, 4).unwrap();
        assert!(answer.routes().eq(answers));
        assert_eq!(answer.route(4), Err(Unknown::Question));
    }

    #[test]
    fn a_page_may_lie_anywhere() {
        let mut bytes = [0; 4100];
        for at in 0..4 {
            assert_eq!(encode(&mut bytes[at..], &[Ok(ROUTE)]), 1);
            assert_eq!(check(&bytes[at..], 1).unwrap().route(0), Ok(ROUTE));
        }
    }

    #[test]
    fn a_page_of_failures_is_an_answer() {
        let mut page = [0xff; 4096];
        assert_eq!(encode_failure(&mut page, MAX_ROUTES, Unknown::Tables), MAX_ROUTES);
        let answer = check(&page, MAX_ROUTES).unwrap();
        assert!(answer.routes().all(|answer| answer == Err(Unknown::Tables)));
    }

    #[test]
    fn an_answer_to_more_or_less_than_was_asked_is_none() {
        let page = page(&[Ok(ROUTE), Ok(ROUTE)]);
        assert_eq!(check(&page, 1).unwrap_err(), Bad::Count);
        assert_eq!(check(&page, 3).unwrap_err(), Bad::Count);
        assert_eq!(check(&page[..40], 2).unwrap_err(), Bad::Header);
        assert_eq!(check(&[0; 4096], 0).unwrap_err(), Bad::Header);
    }

    #[test]
    fn an_input_that_does_not_exist_is_refused() {
        let page = page(&[Ok(ROUTE), Ok(Route { gsi: 24, ..ROUTE })]);
        assert_eq!(check(&page, 2).unwrap_err(), Bad::Input(1));
    }

    #[test]
    fn an_input_that_triggers_in_two_ways_is_refused() {
        let page_of = page(&[Ok(ROUTE), Err(Unknown::NoEntry), Ok(EDGE)]);
        assert_eq!(check(&page_of, 3).unwrap_err(), Bad::Conflict(2));
        let page_of = page(&[Ok(EDGE), Ok(Route { gsi: 21, ..ROUTE })]);
        assert!(check(&page_of, 2).is_ok());
    }

    #[test]
    fn every_bit_of_an_entry_counts() {
        for bit in 0..16 * 8 {
            let mut page = page(&[Ok(ROUTE)]);
            page[16 + bit / 8] ^= 1 << (bit % 8);
            // Some changes make another answer; none may pass as the same.
            if let Ok(answer) = check(&page, 1) {
                assert_ne!(answer.route(0), Ok(ROUTE), "bit {bit}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), n in 0..12usize) {
            let mut page = page(&[Ok(ROUTE); 8]);
            for (at, byte) in bytes.iter().enumerate().filter(|(at, _)| at % 3 == 0) {
                page[at] = *byte;
            }
            for page in [&page[..], &bytes] {
                if let Ok(answer) = check(page, n) {
                    assert!(answer.routes().flatten().all(|route| route.gsi < 24));
                }
            }
        }
    }
}
