// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests that do what no guest should: the paravisor says so and stays in charge.

use libtest_mimic::Trial;
use xtask::machine::Exit;

use crate::stand::{Stand, Verdict, check, ended, said, scenario};
use crate::{account, figures};

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    vec![
        fatal("misuse::a_triple_fault_ends_the_guest_and_is_reported", 1, "limit", "triple fault"),
        fatal("misuse::gates_where_nothing_is_end_the_guest", 1, "idt", "triple fault: cpu=0"),
        fatal("misuse::a_stack_where_nothing_is_ends_the_guest", 1, "stack", "triple fault: cpu=0"),
        fatal("misuse::page_tables_where_nothing_is_end_the_guest", 1, "tables", "triple fault"),
        fatal("misuse::another_cpus_death_ends_the_guest", 2, "cpu", "triple fault: cpu=1"),
        fatal("misuse::a_reset_ends_the_guest_as_a_failure", 1, "reset", "guest reset"),
        nonsense("misuse::nonsense_in_the_msix_table_hurts_nobody", 2, "msix"),
        nonsense("misuse::nonsense_in_the_io_apic_hurts_nobody", 1, "io-apic"),
        nonsense("misuse::nonsense_in_the_interrupt_command_hurts_nobody", 2, "command"),
        scenario("misuse::non_maskable_interrupts_wait_for_one_another", nmi_window),
        nonsense("misuse::nonsense_in_hypercalls_hurts_nobody", 1, "hypercall"),
        nonsense("misuse::nonsense_in_the_timer_hurts_nobody", 1, "timer"),
        nonsense("misuse::nonsense_in_the_mailbox_hurts_nobody", 2, "mailbox"),
        nonsense("misuse::nonsense_where_nothing_is_hurts_nobody", 1, "places"),
        scenario("misuse::every_instruction_completes_or_faults_on_1_cpu", || {
            instructions(&Stand::new(1, "scenario=instructions"))
        }),
        scenario("misuse::every_instruction_completes_or_faults_on_2_cpus", || {
            instructions(&Stand::new(2, "scenario=instructions"))
        }),
        scenario("misuse::every_instruction_completes_or_faults_under_hyper_v", || {
            let stand = Stand::new(1, "scenario=instructions");
            instructions(&stand.paravisor_option("identity=hyperv"))
        }),
        scenario("misuse::paging_of_every_kind_comes_and_goes", || {
            Stand::new(1, "scenario=legacy").run(|outcome| {
                account::exact(outcome)?;
                said(outcome, "L2 | ", "result legacy rounds=20")
            })
        }),
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

/// The guest dies in a way of the scenario `fatal`: L1 survives to tell why, and of its figures.
fn fatal(name: &str, cpus: u32, way: &'static str, why: &'static str) -> Trial {
    scenario(name, move || {
        Stand::new(cpus, &format!("scenario=fatal:{way}")).run(|outcome| {
            ended(outcome, &Exit::FAILURE)?;
            said(outcome, "L2 | ", &format!("fatal: way={way}"))?;
            said(outcome, "L1 | error", &format!("l2 ended: {why}"))?;
            said(outcome, "L1 | ", &format!("relay: cpu={} posted=", cpus - 1))
        })
    })
}

/// One NMI at a time: those that come while one is handled wait, as one, for a window.
fn nmi_window() -> Verdict {
    Stand::new(2, "scenario=nonsense:command").run(|outcome| {
        account::exact(outcome)?;
        let taken = figures::all(&outcome.report, "taken");
        check!(taken.iter().all(|count| (1..=200).contains(count)), "{taken:?} taken");
        said(outcome, "L1 | ", "exits: reason=NMI_WINDOW count=")
    })
}

/// Nonsense for a part of what L1 emulates: the guest's devices work afterwards, L1 has nothing to
/// complain of but in few words, and every mapping that is left belongs to a source that is in use.
fn nonsense(name: &str, cpus: u32, part: &'static str) -> Trial {
    const MOST_WARNINGS: usize = 200;
    scenario(name, move || {
        let stand = Stand::new(cpus, &format!("scenario=nonsense:{part}"));
        let identity = if part == "hypercall" { "identity=hyperv" } else { "identity=kvm" };
        stand.paravisor_option(identity).run(|outcome| {
            let figures = account::exact(outcome)?;
            said(outcome, "L2 | ", &format!("result nonsense={part}"))?;
            let lines = |begin: &'static str, part: &'static str| {
                let fits = move |line: &&String| line.starts_with(begin) && line.contains(part);
                outcome.console.iter().filter(fits).count()
            };
            check!(lines("L1 | error", "") == 0, "an error of L1's");
            check!(lines("L1 | warn", "") <= MOST_WARNINGS, "a flood of warnings");
            let leaving = lines("L1 | ", "mode=unmapping");
            let (left, used) = (lines("L1 | ", "devices: relay: ") - leaving, figures.sources());
            check!(left == used, "{left} mappings are left, {used} are in use");
            Ok(())
        })
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
fn instructions(stand: &Stand) -> Verdict {
    const LEAST: u64 = 20_000;
    const MOST_LINES: usize = 96;
    stand.run(|outcome| {
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
