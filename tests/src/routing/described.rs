// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine as the kernel described it.

use core::ops::Range;
use std::collections::BTreeMap;

use acpi_routes::{Pin, Polarity, Question, Trigger};
use aml_routes::{Location, Machine, Refused, Width};

use super::ask;

/// Bus, and device and function.
type Function = (u8, u8);

/// What the kernel found of a pin: the input, how it triggers, what is active.
pub(super) type Route = (u32, Trigger, Polarity);

/// The ISA bridges of the two machines, and where their link registers are.
const ISA_BRIDGES: [(Function, Range<usize>); 3] =
    [((0, 1 << 3), 0x60..0x64), ((0, 31 << 3), 0x60..0x64), ((0, 31 << 3), 0x68..0x6c)];

/// The length of a table's header.
const HEADER: usize = 36;

const INTEL: [u8; 2] = 0x8086_u16.to_le_bytes();

/// A machine as the kernel described it.
#[derive(Debug, Default)]
pub(super) struct Described {
    pub(super) dsdt: Vec<u8>,
    pub(super) madt: Vec<u8>,
    pub(super) fadt: Vec<u8>,
    pub(super) space: BTreeMap<Function, Vec<u8>>,
    /// The root bus and the way from there, by the function's name.
    ways: BTreeMap<String, (u8, Vec<u8>)>,
    pub(super) found: Vec<Found>,
}

/// What the kernel found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) function: String,
    pub(super) pin: Pin,
    pub(super) route: Route,
}

/// Configuration space that is written as it is read.
#[derive(Clone, Debug)]
pub(super) struct Space(BTreeMap<Function, Vec<u8>>);

impl Described {
    /// Takes the kernel's console.
    pub(super) fn parse<'a, L: Iterator<Item = &'a str>>(lines: L) -> Result<Self, String> {
        let mut described = Self::default();
        for line in lines.filter_map(|line| line.split_once("result ")).map(|(_, line)| line) {
            let words: Vec<_> = line.split_whitespace().collect();
            let understood = match *words {
                ["table", "DSDT", bytes] => unhex(bytes).map(|bytes| described.dsdt = bytes),
                ["table", "APIC", bytes] => unhex(bytes).map(|bytes| described.madt = bytes),
                ["table", "FACP", bytes] => unhex(bytes).map(|bytes| described.fadt = bytes),
                ["function", way, space] => described.function(way, space),
                ["kernel", ..] => described.kernel(line),
                _ => Some(()),
            };
            understood.ok_or_else(|| format!("what is \"{line}\"?"))?;
        }
        described.links_as_before();
        let tables = [&described.dsdt, &described.madt, &described.fadt];
        if tables.iter().all(|table| table.len() > HEADER) {
            Ok(described)
        } else {
            Err("the kernel did not hand out its tables".to_owned())
        }
    }

    /// Linux switches all links off when it finds them, and on again when it needs them. On these machines
    /// that is bit 7 of a register of the ISA bridge; the rest is as the firmware set it.
    fn links_as_before(&mut self) {
        for (bridge, registers) in ISA_BRIDGES {
            let space = self.space.get_mut(&bridge).filter(|space| space.get(..2) == Some(&INTEL));
            for register in space.into_iter().flat_map(|space| space.get_mut(registers.clone())) {
                register.iter_mut().for_each(|register| *register &= !0x80);
            }
        }
    }

    /// Whether a method makes a routing table in a loop, as QEMU 7.2 has it, and QEMU 10 no longer.
    pub(super) fn routes_are_made_in_a_loop(&self) -> bool {
        const METHOD: u8 = 0x14;
        const WHILE: u8 = 0xa2;
        // Method, a length of two bytes, the name; a shorter method has no place for a table.
        self.dsdt.windows(7).enumerate().any(|(at, bytes)| {
            let [METHOD, low, high, b'_', b'P', b'R', b'T'] = *bytes else { return false };
            let length = usize::from(low & 0xf) | usize::from(high) << 4;
            self.dsdt[at..].iter().take(length).any(|byte| *byte == WHILE)
        })
    }

    /// Returns configuration space as the kernel found it.
    pub(super) fn machine(&self) -> Space {
        Space(self.space.clone())
    }

