// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host of Hyper-V's kind: interrupts that it posts, that it proxies, and both at once; VMBus beside them.
//!
//! L1 counts what came by messages and what its filter dropped; the guest counts what it took.

use std::collections::HashMap;

use libtest_mimic::Trial;
use xtask::machine::{Exit, Outcome};

use crate::stand::{Stand, Verdict, check, ended, said, scenario};

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    let mut trials = Vec::new();
    for cpus in [1, 2, 4] {
        let name = |what: &str| format!("proxied::{what}_on_{cpus}_cpus");
        trials
            .push(scenario(name("every_interrupt_comes_by_a_message"), move || none_posted(cpus)));
        trials.push(scenario(name("nothing_is_lost_when_the_way_changes"), move || changing(cpus)));
    }
    trials.push(scenario("proxied::where_the_host_posts_it_posts", all_posted));
    trials.push(scenario("proxied::what_finds_no_reserved_vector_comes_by_messages", mixed));
    trials.push(scenario("proxied::what_was_proxied_is_posted_when_room_is_made", climbing));
    trials.push(scenario("proxied::packets_come_back_over_both_channels", echo));
    trials
}

fn stand(cpus: u32, guest: &str) -> Stand {
    Stand::new(cpus, guest).hyper_v()
}

/// The sums of L1's figures by name, over all lines that have `part`.
fn sums(outcome: &Outcome, part: &str) -> HashMap<String, u64> {
    let lines = outcome.console.iter().filter(|line| line.starts_with("L1 | "));
    let words = lines.filter(|line| line.contains(part)).flat_map(|line| line.split_whitespace());
    let mut sums = HashMap::new();
    for (key, value) in words.filter_map(|word| word.split_once('=')) {
        if let Ok(value) = value.parse::<u64>() {
            *sums.entry(key.to_owned()).or_default() += value;
        }
    }
    sums
}

/// How many interrupts have a mode in L1's list.
fn in_mode(outcome: &Outcome, mode: &str) -> usize {
    let word = format!("mode={mode} ");
    outcome
        .console
        .iter()
        .filter(|line| line.contains("relay: reserved=") && line.contains(&word))
        .count()
}

/// The guest took all that it waited for, and L1 dropped nothing.
fn books(outcome: &Outcome) -> Result<HashMap<String, u64>, String> {
    ended(outcome, &Exit::SUCCESS)?;
    let relay = sums(outcome, "relay: cpu=");
    for key in ["filtered", "spurious", "refused", "quarantined"] {
        check!(relay[key] == 0, "{key}={}", relay[key]);
    }
    let proxy = sums(outcome, "proxy: interrupts=");
    for key in ["faults", "retargets_refused"] {
        check!(proxy[key] == 0, "{key}={}", proxy[key]);
    }
    Ok(proxy)
}

fn none_posted(cpus: u32) -> Verdict {
    stand(cpus, "scenario=paced vectors=8 count=50").emulator_option("redirect=0").run(|outcome| {
        let proxy = books(outcome)?;
        check!(proxy["vectors"] == 400, "{} vectors by messages", proxy["vectors"]);
        check!(in_mode(outcome, "proxied") == 8, "not all are proxied");
        check!(sums(outcome, "relay: cpu=")["posted"] == 0, "some were posted");
        Ok(())
    })
}

fn all_posted() -> Verdict {
    stand(2, "scenario=paced vectors=8 count=50").run(|outcome| {
        let proxy = books(outcome)?;
        check!(proxy["messages"] == 0, "{} messages", proxy["messages"]);
        check!(in_mode(outcome, "posted") == 8, "not all are posted");
        Ok(())
    })
}

/// Forty entries of one CPU: as many are posted as it has reserved vectors.
fn mixed() -> Verdict {
    stand(1, "scenario=burst vectors=40 count=20").run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        let modes = ["posted", "proxied"].map(|mode| in_mode(outcome, mode));
        check!(modes == [32, 8], "{modes:?} posted and proxied");
        let vectors = sums(outcome, "proxy: interrupts=")["vectors"];
        check!(vectors == 160, "{vectors} vectors by messages");
        said(outcome, "L1 | ", "reason=block-full")
    })
}

/// The same; then room is made on the CPU.
fn climbing() -> Verdict {
    stand(1, "scenario=climb vectors=48").run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        let modes = ["posted", "proxied"].map(|mode| in_mode(outcome, mode));
        check!(modes == [32, 0], "{modes:?} posted and proxied");
        Ok(())
    })
}

/// Each ring waits for the one before, so one that is lost would end the run.
fn changing(cpus: u32) -> Verdict {
    stand(cpus, "scenario=ways vectors=8 count=50").run(|outcome| {
        let proxy = books(outcome)?;
        let posted = sums(outcome, "relay: cpu=")["posted"];
        check!(proxy["vectors"] > 0 && posted > 0, "only one way was taken");
        Ok(())
    })
}

fn echo() -> Verdict {
    let stand = stand(2, "scenario=paced vectors=8 count=50").paravisor_option("echo=500");
    stand.run(|outcome| {
        books(outcome)?;
        said(outcome, "L1 | ", "echo: sent=1000 answered=1000 wrong=0")?;
        said(outcome, "L1 | ", "opened=2 broken=0 stray_flags=0")
    })
}
