// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the interrupt pins of QEMU's machines lead, as we find it and as Linux does.
//!
//! An unmodified kernel boots directly on QEMU, says what it found of each pin, and hands out what it
//! found it in: the tables, and configuration space as the firmware left it. From that we find it too.
//! Nothing of QEMU's tables is kept in this repository.

/// The crate `acpi` as a witness.
mod by_acpi;

/// A machine as the kernel described it.
mod described;

/// The same tables, changed.
mod mutated;

/// What L1 makes of them.
mod in_l1;

use core::time::Duration;
use std::{panic, thread};

use acpi_routes::{
    Polarity, Question, Route, Source, Trigger,
    madt::{IsaInterrupt, Madt},
};
use aml_routes::interpreter::{Interpreter, Limits};
use aml_routes::router::Router;
use aml_routes::{ByCrate, Datum, Evaluator, Path};
use libtest_mimic::Trial;
use xtask::debian_kernel::{self, Series};
use xtask::direct_boot::DirectBoot;
use xtask::initramfs;
use xtask::qemu::Qemu;

use crate::stand::{Verdict, check, scenario};
use by_acpi::ByAcpi;
use described::{Described, Found};

/// Of the i440FX.
const ISA_BRIDGE: (u8, u8) = (0, 1 << 3);

const SCRIPT: &[u8] = include_bytes!("routing/script.sh");

/// The kernel says what it finds, and leaves link devices as the firmware set them.
const WORDS: &str = "acpi_irq_nobalance lychgate_test=boot dyndbg=\"file pci_irq.c +p\"";

/// A machine of QEMU's.
#[derive(Clone, Copy, Debug)]
struct Machine {
    name: &'static str,
    machine: &'static str,
    devices: &'static [&'static str],
    /// How many pins it has at least, so that a comparison of nothing does not pass.
    pins: usize,
    /// The same of first pins on its first bus.
    on_bus_0: usize,
    /// What the crates `aml` and `acpi` can do of its tables.
    by_crate: ByTheCrate,
}

/// What both crates can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByTheCrate {
    All,
    /// Not the routing tables that a method makes in a loop: `aml` errs, `acpi` panics.
    Some,
    /// None, for the same reason.
    None,
}

impl ByTheCrate {
    /// What is known is known of tables in which a method makes a routing table in a loop, as QEMU 7.2 has them.
    fn is_it(self, described: &Described, answered: usize, failed: usize) -> Verdict {
        let known = match self {
            Self::All => answered > 0 && failed == 0,
            _ if !described.routes_are_made_in_a_loop() => answered + failed > 0,
            Self::Some => answered > 0 && failed > 0,
            Self::None => answered == 0 && failed > 0,
        };
        check!(known, "the crate answered {answered} questions and failed at {failed}");
        Ok(())
    }
}

/// What the crate says of a package that is made empty and filled later.
const MALFORMED: &str = "MalformedPackage";

const MACHINES: [Machine; 3] = [
    Machine {
        name: "q35",
        machine: "q35",
        devices: &["e1000,addr=3", "edu,addr=4", "rtl8139,addr=5"],
        pins: 4,
        on_bus_0: 3,
        by_crate: ByTheCrate::All,
    },
    Machine {
        name: "pc",
        machine: "pc",
        devices: &["e1000,addr=3", "edu,addr=4", "rtl8139,addr=5", "edu,addr=6"],
        pins: 4,
        on_bus_0: 4,
        by_crate: ByTheCrate::None,
    },
    Machine {
        name: "q35_with_an_expander_and_a_bridge",
        machine: "q35",
        devices: &[
            "pxb-pcie,id=expander,bus_nr=0x20,bus=pcie.0",
            "pcie-root-port,id=first,bus=expander,chassis=3,slot=3,addr=1",
            "pcie-pci-bridge,id=bridge,bus=first",
            "edu,bus=bridge,addr=5",
            "e1000,bus=bridge,addr=6",
            "pcie-root-port,id=second,bus=pcie.0,chassis=4,slot=4,addr=7",
            "edu,bus=second",
            "edu,bus=pcie.0,addr=3",
        ],
        pins: 6,
        on_bus_0: 2,
        by_crate: ByTheCrate::Some,
    },
];

