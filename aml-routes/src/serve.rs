// SPDX-License-Identifier: MIT OR Apache-2.0
//! All that a VM for AML does: reads a request, runs the tables, writes the answers.

use acpi_routes::{Question, Unknown, encode, encode_failure, request::Request};
use alloc::vec::Vec;

use crate::{
    Fault, Machine,
    interpreter::{Interpreter, Limits},
    router::Router,
};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// Answers in the page.
    pub answers: usize,
    /// Why no question has another answer than [`Unknown::Tables`].
    pub failure: Option<Fault>,
}

/// Answers the request at the beginning of `memory`, in which the tables are, too. `None` if there is no
/// request; then nothing is written. Else `page` has an answer to each question, even to those that could not be
/// answered.
pub fn serve(
    memory: &[u8],
    machine: impl Machine,
    limits: Limits,
    page: &mut [u8],
) -> Option<Served> {
    let request = Request::read(memory)?;
    let questions: Vec<Question> = request.questions().collect();
    let tables: Vec<_> = request.tables().collect();
    let interpreter = match Interpreter::load(&tables, machine, limits) {
        Ok(interpreter) => interpreter,
        Err(fault) => {
            let answers = encode_failure(page, questions.len(), Unknown::Tables);
            return Some(Served { answers, failure: Some(fault) });
        }
    };
    let mut router = Router::new(interpreter);
    let answers: Vec<_> = questions.iter().map(|question| router.answer(question)).collect();
    Some(Served { answers: encode(page, &answers), failure: router.failure() })
}
