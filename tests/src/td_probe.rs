// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TDX module, from inside a TD: an image of its own calls it leaf by leaf.

use libtest_mimic::Trial;
use xtask::machine::Exit;

use crate::stand::{Stand, Verdict, check, ended, said, scenario};

/// Fewer checks than this means that some were not made.
const LEAST: u32 = 600;

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    vec![
        scenario("td_probe::the_module_does_what_its_documents_say", || probe(1, &[])),
        scenario("td_probe::a_halt_ends_by_what_it_should_and_nmis_are_one_bit", || {
            let halts =
                ["halt: an interrupt did not end it, an NMI did", "halt: an interrupt ended it"];
            probe(2, &[halts[0], halts[1], "nmi: three more are one", "icr: INIT"])
        }),
        scenario("td_probe::a_host_like_hyper_v_does_what_its_documents_say", || {
            let checks =
                ["bus: unloaded", "monitor: the packet", "redirect: posted", "proxied: a set"];
            probe_with(&["flavour=hyperv"], &checks)
        }),
        scenario("td_probe::a_host_like_hyper_v_takes_channels_away_and_offers_others", || {
            let words = ["flavour=hyperv", "rescind=3", "vmbus=5.3"];
            probe_with(&words, &["bus: offered again", "bus: unloaded", "monitor: the packet"])
        }),
        scenario("td_probe::an_older_host_like_hyper_v_has_fewer_features", || {
            let checks = ["bus: unloaded", "redirect: proxied still"];
            probe_with(&["flavour=hyperv", "redirect=0", "vmbus=5.2"], &checks)
        }),
    ]
}

/// A probe on `cpus` CPUs, which must have made the checks that are `named`.
fn probe(cpus: u32, named: &[&str]) -> Verdict {
    judge(&Stand::new(cpus, "").probe(), named)
}

/// A probe on one CPU and a host that does what these words say.
fn probe_with(words: &[&str], named: &[&str]) -> Verdict {
    let stand = Stand::new(1, "").probe();
    judge(&words.iter().fold(stand, |stand, word| stand.emulator_option(word)), named)
}

fn judge(stand: &Stand, named: &[&str]) -> Verdict {
    stand.run(|outcome| {
        for name in named {
            said(outcome, "L1 | ok ", name)?;
        }
        let failures: Vec<_> =
            outcome.console.iter().filter(|line| line.starts_with("L1 | FAIL")).collect();
        check!(failures.is_empty(), "{failures:#?}");
        ended(outcome, &Exit::SUCCESS)?;
        let sum = outcome.console.iter().find_map(|line| line.strip_prefix("L1 | probe: "));
        let passed = sum
            .and_then(|sum| sum.strip_suffix(" passed, 0 failed"))
            .and_then(|passed| passed.parse::<u32>().ok());
        check!(passed.is_some_and(|passed| passed >= LEAST), "the probe's sum is {sum:?}");
        Ok(())
    })
}
