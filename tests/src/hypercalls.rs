// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest of Hyper-V: memory shared with the host and taken back, and nonsense refused; with hosts that
//! do not convert memory as they should.

use libtest_mimic::Trial;
use xtask::machine::{Exit, Outcome};

use crate::account;
use crate::stand::{Stand, Verdict, check, ended, said, scenario};

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    vec![
        scenario("hypercalls::memory_is_shared_and_taken_back_with_smp_1", || shared(1)),
        scenario("hypercalls::memory_is_shared_and_taken_back_in_a_race_with_smp_2", || shared(2)),
        scenario("hypercalls::a_host_that_converts_in_parts_is_asked_again", || {
            stand(2).emulator_option("conversion=parts").run(all_converted)
        }),
        scenario("hypercalls::a_host_that_makes_no_progress_is_given_up", || {
            refused("stuck", "the host makes no progress at 0x8000")
        }),
        scenario("hypercalls::a_host_that_leads_elsewhere_is_not_followed", || {
            refused("astray", "asks to go on at 0x")
        }),
        scenario("hypercalls::a_host_that_refuses_is_told_of", || {
            refused("refusal", "the host answered INVALID_OPERAND at 0x8000")
        }),
        scenario("hypercalls::a_host_that_lies_gets_nothing_and_ends_nothing", lie),
        scenario("hypercalls::events_meet_memory_that_is_being_converted", || deliveries("l2")),
        scenario("hypercalls::events_that_the_host_leads_to_l1_are_delivered", || deliveries("l1")),
        scenario("hypercalls::a_guest_of_kvm_has_none", || {
            Stand::new(1, "scenario=hypercalls")
                .run(|outcome| said(outcome, "L2 | ", "reason=hypercall what=\"the name\""))
        }),
    ]
}

/// A machine whose guest goes through all hypercalls.
fn stand(cpus: u32) -> Stand {
    let guest = format!("scenario=hypercalls cpus={cpus}");
    Stand::new(cpus, &guest).paravisor_option("identity=hyperv")
}

fn shared(cpus: u32) -> Verdict {
    stand(cpus).run(all_converted)
}

/// The guest checks what it reads; that the paravisor met no host that refuses is for its own figures.
fn all_converted(outcome: &Outcome) -> Verdict {
    let figures = account::exact(outcome)?;
    check!(figures.handled == 10, "{} handled", figures.handled);
    said(outcome, "L2 | ", "result hypercalls refused=67")?;
    let refused = outcome.console.iter().any(|line| line.contains("host_refusals"));
    check!(!refused, "the host refused a conversion");
    Ok(())
}

/// Each event is taken once, whoever settles the access that its delivery made.
fn deliveries(resumed: &str) -> Verdict {
    let stand = Stand::new(2, "scenario=deliveries").paravisor_option("identity=hyperv");
    let stand = stand.emulator_option("conversion=slow");
    stand.emulator_option(&format!("resume={resumed}")).run(|outcome| {
        let figures = account::exact(outcome)?;
        check!(figures.handled == 10, "{} handled", figures.handled);
        Ok(())
    })
}

/// The guest hears that its first page was not shared, and lives to tell; L1 says why.
fn refused(conversion: &str, why: &str) -> Verdict {
    let option = format!("conversion={conversion}");
    stand(1).emulator_option(&option).run(|outcome| {
        ended(outcome, &Exit::FAILURE)?;
        said(outcome, "L1 | warn ", why)?;
        said(outcome, "L2 | ", "ok=0 handled=0 reason=hypercall what=\"sharing\"")
    })
}

/// The guest finds that what it wrote to the shared page is not there: its private memory was never
/// the host's.
fn lie() -> Verdict {
    // L1 shares nothing itself: the lie would end it.
    let stand = stand(1).paravisor_option("acpi=off");
    stand.emulator_option("conversion=lie").run(|outcome| {
        ended(outcome, &Exit::FAILURE)?;
        said(outcome, "L2 | ", "what=\"shared pages keep what is written\"")
    })
}
