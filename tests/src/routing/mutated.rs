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
use xtask::host_tables::changes::{self, Change};

use super::described::Described;
use crate::stand::{Verdict, check};

/// How many changes of a table.
const CHANGES: u64 = 250;

/// What the interpreter promises to do with, in the build that uses it; a build with debug assertions
/// needs several times as much for the same terms.
const STACK: usize = if cfg!(debug_assertions) { 2 << 20 } else { 256 << 10 };

/// Evaluates all changes.
pub(super) fn harmless(described: &Described) -> Verdict {
    let questions: Vec<_> = described.questions()?.into_iter().take(MAX_ROUTES).collect();
    let (mut loaded, mut answered) = (0, 0);
    for seed in 0..CHANGES {
        let Change { name, dsdt } = changes::of_seed(&described.dsdt, seed);
        let (refused, known) =
            evaluate(described, &dsdt, &questions).map_err(|why| format!("{name}: {why}"))?;
        loaded += u64::from(refused.is_none());
        answered += u64::from(known > 0);
    }
    // If all were refused, or none, the changes would not have been worth much.
    check!(loaded > 0 && answered > 0 && loaded < CHANGES, "{loaded} of {CHANGES} were loaded");
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
