// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests that do what no guest should: the paravisor says so and stays in charge.

use libtest_mimic::Trial;
use xtask::machine::Exit;

use crate::stand::{Stand, Verdict, check, ended, said, scenario};
use crate::{account, figures};

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    vec![
        scenario("misuse::a_triple_fault_ends_the_guest_and_is_reported", triple_fault),
        scenario("misuse::every_instruction_completes_or_faults_on_1_cpu", || instructions(1)),
        scenario("misuse::every_instruction_completes_or_faults_on_2_cpus", || instructions(2)),
        scenario("misuse::odd_accesses_to_devices_complete_or_fault", odd_memory),
        scenario("misuse::an_unknown_scenario_is_the_guests_failure", || {
            fails("scenario=nonsense", "no-such-scenario")
        }),
        scenario("misuse::a_bad_word_is_the_guests_failure", || {
            fails("vectors=many", "vectors=many is not understood")
        }),
        scenario("misuse::too_many_entries_are_the_guests_failure", || {
            fails("scenario=paced vectors=49", "too-many-entries")
        }),
    ]
}

/// The guest kills itself: L1 survives to tell.
fn triple_fault() -> Verdict {
    Stand::new(1, "scenario=triple-fault").run(|outcome| {
        ended(outcome, &Exit::FAILURE)?;
        said(outcome, "L2 | ", "triple fault follows")?;
        said(outcome, "L1 | ", "triple fault")
    })
}

/// What is no plain move of a register's size does nothing or faults, and nothing is told to the host.
fn odd_memory() -> Verdict {
    Stand::new(1, "scenario=odd-memory").run(|outcome| {
        let figures = account::exact(outcome)?;
        check!(figures.handled == 10, "{} handled", figures.handled);
        said(outcome, "L2 | ", "result accesses mismatches=0")
    })
}

/// Exits that the instructions of the scenario must have caused, on every version of QEMU.
const CAUSED: [&str; 26] = [
    "CPUID",
    "GETSEC",
    "INVD",
    "RDPMC",
    "RSM",
    "VMCALL",
    "VMLAUNCH",
    "VMREAD",
    "VMRESUME",
    "VMWRITE",
    "VMXOFF",
    "CONTROL_REGISTER_ACCESS",
    "IO_INSTRUCTION",
    "RDMSR",
    "WRMSR",
    "MWAIT",
    "MONITOR",
    "INVEPT",
    "INVVPID",
    "WBINVD",
    "VMFUNC",
    "ENCLS",
    "PCONFIG",
    "ENCLV",
    "SEAMCALL",
    "TDCALL",
];

/// Each instruction that can exit completes or raises what its row allows; the guest's interrupts work
/// afterwards, and the log stays short.
fn instructions(cpus: u32) -> Verdict {
    const LEAST: u64 = 20_000;
    const MOST_LINES: usize = 96;
    Stand::new(cpus, "scenario=instructions").run(|outcome| {
        let figures = account::exact(outcome)?;
        check!(figures.handled == 10, "{} handled", figures.handled);
        check!(figures::all(&outcome.report, "mismatches") == [0], "mismatches");
        let executed = figures::all(&outcome.report, "instructions");
        check!(executed.iter().all(|count| *count >= LEAST), "only {executed:?} instructions");
        for reason in CAUSED {
            said(outcome, "L1 | ", &format!("exits: reason={reason} count="))?;
        }
        let told = outcome.console.iter().filter(|line| line.contains("unknown MSR")).count();
        check!((1..=MOST_LINES).contains(&told), "{told} lines about unknown MSRs");
        Ok(())
    })
}

/// The guest ends with a failure and says why.
fn fails(guest: &str, why: &str) -> Verdict {
    Stand::new(1, guest).run(|outcome| {
        ended(outcome, &Exit::FAILURE)?;
        said(outcome, "L2 | ", why)
    })
}