/// Changed tables that L1 is given: each kind that is drawn by lot, one that L1 refuses to look at, a loop on each of
/// the two machines, a recursion, a huge package, and accesses to memory and to the port that ends a machine.
/// `cargo xtask hostile-tables` runs any number.
const SEEDS: [u64; 10] = [0, 2, 3, 4, 9, 11, 29, 34, 44, 59];

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    let same = MACHINES.into_iter().map(|machine| {
        let name = format!("routing::linux_finds_the_same_routes_on_{}", machine.name);
        scenario(name, move || same_routes(machine))
    });
    let disabled = scenario("routing::a_link_that_is_off_is_switched_on", switched_on);
    let wrong = scenario("routing::the_crate_reads_a_wrong_register_of_a_link", wrong_register);
    let crates = MACHINES.into_iter().map(|machine| {
        let name = format!("routing::the_crate_answers_on_{}_as_is_known_of_it", machine.name);
        scenario(name, move || as_the_crate(machine))
    });
    let fixed = MACHINES.into_iter().map(|machine| {
        let name =
            format!("routing::another_reader_finds_the_same_fixed_tables_on_{}", machine.name);
        scenario(name, move || same_fixed_tables(machine))
    });
    let newer = MACHINES.into_iter().map(|machine| {
        let name =
            format!("routing::the_newer_crate_answers_on_{}_as_is_known_of_it", machine.name);
        scenario(name, move || as_the_newer_crate(machine))
    });
    let mutated = MACHINES.into_iter().map(|machine| {
        let name = format!("routing::no_change_to_the_tables_of_{}_does_harm", machine.name);
        scenario(name, move || mutated::harmless(&described(machine)?))
    });
    let in_l1 = MACHINES.into_iter().map(|machine| {
        let name = format!("routing::l1_finds_the_routes_that_linux_finds_on_{}", machine.name);
        scenario(name, move || in_l1::same_routes(machine))
    });
    let name = format!("routing::l1_has_the_links_of_{}_switched_on", MACHINES[1].name);
    let switched_on = scenario(name, || in_l1::switched_on(MACHINES[1]));
    let bears = SEEDS.into_iter().map(|seed| {
        let name = format!("routing::the_changed_tables_of_seed_{seed}_do_l1_no_harm");
        scenario(name, move || in_l1::bears(seed))
    });
    let all = same.chain([disabled, wrong]).chain(crates).chain(newer).chain(fixed).chain(mutated);
    all.chain(in_l1).chain([switched_on]).chain(bears).collect()
}

/// Boots a kernel on a machine and returns what it said.
fn described(machine: Machine) -> Result<Described, String> {
    let boot = || {
        let kernel = debian_kernel::kernel(Series::V6_12)?;
        let initrd = initramfs::build(Some(SCRIPT))?;
        let words = format!("{} {WORDS}", initramfs::COMMAND_LINE);
        let boot = DirectBoot {
            kernel: &kernel.path,
            initrd: &initrd,
            command_line: &words,
            smp: 1,
            memory: 512,
            machine: machine.machine,
            devices: machine.devices,
            limit: Duration::from_secs(180),
        };
        boot.run(&Qemu::find(None)?)
    };
    let outcome = boot().map_err(|failure| failure.to_string())?;
    if let Some(failure) = outcome.failure {
        return Err(failure);
    }
    Described::parse(outcome.lines.iter().map(|(_, line)| line.as_str()))
}

fn same_routes(machine: Machine) -> Verdict {
    let described = described(machine)?;
    let madt = Madt::check(&described.madt).map_err(|bad| format!("the MADT: {bad:?}"))?;
    let bases: Vec<_> = madt.io_apics().map(|io_apic| io_apic.gsi_base).collect();
    check!(bases == [0], "I/O APICs with inputs from {bases:?}");
    let level = madt.isa(11).map(|isa| (isa.gsi, isa.trigger, isa.polarity));
    check!(level == Some((11, Trigger::Level, Polarity::High)), "ISA interrupt 11: {level:?}");

    let mut router = load(&described)?;
    for Found { function, pin, route } in &described.found {
        let question = described.question(function, *pin)?;
        let ours = router.answer(&question).map_err(|unknown| format!("{function}: {unknown}"))?;
        let ours = (ours.gsi, ours.trigger, ours.polarity);
        check!(ours == *route, "{function} {pin:?}: {ours:?}, and Linux says {route:?}");
    }
    let pins = described.found.len();
    check!(pins >= machine.pins, "{pins} pins were compared, not {}", machine.pins);
    Ok(())
}

/// As a machine comes out of reset, without any firmware: all links of the i440FX are off.
fn switched_on() -> Verdict {
    let mut described = described(MACHINES[1])?;
    let bridge = described.space.get_mut(&ISA_BRIDGE).ok_or("no ISA bridge")?;
    bridge[0x60..0x64].fill(0x80);
    let mut router = load(&described)?;
    let pins: Vec<_> = described.found.iter().map(|found| (&found.function, found.pin)).collect();
    let wanted = Route {
        gsi: 11,
        trigger: Trigger::Level,
        polarity: Polarity::High,
        source: Source::LinkSet,
    };
    for (function, pin) in pins.into_iter().filter(|(function, _)| !function.ends_with("01.3")) {
        let route = router.answer(&described.question(function, pin)?);
        let set = route.map(|route| Route { source: Source::LinkSet, ..route });
        check!(set == Ok(wanted), "{function}: {route:?}");
    }
    Ok(())
}

/// All questions to which we have an answer.
fn answered_by_us(described: &Described) -> Result<Vec<(Question, Route)>, String> {
    let mut ours = load(described)?;
    let questions = described.questions()?.into_iter();
    Ok(questions.filter_map(|question| Some((question, ours.answer(&question).ok()?))).collect())
}

