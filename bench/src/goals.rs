// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the figures of a run say of the goals that can be judged on a host.
//!
//! G5 is about drains, G6 about what a post costs beside others, G7 about what a writer does to a
//! reader. The bounds were set on another machine, so some say as much about this one's locked
//! operations as about the code; they are reported as they come out.

use crate::results::{Bound, Goal, Results, Tail};

/// The alternatives by how many times the relay shall be faster.
const FASTER: [(f64, &[&str]); 4] = [
    (5.0, &["atomic-table", "qsbr", "seqlock", "peer-v2"]),
    (9.0, &["urcu-mb"]),
    (
        11.0,
        &[
            "spin-mutex",
            "spin-rwlock",
            "std-mutex",
            "std-rwlock",
            "parking-lot-mutex",
            "parking-lot-rwlock",
            "crossbeam-epoch",
            "arc-swap",
            "left-right",
            "peer-v1",
        ],
    ),
    (20.0, &["peer-chain"]),
];

/// Bounds of a drain: pattern, instructions, cycles.
const DRAINS: [(&str, f64, f64); 4] =
    [("0", 5.0, 8.0), ("1", 31.0, 25.0), ("32 contiguous", 31.0, 25.0), ("32 spread", 67.0, 80.0)];

/// Judges all goals.
#[must_use]
pub fn judge(results: &Results) -> Vec<Goal> {
    [drains(results), costs(results), readers(results)].concat()
}

fn goal(
    id: &'static str,
    what: impl Into<String>,
    measured: Option<f64>,
    must_be: Bound,
    bound: f64,
) -> Goal {
    let met = measured.map(|value| match must_be {
        Bound::AtMost => value <= bound,
        Bound::AtLeast => value >= bound,
    });
    Goal { id, what: what.into(), measured, bound, must_be, met }
}

fn ratio(above: Option<f64>, below: Option<f64>) -> Option<f64> {
    below.filter(|value| *value > 0.0).and_then(|below| Some(above? / below))
}

fn drains(results: &Results) -> Vec<Goal> {
    let at = |id: &str, pattern: &str| results.drain(id)?.pattern(pattern).copied();
    let cycles = |id: &str, pattern: &str| at(id, pattern)?.cycles;
    let mut goals = Vec::new();
    for (pattern, instructions, most) in DRAINS {
        let ours = at("ours", pattern);
        let counted = ours.and_then(|ours| ours.instructions);
        let what = format!("drain of {pattern}: instructions");
        goals.push(goal("G5", what, counted, Bound::AtMost, instructions));
        let measured = ours.and_then(|ours| ours.cycles);
        goals.push(goal(
            "G5",
            format!("drain of {pattern}: cycles"),
            measured,
            Bound::AtMost,
            most,
        ));
    }
    for (pattern, times) in [("1", 6.0), ("32 contiguous", 6.0), ("32 spread", 1.9)] {
        let faster = ratio(cycles("peer", pattern), cycles("ours", pattern));
        let what = format!("drain of {pattern}: times as fast as the peer's kernel");
        goals.push(goal("G5", what, faster, Bound::AtLeast, times));
    }
    let p99 = |id: &str| Some(results.drain(id)?.storm?.p99_ticks);
    let better = ratio(p99("peer"), p99("remote"));
    let what = "drain beside a poster: p99, times as good as the peer's kernel";
    goals.push(goal("G5", what, better, Bound::AtLeast, 4.0));
    goals
}

fn costs(results: &Results) -> Vec<Goal> {
    let alone = |id: &str| results.post(id)?.alone_ns;
    let mut goals = Vec::new();
    for (times, ids) in FASTER {
        for id in ids {
            let name = results.post(id).map_or(*id, |post| post.about.name);
            let what = format!("post: times as fast as {name}");
            goals.push(goal("G6", what, ratio(alone(id), alone("ours")), Bound::AtLeast, times));
        }
    }
    let remote = ratio(alone("ours-remote"), alone("lock-or"));
    goals.push(goal("G6", "remote post beside one lock or", remote, Bound::AtMost, 1.05));
    let scaling = ratio(results.post("ours").and_then(|ours| ours.together_ns), alone("ours"));
    goals.push(goal("G6", "post on two CPUs beside one", scaling, Bound::AtMost, 1.1));
    goals
}

fn readers(results: &Results) -> Vec<Goal> {
    let ours = results.post("ours");
    let quiet = ours.and_then(|ours| ours.quiet);
    let storm = ours.and_then(|ours| ours.storm);
    let other = ours.and_then(|ours| ours.other_table);
    let of = |tail: Option<Tail>, part: fn(&Tail) -> f64| tail.as_ref().map(part);
    let p999 = |tail| of(tail, |tail| tail.p999_ticks);
    let p50 = |tail| of(tail, |tail| tail.p50_ticks);
    let allowed = p999(quiet)
        .zip(results.line.miss_ticks)
        .and_then(|(quiet, miss)| ratio(p999(storm), Some(quiet + 1.5 * miss)));
    vec![
        goal(
            "G7",
            "other CPU's table written: p99.9 beside quiet",
            ratio(p999(other), p999(quiet)),
            Bound::AtMost,
            1.3,
        ),
        goal(
            "G7",
            "same table written: p50 beside quiet",
            ratio(p50(storm), p50(quiet)),
            Bound::AtMost,
            1.1,
        ),
        goal(
            "G7",
            "same table written: p99.9 beside quiet + 1.5 line misses",
            allowed,
            Bound::AtMost,
            1.0,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::example;

    #[test]
    fn a_goal_is_met_on_the_good_side_of_its_bound() {
        let met = |value, must_be| goal("G0", "x", value, must_be, 2.0).met;
        assert_eq!(met(Some(2.0), Bound::AtMost), Some(true));
        assert_eq!(met(Some(2.1), Bound::AtMost), Some(false));
        assert_eq!(met(Some(1.9), Bound::AtLeast), Some(false));
        assert_eq!(met(None, Bound::AtLeast), None);
    }

    #[test]
    fn every_goal_speaks_of_something_that_is_measured() {
        let goals = judge(&example());
        assert!(goals.len() > 25);
        for goal in goals {
            assert!(goal.measured.is_some(), "{goal:?}");
        }
    }

    #[test]
    fn ratios_are_the_others_over_ours() {
        let goals = judge(&example());
        let one = goals.iter().find(|goal| goal.what.contains("std Mutex")).unwrap();
        assert_eq!((one.measured, one.met), (Some(10.0), Some(false)));
    }
}
