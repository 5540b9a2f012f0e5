// SPDX-License-Identifier: MIT OR Apache-2.0
//! What whoever runs the AML is given to read: where the tables lie, and the questions.
//!
//! | at | what |
//! |---|---|
//! | 0 | [`Header`](request::Header) |
//! | 16 | at most [`MAX_TABLES`](request::MAX_TABLES) [`Place`](request::Place)s |
//! | 272 | the [`Question`]s |
//! | 4096 | the tables, anywhere |
//!
//! L1 writes it, and the reader cannot: it has the memory read-only. It believes what L1 says.

use core::ops::Range;

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Question;

/// How long the part before the tables is.
pub const PAGE: usize = 4096;

/// How many tables there may be.
pub const MAX_TABLES: usize = 32;

/// How many questions there may be.
pub const MAX_QUESTIONS: usize = (PAGE - QUESTIONS) / size_of::<Question>();

const TABLES: usize = size_of::<Header>();
const QUESTIONS: usize = TABLES + MAX_TABLES * size_of::<Place>();

const MAGIC: u32 = u32::from_le_bytes(*b"ASKS");
const VERSION: u16 = 1;

/// Who is to run the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpreter {
    /// Our own, which has limits.
    Own,
    /// A crate, which has none, and does not do all tables: for comparison.
    Crate,
}

/// What the page begins with.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
pub struct Header {
    magic: U32,
    version: U16,
    tables: U16,
    questions: U16,
    interpreter: U16,
    reserved: [u8; 4],
}

/// Where a table lies, from the page's beginning on.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
pub struct Place {
    offset: U32,
    length: U32,
}

const _: () = assert!(size_of::<Header>() == 16);
const _: () = assert!(size_of::<Place>() == 8);
const _: () = assert!(QUESTIONS == 272);
const _: () = assert!(MAX_QUESTIONS <= crate::MAX_ROUTES);

/// A request, as it is read.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    memory: &'a [u8],
    places: &'a [Place],
    questions: &'a [u8],
    /// Who is to run the tables.
    pub interpreter: Interpreter,
}

/// Writes the page. `tables` are counted from the page's beginning. `None` if there are too many of
/// something.
pub fn write(
    page: &mut [u8],
    tables: impl IntoIterator<Item = Range<usize>>,
    questions: &[Question],
    interpreter: Interpreter,
) -> Option<()> {
    let page = page.get_mut(..PAGE)?;
    page.fill(0);
    let (head, asked) = page.split_at_mut_checked(QUESTIONS)?;
    let (head, places) = head.split_at_mut_checked(TABLES)?;
    let mut places = places.chunks_exact_mut(size_of::<Place>());
    let mut count = 0_u16;
    for table in tables {
        let number = |number| u32::try_from(number).ok().map(U32::new);
        let length = table.end.checked_sub(table.start)?;
        let place = Place { offset: number(table.start)?, length: number(length)? };
        places.next()?.copy_from_slice(place.as_bytes());
        count += 1;
    }
    asked.get_mut(..size_of_val(questions))?.copy_from_slice(questions.as_bytes());
    let header = Header {
        magic: MAGIC.into(),
        version: VERSION.into(),
        tables: count.into(),
        questions: u16::try_from(questions.len()).ok()?.into(),
        interpreter: interpreter.number().into(),
        reserved: [0; 4],
    };
    head.copy_from_slice(header.as_bytes());
    Some(())
}

impl<'a> Request<'a> {
    /// Reads the page at the beginning of `memory`; `None` if it is none, or a table is not in the memory.
    #[must_use]
    pub fn read(memory: &'a [u8]) -> Option<Self> {
        let (header, rest) = Header::ref_from_prefix(memory).ok()?;
        let [tables, questions] =
            [header.tables, header.questions].map(|count| usize::from(count.get()));
        if header.magic != MAGIC || header.version != VERSION || questions > MAX_QUESTIONS {
            return None;
        }
        let interpreter = Interpreter::of(header.interpreter.get())?;
        let (places, _) = <[Place]>::ref_from_prefix_with_elems(rest, MAX_TABLES).ok()?;
        let places = places.get(..tables)?;
        let length = questions * size_of::<Question>();
        let questions = memory.get(QUESTIONS..)?.get(..length)?;
        let request = Self { memory, places, questions, interpreter };
        (request.tables().count() == tables).then_some(request)
    }

