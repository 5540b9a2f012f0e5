// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules, on tables that another crate wrote: a root bus with bridges, one of which has a routing
//! table of its own, and link devices whose setting is in a port.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use acpi_routes::{Answer, Pin, Polarity, Question, Route, Source, Trigger, Unknown, request};
use acpi_tables::{
    Aml,
    aml::{
        And, Arg, CreateDWordField, Device, EISAName, Equal, Field, FieldAccessType, FieldEntry,
        FieldLockRule, FieldUpdateRule, If, Interrupt, Method, Name, ONE, OpRegion, OpRegionSpace,
        Package, Path, ResourceTemplate, Return, Scope, Store, ZERO,
    },
    sdt::Sdt,
};
use aml_routes::interpreter::{Interpreter, Limits};
use aml_routes::router::Router;
use aml_routes::{Fault, Location, Machine, Refused, Served, Width, serve};

/// A port for each link device.
#[derive(Clone, Copy, Debug)]
struct Links {
    settings: [u8; 3],
    /// Whether writes are taken.
    obeys: Obeys,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obeys {
    Yes,
    No,
    /// Another number is taken than was written.
    Otherwise,
}

impl Machine for Links {
    fn read(&mut self, from: Location, _: Width) -> Result<u64, Refused> {
        let Location::Port(port) = from else { return Err(Refused) };
        self.settings.get(usize::from(port)).copied().map(u64::from).ok_or(Refused)
    }

