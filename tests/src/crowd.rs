// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many interrupts at once.

use libtest_mimic::Trial;

use xtask::machine::{Exit, Outcome};

use crate::account;
use crate::figures;
use crate::stand::{Stand, Verdict, check, ended, scenario};

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    vec![
        scenario("crowd::a_burst_fills_the_reserved_block_of_1_cpu", || burst(1, 32)),
        scenario("crowd::a_burst_over_32_vectors_needs_2_cpus", || burst(2, 33)),
        scenario("crowd::a_burst_over_48_vectors_on_2_cpus", || burst(2, 48)),
        scenario("crowd::a_storm_is_relayed_or_merged_on_1_cpu", || storm(1)),
        scenario("crowd::a_storm_is_relayed_or_merged_on_2_cpus", || storm(2)),
        scenario("crowd::cpus_that_storm_each_other_lose_nothing", ipis),
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

/// All CPUs interrupt each other, by vectors that cannot merge. Two parties count: the guest what it
/// sent and took, L1 what it passed on; and of the kicks the emulator, too.
fn ipis() -> Verdict {
    const CPUS: u32 = 4;
    const WANTED: u64 = 4 * 3 * 32 * 20;
    Stand::new(CPUS, "scenario=ipis count=20").run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        let of_guest = ["sent", "taken"].map(|key| figures::all(&outcome.report, key));
        check!(of_guest == [[WANTED], [WANTED]], "the guest sent and took {of_guest:?}");
        let mut kicks = 0;
        for cpu in 0..CPUS {
            let [sent, kicked] = said_of_ipis(outcome, cpu)?;
            check!(sent == WANTED / u64::from(CPUS), "CPU {cpu} sent {sent}");
            let mut cpus = outcome.report.cpus.iter();
            let seen = cpus.find(|of| of.cpu == cpu).map(|of| of.kicks);
            // The boot CPU also starts the others.
            check!(cpu == 0 || seen == Some(kicked), "CPU {cpu} kicked {kicked}, but {seen:?}");
            kicks += kicked;
        }
        // How many are spared depends on how the host runs the CPUs: fewer where it has fewer.
        check!(kicks > 0 && kicks < WANTED * 3 / 4, "{kicks} kicks for {WANTED} interrupts");
        Ok(())
    })
}

/// How many interrupts L1 says that `cpu` sent, and with how many kicks.
fn said_of_ipis(outcome: &Outcome, cpu: u32) -> Result<[u64; 2], String> {
    let begin = format!("ipis: cpu={cpu} ");
    let line =
        outcome.console.iter().find(|line| line.starts_with("L1 | ") && line.contains(&begin));
    let line = line.ok_or_else(|| format!("nothing is said of what CPU {cpu} sent"))?;
    let number = |key: &str| {
        let mut words = line.split_whitespace().filter_map(|word| word.split_once('='));
        words.find(|(found, _)| *found == key).and_then(|(_, value)| value.parse().ok())
    };
    number("sent").zip(number("kicks")).map(<[u64; 2]>::from).ok_or_else(|| line.clone())
}
