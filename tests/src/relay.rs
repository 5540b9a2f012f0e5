// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each device's interrupts, one at a time: none lost, none twice, none by way of the host.

use libtest_mimic::Trial;

use crate::account;
use crate::stand::{Stand, Verdict, check, scenario};

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    let mut trials = Vec::new();
    for cpus in [1, 2] {
        let mut add = |name: &str, guest: &'static str, handled: u64| {
            let cpus_named = if cpus == 1 { "1_cpu".to_owned() } else { format!("{cpus}_cpus") };
            let name = format!("relay::{name}_on_{cpus_named}");
            trials.push(scenario(name, move || exactly(cpus, guest, handled)));
        };
        add("the_demo_relays_each_device", "scenario=demo", 20 + 3 + 8 * (20 + 20));
        add("edu_msi_is_relayed", "scenario=edu count=300", 300);
        add("edu_dma_msi_is_relayed", "scenario=edu-dma count=5", 5);
        add("doorbell_msix_is_relayed", "scenario=paced vectors=8 count=50", 400);
        add(
            "10000_acknowledged_interrupts_are_neither_lost_nor_duplicated",
            "scenario=paced vectors=8 count=1250",
            10_000,
        );
        let name = format!("relay::a_guest_that_never_halts_is_interrupted_on_{cpus}_cpu");
        trials.push(scenario(name, move || running(cpus)));
    }
    trials.push(scenario("relay::doorbell_msix_is_relayed_on_4_cpus", || {
        exactly(4, "scenario=paced vectors=8 count=50", 400)
    }));
    trials.push(scenario("relay::fpu_state_is_loaded_while_another_cpu_leaves_the_guest", || {
        Stand::new(2, "scenario=fpu").run(|outcome| {
            let figures = account::exact(outcome)?;
            check!(figures.handled == 10, "{} handled, not 10", figures.handled);
            Ok(())
        })
    }));
    for advance in [0, 5_000, 600_000] {
        let name = format!("relay::a_timer_that_ends_{advance}_ns_early_wakes_on_time");
        trials.push(scenario(name, move || {
            let stand = Stand::new(1, "scenario=sleep");
            let stand = stand.emulator_option(&format!("timer_advance_ns={advance}"));
            stand.run(|outcome| account::exact(outcome).map(drop))
        }));
    }
    trials.push(scenario("relay::code_is_patched_while_another_cpu_runs_it", || {
        Stand::new(2, "scenario=patch").run(|outcome| {
            let figures = account::exact(outcome)?;
            // One that is gone before the emulator looks is not met by the guest.
            let met = outcome.console.iter().any(|line| {
                line.contains("stale_code: dropped=")
                    || line.contains("result patch ") && !line.contains(" met=0 ")
            });
            check!(met, "nobody met a breakpoint");
            check!(figures.handled == 10, "{} handled, not 10", figures.handled);
            Ok(())
        })
    }));
    trials.push(scenario("relay::a_device_is_switched_while_another_interrupts", || {
        Stand::new(2, "scenario=masters").run(|outcome| {
            let figures = account::exact(outcome)?;
            check!(figures.handled == 80, "{} handled, not 80", figures.handled);
            Ok(())
        })
    }));
    trials
}

/// Runs `guest` and wants `handled` interrupts, each exactly once.
fn exactly(cpus: u32, guest: &str, handled: u64) -> Verdict {
    Stand::new(cpus, guest).run(|outcome| {
        let figures = account::exact(outcome)?;
        check!(
            figures.handled == handled,
            "wanted {handled} interrupts, the guest had {}",
            figures.handled
        );
        let used: u32 = figures.vectors.iter().map(|vector| vector.cpu + 1).max().unwrap_or(0);
        check!(used == cpus, "{used} CPUs were interrupted, not {cpus}");
        Ok(())
    })
}

/// A guest that never halts is stopped by its interrupts, and still the host has no part in it: what
/// is charged to the relay path is charged in passes that really took place.
fn running(cpus: u32) -> Verdict {
    const INTERRUPTS: u64 = 400;
    // The guest's other CPUs halt between their interrupts.
    let on_the_first = INTERRUPTS / u64::from(cpus);
    Stand::new(cpus, "scenario=paced vectors=4 count=100 wait=poll").run(|outcome| {
        let figures = account::exact(outcome)?;
        check!(figures.handled == INTERRUPTS, "the guest had {} interrupts", figures.handled);
        let cpus = outcome.report.cpus.iter();
        let passes: u64 = cpus.map(|cpu| cpu.l2_exits_pending_interrupt).sum();
        check!(
            passes > on_the_first / 2,
            "only {passes} of {on_the_first} interrupts found the guest running"
        );
        Ok(())
    })
}
