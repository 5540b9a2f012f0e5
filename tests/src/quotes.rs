// SPDX-License-Identifier: MIT OR Apache-2.0
//! Quotes that come back by the host's notification; and hosts that notify, answer or refuse as none should.
//!
//! Three parties count: the guest its good quotes and its looks in vain, L1 how it learnt of each answer,
//! and the host how often it answered and notified.

use std::collections::HashMap;

use libtest_mimic::Trial;
use xtask::machine::{Exit, Outcome};

use crate::stand::{Stand, Verdict, check, ended, said, scenario};

/// Requests of each CPU.
const ROUNDS: u64 = 5;

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    let mut trials: Vec<_> = (1..=4)
        .map(|cpus| {
            let name = format!("quotes::come_by_one_notification_and_no_poll_on_{cpus}_cpus");
            scenario(name, move || by_notification(cpus))
        })
        .collect();
    trials.extend([
        scenario("quotes::come_in_any_order", reversed),
        scenario("quotes::may_be_there_at_once", at_once),
        scenario("quotes::that_no_notification_tells_of_are_found_when_time_is_up", silent),
        scenario("quotes::may_be_notified_of_twice", || spurious("double", 2)),
        scenario("quotes::may_be_notified_of_too_early", || spurious("early", 2)),
        scenario("quotes::with_a_length_that_has_no_room_fail", || nonsense("length", "length 0x")),
        scenario("quotes::with_a_status_that_there_is_not_fail", || {
            nonsense("garbage", "status 0x1234")
        }),
        scenario("quotes::that_never_come_are_given_up", never),
        scenario("quotes::that_come_late_give_their_place_back", late),
        scenario("quotes::that_the_host_refuses_fail_at_once", refused),
        scenario("quotes::are_not_served_if_the_host_shares_no_memory", unshared),
        scenario("quotes::end_l1_in_the_hosts_name_if_its_shared_memory_is_not_there", missing),
        scenario("quotes::are_not_served_if_one_cpu_is_not_notified", unnotified),
    ]);
    trials
}

/// `cpus` CPUs that ask for quotes at once.
fn stand(cpus: u32, rounds: u64, manner: &str) -> Stand {
    let guest = format!("scenario=quotes count={rounds}");
    let stand = Stand::new(cpus, &guest).paravisor_option("identity=hyperv");
    stand.emulator_option(&format!("quotes={manner}"))
}

/// Figures by name, of the one line that begins with `prefix` and has `part`.
struct Figures(HashMap<String, u64>);

impl Figures {
    fn of(outcome: &Outcome, prefix: &str, part: &str) -> Result<Self, String> {
        let fits = |line: &&String| line.starts_with(prefix) && line.contains(part);
        let line = outcome.console.iter().find(fits);
        let line = line.ok_or_else(|| format!("no line \"{prefix}…{part}…\""))?;
        let words = line.split_whitespace().filter_map(|word| word.split_once('='));
        let figures = words.filter_map(|(key, value)| Some((key.to_owned(), value.parse().ok()?)));
        Ok(Self(figures.collect()))
    }

    fn get(&self, key: &str) -> u64 {
        self.0.get(key).copied().unwrap_or(u64::MAX)
    }

    /// Checks that each figure is what it is said to be.
    fn are(&self, wanted: &[(&str, u64)]) -> Verdict {
        for (key, value) in wanted {
            check!(self.get(key) == *value, "{key}={}, not {value}", self.get(key));
        }
        Ok(())
    }
}

/// What the guest counted, what L1 counted, and what the host counted.
fn books(outcome: &Outcome) -> Result<[Figures; 3], String> {
    ended(outcome, &Exit::SUCCESS)?;
    Ok([
        Figures::of(outcome, "L2 | ", "result quotes ")?,
        Figures::of(outcome, "L1 | ", "quotes: asked=")?,
        Figures::of(outcome, "L0 | ", "quotes: asked=")?,
    ])
}

/// How often the host interrupted L1 and how often there was nothing new.
fn notifications(outcome: &Outcome) -> Result<[u64; 2], String> {
    let figures = Figures::of(outcome, "L1 | ", "events: notifications=")?;
    Ok(["notifications", "in_vain"].map(|key| figures.get(key)))
}

/// Every quote is good, every answer was found by a notification, nobody ever looked unasked. Time counts
/// by instructions, so that no answer is there before the call has returned.
fn by_notification(cpus: u32) -> Verdict {
    let all = ROUNDS * u64::from(cpus);
    stand(cpus, ROUNDS, "honest").by_instructions().run(|outcome| {
        let [guest, l1, host] = books(outcome)?;
        guest.are(&[("asked", all), ("good", all), ("in_vain", 0), ("again", 0), ("failed", 0)])?;
        l1.are(&[("asked", all), ("given", all), ("notified", all), ("at_once", 0)])?;
        l1.are(&[("polls", 0), ("missed", 0), ("timed_out", 0), ("crowded", 0)])?;
        host.are(&[("answered", all), ("notified", all)])?;
        let [notifications, _] = notifications(outcome)?;
        check!(notifications <= all, "{notifications} notifications for {all} quotes");
        Ok(())
    })
}

/// Four requests are answered in the order opposite to that in which they came.
fn reversed() -> Verdict {
    stand(4, ROUNDS, "reverse").run(|outcome| {
        let [guest, l1, _] = books(outcome)?;
        let all = 4 * ROUNDS;
        guest.are(&[("asked", all), ("good", all), ("in_vain", 0)])?;
        l1.are(&[("given", all), ("polls", 0)])
    })
}

