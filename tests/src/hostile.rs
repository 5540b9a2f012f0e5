// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host that posts interrupts no device asked for: counted, told of, and without effect on L2. And hosts that do
//! what a seed says, judged as `cargo xtask hostile` judges a thousand of them.

use libtest_mimic::Trial;

use crate::account;
use xtask::hostile::{self, CPUS};
use xtask::machine::Exit;

use crate::stand::{Stand, Verdict, check, ended, said, scenario};

/// Interrupts that the host makes up in a run.
const UNASKED: u64 = 40;

/// Seeds of hosts with whims. All acts are among them.
const SEEDS: u64 = 20;

/// A vector of the reserved block that nothing is mapped to: slots are given from below.
const UNMAPPED: u8 = 0x5f;

/// Vectors of L1 outside the reserved block: the lowest that a host can post, a free one, the
/// timer, the kick between CPUs, and two that nobody has a use for.
const OTHERS: [u8; 6] = [31, 0x3f, 0xe0, 0xe1, 0xfe, 0xff];

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    let mut trials =
        vec![scenario("hostile::an_unmapped_vector_is_counted_as_spurious_and_harmless", unmapped)];
    trials.extend(OTHERS.map(|vector| {
        scenario(format!("hostile::the_unasked_vector_{vector}_is_harmless"), move || {
            bear(vector).run(|outcome| account::exact(outcome).map(drop))
        })
    }));
    trials.extend((0..SEEDS).map(|seed| {
        scenario(format!("hostile::the_host_of_seed_{seed}_gets_nothing"), move || of_seed(seed))
    }));
    trials.push(scenario("hostile::an_smi_while_the_guest_runs_changes_nothing", smis));
    trials.push(scenario(
        "hostile::a_machine_check_by_smi_is_the_end_and_told_as_such",
        machine_check,
    ));
    trials
}

/// Each makes the virtual CPU exit to the host, which enters it again.
fn smis() -> Verdict {
    Stand::new(1, "scenario=demo").emulator_option("smis=plain:20").run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        said(outcome, "L0 | ", "smis: exits=20")
    })
}

fn machine_check() -> Verdict {
    Stand::new(1, "scenario=demo").emulator_option("smis=machine-check").run(|outcome| {
        ended(outcome, &Exit::TD_DIED)?;
        said(outcome, "L0 | error", "OTHER_SMI")?;
        said(outcome, "L0 | error", "a machine-check SMI")
    })
}

/// A run whose host does what `seed` says.
fn of_seed(seed: u64) -> Verdict {
    let plan = hostile::plan(seed);
    Stand::new(CPUS, plan.guest)
        .paravisor_option(plan.paravisor)
        .emulator_option(&format!("flavour={}", plan.host))
        .emulator_option(&format!("hostile={seed}"))
        .run(|outcome| hostile::judge(outcome).map(drop))
}

/// A run in which the host posts `vector` again and again.
fn bear(vector: u8) -> Stand {
    Stand::new(1, "scenario=demo").emulator_option(&format!("unasked={vector}:{UNASKED}"))
}

/// Both sides count the same, L1 warns, and L2's books are exact.
fn unmapped() -> Verdict {
    bear(UNMAPPED).run(|outcome| {
        account::exact(outcome)?;
        let spurious: u64 = outcome.report.cpus.iter().map(|cpu| cpu.spurious).sum();
        check!(spurious == UNASKED, "the emulator counts {spurious} spurious interrupts");
        said(outcome, "L1 | ", &format!("spurious={UNASKED} "))?;
        said(outcome, "L1 | warn ", "spurious")
    })
}
