// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host that answers requests for quotes with any header, at any time, as often as it likes.
//!
//! An input is a list of steps in the life of two requests: CPUs claim and send them, the host writes headers, CPUs
//! look when they are notified, and owners take answers or give up. A second account of who has which place is kept
//! by hand. A header is judged as a copy, which the host changes afterwards.

use event_notify::{Look, Request};
use paravisor::quote::{Answer, BUFFER, HEADER, LARGEST, Nonsense, Place, judge, pieces, request};
use tdcall::tdvmcall::get_quote::{QuoteHeader, QuoteStatus};

use crate::Input;

const PLACES: usize = 2;
const SHARED_BIT: u64 = 1 << 47;

/// Who has a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Nobody,
    Owner(u8),
    Host(u8),
    Answered(u8),
    Abandoned,
}

/// Makes the steps.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let places = [Request::new(), Request::new()];
    let mut holders = [Holder::Nobody; PLACES];
    let mut statuses = [0; PLACES];
    while let Some(step) = input.byte() {
        let (index, cpu) = (usize::from(step >> 3 & 1), step >> 4 & 3);
        let (place, holder) = (&places[index], &mut holders[index]);
        match step & 7 {
            0 => {
                let is_free = *holder == Holder::Nobody;
                assert_eq!(place.claim(cpu), is_free, "{holder:?}");
                if is_free {
                    *holder = Holder::Owner(cpu);
                }
            }
            1 => {
                if let Holder::Owner(owner) = *holder {
                    place.sent();
                    *holder = Holder::Host(owner);
                }
            }
            2 => statuses[index] = status(&mut input),
            3 | 4 => look(place, holder, QuoteStatus(statuses[index])),
            5 => give_up(place, holder),
            6 => judge_one(&mut input, statuses[index]),
            _ => buffer(&mut input),
        }
        check(place, *holder);
    }
}

/// A notification, wanted or not.
fn look(place: &Request, holder: &mut Holder, status: QuoteStatus) {
    let is_done = status != QuoteStatus::IN_FLIGHT;
    let (found, next) = match *holder {
        Holder::Host(owner) if is_done => (Look::Answer(owner), Holder::Answered(owner)),
        Holder::Abandoned if is_done => (Look::Stray, Holder::Nobody),
        same => (Look::Nothing, same),
    };
    assert_eq!(place.look(|| is_done), found);
    *holder = next;
}

/// The owner takes its answer, or waits no longer.
fn give_up(place: &Request, holder: &mut Holder) {
    match *holder {
        Holder::Answered(_) | Holder::Owner(_) => {
            assert!(place.give_up().is_err());
            place.release();
            *holder = Holder::Nobody;
        }
        Holder::Host(_) => {
            assert!(place.give_up().is_ok());
            *holder = Holder::Abandoned;
        }
        Holder::Nobody | Holder::Abandoned => assert!(place.give_up().is_err()),
    }
}

fn check(place: &Request, holder: Holder) {
    assert_eq!(place.is_free(), holder == Holder::Nobody);
    for cpu in 0..4 {
        assert_eq!(place.is_answered(cpu), holder == Holder::Answered(cpu));
    }
}

fn status(input: &mut Input<'_>) -> u64 {
    match input.byte().unwrap_or(0) {
        0..=31 => QuoteStatus::SUCCESS.0,
        32..=63 => QuoteStatus::ERROR.0,
        64..=95 => QuoteStatus::SERVICE_UNAVAILABLE.0,
        96..=159 => QuoteStatus::IN_FLIGHT.0,
        _ => input.long(),
    }
}

/// The host's header is judged: what is accepted fits both buffers, and is copied once and whole.
fn judge_one(input: &mut Input<'_>, status: u64) {
    let room = u64::from(input.word()) % LARGEST;
    let header = QuoteHeader { status, out_len: input.word(), ..request() };
    match judge(&header, room) {
        Answer::Quote(length) => {
            assert_eq!(status, QuoteStatus::SUCCESS.0);
            assert!(length != 0 && HEADER + length <= BUFFER);
            assert!(u64::try_from(length).is_ok_and(|length| length <= room));
            assert_eq!(usize::try_from(header.out_len), Ok(length));
            let piece = usize::from(input.byte().unwrap_or(0)) * 16;
            let mut end = HEADER;
            for range in pieces(length, piece) {
                assert!(range.start == end && !range.is_empty() && range.len() <= piece.max(1));
                end = range.end;
            }
            assert_eq!(end, HEADER + length, "the pieces are the quote");
        }
        Answer::Failed(why) => {
            let too_large = status == 0 && u64::from(header.out_len) > room;
            assert!(too_large && why == QuoteStatus::ERROR || why.0 == status);
            assert!(
                too_large || matches!(why, QuoteStatus::ERROR | QuoteStatus::SERVICE_UNAVAILABLE)
            );
        }
        Answer::Nonsense(Nonsense::Length(length)) => {
            assert_eq!((status, length), (0, header.out_len));
            assert!(
                length == 0 || usize::try_from(length).is_ok_and(|length| HEADER + length > BUFFER)
            );
        }
        Answer::Nonsense(Nonsense::Status(named)) => {
            assert_eq!(named, status);
            let known =
                [QuoteStatus::SUCCESS, QuoteStatus::ERROR, QuoteStatus::SERVICE_UNAVAILABLE];
            assert!(!known.contains(&QuoteStatus(status)));
        }
    }
}

/// L2 names a buffer of its own.
fn buffer(input: &mut Input<'_>) {
    let (gpa, size) = match input.byte().unwrap_or(0) {
        0..=127 => (u64::from(input.word()) << 12, u64::from(input.byte().unwrap_or(0)) << 12),
        _ => (input.long(), input.long()),
    };
    let Some(place) = Place::new(gpa, size, SHARED_BIT) else { return };
    assert_eq!((gpa | size) & 0xfff, 0);
    assert!(gpa & SHARED_BIT == 0 && size != 0 && size <= LARGEST);
    assert_eq!(place.at(0), gpa);
    let last = place.at(place.room() + 23);
    assert_eq!(last, gpa + size - 1, "header and room are the buffer");
}
