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
type Counts = BTreeMap<(u32, u32), u64>;

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    vec![
        scenario("nvme::each_queue_interrupts_its_cpu_posted", each_queue),
        scenario("nvme::an_interrupt_moved_200_times_leaves_no_mapping", moved_about),
        scenario("nvme::queues_survive_a_cpu_that_comes_and_goes", hotplug),
    ]
}

/// What only a host of Hyper-V's kind can do with a disk's interrupts.
pub(crate) fn by_messages() -> Vec<Trial> {
    vec![scenario("nvme::each_queue_interrupts_its_cpu_proxied", each_queue_proxied)]
}

/// A queue for each CPU, and one for commands to the disk itself, which alone can be moved.
fn each_queue() -> Verdict {
    served(&run(stand("", "lychgate_affinity=16")?, (16, 32), &["posted"])?)
}

/// The same where the host posts nothing.
fn each_queue_proxied() -> Verdict {
    let stand = stand("", "lychgate_affinity=16")?.hyper_v().emulator_option("redirect=0");
    served(&run(stand, (16, 32), &["proxied"])?)
}

/// Each CPU's queue was in use.
fn served(counts: &Counts) -> Verdict {
    for queue in 1..=CPUS {
        let cpu = queue - 1;
        let taken = counts.get(&(queue, cpu)).copied().unwrap_or_default();
        check!(taken > 0, "queue {queue} did not interrupt its CPU: {counts:?}");
    }
    Ok(())
}

/// One interrupt for all queues, moved from CPU to CPU while the disk is read.
fn moved_about() -> Verdict {
    let stand = stand(",msix_qsize=1", "lychgate_affinity=200")?;
    let counts = run(stand, (200, 0), &["posted"])?;
    for cpu in 0..CPUS {
        let taken = counts.get(&(0, cpu)).copied().unwrap_or_default();
        check!(taken > 20, "it did not come to CPU {cpu}: {counts:?}");
    }
    Ok(())
}

/// The kernel shuts the queue of a CPU that leaves, and opens it when the CPU is back.
fn hotplug() -> Verdict {
    let words = "lychgate_affinity=4 lychgate_hotplug=4";
    let stand = stand("", words)?.paravisor_option("wake=sipi");
    run(stand, (4, 8), &["posted"]).map(|_| ())
}

/// A guest that runs its own test of its disk.
fn stand(properties: &'static str, words: &str) -> Result<Stand, String> {
    let words = format!("lychgate_test=nvme {words}");
    let stand = Stand::linux(CPUS, Series::V6_12, &words, None)?;
    Ok(stand.disk(properties).paravisor_option("identity=hyperv"))
}

/// Runs it and returns how many interrupts the guest counted; so many times it moves one to another CPU, or its
/// kernel refuses to. They come in each of these `modes`.
fn run(stand: Stand, (moved, refused): (u64, u64), modes: &[&str]) -> Result<Counts, String> {
    let mut counts = Counts::new();
    stand.run(|outcome| {
        counts = judge(outcome, modes)?;
        told(outcome, "result affinity ", &format!("moved={moved} refused={refused}"))?;
        let uncounted = uncounted(outcome)?;
        check!(uncounted <= moved, "the guest did not count {uncounted} interrupts");
        Ok(())
    })?;
    Ok(counts)
}

/// Checks what holds for each run with a disk.
fn judge(outcome: &Outcome, modes: &[&str]) -> Result<Counts, String> {
    ended(outcome, &Exit::SUCCESS)?;
    outcome.judge()?;
    told(outcome, "result nvme ", "writeback=ok")?;
    told(outcome, "result unbind=", "ok")?;
    let report = &outcome.report;
    let mappings = ["result boot=", "result nvme writeback=", "result unbind="]
        .map(|line| report.mappings_at(line).unwrap_or(u64::MAX));
    let [bound, moved, unbound] = mappings;
    // Reserved vectors, of which what is proxied has none.
    let is_some = (bound > 0) == modes.contains(&"posted");
    let as_it_was = is_some && moved == bound && unbound == 0;
    check!(as_it_was, "{bound} mappings, {moved} after moving, {unbound} without the driver");
    let faults = report.end.as_ref().map(|end| end.dma_faults);
    check!(faults == Some(0), "the disk asked for memory that is not its own: {faults:?}");
    for row in &report.rows {
        let mode = row.mode.as_str();
        check!(modes.contains(&mode) && row.device == NVME, "not {modes:?}: {row:?}");
    }
    for mode in modes {
        let relayed = report.rows.iter().filter(|row| row.mode == *mode).map(|row| row.relayed);
        check!(relayed.sum::<u64>() > 0, "nothing came {mode}");
    }
    let counts = report.guest_counts.iter();
    Ok(counts.map(|told| ((told.entry, told.cpu), told.count)).collect())
}

/// Returns how many interrupts the guest's kernel did not count, as it may when it has just moved
/// one. That the figures agree otherwise is part of the run's verdict.
fn uncounted(outcome: &Outcome) -> Result<u64, String> {
    let counts = &outcome.report.guest_counts;
    check!(!counts.is_empty(), "the guest counted nothing");
    let mut uncounted = 0;
    for told in counts {
        // A way that nothing took has no figure.
        let relayed = told.relayed.unwrap_or(0);
        let fewer = relayed.checked_sub(told.count);
        uncounted += fewer.ok_or_else(|| format!("the guest counted too much: {told:?}"))?;
    }
    Ok(uncounted)
}

/// Checks that some result of the guest begins with `prefix` and contains `part`.
fn told(outcome: &Outcome, prefix: &str, part: &str) -> Verdict {
    let told = &outcome.report.guest;
    let fits = |line: &String| line.starts_with(prefix) && line.contains(part);
    check!(told.iter().any(fits), "no line \"{prefix}…{part}…\"");
    Ok(())
}
