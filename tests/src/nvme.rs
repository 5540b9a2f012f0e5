// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Debian kernel that takes the paravisor for Hyper-V's, with an NVMe disk of its own.
//!
//! The kernel gives each CPU a queue of the disk whose interrupt it manages itself: nobody may move
//! it. Where the disk has a single interrupt for everything, that one can be moved while it comes.

use std::collections::BTreeMap;

use libtest_mimic::Trial;
use xtask::debian_kernel::Series;
use xtask::machine::{Exit, Outcome};

use crate::stand::{Stand, Verdict, check, ended, scenario};

/// PCI identifier of QEMU's NVMe disk.
const NVME: &str = "1b36:0010";

/// CPUs of the guest.
const CPUS: u32 = 2;

/// Interrupts by the device's entry and the CPU that took them.
type Counts = BTreeMap<(u64, u64), u64>;

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    vec![
        scenario("nvme::each_queue_interrupts_its_cpu_posted", each_queue),
        scenario("nvme::an_interrupt_moved_200_times_leaves_no_mapping", moved_about),
        scenario("nvme::queues_survive_a_cpu_that_comes_and_goes", hotplug),
    ]
}

/// A queue for each CPU, and one for commands to the disk itself, which alone can be moved.
fn each_queue() -> Verdict {
    let counts = run("", "lychgate_affinity=16", "", "moved=16 refused=32")?;
    for queue in 1..=u64::from(CPUS) {
        let cpu = queue - 1;
        let taken = counts.get(&(queue, cpu)).copied().unwrap_or_default();
        check!(taken > 0, "queue {queue} did not interrupt its CPU: {counts:?}");
    }
    Ok(())
}

/// One interrupt for all queues, moved from CPU to CPU while the disk is read.
fn moved_about() -> Verdict {
    let counts = run(",msix_qsize=1", "lychgate_affinity=200", "", "moved=200 refused=0")?;
    for cpu in 0..u64::from(CPUS) {
        let taken = counts.get(&(0, cpu)).copied().unwrap_or_default();
        check!(taken > 20, "it did not come to CPU {cpu}: {counts:?}");
    }
    Ok(())
}

/// The kernel shuts the queue of a CPU that leaves, and opens it when the CPU is back.
fn hotplug() -> Verdict {
    let words = "lychgate_affinity=4 lychgate_hotplug=4";
    run("", words, "wake=sipi", "moved=4 refused=8").map(|_| ())
}

/// Runs the guest's own test of its disk and returns how many interrupts the guest counted.
fn run(
    properties: &'static str,
    words: &str,
    paravisor: &str,
    affinity: &str,
) -> Result<Counts, String> {
    let words = format!("lychgate_test=nvme {words}");
    let stand = Stand::linux(CPUS, Series::V6_12, &words, None)?
        .disk(properties)
        .paravisor_option("identity=hyperv")
        .paravisor_option(paravisor);
    let mut counts = Counts::new();
    stand.run(|outcome| {
        counts = judge(outcome)?;
        told(outcome, "result affinity ", affinity)
    })?;
    Ok(counts)
}

/// Checks what holds for each run with a disk.
fn judge(outcome: &Outcome) -> Result<Counts, String> {
    ended(outcome, &Exit::SUCCESS)?;
    outcome.judge()?;
    told(outcome, "result nvme ", "writeback=ok")?;
    told(outcome, "result unbind=", "ok")?;
    let report = &outcome.report;
    let left: u64 = report.cpus.iter().map(|cpu| cpu.mappings).sum();
    check!(left == 0, "{left} mappings are left though the driver is gone");
    let faults = report.end.as_ref().map(|end| end.dma_faults);
    check!(faults == Some(0), "the disk asked for memory that is not its own: {faults:?}");
    let (mut ours, mut theirs) = (Counts::new(), Counts::new());
    for row in &report.rows {
        check!(row.mode == "posted" && row.device == NVME, "not posted: {row:?}");
        *ours.entry((row.entry.into(), row.cpu.into())).or_default() += row.relayed;
    }
    for line in report.guest.iter().filter_map(|line| line.strip_prefix("result interrupts ")) {
        let number = |key| number(line, key).ok_or_else(|| format!("no {key} in {line}"));
        theirs.insert((number("entry")?, number("cpu")?), number("count")?);
    }
    compare(&ours, &theirs)?;
    Ok(theirs)
}

/// Checks that the guest counted what was relayed. The driver uses the first interrupt before it
/// starts to count, and again when it is told to let go.
fn compare(ours: &Counts, theirs: &Counts) -> Verdict {
    check!(!theirs.is_empty(), "the guest counted nothing");
    for (&(entry, cpu), &taken) in theirs {
        let relayed = ours.get(&(entry, cpu)).copied().unwrap_or_default();
        let agree = if entry == 0 { relayed >= taken } else { relayed == taken };
        check!(agree, "{relayed} relayed of entry {entry} to CPU {cpu}, but it took {taken}");
    }
    Ok(())
}

/// The number after `key=` in a line of such words.
fn number(line: &str, key: &str) -> Option<u64> {
    let word = |word: &str| word.strip_prefix(key)?.strip_prefix('=')?.parse().ok();
    line.split(' ').find_map(word)
}

/// Checks that some result of the guest begins with `prefix` and contains `part`.
fn told(outcome: &Outcome, prefix: &str, part: &str) -> Verdict {
    let told = &outcome.report.guest;
    let fits = |line: &String| line.starts_with(prefix) && line.contains(part);
    check!(told.iter().any(fits), "no line \"{prefix}…{part}…\"");
    Ok(())
}
