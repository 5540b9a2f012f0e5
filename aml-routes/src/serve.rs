// SPDX-License-Identifier: MIT OR Apache-2.0
//! All that a VM for AML does: reads a request, runs the tables, writes the answers.

use acpi_routes::{
    Question, Unknown, encode, encode_failure,
    request::{self, Request},
};
use alloc::vec::Vec;

use crate::{
    ByCrate, Evaluator, Fault, Machine,
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
    machine: impl Machine + Send + 'static,
    limits: Limits,
    page: &mut [u8],
) -> Option<Served> {
    let request = Request::read(memory)?;
    let questions: Vec<Question> = request.questions().collect();
    let tables: Vec<_> = request.tables().collect();
    match request.interpreter {
        request::Interpreter::Own => {
            let interpreter = Interpreter::load(&tables, machine, limits);
            Some(answer(interpreter, &questions, page))
        }
        request::Interpreter::Crate => {
            let by_crate = ByCrate::load(&tables, machine).map_err(|_| Fault::Crate);
            Some(answer(by_crate, &questions, page))
        }
    }
}

fn answer<E: Evaluator>(
    loaded: Result<E, Fault>,
    questions: &[Question],
    page: &mut [u8],
) -> Served {
    let mut router = match loaded {
        Ok(evaluator) => Router::new(evaluator),
        Err(fault) => {
            let answers = encode_failure(page, questions.len(), Unknown::Tables);
            return Served { answers, failure: Some(fault) };
        }
    };
    let answers: Vec<_> = questions.iter().map(|question| router.answer(question)).collect();
    Served { answers: encode(page, &answers), failure: router.failure() }
}