    pub(super) fn question(&self, function: &str, pin: Pin) -> Result<Question, String> {
        let (bus, way) = self.ways.get(function).ok_or_else(|| format!("no {function}"))?;
        ask(0, *bus, way, pin)
    }

    /// Asks about all pins of all functions.
    pub(super) fn questions(&self) -> Result<Vec<Question>, String> {
        let pins = self.ways.values().flat_map(|way| Pin::ALL.map(|pin| (way, pin)));
        pins.map(|((bus, way), pin)| ask(0, *bus, way, pin)).collect()
    }

    /// `pci0000:20/0000:20:01.0/0000:21:00.0` and 256 bytes.
    fn function(&mut self, way: &str, space: &str) -> Option<()> {
        let mut parts = way.split('/');
        let root = u8::from_str_radix(parts.next()?.strip_prefix("pci0000:")?, 16).ok()?;
        let functions: Vec<_> = parts.map(function).collect::<Option<_>>()?;
        let way_of = functions.iter().map(|(_, function)| *function).collect();
        self.space.insert(*functions.last()?, unhex(space)?);
        self.ways.insert(way.rsplit('/').next()?.to_owned(), (root, way_of));
        Some(())
    }

    /// `... 0000:00:03.0: PCI INT A -> Link[GSIH] -> GSI 23 (level, high) -> IRQ 23`, or without a link;
    /// other lines say nothing of a route.
    fn kernel(&mut self, line: &str) -> Option<()> {
        let Some((before, after)) = line.split_once(": PCI INT ") else { return Some(()) };
        let Some((pin, route)) = after.split_once("GSI ") else { return Some(()) };
        let function = before.rsplit(' ').next()?.to_owned();
        let pin = match pin.split_once(' ')?.0 {
            "A" => 1,
            "B" => 2,
            "C" => 3,
            "D" => 4,
            _ => return None,
        };
        let (gsi, how) = route.split_once(' ')?;
        let how = match how.split_once(" ->").map_or(how, |(how, _)| how) {
            "(level, low)" => (Trigger::Level, Polarity::Low),
            "(level, high)" => (Trigger::Level, Polarity::High),
            "(edge, low)" => (Trigger::Edge, Polarity::Low),
            "(edge, high)" => (Trigger::Edge, Polarity::High),
            _ => return None,
        };
        let route = (gsi.parse().ok()?, how.0, how.1);
        self.found.push(Found { function, pin: Pin::from_register(pin)?, route });
        Some(())
    }
}

impl Space {
    fn bytes(&mut self, at: Location, width: Width) -> Result<&mut [u8], Refused> {
        let Location::Config { segment: 0, bus, function, offset } = at else {
            return Err(Refused);
        };
        let space = self.0.get_mut(&(bus, function)).ok_or(Refused)?;
        let bytes = usize::try_from(width.bytes()).map_err(|_| Refused)?;
        space.get_mut(usize::from(offset)..).and_then(|rest| rest.get_mut(..bytes)).ok_or(Refused)
    }
}

impl Machine for Space {
    fn read(&mut self, from: Location, width: Width) -> Result<u64, Refused> {
        let mut value = [0; 8];
        let bytes = self.bytes(from, width)?;
        value.get_mut(..bytes.len()).ok_or(Refused)?.copy_from_slice(bytes);
        Ok(u64::from_le_bytes(value))
    }

    fn write(&mut self, to: Location, width: Width, value: u64) -> Result<(), Refused> {
        let bytes = self.bytes(to, width)?;
        for (to, from) in bytes.iter_mut().zip(value.to_le_bytes()) {
            *to = from;
        }
        Ok(())
    }
}

/// `0000:21:00.0`.
fn function(name: &str) -> Option<Function> {
    let (bus, rest) = name.strip_prefix("0000:")?.split_once(':')?;
    let (device, function) = rest.split_once('.')?;
    let [bus, device, function] = [bus, device, function].map(|part| u8::from_str_radix(part, 16));
    Some((bus.ok()?, device.ok()? << 3 | function.ok()?))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2).map(|pair| core::str::from_utf8(pair).ok());
    digits.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}
