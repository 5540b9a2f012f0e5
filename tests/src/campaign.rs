// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host that raises every vector on every CPU while Linux reads and writes its disk: Linux does not
//! notice, and each vector that nobody configured is counted by its number.

use libtest_mimic::Trial;
use xtask::debian_kernel::Series;
use xtask::machine::{Exit, Outcome};

use crate::stand::{Stand, Verdict, check, ended, said, scenario};

/// CPUs of the guest.
const CPUS: u32 = 2;
/// Rounds over all vectors.
const ROUNDS: u32 = 4;
/// How often each vector is raised.
const RAISED: u64 = (CPUS * ROUNDS) as u64;
/// Vectors of L1 that nobody has a use for.
const UNUSED: core::ops::RangeInclusive<u8> = 0x68..=0xdf;
/// Vectors that no device of Linux can have.
const NO_DEVICE_S: core::ops::RangeInclusive<u8> = 0..=31;
/// What Linux says of interrupts that it did not ask for.
const COMPLAINTS: [&str; 3] = ["No irq handler", "nobody cared", "spurious"];

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    vec![
        scenario("campaign::every_vector_is_posted_in_vain_during_linux_io", || {
            run(|stand| stand, |outcome| rejected(outcome, "posted", UNUSED))
        }),
        scenario("campaign::every_vector_is_posted_and_proxied_in_vain_during_linux_io", || {
            run(Stand::hyper_v, |outcome| {
                rejected(outcome, "posted", UNUSED)?;
                rejected(outcome, "proxied", NO_DEVICE_S)
            })
        }),
    ]
}

/// Runs Linux's own test of its disk under a host that `with` chooses.
fn run(with: fn(Stand) -> Stand, judge: fn(&Outcome) -> Verdict) -> Verdict {
    let stand = Stand::linux(CPUS, Series::V6_12, "lychgate_test=nvme lychgate_affinity=4", None)?
        .disk("")
        .paravisor_option("identity=hyperv")
        .emulator_option(&format!("campaign={ROUNDS}"));
    with(stand).run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        said(outcome, "L2 | ", "writeback=ok")?;
        said(outcome, "L0 | ", &format!("raised={} complete={CPUS}", 256 * RAISED))?;
        let complaint = |line: &&String| {
            line.starts_with("L2 | ") && COMPLAINTS.iter().any(|part| line.contains(part))
        };
        let heard = outcome.console.iter().find(complaint);
        check!(heard.is_none(), "the guest noticed: {heard:?}");
        judge(outcome)
    })
}

/// Checks that L1 counted each of `vectors`. The host raises a vector again only after all others, but L1 may
/// have been asleep that long: then two are one.
fn rejected(outcome: &Outcome, path: &str, vectors: core::ops::RangeInclusive<u8>) -> Verdict {
    for vector in vectors {
        let count = counted(outcome, path, vector);
        check!(
            (1..=RAISED).contains(&count),
            "vector {vector} was {path} {RAISED} times in vain and counted {count} times"
        );
    }
    Ok(())
}

/// How often L1 says that `vector` was raised in vain.
fn counted(outcome: &Outcome, path: &str, vector: u8) -> u64 {
    let prefix = format!("rejected: path={path} ");
    let lines = outcome.console.iter().filter(|line| line.starts_with("L1 | "));
    let runs = lines.filter(|line| line.contains(&prefix)).filter_map(|line| {
        let word = |key: &str| line.split_whitespace().find_map(|word| word.strip_prefix(key));
        let (first, last) = word("vectors=")?.split_once('-')?;
        let range = first.parse::<u8>().ok()?..=last.parse().ok()?;
        range.contains(&vector).then(|| word("count=")?.parse::<u64>().ok()).flatten()
    });
    runs.sum()
}
