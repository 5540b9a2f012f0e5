// SPDX-License-Identifier: MIT OR Apache-2.0
//! The gates: numbers that the relay must keep, in one file, `xtask/gates.toml`.
//!
//! A gate has a limit, and where its number is the same in every run, that number. Whatever is worse
//! fails; whatever is better fails too, until the file says so: a number that nobody keeps is lost.
//! Numbers that the compiler has a part in are exact with the compiler that the file names only; with
//! another one, the limits alone are judged.

/// What is read out of the object code.
pub(crate) mod object_code;

/// What the processor has no business with on L1's way into L2.
mod registers;

/// Instructions that a call takes on the host.
pub(crate) mod callgrind;

/// Events of a run, as all gates read them.
mod events;

/// What an interrupt costs, out of a run's events.
pub(crate) mod passes;

/// The same for one that the host takes and passes on.
mod proxied;

/// Runs whose interrupts are counted.
pub(crate) mod relay;

/// A run whose interrupts come by a line.
pub(crate) mod lines;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Failure, Result, failure::Context, table::aligned};

/// The file.
const TEXT: &str = include_str!("../gates.toml");

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gates {
    /// The compiler that the exact numbers belong to.
    compiler: String,
    /// What functions may do that others must not.
    #[serde(default)]
    pub(crate) excepted: Vec<Excepted>,
    gate: Vec<Gate>,
}

/// A function that may touch a register that is forbidden elsewhere.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Excepted {
    /// A part of the function's name.
    pub(crate) function: String,
    /// What it may touch.
    pub(crate) touches: String,
    /// Why it may.
    #[serde(rename = "why")]
    _why: String,
}

/// One number.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gate {
    id: String,
    goal: String,
    #[serde(rename = "counts")]
    _counts: String,
    /// What the goal asks for, if that is a number.
    asked: Option<f64>,
    /// What passes.
    limit: f64,
    /// The number, if it is the same in every run.
    exact: Option<f64>,
    #[serde(rename = "why")]
    _why: String,
}

/// What was measured, by the ids of the gates.
pub(crate) type Measured = BTreeMap<String, f64>;

/// What is to be said of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// As it was, or within the limit where it varies.
    Holds,
    /// The same, and the goal asks for more.
    MissesGoal,
    /// Within the limit; what it was with this compiler is not known.
    WithinLimit,
    /// Better than the file says.
    Better,
    /// Worse than it was, but not than the limit.
    Worse,
    /// Worse than the limit.
    OverLimit,
    /// Nothing was measured for it.
    Unmeasured,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Holds => "ok",
            Self::MissesGoal => "ok, misses the goal",
            Self::WithinLimit => "within limit",
            Self::Better => "BETTER",
            Self::Worse => "WORSE",
            Self::OverLimit => "OVER LIMIT",
            Self::Unmeasured => "NOT MEASURED",
        }
    }

    fn passes(self) -> bool {
        matches!(self, Self::Holds | Self::MissesGoal | Self::WithinLimit)
    }
}

impl Gate {
    fn verdict(&self, measured: Option<f64>, exactly: Exactly) -> Verdict {
        /// Numbers have three digits behind the point at most.
        const SAME: f64 = 0.0005;
        let Some(measured) = measured else { return Verdict::Unmeasured };
        if measured > self.limit + SAME {
            return Verdict::OverLimit;
        }
        match (self.exact, exactly) {
            (Some(_), Exactly::No) => Verdict::WithinLimit,
            (Some(exact), Exactly::Yes) if measured > exact + SAME => Verdict::Worse,
            (Some(exact), Exactly::Yes) if measured < exact - SAME => Verdict::Better,
            _ if self.asked.is_some_and(|asked| measured > asked + SAME) => Verdict::MissesGoal,
            _ => Verdict::Holds,
        }
    }

    /// What a person has to know of a number that does not pass.
    fn complaint(&self, measured: Option<f64>, verdict: Verdict) -> String {
        let Self { id, goal, limit, .. } = self;
        let (exact, found) = (self.exact.unwrap_or(*limit), measured.unwrap_or_default());
        match verdict {
            Verdict::Better => format!(
                "{id} ({goal}) is {found}, better than {exact}: write exact = {found} into \
                 xtask/gates.toml"
            ),
            Verdict::Worse => format!("{id} ({goal}) is {found}, worse than {exact}"),
            Verdict::Unmeasured => format!("{id} ({goal}) was not measured"),
            _ => format!("{id} ({goal}) is {found}, over the limit of {limit}"),
        }
    }
}