    /// Returns the tables.
    pub fn tables(&self) -> impl Iterator<Item = &'a [u8]> {
        let memory = self.memory;
        self.places.iter().filter_map(move |place| {
            let [offset, length] =
                [place.offset, place.length].map(|number| usize::try_from(number.get()));
            memory.get(offset.ok()?..)?.get(..length.ok()?)
        })
    }

    /// Returns the questions.
    pub fn questions(&self) -> impl Iterator<Item = Question> {
        let questions = self.questions.chunks_exact(size_of::<Question>());
        questions.filter_map(|question| Question::read_from_bytes(question).ok())
    }
}

impl Interpreter {
    const fn number(self) -> u16 {
        match self {
            Self::Own => 0,
            Self::Crate => 1,
        }
    }

    const fn of(number: u16) -> Option<Self> {
        match number {
            0 => Some(Self::Own),
            1 => Some(Self::Crate),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::ops::Range;
    use std::{vec, vec::Vec};

    use super::{Interpreter, MAX_QUESTIONS, MAX_TABLES, PAGE, Request};
    use crate::{Pin, Question};

    fn write(
        page: &mut [u8],
        tables: impl IntoIterator<Item = Range<usize>>,
        questions: &[Question],
    ) -> Option<()> {
        super::write(page, tables, questions, Interpreter::Own)
    }

    #[test]
    fn whoever_is_to_run_the_tables_is_known() {
        let mut page = vec![0; PAGE];
        for interpreter in [Interpreter::Own, Interpreter::Crate] {
            super::write(&mut page, [], &[], interpreter).unwrap();
            assert_eq!(Request::read(&page).unwrap().interpreter, interpreter);
        }
        page[10] = 2;
        assert!(Request::read(&page).is_none());
    }

    fn question(device: u8) -> Question {
        Question::new(0, 0, &[device << 3], Pin::ALL[1]).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let mut memory = vec![0xff; PAGE + 64];
        memory[PAGE..].fill(1);
        memory[PAGE + 10..].fill(2);
        let questions = [question(1), question(31)];
        write(&mut memory, [PAGE..PAGE + 10, PAGE + 10..PAGE + 64], &questions).unwrap();
        let request = Request::read(&memory).unwrap();
        assert!(request.questions().eq(questions));
        assert!(request.tables().eq([&[1; 10][..], &[2; 54]]));
    }

    #[test]
    fn too_much_is_not_written() {
        let mut memory = vec![0; PAGE];
        let most = vec![question(1); MAX_QUESTIONS];
        assert_eq!(write(&mut memory, [], &most), Some(()));
        assert_eq!(Request::read(&memory).unwrap().questions().count(), MAX_QUESTIONS);
        assert_eq!(write(&mut memory, [], &vec![question(1); MAX_QUESTIONS + 1]), None);
        assert_eq!(write(&mut memory, vec![0..1; MAX_TABLES + 1], &[]), None);
        assert_eq!(write(&mut memory, vec![0..1; MAX_TABLES], &[]), Some(()));
        assert_eq!(write(&mut memory[1..], [], &[]), None);
    }

    #[test]
    fn a_table_outside_of_the_memory_is_none() {
        let mut memory = vec![0; PAGE + 8];
        write(&mut memory, core::iter::once(PAGE..PAGE + 8), &[]).unwrap();
        assert!(Request::read(&memory).is_some());
        assert!(Request::read(&memory[..PAGE + 7]).is_none());
        assert!(Request::read(&memory[1..]).is_none());
        let short: Vec<u8> = memory[..100].to_vec();
        assert!(Request::read(&short).is_none());
    }
}
