// SPDX-License-Identifier: MIT OR Apache-2.0
//! A whole run: everything takes its turn, several times over.

use std::time::Instant;

use crate::{
    drains::{Drain, KINDS},
    goals,
    instructions::Counts,
    machine,
    measure::{
        cost, drain,
        effort::Effort,
        line, remap,
        tail::{self, Tails, Writer},
    },
    results::{AtRest, Drained, PATTERNS, Post, Results, Run, SCHEMA, Tail},
    statistics::low,
    subject::{self, Subject},
    ticks::Clock,
    variant::Scope,
};

/// What a run is told.
#[derive(Debug)]
pub struct Order {
    /// How much is measured.
    pub effort: Effort,
    /// Whether that is little.
    pub quick: bool,
    /// What callgrind has counted, if it has.
    pub counts: Counts,
    /// The compiler's version.
    pub compiler: String,
}

/// Measures everything. `say` is told what is being measured.
pub fn run(order: &Order, say: &mut dyn FnMut(&str)) -> Results {
    let start = Instant::now();
    let clock = Clock::calibrate();
    let machine = machine::this(clock);
    say("cache line");
    let line = line::miss(&order.effort, &clock);
    let posts = posts(order, &clock, say);
    let drains = drains(order, &clock, say);
    say("map and unmap");
    let remaps = remap::all(&order.effort, &clock);
    let run = Run {
        version: env!("CARGO_PKG_VERSION"),
        compiler: order.compiler.clone(),
        profile: profile().to_owned(),
        quick: order.quick,
        rounds: order.effort.rounds,
        seconds: start.elapsed().as_secs_f64(),
        instructions_counted: !order.counts.is_empty(),
    };
    let goals = Vec::new();
    let mut results = Results { schema: SCHEMA, machine, run, line, posts, drains, remaps, goals };
    results.goals = goals::judge(&results);
    results
}

const fn profile() -> &'static str {
    if cfg!(debug_assertions) { "debug: no figure means anything" } else { "release" }
}

/// What has been measured of one way of posting.
struct Collected {
    subject: Box<dyn Subject>,
    alone: Vec<f64>,
    together: Vec<f64>,
    tails: [Tails; 3],
}

const WRITERS: [Writer; 3] = [Writer::None, Writer::SameTable, Writer::OtherTable];

fn posts(order: &Order, clock: &Clock, say: &mut dyn FnMut(&str)) -> Vec<Post> {
    let effort = &order.effort;
    let collected = |subject| Collected {
        subject,
        alone: Vec::new(),
        together: Vec::new(),
        tails: core::array::from_fn(|_| Tails::new(clock.step)),
    };
    let mut all: Vec<Collected> = subject::all().into_iter().map(collected).collect();
    let empty = subject::all().swap_remove(0);
    for round in 1..=effort.rounds {
        say(&format!("posts, round {round} of {}", effort.rounds));
        for _ in 0..3 {
            for one in &mut all {
                one.alone.extend(cost::alone(&*one.subject, effort));
            }
        }
        for one in &mut all {
            one.together.extend(cost::together(&*one.subject, effort));
        }
        for (writer, tail) in WRITERS.into_iter().zip(0..) {
            for one in &mut all {
                if writer != Writer::OtherTable || one.subject.about().scope == Scope::PerCpu {
                    let how = (effort, clock);
                    tail::sample(&*one.subject, &*empty, writer, how, &mut one.tails[tail]);
                }
            }
        }
    }
    let post = |one: Collected| {
        let about = one.subject.about();
        let [quiet, storm, other_table] = one.tails.map(|one| one.tail());
        Post {
            about,
            instructions: order.counts.get(&format!("post {}", about.id)).copied(),
            alone_ns: low(&one.alone).map(|ticks| clock.ns(ticks)),
            together_ns: low(&one.together).map(|ticks| clock.ns(ticks)),
            quiet,
            storm,
            other_table,
        }
    };
    all.into_iter().map(post).collect()
}

fn drains(order: &Order, clock: &Clock, say: &mut dyn FnMut(&str)) -> Vec<Drained> {
    let effort = &order.effort;
    let made = |pattern: crate::results::Pattern| KINDS.map(|kind| (kind.make)(&pattern.vectors()));
    let drains: Vec<[&'static dyn Drain; KINDS.len()]> = PATTERNS.into_iter().map(made).collect();
    let mut rest = vec![[const { Vec::new() }; PATTERNS.len()]; KINDS.len()];
    let mut storms: Vec<Tails> = KINDS.iter().map(|_| Tails::new(clock.step)).collect();
    for round in 1..=effort.rounds {
        say(&format!("drains, round {round} of {}", effort.rounds));
        for (place, pattern) in PATTERNS.into_iter().enumerate() {
            let [empty, ..] = &drains[place];
            for (kind, drain) in drains[place].iter().enumerate() {
                rest[kind][place].extend(drain::at_rest(*drain, *empty, pattern, effort));
            }
        }
        for ((drain, storm), kind) in drains[0].iter().zip(&mut storms).zip(KINDS) {
            // What another CPU posts is never what this one took itself.
            if !["ours", "banked"].contains(&kind.id) {
                drain::beside_a_poster(*drain, effort, storm);
            }
        }
    }
    let of = |(index, storm): (usize, Option<Tail>)| {
        let kind = KINDS[index];
        let cell = |(place, pattern): (usize, crate::results::Pattern)| AtRest {
            pattern: pattern.name,
            instructions: order.counts.get(&format!("drain {} {}", kind.id, pattern.name)).copied(),
            cycles: low(&rest[index][place]).map(|ticks| clock.cycles(ticks).max(0.0)),
        };
        let at_rest = PATTERNS.into_iter().enumerate().map(cell).collect();
        Drained { id: kind.id, name: kind.name, family: kind.family, at_rest, storm }
    };
    storms.iter().map(Tails::tail).enumerate().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_measures_everything_and_its_json_can_be_read() {
        let order = Order {
            effort: Effort::SMOKE,
            quick: true,
            counts: [("post ours".to_owned(), 6.0)].into(),
            compiler: "rustc".to_owned(),
        };
        let results = run(&order, &mut |_| {});
        assert_eq!(
            (results.posts.len(), results.drains.len()),
            (subject::all().len(), KINDS.len())
        );
        assert!(results.posts.iter().all(|post| post.alone_ns.is_some()));
        let json: serde_json::Value = serde_json::from_str(&results.json().unwrap()).unwrap();
        assert_eq!(json["schema"], SCHEMA);
        assert_eq!(json["posts"][1]["id"], "ours");
        assert_eq!(json["posts"][1]["instructions"], 6.0);
        assert!(json["machine"]["clock"]["ns_per_tick"].is_f64(), "{json}");
        assert!(json["goals"].as_array().is_some_and(|goals| goals.len() > 25));
    }
}
