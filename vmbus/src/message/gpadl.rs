// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptions of memory: ranges of pages, cut into messages.
//!
//! A range is one word of length (low half) and offset in the first page (high half), then one page
//! number a page. The words of all ranges follow each other, 27 in the first message and 28 in each
//! further one; the host answers when it has them all.

use zerocopy::{IntoBytes, little_endian::U16, little_endian::U32, little_endian::U64};

use super::{
    ChannelId, ConnectionId, GpadlId, Outgoing,
    to_host::{GpadlBody, GpadlHeader},
};
use crate::PAGE_SIZE;

/// Part of a list of pages.
#[derive(Clone, Copy, Debug)]
pub struct GpadlRange<'a> {
    offset: u32,
    length: u32,
    pages: &'a [u64],
}

/// The messages that describe memory, in order. All of them must be posted.
#[derive(Clone, Debug)]
#[must_use = "the host answers only when it has every one of them"]
pub struct GpadlMessages<'a> {
    connection: ConnectionId,
    channel: ChannelId,
    gpadl: GpadlId,
    ranges: &'a [GpadlRange<'a>],
    /// Words of all ranges; known to fit.
    words: u16,
    sent: u16,
    messages: u32,
}

const WORD: u16 = 8;

impl<'a> GpadlRange<'a> {
    /// Describes whole pages, by their page numbers; `None` if there are none, or too many.
    #[must_use]
    pub fn pages(pages: &'a [u64]) -> Option<Self> {
        let length = u32::try_from(pages.len().checked_mul(PAGE_SIZE)?).ok()?;
        Self::part(pages, 0, length)
    }

    /// Describes `length` bytes that begin at `offset` in the first page; `None` if the pages are
    /// not exactly those that are touched.
    #[must_use]
    pub fn part(pages: &'a [u64], offset: u32, length: u32) -> Option<Self> {
        let end = usize::try_from(offset.checked_add(length)?).ok()?;
        let fits = length != 0
            && usize::try_from(offset).ok()? < PAGE_SIZE
            && pages.len() == end.div_ceil(PAGE_SIZE);
        fits.then_some(Self { offset, length, pages })
    }

    /// Number of words.
    fn words(&self) -> usize {
        self.pages.len().saturating_add(1)
    }

    /// A word.
    fn word(&self, index: usize) -> Option<u64> {
        match index.checked_sub(1) {
            None => Some(u64::from(self.offset) << 32 | u64::from(self.length)),
            Some(page) => self.pages.get(page).copied(),
        }
    }
}

impl<'a> GpadlMessages<'a> {
    /// Prepares the messages; `None` if there is no range, or more than a GPADL can have.
    pub(crate) fn new(
        connection: ConnectionId,
        channel: ChannelId,
        gpadl: GpadlId,
        ranges: &'a [GpadlRange<'a>],
    ) -> Option<Self> {
        let words =
            ranges.iter().try_fold(0_usize, |words, range| words.checked_add(range.words()))?;
        let words = u16::try_from(words).ok()?;
        words.checked_mul(WORD)?;
        u16::try_from(ranges.len()).ok().filter(|&ranges| ranges != 0)?;
        Some(Self { connection, channel, gpadl, ranges, words, sent: 0, messages: 0 })
    }

    fn word(&self, index: u16) -> Option<u64> {
        let mut index = usize::from(index);
        self.ranges.iter().find_map(|range| {
            let word = range.word(index);
            index = index.wrapping_sub(range.words());
            word
        })
    }

    fn begin(&self) -> Outgoing {
        match self.messages.checked_sub(1) {
            None => Outgoing::new(
                self.connection,
                &GpadlHeader {
                    channel: self.channel,
                    gpadl: self.gpadl,
                    length: U16::new(self.words.saturating_mul(WORD)),
                    ranges: U16::new(u16::try_from(self.ranges.len()).unwrap_or(0)),
                },
            ),
            Some(sequence) => Outgoing::new(
                self.connection,
                &GpadlBody { sequence: U32::new(sequence), gpadl: self.gpadl },
            ),
        }
    }
}

impl Iterator for GpadlMessages<'_> {
    type Item = Outgoing;

    fn next(&mut self) -> Option<Outgoing> {
        if self.sent >= self.words {
            return None;
        }
        let mut message = self.begin();
        while self.sent < self.words {
            let word = U64::new(self.word(self.sent)?);
            if !message.push(word.as_bytes()) {
                break;
            }
            self.sent = self.sent.saturating_add(1);
        }
        self.messages = self.messages.saturating_add(1);
        Some(message)
    }
}
