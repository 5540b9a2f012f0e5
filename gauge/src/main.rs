// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls of the relay for callgrind to count the instructions of, and the sizes of its structures.
//!
//! Each function of [`cases`] makes [`CALLS`] calls of one function of [`measured`], which is nothing but
//! the call of the relay that its name says; what a case has to prepare or to put away is done in
//! between and belongs to nobody's cost. `cargo xtask gates` runs this under valgrind and divides the
//! cost of each pair of case and measured function by the number of calls.
//!
//! Run by itself it prints the sizes, one `size name=bytes` a line.
#![forbid(unsafe_code)]

/// What is counted.
mod measured;

/// When it is counted.
mod cases;

use std::{io, thread};

use proxy_irq::{RelayBlock, VirtualApicPage};

/// How often each case calls.
const CALLS: usize = 1000;

/// The book of 1,024 CPUs is made on the stack, more than once.
const STACK: usize = 256 << 20;

fn main() -> io::Result<()> {
    let thread = thread::Builder::new().stack_size(STACK).spawn(all)?;
    thread.join().map_err(|_| io::Error::other("a case died"))
}

#[expect(clippy::print_stdout, reason = "the sizes are a result")]
fn all() {
    cases::any_slot();
    cases::nothing_pending();
    cases::already_pending();
    cases::drains();
    cases::mappings();
    cases::teardown_of_1024_cpus();
    println!("size block={}", size_of::<RelayBlock>());
    println!("size beside_page={}", size_of::<RelayBlock>() - size_of::<VirtualApicPage>());
}
