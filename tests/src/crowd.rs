// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many interrupts at once.

use libtest_mimic::Trial;

use crate::account;
use crate::stand::{Stand, Verdict, check, scenario};

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    vec![
        scenario("crowd::a_burst_fills_the_reserved_block_of_1_cpu", || burst(1, 32)),
        scenario("crowd::a_burst_over_32_vectors_needs_2_cpus", || burst(2, 33)),
        scenario("crowd::a_burst_over_48_vectors_on_2_cpus", || burst(2, 48)),
        scenario("crowd::a_storm_is_relayed_or_merged_on_1_cpu", || storm(1)),
        scenario("crowd::a_storm_is_relayed_or_merged_on_2_cpus", || storm(2)),
    ]
}

/// All vectors at once, again and again; vectors differ, so none may merge.
fn burst(cpus: u32, vectors: u64) -> Verdict {
    const ROUNDS: u64 = 50;
    Stand::new(cpus, &format!("scenario=burst vectors={vectors} count={ROUNDS}")).run(|outcome| {
        let figures = account::exact(outcome)?;
        let (kinds, handled) = (figures.vectors.len() as u64, figures.handled);
        check!(
            kinds == vectors && handled == vectors * ROUNDS,
            "wanted {vectors} vectors, {ROUNDS} times each: {kinds} had {handled}"
        );
        Ok(())
    })
}

/// Rings without waiting: the messages are fewer than the rings, but each is accounted for.
fn storm(cpus: u32) -> Verdict {
    Stand::new(cpus, "scenario=storm vectors=8 count=1000").run(|outcome| {
        account::balanced(outcome)?;
        let rung: u64 = outcome.peer.rung.iter().sum();
        let messages = outcome.report.total().messages;
        check!(messages > 0 && messages <= rung, "{messages} messages from {rung} rings");
        Ok(())
    })
}
