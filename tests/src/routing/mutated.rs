// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same tables, changed: what a hostile host might give.
//!
//! Each change is evaluated to its end on a stack of the size that the interpreter promises to do with.
//! What must hold: it ends, with routes or with reasons, and within the limits. A panic, an overflow of
//! the stack or an endless loop ends the test.

use std::thread;

use acpi_routes::{Answer, MAX_ROUTES, Question, encode};
use aml_routes::interpreter::{Interpreter, Limits};
use aml_routes::router::Router;

use super::described::Described;
use crate::stand::{Verdict, check};

/// How many changes of each of the kinds that are drawn by lot.
const DRAWN: usize = 60;

/// What the interpreter promises to do with, in the build that uses it; a build with debug assertions
/// needs several times as much for the same terms.
const STACK: usize = if cfg!(debug_assertions) { 2 << 20 } else { 256 << 10 };

/// A change and what it is called.
type Change = (String, Vec<u8>);

/// Evaluates all changes.
pub(super) fn harmless(described: &Described) -> Verdict {
    let questions: Vec<_> = described.questions()?.into_iter().take(MAX_ROUTES).collect();
    let changes = changes(&described.dsdt);
    let count = changes.len();
    check!(count >= 200, "{count} changes");
    let (mut loaded, mut answered) = (0, 0);
    for (name, dsdt) in changes {
        let (refused, known) =
            evaluate(described, &dsdt, &questions).map_err(|why| format!("{name}: {why}"))?;
        loaded += usize::from(refused.is_none());
        answered += usize::from(known > 0);
    }
    // If all were refused, or none, the changes would not have been worth much.
    check!(loaded > 0 && answered > 0 && loaded < count, "{loaded} of {count} were loaded");
    Ok(())
}

/// Why the tables were refused, if so, and how many routes were found.
fn evaluate(
    described: &Described,
    dsdt: &[u8],
    questions: &[Question],
) -> Result<(Option<String>, usize), String> {
    thread::scope(|scope| {
        let evaluation = || {
            let interpreter = Interpreter::load(&[dsdt], described.machine(), Limits::default());
            let mut router = match interpreter {
                Ok(interpreter) => Router::new(interpreter),
                Err(fault) => return Ok((Some(fault.to_string()), 0)),
            };
            let answers: Vec<_> = questions.iter().map(|ask| router.answer(ask)).collect();
            let known = answers.iter().flatten().count();
            let mut page = [0; 4096];
            encode(&mut page, &answers);
            match Answer::check(&page, questions.len(), |gsi| gsi < 24) {
                Ok(checked) if !checked.routes().eq(answers) => Err("other answers".to_owned()),
                _ if router.failure().is_some() && known > 0 => Err("no roots".to_owned()),
                _ => Ok((router.failure().map(|fault| fault.to_string()), known)),
            }
        };
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, evaluation);
        let thread = thread.map_err(|failure| failure.to_string())?;
        thread.join().map_err(|_| "it panicked".to_owned())?
    })
}

fn changes(dsdt: &[u8]) -> Vec<Change> {
    let mut dice = Dice(0x1ac4_6a7e);
    let mut changes = vec![];
    for turn in 0..DRAWN {
        let mut one = dsdt.to_vec();
        for _ in 0..=turn % 8 {
            let at = 36 + dice.below(dsdt.len() - 36);
            one[at] ^= 1 << dice.below(8);
        }
        changes.push((format!("bits {turn}"), one));

        let mut cut = dsdt[..36 + dice.below(dsdt.len() - 36)].to_vec();
        let length = if turn % 2 == 0 { cut.len() } else { dsdt.len() };
        set_length(&mut cut, length);
        changes.push((format!("cut {turn}"), cut));

        let mut moved = dsdt.to_vec();
        let (from, to) = (36 + dice.below(dsdt.len() - 100), 36 + dice.below(dsdt.len() - 100));
        moved.copy_within(from..from + dice.below(64), to);
        changes.push((format!("moved {turn}"), moved));

        let mut noise = dsdt.to_vec();
        let at = 36 + dice.below(dsdt.len() - 100);
        noise[at..at + 4].fill_with(|| u8::try_from(dice.below(256)).unwrap_or(0));
        changes.push((format!("noise {turn}"), noise));
    }
    let made = crafted().into_iter().map(|(name, code)| {
        let mut table = dsdt.to_vec();
        table.extend(code);
        let length = table.len();
        set_length(&mut table, length);
        (name.to_owned(), table)
    });
    changes.into_iter().chain(made).collect()
}

fn set_length(table: &mut [u8], length: usize) {
    table[4..8].copy_from_slice(&u32::try_from(length).unwrap_or(0).to_le_bytes());
}

/// Code for the end of a table that means harm.
fn crafted() -> Vec<(&'static str, Vec<u8>)> {
    let deep = |open: &[u8], depth: usize| open.repeat(depth);
    vec![
        // While (One) {}
        ("a loop", vec![0xa2, 0x02, 0x01]),
        // Method (LOOP) { LOOP () }, and a call of it
        ("a recursion", [&[0x14, 0x0a][..], b"LOOP\0", b"LOOP", b"LOOP"].concat()),
        // If (Not (Not (Not ...
        ("deep operators", [&[0xa0, 0x7f, 0x7f, 0x7f][..], &deep(&[0x80], 4000)].concat()),
        // Package (Package (Package ...
        ("deep packages", deep(&[0x12, 0xff, 0xff, 0xff, 0xff, 1], 500)),
        // Name (HUGE, Buffer (0xFFFFFFFF) {})
        ("a huge buffer", [b"\x08HUGE", &[0x11, 0x06, 0x0c, 0xff, 0xff, 0xff, 0xff][..]].concat()),
        // Name (MANY, VarPackage (0xFFFFFFFF) {})
        ("a huge package", [b"\x08MANY", &[0x13, 0x06, 0x0c, 0xff, 0xff, 0xff, 0xff][..]].concat()),
        // OperationRegion (WILD, SystemMemory, 0, 0xFFFFFFFF), a field of it, Store (One, FLD0)
        ("memory", {
            let region = b"\x5b\x80WILD\x00\x00\x0c\xff\xff\xff\xff";
            [&region[..], b"\x5b\x81\x0bWILD\x03FLD0\x20", b"\x70\x01FLD0"].concat()
        }),
        // The same of ports, with an offset that overflows
        ("ports", {
            let region = b"\x5b\x80WILD\x01\x0b\xff\xff\x0e\xff\xff\xff\xff\xff\xff\xff\xff";
            [&region[..], b"\x5b\x81\x10WILD\x01\x00\xcf\xff\xff\xffFLD0\x08", b"\x70\x01FLD0"]
                .concat()
        }),
        // Local0 grows: Store (Concatenate (Local0, Local0), Local0), for ever
        ("growth", { b"\x70\x11\x03\x0a\x40\x60\xa2\x07\x01\x73\x60\x60\x60\xa3".to_vec() }),
        // Fatal
        ("giving up", b"\x5b\x32\x00\x00\x00\x00\x00\x00".to_vec()),
    ]
}

/// Numbers that look like chance and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or(0) % bound.max(1)
    }
}
