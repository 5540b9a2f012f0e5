// SPDX-License-Identifier: MIT OR Apache-2.0
//! The protocols between CPUs under loom: `RUSTFLAGS="--cfg loom" cargo test -p proxy-irq --release --tests`.
//! (`--tests`, because rustdoc is not told that cfg and the example needs the real atomics.)
//!
//! An interrupt handler is a closure that is called between the steps of its CPU's main context, on
//! the same thread: a second thread would allow what one CPU cannot do.
//!
//! Each protocol has negative controls: the same steps with one thing wrong, which loom must find. A
//! check that cannot fail proves nothing.
#![cfg(loom)]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

/// A drain that tells what it did.
#[path = "../told/mod.rs"]
mod told;

mod drain;

mod kick;

mod forward;

mod suppression;

mod mode;

mod banked;

mod map;

mod unmap;

mod switch;

mod teardown;

mod mailbox;

mod reuse;

use std::sync::Arc;

use proxy_irq::{L2Vector, Slot};

/// Explores the interleavings of `body` with at most three forced switches; the switches where a
/// thread waits come on top. Every fault that a control below plants is found with that many, but one.
fn explore(body: impl Fn() + Send + Sync + 'static) {
    explore_bounded(3, body);
}

/// Explores the interleavings of `body` with at most `preemptions` forced switches, where all would
/// take minutes.
fn explore_bounded(preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    explore_by(builder, body);
}

/// The stack of a model's first thread, in words: blocks and books are made on it.
const STACK: usize = 1 << 15;

fn explore_by(mut builder: loom::model::Builder, body: impl Fn() + Send + Sync + 'static) {
    builder.max_branches = 3_000;
    let body = Arc::new(body);
    builder.check(move || {
        let body = Arc::clone(&body);
        let first = loom::thread::Builder::new().stack_size(STACK).spawn(move || body()).unwrap();
        first.join().unwrap();
    });
}

/// Requires that loom finds an interleaving of `body` that panics with `message`.
fn fails_under_loom(message: &str, body: impl Fn() + Send + Sync + 'static) {
    fails(loom::model::Builder::new(), message, body);
}

/// As [`fails_under_loom`], with at most `preemptions` forced switches.
fn fails_with(preemptions: usize, message: &str, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    fails(builder, message, body);
}

fn fails(builder: loom::model::Builder, message: &str, body: impl Fn() + Send + Sync + 'static) {
    let outcome = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
        explore_by(builder, body);
    }));
    let payload = outcome.err().unwrap_or_else(|| Box::new("loom found no fault"));
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| String::from(*text))
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    assert!(text.contains(message), "failed otherwise: {text}");
}

fn vector(number: u8) -> L2Vector {
    L2Vector::new(number).unwrap()
}

fn slot(index: u8) -> Slot {
    Slot::new(index).unwrap()
}