/// Whether exact numbers hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exactly {
    Yes,
    No,
}

/// All numbers, and those that do not pass.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) table: String,
    complaints: Vec<String>,
}

impl Gates {
    /// Reads the file.
    pub(crate) fn read() -> Result<Self> {
        Self::parse(TEXT)
    }

    fn parse(text: &str) -> Result<Self> {
        let gates: Self = toml::from_str(text).context(|| "xtask/gates.toml".to_owned())?;
        let mut ids: Vec<&str> = gates.gate.iter().map(|gate| gate.id.as_str()).collect();
        ids.sort_unstable();
        match ids.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(Failure::new(format!("xtask/gates.toml has {} twice", pair[0]))),
            None => Ok(gates),
        }
    }

    /// Compares what was measured, with the compiler `release`, with the file. Gates whose ids begin
    /// with one of `skipped` are shown as such.
    pub(crate) fn judge(&self, measured: &Measured, release: &str, skipped: &[&str]) -> Judged {
        let exactly = if release == self.compiler { Exactly::Yes } else { Exactly::No };
        let mut lines = vec![
            ["gate", "goal", "asked", "measured", "limit", "exact", "verdict"].map(String::from),
        ];
        let mut complaints = Vec::new();
        for gate in &self.gate {
            let found = measured.get(&gate.id).copied();
            let verdict = gate.verdict(found, exactly);
            let is_skipped =
                found.is_none() && skipped.iter().any(|kind| gate.id.starts_with(kind));
            if !verdict.passes() && !is_skipped {
                complaints.push(gate.complaint(found, verdict));
            }
            let shown =
                |number: Option<f64>| number.map_or("-".to_owned(), |number| number.to_string());
            lines.push([
                gate.id.clone(),
                gate.goal.clone(),
                shown(gate.asked),
                shown(found),
                gate.limit.to_string(),
                shown(gate.exact),
                if is_skipped { "SKIPPED" } else { verdict.name() }.to_owned(),
            ]);
        }
        let known = |id: &String| self.gate.iter().any(|gate| gate.id == *id);
        complaints.extend(
            measured.iter().filter(|(id, _)| !known(id)).map(|(id, found)| {
                format!("{id} is {found}, and xtask/gates.toml has no such gate")
            }),
        );
        Judged { table: aligned(&lines), complaints }
    }

    /// Returns the file with the numbers that were measured, for the gates that have an exact one. Their
    /// limit becomes what was asked, or the number if that is missed.
    pub(crate) fn accepted(&self, measured: &Measured) -> String {
        Self::accepted_in(TEXT, self, measured)
    }

    fn accepted_in(text: &str, gates: &Self, measured: &Measured) -> String {
        let mut gate: Option<&Gate> = None;
        let mut lines = Vec::new();
        for line in text.lines() {
            let (key, value) = line.split_once(" = ").unwrap_or_default();
            if key == "id" {
                gate = gates.gate.iter().find(|gate| gate.id == value.trim_matches('"'));
            }
            let exact = gate.filter(|gate| gate.exact.is_some());
            let found = exact.and_then(|gate| Some((measured.get(&gate.id)?, gate.asked)));
            lines.push(match (key, found) {
                ("exact", Some((number, _))) => format!("exact = {number}"),
                ("limit", Some((number, asked))) => {
                    format!("limit = {}", number.max(asked.unwrap_or(*number)))
                }
                _ => line.to_owned(),
            });
        }
        lines.join("\n") + "\n"
    }
}

impl Judged {
    /// Fails if a number does not pass.
    pub(crate) fn verdict(self) -> Result<()> {
        if self.complaints.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format!("gates: {}", self.complaints.join("\n       "))))
    }
}

#[cfg(test)]
mod tests {
    use super::{Gates, Measured};

    const FILE: &str = r#"
compiler = "1.2.3"
[[gate]]
id = "a.b"
goal = "G1"
counts = "something"
asked = 4
limit = 6
exact = 5
why = "it is so"
[[gate]]
id = "c.d"
goal = "G2"
counts = "something that varies"
limit = 2.5
why = "it is so"
"#;