/// A host that answers before its call returns need not notify.
fn at_once() -> Verdict {
    stand(2, ROUNDS, "at-once").run(|outcome| {
        let [guest, l1, host] = books(outcome)?;
        guest.are(&[("good", 2 * ROUNDS), ("in_vain", 0)])?;
        l1.are(&[("at_once", 2 * ROUNDS), ("notified", 0), ("polls", 0)])?;
        host.are(&[("notified", 0)])
    })
}

/// One look for each quote, when the time that the command line gives is over.
fn silent() -> Verdict {
    stand(2, 2, "silent").paravisor_option("quote_timeout=100").run(|outcome| {
        let [guest, l1, host] = books(outcome)?;
        guest.are(&[("good", 4), ("in_vain", 0)])?;
        let (missed, at_once) = (l1.get("missed"), l1.get("at_once"));
        check!(missed + at_once == 4, "{missed} missed and {at_once} at once");
        l1.are(&[("notified", 0), ("polls", missed), ("timed_out", 0)])?;
        host.are(&[("notified", 0)])?;
        // L1 halts meanwhile, so that its timer's interrupt is found where it was posted.
        let timer = Figures::of(outcome, "L0 | ", "timer: cpu=0 ended=")?;
        let (ended, recognised) = (timer.get("ended"), timer.get("recognised"));
        check!((1..=ended).contains(&recognised), "{recognised} of {ended} timers recognised");
        Ok(())
    })
}

/// Notifications that tell of nothing are counted, and have no other effect.
fn spurious(manner: &str, each: u64) -> Verdict {
    stand(2, ROUNDS, manner).run(|outcome| {
        let [guest, l1, host] = books(outcome)?;
        guest.are(&[("good", 2 * ROUNDS), ("in_vain", 0)])?;
        l1.are(&[("given", 2 * ROUNDS), ("polls", 0)])?;
        host.are(&[("notified", 2 * ROUNDS * each)])
    })
}

/// L2 is told of a failure, and L1 says whose fault it is.
fn nonsense(manner: &str, what: &str) -> Verdict {
    stand(2, ROUNDS, manner).run(|outcome| {
        let [guest, l1, _] = books(outcome)?;
        guest.are(&[("failed", 2 * ROUNDS), ("good", 0), ("wrong", 0), ("in_vain", 0)])?;
        l1.are(&[("nonsense", 2 * ROUNDS), ("given", 0), ("polls", 0)])?;
        said(outcome, "L1 | warn ", &format!("the host answered with {what}"))
    })
}

/// The places of requests that were given up stay the host's, so at last there is none.
fn never() -> Verdict {
    stand(1, 8, "never").paravisor_option("quote_timeout=20").run(|outcome| {
        let [guest, l1, host] = books(outcome)?;
        guest.are(&[("failed", 8), ("good", 0), ("in_vain", 0)])?;
        l1.are(&[("timed_out", 8), ("polls", 8), ("stray", 0), ("crowded", 0)])?;
        host.are(&[("asked", 8), ("answered", 0)])?;
        said(outcome, "L1 | warn ", "the host has not answered in time")
    })
}

/// More requests than there are places: those that were given up come back when the host is done.
fn late() -> Verdict {
    stand(1, 9, "late").paravisor_option("quote_timeout=20").run(|outcome| {
        let [guest, l1, _] = books(outcome)?;
        guest.are(&[("failed", 9), ("in_vain", 0)])?;
        check!(guest.get("again") > 0, "no request found all places taken");
        l1.are(&[("timed_out", 9)])?;
        check!(l1.get("stray") > 0, "no place came back");
        Ok(())
    })
}

fn refused() -> Verdict {
    stand(2, ROUNDS, "refuse").run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        let guest = Figures::of(outcome, "L2 | ", "result quotes ")?;
        guest.are(&[("failed", 2 * ROUNDS), ("in_vain", 0), ("again", 0)])?;
        said(outcome, "L1 | warn ", "quote: cpu=0 the host answered retry")
    })
}

/// There is no buffer to show the host, so L2 is told that there are no quotes.
fn unshared() -> Verdict {
    stand(1, ROUNDS, "honest").emulator_option("conversion=refusal").run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        let guest = Figures::of(outcome, "L2 | ", "result quotes ")?;
        guest.are(&[("unserved", ROUNDS), ("good", 0)])?;
        said(
            outcome,
            "L1 | warn ",
            "quote: memory is not shared: the host answered invalid_operand",
        )
    })
}

/// The host says that it shares the buffer and does not: it can end the TD whenever it likes, but not in L1's name.
fn missing() -> Verdict {
    stand(1, ROUNDS, "honest").emulator_option("conversion=lie").run(|outcome| {
        ended(outcome, &Exit::TD_DIED)?;
        said(outcome, "L1 | error ", "the host has no memory at the shared page 0x")
    })
}

/// The second of three CPUs is refused: the service is withdrawn from all, and L1 says who refused.
fn unnotified() -> Verdict {
    stand(3, ROUNDS, "honest").emulator_option("unnotified=1").run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        let guest = Figures::of(outcome, "L2 | ", "result quotes ")?;
        guest.are(&[("unserved", 3 * ROUNDS), ("good", 0)])?;
        said(outcome, "L1 | warn ", "cpu=1: the host answered INVALID_OPERAND; stepped_back=")?;
        said(outcome, "L2 | ", "services=0x0")
    })
}
