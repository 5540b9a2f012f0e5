// SPDX-License-Identifier: MIT OR Apache-2.0
//! A run with invented figures, for tests of what is made of one.

use crate::{
    drains::KINDS,
    results::{AtRest, Drained, Line, Machine, PATTERNS, Post, Remap, Results, Run, SCHEMA, Tail},
    subject,
    ticks::Clock,
};

/// Returns a run in which ours takes 1 ns and everything else 10.
pub(crate) fn example() -> Results {
    let tail = |ticks: f64| {
        let (p99_ticks, p999_ticks) = (2.0 * ticks, 5.0 * ticks);
        Some(Tail { p50_ticks: ticks, p99_ticks, p999_ticks, samples: 1000, stalls: 1 })
    };
    let factor = |id: &str| if id == "ours" { 1.0 } else { 10.0 };
    let post = |subject: Box<dyn subject::Subject>| {
        let about = subject.about();
        let cost = factor(about.id);
        Post {
            about,
            instructions: Some(6.0 * cost),
            alone_ns: Some(cost),
            together_ns: Some(2.0 * cost),
            quiet: tail(50.0 * cost),
            storm: tail(70.0 * cost),
            other_table: tail(51.0 * cost),
        }
    };
    let at_rest = |id: &str| {
        let one = |pattern: crate::results::Pattern| AtRest {
            pattern: pattern.name,
            instructions: Some(20.0 * factor(id)),
            cycles: Some(9.0 * factor(id)),
        };
        PATTERNS.map(one).to_vec()
    };
    let drain = |kind: crate::drains::Kind| Drained {
        id: kind.id,
        name: kind.name,
        family: kind.family,
        at_rest: at_rest(kind.id),
        storm: tail(60.0),
    };
    let remap = |mappings| Remap {
        mappings,
        list_map_ns: Some(mappings as f64),
        list_unmap_ns: Some(mappings as f64),
        ours_map_ns: Some(60.0),
        ours_unmap_ns: Some(70.0),
    };
    let clock = Clock { ns_per_tick: 0.4, cycles_per_tick: 1.5, step: 26 };
    let (cpu, kernel) = ("A processor <of> \"some\" kind & make".to_owned(), "6.1".to_owned());
    Results {
        schema: SCHEMA,
        machine: Machine { cpu, cpus: 2, load: 1.5, kernel, clock },
        run: Run {
            version: "0.1.0",
            compiler: "rustc 1.95.0".to_owned(),
            profile: "release".to_owned(),
            quick: true,
            rounds: 1,
            seconds: 1.0,
            instructions_counted: true,
        },
        line: Line { miss_ticks: Some(200.0), clock_ticks: Some(52.0) },
        posts: subject::all().into_iter().map(post).collect(),
        drains: KINDS.map(drain).to_vec(),
        remaps: [32, 1024, 32_768].map(remap).to_vec(),
        goals: Vec::new(),
    }
}
