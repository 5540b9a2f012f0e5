// SPDX-License-Identifier: MIT OR Apache-2.0
//! What devices reach: the TD's shared memory and nothing else.

use libtest_mimic::Trial;
use xtask::machine::{Exit, Outcome};

use crate::account;
use crate::stand::{Stand, Verdict, check, ended, said, scenario};

/// Why the hardware refuses a request for a page that is not mapped.
const NOT_WRITABLE: u32 = 5;
const NOT_READABLE: u32 = 6;

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    let mut trials = Vec::new();
    for cpus in [1, 2] {
        trials.push(scenario(format!("dma::only_shared_pages_are_reached_with_smp_{cpus}"), {
            move || confined(cpus)
        }));
    }
    trials.push(scenario("dma::a_guest_that_shares_nothing_is_not_read", not_shared));
    trials.push(scenario("dma::a_machine_without_a_unit_is_told_of", no_unit));
    trials.push(scenario("dma::no_device_is_refused_what_it_may_have", || {
        let stand = Stand::new(1, "scenario=edu-dma count=3").paravisor_option("identity=hyperv");
        stand.run(|outcome| {
            account::exact(outcome)?;
            refused(outcome, &[])
        })
    }));
    trials
}

/// One page, private, shared, and private again: a device reads and writes it only in between. The
/// guest checks the content, and the emulator's figures show that the rest was refused.
fn confined(cpus: u32) -> Verdict {
    Stand::new(cpus, "scenario=dma").paravisor_option("identity=hyperv").run(|outcome| {
        let figures = account::exact(outcome)?;
        check!(figures.handled == 6, "{} transfers ended, not 6", figures.handled);
        let page = page(outcome)?;
        // Private: one each way. Private again: one more write.
        refused(outcome, &[(page, NOT_READABLE, false, 1), (page, NOT_WRITABLE, true, 2)])
    })
}

/// A guest under a paravisor that shows no TDX has no shared page, and its device gets nothing.
fn not_shared() -> Verdict {
    Stand::new(1, "scenario=edu-dma count=2").run(|outcome| {
        account::exact(outcome)?;
        let faults = &outcome.report.dma_faults;
        check!(faults.len() == 1 && faults[0].count == 2, "refused: {faults:?}");
        Ok(())
    })
}

/// A unit that cannot translate is as good as none, and the emulator says so. That it lets no device
/// master the bus then is for its unit tests: a guest would wait for interrupts that nobody may send.
fn no_unit() -> Verdict {
    let words = ["-global", "intel-iommu.dma-translation=off"];
    Stand::new(1, "scenario=none").qemu_options(&words).run(|outcome| {
        ended(outcome, &Exit::FAILURE)?;
        said(outcome, "L0 | warn", "devices must not master the bus")?;
        said(outcome, "L2 | result", "no-such-scenario")
    })
}

/// Checks that these requests were refused, by address, reason and kind, and no other.
fn refused(outcome: &Outcome, wanted: &[(u64, u32, bool, u64)]) -> Verdict {
    let report = &outcome.report;
    let faults = report.dma_faults.iter();
    let mut found: Vec<_> =
        faults.map(|fault| (fault.address, fault.reason, fault.write, fault.count)).collect();
    found.sort_unstable();
    let mut wanted = wanted.to_vec();
    wanted.sort_unstable();
    check!(found == wanted, "refused: {found:x?}, wanted {wanted:x?}");
    let end = report.end.as_ref().ok_or("the report has no end")?;
    let total: u64 = wanted.iter().map(|(.., count)| count).sum();
    let told = (end.dma_faults, end.dma_faults_untold, end.dma_fault_overflows);
    check!(told == (total, 0, 0), "in sum {told:?}, wanted {total}");
    Ok(())
}

/// Where the guest's page is.
fn page(outcome: &Outcome) -> Result<u64, String> {
    let lines = outcome.report.guest.iter();
    let mut pages = lines.filter_map(|line| line.strip_prefix("result dma page=")?.parse().ok());
    pages.next().ok_or_else(|| "the guest does not say where its page is".to_owned())
}
