// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many instructions a post and a drain are, counted by callgrind.
//!
//! Under valgrind this program does each of them a known number of times between two requests to
//! callgrind, which then writes one file of costs. The difference of two counts, less that of the
//! empty call, is exact and the same in every run.
//!
//! The request is the sequence of rotations that valgrind knows and a processor executes to no effect.
#![expect(unsafe_code, reason = "valgrind's client requests are a sequence of instructions")]

use core::{arch::asm, ffi::CStr};
use std::{collections::BTreeMap, fs, path::Path};

use crate::{
    drains::{Drain, KINDS},
    results::PATTERNS,
    subject,
};

/// Posts between two requests.
const TIMES: usize = 960;

/// `CT`, as callgrind's requests begin.
const BASE: usize = 0x4354_0000;
const ZERO_STATS: usize = BASE + 1;
const DUMP_STATS_AT: usize = BASE + 3;

/// What a file says it was written for.
const TRIGGER: &str = "desc: Trigger: Client Request: ";

/// Counts by what was counted.
pub type Counts = BTreeMap<String, f64>;

/// Does everything that is to be counted. Without valgrind it has no effect.
pub fn perform() {
    for subject in subject::all() {
        let id = subject.about().id;
        subject.session(0, &mut |session| {
            session.calls(TIMES);
            for (name, times) in [("once", TIMES), ("twice", 2 * TIMES)] {
                counted(&format!("post {id} {name}"), || session.calls(times));
            }
        });
    }
    for kind in KINDS {
        for pattern in PATTERNS {
            let drain = (kind.make)(&pattern.vectors());
            for _ in 0..3 {
                drain.fill(pattern.count);
                counted(&format!("drain {} {}", kind.id, pattern.name), || drained(drain));
                drain.take();
            }
        }
    }
}

#[inline(never)]
fn drained(drain: &dyn Drain) {
    core::hint::black_box(drain.drain());
}

/// Reads the counts that callgrind wrote into `directory`.
#[must_use]
pub fn read(directory: &Path) -> Counts {
    let mut raw = Counts::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let text = fs::read(entry.path()).unwrap_or_default();
        if let Some((what, total)) = total(&String::from_utf8_lossy(&text)) {
            raw.insert(what, total);
        }
    }
    relative(&raw)
}

/// Returns what a file of callgrind counts, and how much.
fn total(text: &str) -> Option<(String, f64)> {
    let what = text.lines().find_map(|line| line.strip_prefix(TRIGGER))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "))?;
    Some((what.trim().to_owned(), total.trim().parse().ok()?))
}

/// Turns counts of whole requests into those of one post or drain; the empty one is its return.
fn relative(raw: &Counts) -> Counts {
    let per_post = |id: &str| {
        let count = |name: &str| raw.get(&format!("post {id} {name}")).copied();
        Some((count("twice")? - count("once")?) / TIMES as f64)
    };
    let mut counts = Counts::new();
    for (what, total) in raw {
        let words: Vec<&str> = what.splitn(3, ' ').collect();
        match words[..] {
            ["post", id, "once"] => {
                if let (Some(this), Some(empty)) = (per_post(id), per_post("empty")) {
                    counts.insert(format!("post {id}"), this - empty + 1.0);
                }
            }
            ["drain", _, pattern] => {
                if let Some(empty) = raw.get(&format!("drain empty {pattern}")) {
                    counts.insert(what.clone(), total - empty + 1.0);
                }
            }
            _ => {}
        }
    }
    counts
}

fn counted(what: &str, work: impl FnOnce()) {
    let mut name = what.as_bytes().to_vec();
    name.push(0);
    let Ok(name) = CStr::from_bytes_with_nul(&name) else { return };
    request(ZERO_STATS, 0);
    work();
    request(DUMP_STATS_AT, name.as_ptr().addr());
}

/// Asks callgrind for something.
#[inline(never)]
fn request(code: usize, argument: usize) {
    let words: [usize; 6] = [code, argument, 0, 0, 0, 0];
    // SAFETY: on a processor the four rotations amount to one whole turn of RDI and the exchange is of
    // a register with itself; valgrind reads the six words, which live until the end of the block,
    // and the string that `argument` points at, which the caller keeps.
    unsafe {
        asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") words.as_ptr(), inout("rdx") 0_usize => _, in("rdi") 0_usize,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_callgrind_is_read() {
        let text =
            "version: 1\ndesc: Trigger: Client Request: post ours once\n\nfn=(1)\ntotals: 77\n";
        assert_eq!(total(text), Some(("post ours once".to_owned(), 77.0)));
        assert_eq!(total("desc: Trigger: Program termination\ntotals: 1\n"), None);
    }

    #[test]
    fn what_the_loop_costs_is_taken_off() {
        let n = TIMES as f64;
        let raw = [
            ("post empty once", 8.0 * n + 40.0),
            ("post empty twice", 16.0 * n + 40.0),
            ("post ours once", 13.0 * n + 40.0),
            ("post ours twice", 26.0 * n + 40.0),
            ("drain empty 4 spread", 20.0),
            ("drain ours 4 spread", 59.0),
        ];
        let raw = raw.map(|(what, count)| (what.to_owned(), count)).into();
        let counts = relative(&raw);
        assert_eq!((counts["post ours"], counts["post empty"]), (6.0, 1.0));
        assert_eq!(counts["drain ours 4 spread"], 40.0);
    }

    #[test]
    fn requests_have_no_effect_on_a_processor() {
        counted("nothing", || {});
    }
}
