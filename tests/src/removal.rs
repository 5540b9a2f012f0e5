// SPDX-License-Identifier: MIT OR Apache-2.0
//! A device that the host takes away: L1 is notified, looks, and gives its reserved vectors back.

use libtest_mimic::Trial;
use xtask::machine::Outcome;

use crate::account;
use crate::stand::{Stand, Verdict, check, said, scenario};

/// Interrupts of the doorbell, then of the other device.
const HANDLED: u64 = 4 * 5 + 5;

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    let on = |cpus| {
        let name = format!("removal::a_device_that_is_gone_gives_its_vectors_back_on_{cpus}_cpus");
        scenario(name, move || removed(cpus))
    };
    vec![
        on(1),
        on(2),
        scenario("removal::what_is_there_keeps_its_vectors_whatever_the_host_hints", hinted),
    ]
}

fn stand(cpus: u32) -> Stand {
    Stand::new(cpus, "scenario=removal").emulator_option("removal=1af4:1110:300")
}

/// All vectors that L1 has in use in the end, by its own list.
fn mapped(outcome: &Outcome, device: &str) -> usize {
    let is_mapping = |line: &&String| line.contains(" relay: reserved=") && line.contains(device);
    outcome.console.iter().filter(is_mapping).count()
}

/// The doorbell's are free, the other device's is not, and no interrupt was lost on the way.
fn removed(cpus: u32) -> Verdict {
    stand(cpus).run(|outcome| {
        let figures = account::exact(outcome)?;
        check!(figures.handled == HANDLED, "{} handled", figures.handled);
        said(outcome, "L2 | ", "stays_away=1")?;
        said(outcome, "L1 | warn ", "device removed: 00:02.0")?;
        let (gone, there) = (mapped(outcome, "device=00:02.0"), mapped(outcome, "device=00:01.0"));
        check!((gone, there) == (0, 1), "{gone} vectors of the one, {there} of the other");
        Ok(())
    })
}

/// Notifications at every halt of a guest whose devices are all there.
fn hinted() -> Verdict {
    let stand = Stand::new(1, "scenario=demo").emulator_option("unasked=0xe2:40");
    stand.run(|outcome| {
        account::exact(outcome)?;
        let warned = outcome.console.iter().any(|line| line.contains("device removed"));
        check!(!warned, "a device that is there was removed");
        said(outcome, "L1 | ", "events: notifications=40 in_vain=40")
    })
}
