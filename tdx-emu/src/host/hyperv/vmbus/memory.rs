// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory that the client described (GPADLs): lists of its pages.
//!
//! A description comes in one message or more; each range in it is a word of length (low half) and offset
//! (high half) and then a word for each page. What it may fill is bounded.
//!
//! Spec: VMBUS "GPADL".

#[cfg(target_os = "none")]
use alloc::vec::Vec;

use crate::host::hyperv::guest::{Guest, PAGE, Pages};

/// Descriptions at a time.
const MOST: usize = 32;

/// Words of a description. A message cannot announce more.
const WORDS: usize = 8192;

/// What comes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// More is to come.
    More,
    /// The description for this channel is whole, and good.
    Created(u32),
    /// The description for this channel is not accepted.
    Refused(u32),
    /// The message belongs to nothing.
    Nonsense,
}

/// A description.
#[derive(Debug)]
struct Gpadl {
    id: u32,
    channel: u32,
    ranges: u16,
    /// Words that it will have.
    wanted: usize,
    words: Vec<u64>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Coming,
    Known,
    /// To be forgotten when the channel that uses it is closed.
    Leaving,
}

/// All descriptions.
#[derive(Debug, Default)]
pub(crate) struct Memory(Vec<Gpadl>);

impl Memory {
    /// None.
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// The first message of a description.
    pub(crate) fn begin(
        &mut self,
        guest: impl Guest,
        (channel, id): (u32, u32),
        (bytes, ranges): (u16, u16),
        words: &[u64],
    ) -> Outcome {
        let wanted = usize::from(bytes) / 8;
        let fits = bytes % 8 == 0 && ranges != 0 && wanted <= WORDS && self.0.len() < MOST;
        if !fits || id == 0 || self.0.iter().any(|gpadl| gpadl.id == id) {
            return Outcome::Refused(channel);
        }
        let (words, state) = (words.iter().take(wanted).copied().collect(), State::Coming);
        self.0.push(Gpadl { id, channel, ranges, wanted, words, state });
        self.complete(guest, id)
    }

    /// A further message of it.
    pub(crate) fn go_on(&mut self, guest: impl Guest, id: u32, words: &[u64]) -> Outcome {
        let coming = |gpadl: &&mut Gpadl| gpadl.id == id && gpadl.state == State::Coming;
        let Some(gpadl) = self.0.iter_mut().find(coming) else { return Outcome::Nonsense };
        let missing = gpadl.wanted - gpadl.words.len();
        gpadl.words.extend(words.iter().take(missing));
        self.complete(guest, id)
    }

    /// Forgets a description. If it is in use, that waits.
    pub(crate) fn forget(&mut self, id: u32, in_use: impl Fn(u32) -> bool) -> Outcome {
        let Some(gpadl) = self.0.iter_mut().find(|gpadl| gpadl.id == id) else {
            return Outcome::Nonsense;
        };
        let channel = gpadl.channel;
        if in_use(id) {
            gpadl.state = State::Leaving;
            return Outcome::More;
        }
        self.0.retain(|gpadl| gpadl.id != id);
        Outcome::Created(channel)
    }

    /// A channel does not use a description any more. Returns whether it was to be forgotten then.
    pub(crate) fn unused(&mut self, id: u32) -> bool {
        let before = self.0.len();
        self.0.retain(|gpadl| gpadl.id != id || gpadl.state != State::Leaving);
        self.0.len() != before
    }

    /// Forgets what was described for a channel.
    pub(crate) fn forget_channel(&mut self, channel: u32) {
        self.0.retain(|gpadl| gpadl.channel != channel);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The two rings in a description, cut at a page: the client's, and the host's.
    pub(crate) fn rings<G: Guest>(
        &self,
        guest: G,
        (channel, id): (u32, u32),
        cut: u32,
    ) -> Option<[Pages<G>; 2]> {
        let known = |gpadl: &&Gpadl| gpadl.id == id && gpadl.state == State::Known;
        let gpadl = self.0.iter().find(known).filter(|gpadl| gpadl.channel == channel)?;
        let (range, pages) = gpadl.words.split_first()?;
        if gpadl.ranges != 1 || *range != pages.len() as u64 * PAGE {
            return None;
        }
        let (client, host) = pages.split_at_checked(usize::try_from(cut).ok()?)?;
        let rings = [client, host].map(|pages| Pages::new(guest, pages));
        rings.iter().all(Pages::are_shared).then_some(rings)
    }

    /// Checks a description that has all its words.
    fn complete(&mut self, guest: impl Guest, id: u32) -> Outcome {
        let Some(gpadl) = self.0.iter_mut().find(|gpadl| gpadl.id == id) else {
            return Outcome::Nonsense;
        };
        if gpadl.words.len() < gpadl.wanted {
            return Outcome::More;
        }
        let channel = gpadl.channel;
        if is_good(guest, gpadl) {
            gpadl.state = State::Known;
            return Outcome::Created(channel);
        }
        self.0.retain(|gpadl| gpadl.id != id);
        Outcome::Refused(channel)
    }
}

/// Whether the ranges have as many pages as they say, and all of them are shared.
fn is_good(guest: impl Guest, gpadl: &Gpadl) -> bool {
    let mut rest = &gpadl.words[..];
    for _ in 0..gpadl.ranges {
        let Some((range, behind)) = rest.split_first() else { return false };
        let (length, offset) = (range & 0xffff_ffff, range >> 32);
        let count = usize::try_from((offset + length).div_ceil(PAGE)).unwrap_or(usize::MAX);
        let pages = behind.split_at_checked(count).filter(|_| length != 0 && offset < PAGE);
        let Some((pages, behind)) = pages else { return false };
        if !Pages::new(guest, pages).are_shared() {
            return false;
        }
        rest = behind;
    }
    rest.is_empty()
}
