// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line: `key=value` words separated by blanks.
//!
//! | key          | value                                  | default |
//! |--------------|----------------------------------------|---------|
//! | `scenario`   | what to do, see the module `scenario` | `demo`  |
//! | `count`      | interrupts or rounds                   | the scenario's |
//! | `vectors`    | doorbell entries in use                | the scenario's |
//! | `cpus`       | CPUs to start                          | 1       |
//! | `shared_bit` | number of the bit that makes a guest physical address shared | none |
//! | `wait`       | `halt`, or `poll` to end a lost interrupt with an error | `halt` |

use core::fmt::{self, Display, Formatter};

/// What the command line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options<'a> {
    pub(crate) scenario: &'a str,
    pub(crate) count: Option<u32>,
    pub(crate) vectors: Option<u16>,
    pub(crate) cpus: u8,
    pub(crate) shared: u64,
    pub(crate) wait: Wait,
}

/// How to wait for an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Asleep.
    Halt,
    /// Awake, and not for ever.
    Poll,
}

/// A word of the command line that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadWord<'a>(&'a str);

impl Display for BadWord<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "command line: {} is not understood", self.0)
    }
}

impl<'a> Options<'a> {
    /// Reads a command line of a guest that may have up to `max_cpus` CPUs.
    pub(crate) fn parse(line: &'a str, max_cpus: u8) -> Result<Self, BadWord<'a>> {
        let mut options = Self {
            scenario: "demo",
            count: None,
            vectors: None,
            cpus: 1,
            shared: 0,
            wait: Wait::Halt,
        };
        for word in line.split_ascii_whitespace() {
            options.take(word, max_cpus).ok_or(BadWord(word))?;
        }
        Ok(options)
    }

    /// Takes in one word, if it makes sense.
    fn take(&mut self, word: &'a str, max_cpus: u8) -> Option<()> {
        let (key, value) = word.split_once('=')?;
        match key {
            "scenario" => self.scenario = value,
            "count" => self.count = Some(value.parse().ok()?),
            "vectors" => self.vectors = Some(value.parse().ok()?),
            "cpus" => {
                self.cpus = value.parse().ok().filter(|cpus| (1..=max_cpus).contains(cpus))?;
            }
            "shared_bit" => {
                let bit: u32 = value.parse().ok().filter(|bit| (32..=51).contains(bit))?;
                self.shared = 1 << bit;
            }
            "wait" => {
                self.wait = match value {
                    "halt" => Wait::Halt,
                    "poll" => Wait::Poll,
                    _ => return None,
                }
            }
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_line_means_the_demo_on_one_cpu() {
        let options = Options::parse("", 16).unwrap();
        assert_eq!((options.scenario, options.cpus, options.shared), ("demo", 1, 0));
        assert_eq!((options.count, options.vectors, options.wait), (None, None, Wait::Halt));
    }

    #[test]
    fn every_key_is_taken_in() {
        let line = " scenario=paced count=10  vectors=8 cpus=2 shared_bit=47 wait=poll ";
        let options = Options::parse(line, 2).unwrap();
        assert_eq!((options.scenario, options.cpus), ("paced", 2));
        assert_eq!((options.count, options.vectors), (Some(10), Some(8)));
        assert_eq!((options.shared, options.wait), (1 << 47, Wait::Poll));
    }

    #[test]
    fn words_without_sense_are_named() {
        for word in [
            "scenario",
            "count=x",
            "count=-1",
            "vectors=70000",
            "cpus=0",
            "cpus=3",
            "cpus=",
            "shared_bit=63",
            "shared_bit=12",
            "wait=sleep",
            "speed=1",
            "=",
        ] {
            let line = format!("cpus=1 {word}");
            assert_eq!(Options::parse(&line, 2), Err(BadWord(word)));
        }
    }
}