/// Whether a link was on may be told wrongly, as decision 0015 says of `aml`; where it leads may not.
fn same_line(question: &Question, theirs: Route, ours: Route) -> Verdict {
    let line = |route: Route| (route.gsi, route.trigger, route.polarity);
    check!(line(ours) == line(theirs), "{question:?}: {theirs:?}, and {ours:?} by us");
    Ok(())
}

/// Where the crate answers, it answers as we do; where it does not, it fails as decision 0015 says. If a
/// later release does better, this fails, and the decision is to be looked at again.
fn as_the_crate(machine: Machine) -> Verdict {
    let described = described(machine)?;
    let dsdt: &[u8] = &described.dsdt;
    let mut theirs = Router::new(ByCrate::load(&[dsdt], described.machine())?);
    let (mut answered, mut failed) = (0, 0);
    for (question, wanted) in answered_by_us(&described)? {
        match theirs.answer(&question) {
            Ok(route) => {
                same_line(&question, route, wanted)?;
                answered += 1;
            }
            Err(unknown) => {
                let said = theirs.evaluator().said();
                let known = said == Some(MALFORMED) || !described.routes_are_made_in_a_loop();
                check!(known, "{question:?}: {unknown}, {said:?}");
                failed += 1;
            }
        }
    }
    machine.by_crate.is_it(&described, answered, failed)
}

/// The same of the crate `acpi`, which panics where it fails: each question is asked in a thread of its own.
fn as_the_newer_crate(machine: Machine) -> Verdict {
    let described = described(machine)?;
    let (mut answered, mut failed) = (0, 0);
    for (question, wanted) in answered_by_us(&described)? {
        let ask = || Ok::<_, String>(Router::new(ByAcpi::load(&described)?).answer(&question));
        match quietly(|| thread::scope(|scope| scope.spawn(ask).join())) {
            Ok(Ok(Ok(route))) => {
                same_line(&question, route, wanted)?;
                answered += 1;
            }
            Ok(Err(error)) => return Err(error),
            Ok(Ok(Err(_))) | Err(_) => failed += 1,
        }
    }
    machine.by_crate.is_it(&described, answered, failed)
}

/// Does something without a word about panics in it.
fn quietly<R>(something: impl FnOnce() -> R) -> R {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = something();
    panic::set_hook(hook);
    result
}

/// The crate `acpi` walks from the root pointer to the MADT and reads the same in it.
fn same_fixed_tables(machine: Machine) -> Verdict {
    let described = described(machine)?;
    let (bases, overrides) = by_acpi::fixed_tables(&described)?;
    let madt = Madt::check(&described.madt).map_err(|bad| format!("the MADT: {bad:?}"))?;
    let ours: Vec<_> = madt.io_apics().map(|io_apic| io_apic.gsi_base).collect();
    check!(
        ours == bases && !ours.is_empty(),
        "I/O APICs from {ours:?}, and {bases:?} by the crate"
    );
    for irq in 0..16 {
        let plain =
            IsaInterrupt { gsi: irq.into(), trigger: Trigger::Edge, polarity: Polarity::High };
        let theirs = *overrides.get(&irq).unwrap_or(&plain);
        let ours = madt.isa(irq);
        check!(ours == Some(theirs), "ISA interrupt {irq}: {ours:?}, and {theirs:?} by the crate");
    }
    check!(!overrides.is_empty(), "the machine has no overrides");
    Ok(())
}

/// The link device D of the i440FX has register 0x63 of the ISA bridge. The crate takes the 24 bits before
/// it for bytes and reads 0x78, without an error; so it must not be believed where it does answer.
fn wrong_register() -> Verdict {
    let mut described = described(MACHINES[1])?;
    let bridge = described.space.get_mut(&ISA_BRIDGE).ok_or("no ISA bridge")?;
    (bridge[0x63], bridge[0x78]) = (0x0b, 0x80);
    let dsdt: &[u8] = &described.dsdt;
    let ours = Interpreter::load(&[dsdt], described.machine(), Limits::default());
    let mut ours = ours.map_err(|fault| fault.to_string())?;
    let mut theirs = ByCrate::load(&[dsdt], described.machine())?;
    let link = ours.look_up(b"\\_SB.LNKD", &Path::default()).ok_or("no LNKD")?;
    let status = link.child(b"_STA");
    let (ours, theirs) = (ours.evaluate(&status, vec![]), theirs.evaluate(&status, vec![]));
    check!(ours == Ok(Datum::Integer(0xb)), "on is {ours:?}");
    check!(theirs == Ok(Datum::Integer(0x9)), "the crate reads the right register: {theirs:?}");
    Ok(())
}

fn load(described: &Described) -> Result<Router<Interpreter<'_, described::Space>>, String> {
    let space = described.machine();
    let interpreter = Interpreter::load(&[&described.dsdt], space, Limits::default());
    let router = Router::new(interpreter.map_err(|fault| fault.to_string())?);
    router.failure().map_or(Ok(router), |fault| Err(fault.to_string()))
}

/// What is asked about one function.
fn ask(segment: u16, root_bus: u8, way: &[u8], pin: acpi_routes::Pin) -> Result<Question, String> {
    Question::new(segment, root_bus, way, pin).ok_or_else(|| "the way is too long".to_owned())
}
