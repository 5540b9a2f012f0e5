// SPDX-License-Identifier: MIT OR Apache-2.0
//! Negative controls: books that do not balance must not pass. No machine runs here.

use core::time::Duration;

use libtest_mimic::Trial;
use xtask::machine::{Exit, Outcome};
use xtask::report::{End, Report, Row};

use crate::account;
use crate::stand::{Verdict, check, scenario};

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    vec![
        scenario("controls::good_books_balance", || {
            account::exact(&outcome()).map(drop)?;
            account::exact(&passed_on()).map(drop)?;
            account::balanced(&merged()).map(drop)
        }),
        refused("a_lost_interrupt_is_noticed", |run| row(run).lost = 1),
        refused("an_interrupt_taken_twice_is_noticed", |run| row(run).relayed += 1),
        refused("a_detour_by_the_host_is_noticed", |run| row(run).host_exits = 1),
        refused("a_call_of_the_host_is_noticed", |run| row(run).tdvmcalls = 1),
        refused("a_kick_for_nobody_else_is_noticed", |run| row(run).kicks = 1),
        refused("another_mode_than_the_way_taken_is_noticed", |run| {
            *run = passed_on();
            "posted".clone_into(&mut row(run).mode);
        }),
        refused("a_proxied_interrupt_told_as_posted_is_noticed", |run| row(run).reserved = 0),
        refused("a_kick_for_no_interrupt_is_noticed", |run| {
            *run = passed_on();
            row(run).kicks = 10;
        }),
        refused("a_ring_that_sent_no_message_is_noticed", |run| run.peer.rung[0] += 1),
        refused("a_guest_that_counts_otherwise_is_noticed", |run| {
            run.report.guest[0] = run.report.guest[0].replace("handled=9", "handled=8");
        }),
        refused("another_vector_than_the_guests_is_noticed", |run| row(run).vector += 1),
        refused("a_guest_that_is_not_content_is_noticed", |run| {
            run.report.guest[1] = run.report.guest[1].replace("ok=1", "ok=0");
        }),
        refused("a_missing_last_line_is_noticed", |run| drop(run.report.guest.pop())),
        refused("a_bad_end_is_noticed", |run| run.exit = Exit::FAILURE),
        refused("a_missing_end_is_noticed", |run| run.report.end = None),
        refused("an_aborted_command_is_noticed", |run| run.peer.errors.push(String::new())),
        scenario("controls::the_tests_that_the_table_of_exits_names_exist", named_tests_exist),
        scenario("controls::the_tests_that_the_table_of_peers_names_exist", peers_tests_exist),
        scenario("controls::a_merge_is_no_exact_relay", || {
            check!(account::exact(&merged()).is_err(), "a merge passed as exact");
            Ok(())
        }),
    ]
}

/// The last column of the documented table of exits names beginnings of scenarios' names.
fn named_tests_exist() -> Verdict {
    let table = include_str!("../../docs/exits.md");
    let scenarios = crate::scenarios();
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let shown_by = line.trim_end_matches([' ', '|']).rsplit('|').next().unwrap_or_default();
        for name in shown_by.split('`').filter(|part| part.contains("::")) {
            let exists = scenarios.iter().any(|trial| trial.name().starts_with(name));
            check!(exists, "docs/exits.md names {name}, which is no test");
        }
    }
    Ok(())
}

/// The same of the table of peers, which also names tests of the relay's crate.
fn peers_tests_exist() -> Verdict {
    let table = include_str!("../../docs/peers.md");
    let tests = include_str!("../../proxy-irq/tests/peers.rs");
    let scenarios = crate::scenarios();
    for line in table.lines().filter(|line| line.starts_with('|')) {
        let shown_by = line.trim_end_matches([' ', '|']).rsplit('|').next().unwrap_or_default();
        for name in shown_by.split('`').filter(|part| part.contains("::") || part.contains('_')) {
            let exists = scenarios.iter().any(|trial| trial.name().starts_with(name))
                || tests.contains(&format!("fn {name}()"));
            check!(exists, "docs/peers.md names {name}, which is no test");
        }
    }
    Ok(())
}

/// A scenario in which the books, after `spoil`, must not balance.
fn refused(name: &str, spoil: fn(&mut Outcome)) -> Trial {
    scenario(format!("controls::{name}"), move || -> Verdict {
        let mut outcome = outcome();
        spoil(&mut outcome);
        check!(account::exact(&outcome).is_err(), "bad books passed");
        Ok(())
    })
}

/// A run in which one doorbell entry was rung nine times, and all is well.
fn outcome() -> Outcome {
    let row = Row {
        device: "1af4:1110".to_owned(),
        bdf: "00:02.0".to_owned(),
        reserved: 0x41,
        vector: 96,
        mode: "posted".to_owned(),
        messages: 9,
        relayed: 9,
        ..Row::default()
    };
    let guest = [
        "result vector=96 cpu=0 device=00:02.0 entry=0 handled=9",
        "result scenario=paced ok=1 handled=9",
    ];
    Outcome {
        exit: Exit::SUCCESS,
        console: Vec::new(),
        report: Report {
            rows: vec![row],
            guest: guest.map(str::to_owned).into(),
            end: Some(End { status: "success".to_owned(), ..End::default() }),
            ..Report::default()
        },
        duration: Duration::ZERO,
        peer: ivshmem_peer::Summary { rung: vec![9], ..ivshmem_peer::Summary::default() },
    }
}

/// The same run with two more rings, each merged with another.
fn merged() -> Outcome {
    let mut outcome = outcome();
    row(&mut outcome).messages = 11;
    row(&mut outcome).merged = 2;
    outcome.peer.rung = vec![11];
    outcome
}

/// The same run with all interrupts taken by another CPU, and the CPU that they are for kicked each time.
fn passed_on() -> Outcome {
    let mut outcome = outcome();
    let row = row(&mut outcome);
    "remote".clone_into(&mut row.mode);
    (row.taker, row.kicks) = (1, 9);
    outcome
}

/// The one way of the run.
fn row(outcome: &mut Outcome) -> &mut Row {
    &mut outcome.report.rows[0]
}
