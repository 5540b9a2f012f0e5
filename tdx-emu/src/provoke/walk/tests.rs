// SPDX-License-Identifier: MIT OR Apache-2.0
//! The order of rings, and what is told of those that go wrong.

use super::{Plan, Ran, Refused, Sweep, Trapped};

const PLAN: Plan = Plan { vector: 0x5f, lanes: 1, starter: None, target: 0, echo: None };

/// One walk over the instructions at `rips`; returns where it was rung, and with what.
fn walk(sweep: &mut Sweep, rips: &[u64]) -> Vec<(u64, u8)> {
    sweep.asked(0);
    sweep.exited(0, Ran::Yes);
    let rung = rips.iter().filter_map(|&rip| {
        let vector = sweep.boundary(rip, Trapped::Yes)?;
        assert!(!sweep.rung(vector, Some((0, vector + 0x20))));
        Some((rip, vector))
    });
    let rung = rung.collect();
    sweep.entered(0, Refused::No);
    rung
}

#[test]
fn each_boundary_is_rung_once_and_in_order() {
    let mut sweep = Sweep::new(PLAN);
    assert_eq!(walk(&mut sweep, &[10, 20, 30]), []);
    for rip in [10, 20, 30] {
        assert_eq!(walk(&mut sweep, &[10, 20, 30]), [(rip, 0x5f)]);
        sweep.delivered(0, 0x7f);
    }
    assert!(sweep.is_complete());
    assert_eq!(walk(&mut sweep, &[10, 20, 30]), []);
    let report = sweep.to_string();
    assert!(report.contains(r#""complete":true,"walks":4,"rings":3,"delivered":3"#), "{report}");
    assert!(report.contains(r#""missed":0,"more":0,"astray":0,"lost":0,"twice":0"#), "{report}");
}

#[test]
fn several_lanes_share_a_walk_and_their_handlers_do_not_count() {
    let mut sweep = Sweep::new(Plan { lanes: 2, ..PLAN });
    let rips = [10, 20, 30, 40];
    walk(&mut sweep, &rips);
    assert_eq!(walk(&mut sweep, &rips), [(10, 0x5f), (30, 0x40)]);
    sweep.delivered(0, 0x7f);
    sweep.delivered(0, 0x60);
    sweep.asked(0);
    sweep.exited(0, Ran::Yes);
    assert_eq!(sweep.boundary(10, Trapped::Yes), None);
    assert_eq!(sweep.boundary(20, Trapped::Yes), Some(0x5f));
    sweep.taken(0, 0x5f, 20);
    assert_eq!(sweep.boundary(90, Trapped::Yes), None);
    assert_eq!(sweep.boundary(20, Trapped::Yes), None, "back from the handler");
    assert_eq!(sweep.boundary(30, Trapped::Yes), None);
    assert_eq!(sweep.boundary(40, Trapped::Yes), Some(0x40));
    sweep.entered(0, Refused::Yes);
    assert!(sweep.is_complete());
}

#[test]
fn what_the_regular_walks_did_not_meet_is_rung_at_later() {
    let mut sweep = Sweep::new(PLAN);
    walk(&mut sweep, &[10, 20]);
    for rip in [10, 99] {
        assert_eq!(walk(&mut sweep, &[10, 99]), [(rip, 0x5f)]);
        sweep.delivered(0, 0x7f);
    }
    assert!(!sweep.is_complete());
    assert_eq!(walk(&mut sweep, &[10, 15, 20]), [(20, 0x5f)]);
    assert!(sweep.is_complete());
    assert!(sweep.to_string().contains(r#""missed":0,"more":1,"astray":2"#), "{sweep}");
}

#[test]
fn a_ring_that_does_not_arrive_ends_the_sweep_and_one_too_many_is_told() {
    let mut sweep = Sweep::new(PLAN);
    walk(&mut sweep, &[10, 20]);
    walk(&mut sweep, &[10, 20]);
    assert_eq!(walk(&mut sweep, &[10, 20]), []);
    let report = sweep.to_string();
    assert!(report.contains(r#""complete":false"#) && report.contains(r#""lost":1"#));
    sweep.delivered(0, 0x7f);
    sweep.delivered(0, 0x7f);
    assert!(sweep.to_string().contains(r#""twice":1"#));
    assert!(sweep.to_string().contains(r#""tardy":1"#), "L2 exited before it took it");
}

#[test]
fn a_lower_vector_before_a_ring_is_told() {
    let mut sweep = Sweep::new(PLAN);
    walk(&mut sweep, &[10]);
    walk(&mut sweep, &[10]);
    sweep.delivered(0, 0x60);
    sweep.delivered(0, 0x7f);
    sweep.delivered(0, 0x60);
    assert!(sweep.to_string().contains(r#""inverted":1"#), "{sweep}");
}

#[test]
fn a_starter_makes_l2_exit_once() {
    let mut sweep = Sweep::new(Plan { starter: Some(0x40), ..PLAN });
    sweep.asked(0);
    assert_eq!((sweep.starter(1), sweep.starter(0), sweep.starter(0)), (None, Some(0x40), None));
    sweep.exited(0, Ran::Yes);
    assert!(!sweep.walks(0), "it has not come yet");
    sweep.exited(0, Ran::Perhaps);
    assert!(sweep.walks(0) && !sweep.walks(1));
}

/// One walk of CPU 0 over one instruction, at which CPU 1 is rung.
fn ring_elsewhere(sweep: &mut Sweep, destination: (usize, u8)) {
    sweep.asked(0);
    sweep.exited(0, Ran::Yes);
    assert_eq!(sweep.waits_for(1), None, "nothing was rung");
    if let Some(vector) = sweep.boundary(10, Trapped::Yes) {
        assert!(sweep.rung(vector, Some(destination)));
        sweep.taken(1, vector - 1, 20);
        assert_eq!(sweep.waits_for(1), None, "it took what began the walk");
        sweep.taken(0, vector, 20);
        assert_eq!(sweep.waits_for(1), None, "another CPU took that vector of its own");
        sweep.taken(1, vector, 20);
        assert_eq!((sweep.waits_for(0), sweep.waits_for(1)), (None, Some(0)));
        assert!(!sweep.is_answered());
        sweep.answer();
        assert!(sweep.is_answered());
        assert_eq!(sweep.waits_for(1), None);
    }
    sweep.entered(0, Refused::No);
}

#[test]
fn what_is_passed_on_is_awaited_where_it_ends() {
    let mut sweep = Sweep::new(Plan { target: 1, ..PLAN });
    ring_elsewhere(&mut sweep, (0, 0x7f));
    ring_elsewhere(&mut sweep, (0, 0x7f));
    sweep.delivered(1, 0x7f);
    assert!(sweep.to_string().contains(r#""delivered":0"#), "{sweep}");
    sweep.delivered(0, 0x7f);
    assert!(sweep.to_string().contains(r#""delivered":1"#), "{sweep}");
}

#[test]
fn of_an_echo_the_echo_is_awaited() {
    let mut sweep = Sweep::new(Plan { target: 1, echo: Some(0x54), ..PLAN });
    ring_elsewhere(&mut sweep, (1, 0x7f));
    ring_elsewhere(&mut sweep, (1, 0x7f));
    sweep.delivered(1, 0x7f);
    sweep.exited(0, Ran::Perhaps);
    assert!(sweep.to_string().contains(r#""tardy":0"#), "{sweep}");
    sweep.exited(0, Ran::Yes);
    assert!(sweep.to_string().contains(r#""tardy":1"#), "{sweep}");
    sweep.delivered(0, 0x54);
    sweep.delivered(0, 0x54);
    assert!(sweep.to_string().contains(r#""delivered":1"#), "{sweep}");
    assert!(sweep.to_string().contains(r#""twice":1"#), "{sweep}");
}

#[test]
fn what_ends_on_another_cpu_is_not_tardy_here() {
    let mut sweep = Sweep::new(PLAN);
    walk(&mut sweep, &[10]);
    sweep.asked(0);
    sweep.exited(0, Ran::Yes);
    assert_eq!(sweep.boundary(10, Trapped::Yes), Some(0x5f));
    assert!(!sweep.rung(0x5f, Some((1, 0x7f))));
    sweep.entered(0, Refused::No);
    sweep.exited(0, Ran::Yes);
    sweep.delivered(1, 0x7f);
    assert!(sweep.to_string().contains(r#""delivered":1"#), "{sweep}");
    assert!(sweep.to_string().contains(r#""tardy":0"#), "{sweep}");
}

#[test]
fn an_instruction_of_a_loop_is_rung_at_once() {
    let mut sweep = Sweep::new(Plan { lanes: 0, ..PLAN });
    let rips = [10, 20, 10, 20, 30];
    walk(&mut sweep, &rips);
    for rip in [10, 20, 30] {
        assert!(!sweep.is_complete());
        assert_eq!(walk(&mut sweep, &rips), [(rip, 0x5f)]);
        sweep.delivered(0, 0x7f);
    }
    assert!(sweep.is_complete());
    assert!(sweep.to_string().contains(r#""missed":0"#), "{sweep}");
}