    fn write(&mut self, to: Location, _: Width, value: u64) -> Result<(), Refused> {
        let Location::Port(port) = to else { return Err(Refused) };
        let setting = self.settings.get_mut(usize::from(port)).ok_or(Refused)?;
        match self.obeys {
            Obeys::Yes => *setting = u8::try_from(value).map_err(|_| Refused)?,
            Obeys::No => {}
            Obeys::Otherwise => *setting = 5,
        }
        Ok(())
    }
}

/// An entry of a routing table.
fn entry(device: u32, pin: u8, source: &dyn Aml, index: u8) -> Vec<u8> {
    let address = device << 16 | 0xffff;
    bytes(&Package::new(vec![&address, &pin, source, &index]))
}

/// A routing table of these entries.
fn table(entries: &[Vec<u8>]) -> Raw {
    let entries: Vec<_> = entries.iter().cloned().map(Raw).collect();
    Raw(bytes(&Package::new(entries.iter().map(|entry| entry as &dyn Aml).collect())))
}

/// Bytes that are AML already.
struct Raw(Vec<u8>);

impl Aml for Raw {
    fn to_aml_bytes(&self, sink: &mut dyn acpi_tables::AmlSink) {
        sink.vec(&self.0);
    }
}

fn bytes(aml: &dyn Aml) -> Vec<u8> {
    let mut bytes = vec![];
    aml.to_aml_bytes(&mut bytes);
    bytes
}

fn name(name: &str, value: &dyn Aml) -> Vec<u8> {
    bytes(&Name::new(Path::new(name), value))
}

fn method(name: &str, arguments: u8, body: &[&dyn Aml]) -> Vec<u8> {
    bytes(&Method::new(Path::new(name), arguments, true, body.to_vec()))
}

fn device(name: &str, objects: &[Vec<u8>]) -> Vec<u8> {
    bytes(&Device::new(Path::new(name), vec![&Raw(objects.concat())]))
}

/// A link device whose setting is field `setting`: it may lead to 5, 10 or 11; bit 7 says that it is off.
fn link(device_name: &str, setting: &str) -> Vec<u8> {
    let choices = b"\x11\x16\x0a\x13\x89\x0e\0\x09\x03\x05\0\0\0\x0a\0\0\0\x0b\0\0\0\x79\0";
    let field = Path::new(setting);
    let (buffer, at) = (Path::new("BUFF"), Path::new("NUMB"));
    let current = Interrupt::new(true, false, false, true, 0);
    let template = ResourceTemplate::new(vec![&current]);
    let off = And::new(&ZERO, &field, &0x80_u8);
    let number = And::new(&ZERO, &field, &0x0f_u8);
    let present = Return::new(&9_u8);
    let status: [&dyn Aml; 2] = [&If::new(&off, vec![&present]), &Return::new(&0xb_u8)];
    let current: [&dyn Aml; 4] = [
        &Name::new(Path::new("BUFF"), &template),
        &CreateDWordField::new(&at, &buffer, &5_u8),
        &Store::new(&at, &number),
        &Return::new(&buffer),
    ];
    let set: [&dyn Aml; 2] =
        [&CreateDWordField::new(&at, &Arg(0), &5_u8), &Store::new(&field, &at)];
    device(
        device_name,
        &[
            name("_HID", &EISAName::new("PNP0C0F")),
            name("_PRS", &Raw(choices.to_vec())),
            method("_STA", 0, &status),
            method("_CRS", 0, &current),
            method("_SRS", 1, &set),
        ],
    )
}

/// The tables: with the PIC everything leads nowhere that exists.
fn dsdt() -> Vec<u8> {
    let [a, b] = ["LNKA", "LNKB"].map(Path::new);
    let apic = table(&[
        entry(1, 0, &ZERO, 17),
        entry(2, 0, &a, 0),
        entry(2, 1, &b, 0),
        entry(2, 2, &Path::new("LNKX"), 0),
        entry(2, 3, &a, 7),
        entry(3, 3, &ZERO, 21),
        entry(3, 0, &ZERO, 22),
    ]);
    let pic = table(&[entry(1, 0, &ZERO, 99)]);
    let mode = Path::new("MODE");
    let apic = Return::new(&apic);
    let with_apic = Equal::new(&mode, &ONE);
    let routing: [&dyn Aml; 2] = [&If::new(&with_apic, vec![&apic]), &Return::new(&pic)];
    let own = table(&[entry(4, 1, &ZERO, 40)]);
    let inner = device("INNR", &[name("_ADR", &0x0001_0000_u32)]);
    let bridge = device("BRDG", &[name("_ADR", &0x0003_0000_u32), name("_PRT", &own), inner]);
    let root = Raw(device(
        "PCI0",
        &[
            name("_HID", &EISAName::new("PNP0A08")),
            method("_PRT", 0, &routing),
            bridge,
            link("LNKA", "SETA"),
            link("LNKB", "SETB"),
        ],
    ));
    let fields = ["SETA", "SETB", "SETC"]
        .map(|name| FieldEntry::Named(name.as_bytes().try_into().unwrap(), 8));
    let (access, lock) = (FieldAccessType::Byte, FieldLockRule::NoLock);
    let update = FieldUpdateRule::Preserve;
    let (start, length) = (ZERO, 3_u8);
    let mut sdt = Sdt::new(*b"DSDT", 36, 1, *b"LYCHG8", *b"LYCHG8  ", 1);
    for object in [
        name("MODE", &ZERO),
        bytes(&OpRegion::new(Path::new("PORT"), OpRegionSpace::SystemIO, &start, &length)),
        bytes(&Field::new(Path::new("PORT"), access, lock, update, fields.to_vec())),
        method("_PIC", 1, &[&Store::new(&mode, &Arg(0))]),
        bytes(&Scope::new(Path::new("_SB_"), vec![&root])),
    ] {
        sdt.append_slice(&object);
    }
    sdt.as_slice().to_vec()
}

const OFF: Links = Links { settings: [0x80, 0x80, 0x80], obeys: Obeys::Yes };

fn answer(links: Links, way: &[u8], pin: usize) -> Result<Route, Unknown> {
    let dsdt = dsdt();
    let interpreter = Interpreter::load(&[&dsdt], links, Limits::default()).unwrap();
    let mut router = Router::new(interpreter);
    assert_eq!(router.failure(), None);
    router.answer(&Question::new(0, 0, way, Pin::ALL[pin]).unwrap())
}

fn by_table(gsi: u32) -> Result<Route, Unknown> {
    let (trigger, polarity) = (Trigger::Level, Polarity::Low);
    Ok(Route { gsi, trigger, polarity, source: Source::Table })
}

#[test]
fn a_pin_of_the_root_bus_leads_where_the_table_for_io_apics_says() {
    assert_eq!(answer(OFF, &[1 << 3], 0), by_table(17));
    // Another function of the same device.
    assert_eq!(answer(OFF, &[1 << 3 | 5], 0), by_table(17));
    assert_eq!(answer(OFF, &[1 << 3], 1), Err(Unknown::NoEntry));
}

#[test]
fn a_bridge_with_a_table_is_asked_before_the_root() {
    // Device 4 behind the bridge: INTB has an entry there.
    assert_eq!(answer(OFF, &[3 << 3, 4 << 3], 1), by_table(40));
    // INTD has none; it comes out of the bridge as INTD, for which the root has an entry.
    assert_eq!(answer(OFF, &[3 << 3, 4 << 3], 3), by_table(21));
}

#[test]
fn a_pin_turns_at_each_bridge() {
    // INTA of device 2 comes out of the inner bridge (device 1) as INTC, of the outer one as INTD.
    assert_eq!(answer(OFF, &[3 << 3, 1 << 3, 2 << 3], 0), by_table(21));
    // The same behind bridges that the namespace does not have: it turns all the same.
    assert_eq!(answer(OFF, &[3 << 3, 9 << 3, 2 << 3], 0), by_table(21));
    assert_eq!(answer(OFF, &[3 << 3, 1 << 3, 2 << 3], 1), by_table(22));
}

#[test]
fn a_link_that_is_on_stays_as_it_is() {
    let links = Links { settings: [10, 5, 0x80], ..OFF };
    let route =
        |gsi, source| Ok(Route { gsi, trigger: Trigger::Level, polarity: Polarity::High, source });
    assert_eq!(answer(links, &[2 << 3], 0), route(10, Source::Link));
    assert_eq!(answer(links, &[2 << 3], 1), route(5, Source::Link));
    // One that is off is given its last possibility, or what it says already.
    assert_eq!(answer(OFF, &[2 << 3], 0), route(11, Source::LinkSet));
    let half = Links { settings: [0x8a, 0, 0], ..OFF };
    assert_eq!(answer(half, &[2 << 3], 0), route(10, Source::LinkSet));
    // One that leads where it cannot is given another.
    let wrong = Links { settings: [7, 0, 0], ..OFF };
    assert_eq!(answer(wrong, &[2 << 3], 0), route(11, Source::LinkSet));
}

#[test]
fn a_link_that_does_not_obey_is_not_believed() {
    for links in [
        Links { obeys: Obeys::No, ..OFF },
        // Where it leads is right, and it stays off.
        Links { obeys: Obeys::No, settings: [0x8a, 0, 0] },
        // It is on, and leads elsewhere.
        Links { obeys: Obeys::Otherwise, ..OFF },
    ] {
        assert_eq!(answer(links, &[2 << 3], 0), Err(Unknown::LinkRefused), "{links:?}");
    }
}

#[test]
fn what_an_entry_names_wrongly_is_unknown() {
    assert_eq!(answer(OFF, &[2 << 3], 2), Err(Unknown::BadEntry));
    assert_eq!(answer(OFF, &[2 << 3], 3), Err(Unknown::BadEntry));
}

#[test]
fn another_root_bus_is_unknown() {
    let dsdt = dsdt();
    let mut router = Router::new(Interpreter::load(&[&dsdt], OFF, Limits::default()).unwrap());
    for (segment, bus) in [(0, 1), (1, 0)] {
        let question = Question::new(segment, bus, &[1 << 3], Pin::ALL[0]).unwrap();
        assert_eq!(router.answer(&question), Err(Unknown::RootBus));
    }
}

#[test]
fn a_machine_that_refuses_makes_a_link_unknown_and_nothing_else() {
    let dsdt = dsdt();
    let interpreter = Interpreter::load(&[&dsdt], aml_routes::Nothing, Limits::default());
    let mut router = Router::new(interpreter.unwrap());
    let mut ask =
        |device: u8| router.answer(&Question::new(0, 0, &[device << 3], Pin::ALL[0]).unwrap());
    assert_eq!(ask(2), Err(Unknown::LinkFailed));
    assert_eq!(ask(1), by_table(17));
}

#[test]
fn tables_that_are_used_up_answer_nothing() {
    let dsdt = dsdt();
    let limits = Limits { steps: 200, ..Limits::default() };
    let interpreter = Interpreter::load(&[&dsdt], OFF, limits);
    let failure = match interpreter {
        Ok(interpreter) => Router::new(interpreter).failure(),
        Err(fault) => Some(fault),
    };
    assert_eq!(failure, Some(Fault::Steps));
}

/// Memory with a request of these questions about the tables, and the page of answers to it.
fn served(
    tables: &[u8],
    questions: &[Question],
    interpreter: request::Interpreter,
) -> (Option<Served>, Vec<u8>) {
    let mut memory = vec![0; request::PAGE];
    memory.extend(tables);
    let place = request::PAGE..memory.len();
    request::write(&mut memory, core::iter::once(place), questions, interpreter).unwrap();
    let mut page = vec![0; 4096];
    let served = serve(&memory, OFF, Limits::default(), &mut page);
    (served, page)
}

#[test]
fn a_request_is_answered_by_a_page() {
    let ask = |device: u8| Question::new(0, 0, &[device << 3], Pin::ALL[0]).unwrap();
    for interpreter in [request::Interpreter::Own, request::Interpreter::Crate] {
        let (done, page) = served(&dsdt(), &[ask(1), ask(5)], interpreter);
        assert_eq!(done, Some(Served { answers: 2, failure: None }));
        let answer = Answer::check(&page, 2, |gsi| gsi == 17).unwrap();
        assert!(answer.routes().eq([by_table(17), Err(Unknown::NoEntry)]));
    }
}

#[test]
fn a_request_about_tables_that_are_none_is_answered_all_the_same() {
    let question = Question::new(0, 0, &[1 << 3], Pin::ALL[0]).unwrap();
    let (done, page) = served(&[0; 8], &[question; 3], request::Interpreter::Own);
    assert_eq!(done, Some(Served { answers: 3, failure: Some(Fault::Truncated) }));
    let answer = Answer::check(&page, 3, |_| false).unwrap();
    assert!(answer.routes().eq([Err(Unknown::Tables); 3]));
}

#[test]
fn what_is_no_request_is_not_answered() {
    let mut page = vec![0; 4096];
    assert_eq!(serve(&[0; 8192], OFF, Limits::default(), &mut page), None);
    assert_eq!(page, [0; 4096]);
}
