// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many interrupts on many CPUs while mappings come and go: none is lost.
//!
//! Two kinds, and the account says which is which: bursts that the emulator rings in the devices' name, each
//! when the last one was taken, and rings of the doorbell's outside end at entries that change meanwhile.

use libtest_mimic::Trial;

use crate::account;
use crate::figures;
use crate::stand::{Stand, Verdict, check, scenario};

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    vec![scenario("stress::100000_interrupts_on_4_cpus_while_mappings_change", || bursts(100_000))]
}

/// Each ring of a burst is handled once, whatever happens to the other entries.
fn bursts(count: u64) -> Verdict {
    const ENTRIES: u64 = 40;
    const LANES: u64 = 8;
    let stand = Stand::new(4, &format!("scenario=stress vectors={ENTRIES} count={count}"));
    stand.emulator_option(&format!("flood={LANES}:{count}")).run(|outcome| {
        let figures = account::balanced(outcome)?;
        let flood = outcome.report.flood.ok_or("the report tells of no bursts")?;
        check!((flood.rung, flood.lost) == (count, 0), "{flood:?}");
        check!(figures::all(&outcome.report, "bursts") == [count], "the guest's sum differs");
        let changes = figures::all(&outcome.report, "changes");
        check!(changes.iter().all(|changes| *changes >= 100), "too few changes: {changes:?}");
        check!(figures.handled > count, "no ring of the device's own");
        Ok(())
    })
}
