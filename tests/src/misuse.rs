// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests that do what no guest should: the paravisor says so and stays in charge.

use libtest_mimic::Trial;
use xtask::machine::Exit;

use crate::account;
use crate::stand::{Stand, Verdict, check, ended, said, scenario};

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    vec![
        scenario("misuse::a_triple_fault_ends_the_guest_and_is_reported", triple_fault),
        scenario("misuse::odd_instructions_leave_the_guest_alive_on_1_cpu", || odd(1)),
        scenario("misuse::odd_instructions_leave_the_guest_alive_on_2_cpus", || odd(2)),
        scenario("misuse::an_unknown_scenario_is_the_guests_failure", || {
            fails("scenario=nonsense", "no-such-scenario")
        }),
        scenario("misuse::a_bad_word_is_the_guests_failure", || {
            fails("vectors=many", "vectors=many is not understood")
        }),
        scenario("misuse::too_many_entries_are_the_guests_failure", || {
            fails("scenario=paced vectors=49", "too-many-entries")
        }),
    ]
}

/// The guest kills itself: L1 survives to tell.
fn triple_fault() -> Verdict {
    Stand::new(1, "scenario=triple-fault").run(|outcome| {
        ended(outcome, &Exit::FAILURE)?;
        said(outcome, "L2 | ", "triple fault follows")?;
        said(outcome, "L1 | ", "triple fault")
    })
}

/// Instructions of hypervisors are undefined for this guest; others do nothing or fault.
fn odd(cpus: u32) -> Verdict {
    Stand::new(cpus, "scenario=unknown-exit").run(|outcome| {
        let figures = account::exact(outcome)?;
        for name in ["vmxoff", "vmlaunch", "vmresume"] {
            said(outcome, "L2 | ", &format!("instruction={name} exception=6"))?;
        }
        check!(figures.handled == 10, "{} handled", figures.handled);
        Ok(())
    })
}

/// The guest ends with a failure and says why.
fn fails(guest: &str, why: &str) -> Verdict {
    Stand::new(1, guest).run(|outcome| {
        ended(outcome, &Exit::FAILURE)?;
        said(outcome, "L2 | ", why)
    })
}