    fn complaints(release: &str, numbers: &[(&str, f64)]) -> Vec<String> {
        let measured: Measured =
            numbers.iter().map(|(id, number)| ((*id).to_owned(), *number)).collect();
        Gates::parse(FILE).unwrap().judge(&measured, release, &[]).complaints
    }

    #[test]
    fn the_file_is_read_and_its_limits_are_not_below_its_numbers() {
        for gate in Gates::read().unwrap().gate {
            assert!(gate.exact.is_none_or(|exact| exact <= gate.limit), "{gate:?}");
        }
    }

    #[test]
    fn the_documents_say_what_the_file_says() {
        let gates = Gates::read().unwrap().gate;
        let exact = |id: &str| gates.iter().find(|gate| gate.id == id).and_then(|gate| gate.exact);
        let text = include_str!("../../docs/performance.md");
        for (way, runs) in [("posted", "burst_1"), ("proxied", "proxied")] {
            let row = text.lines().find(|line| line.starts_with(&format!("| {way}, ")));
            let cells: Vec<_> = row.unwrap().split('|').map(|cell| cell.trim().parse()).collect();
            assert_eq!(cells[3].clone().ok(), exact(&format!("exits.{runs}.running.tdvmcalls")));
            assert_eq!(cells[4].clone().ok(), exact(&format!("icount.{runs}.running.whole_pass")));
        }
    }

    #[test]
    fn a_number_that_is_the_same_passes() {
        assert!(complaints("1.2.3", &[("a.b", 5.0), ("c.d", 1.0)]).is_empty());
    }

    #[test]
    fn a_number_that_misses_the_goal_is_told_in_the_table() {
        let measured = Measured::from([("a.b".to_owned(), 5.0), ("c.d".to_owned(), 1.0)]);
        let judged = Gates::parse(FILE).unwrap().judge(&measured, "1.2.3", &[]);
        assert_eq!(judged.table.matches("misses the goal").count(), 1, "{}", judged.table);
        assert!(judged.verdict().is_ok());
    }

    #[test]
    fn worse_and_better_are_told_with_the_number() {
        let worse = complaints("1.2.3", &[("a.b", 6.0), ("c.d", 1.0)]);
        assert_eq!(worse, ["a.b (G1) is 6, worse than 5"]);
        let better = complaints("1.2.3", &[("a.b", 4.0), ("c.d", 1.0)]);
        assert!(better[0].contains("write exact = 4"), "{better:?}");
        let over = complaints("1.2.3", &[("a.b", 5.0), ("c.d", 2.6)]);
        assert_eq!(over, ["c.d (G2) is 2.6, over the limit of 2.5"]);
    }

    #[test]
    fn with_another_compiler_only_limits_are_judged() {
        assert!(complaints("1.3.0", &[("a.b", 6.0), ("c.d", 1.0)]).is_empty());
        assert_eq!(complaints("1.3.0", &[("a.b", 7.0), ("c.d", 1.0)]).len(), 1);
    }

    #[test]
    fn what_is_not_measured_or_not_gated_is_told() {
        assert_eq!(complaints("1.2.3", &[("c.d", 1.0)]), ["a.b (G1) was not measured"]);
        let unknown = complaints("1.2.3", &[("a.b", 5.0), ("c.d", 1.0), ("e", 1.0)]);
        assert!(unknown[0].contains("no such gate"), "{unknown:?}");
    }

    #[test]
    fn accepted_numbers_change_nothing_else() {
        let gates = Gates::parse(FILE).unwrap();
        let accept = |a, c| {
            let measured = Measured::from([("a.b".to_owned(), a), ("c.d".to_owned(), c)]);
            Gates::accepted_in(FILE, &gates, &measured)
        };
        assert_eq!(
            accept(7.0, 9.0),
            FILE.replace("exact = 5", "exact = 7").replace("limit = 6", "limit = 7")
        );
        assert_eq!(
            accept(3.0, 9.0),
            FILE.replace("exact = 5", "exact = 3").replace("limit = 6", "limit = 4")
        );
    }

    #[test]
    fn a_gate_stands_in_the_file_once() {
        assert!(Gates::parse(&FILE.replace("c.d", "a.b")).is_err());
    }
}
