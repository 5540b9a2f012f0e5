// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest's figures, out of its `result` lines.
//!
//! `result vector=81 cpu=0 device=00:01.0 entry=0 handled=9` says what one vector did on one CPU;
//! `result scenario=edu ok=1 handled=9` closes the list.

use std::collections::{HashMap, HashSet};

use xtask::report::Report;

/// What one vector did on one CPU of the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vector {
    pub(crate) vector: u32,
    pub(crate) cpu: u32,
    pub(crate) device: String,
    pub(crate) entry: u32,
    pub(crate) handled: u64,
}

/// Everything the guest said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) vectors: Vec<Vector>,
    pub(crate) handled: u64,
    pub(crate) ok: bool,
}

impl Figures {
    /// Reads the `result` lines of a report; the closing line must be there.
    pub(crate) fn read(report: &Report) -> Result<Self, String> {
        let mut figures = Self::default();
        let mut closed = false;
        for line in &report.guest {
            let words = words(line);
            if words.contains_key("vector") {
                figures.vectors.push(vector(&words).ok_or_else(|| format!("odd line: {line}"))?);
            } else if words.contains_key("scenario") {
                closed = true;
                figures.ok = words.get("ok") == Some(&"1");
                figures.handled = number(&words, "handled").ok_or("no sum in the last line")?;
            }
        }
        if closed { Ok(figures) } else { Err("the guest has no last result line".to_owned()) }
    }

    /// How many entries of devices the guest had interrupts of; one may have moved between CPUs.
    pub(crate) fn sources(&self) -> usize {
        let sources = self.vectors.iter().map(|vector| (&vector.device, vector.entry));
        sources.collect::<HashSet<_>>().len()
    }
}

/// The number that any `result` line gives for `key`, by the order of the lines.
pub(crate) fn all(report: &Report, key: &str) -> Vec<u64> {
    report.guest.iter().filter_map(|line| number(&words(line), key)).collect()
}

fn words(line: &str) -> HashMap<&str, &str> {
    line.split_whitespace().filter_map(|word| word.split_once('=')).collect()
}

fn number<T: core::str::FromStr>(words: &HashMap<&str, &str>, key: &str) -> Option<T> {
    words.get(key)?.parse().ok()
}

fn vector(words: &HashMap<&str, &str>) -> Option<Vector> {
    Some(Vector {
        vector: number(words, "vector")?,
        cpu: number(words, "cpu")?,
        device: (*words.get("device")?).to_owned(),
        entry: number(words, "entry")?,
        handled: number(words, "handled")?,
    })
}
