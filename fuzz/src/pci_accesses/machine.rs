// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine around the bus, and the books that it keeps.
//!
//! | L1 may write                       | what                                                     |
//! |------------------------------------|----------------------------------------------------------|
//! | command                            | ports, memory, bus master; the pin is always off         |
//! | ports                              | what L2 writes, in the range of a device that decodes it |
//! | base addresses                     | any dword                                                |
//! | device control of PCI Express      | but for sizes and ordering, what it has just read        |
//! | MSI                                | control, mask, and messages of live mappings              |
//! | MSI-X control                      | its two switches                                         |
//! | an MSI-X table                     | 0 or 1 as mask, and messages of live mappings             |
//! | the rest of a table's page         | what L2 writes there, in that step                       |
//!
//! A device that may send has the message of a mapping that is live and its own. Where its registers are is read
//! from the configuration space that the function had when it was discovered; once the host has lied about it, only
//! what needs no such knowledge is checked.

use std::collections::BTreeMap;

use paravisor::pci::{
    address::Bdf,
    machine::{self, Location, Refusal, Register, Source},
    message::{Message, Target},
    ports::FIRST,
};

use super::{
    device::{Device, ENTRIES, EXPRESS, MSI, MSIX, PORT_COUNT, PORTS},
    is_to_l1,
};

/// A mapping, which is live as long as its number is in the machine's list.
#[derive(Debug)]
pub(crate) struct Mapping {
    number: u64,
    is_detour: bool,
}

#[derive(Clone, Copy, Debug)]
struct Live {
    source: Source,
    message: Message,
}

/// What messages of devices say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Messages {
    /// Where the interrupt goes.
    Targets,
    /// Which one it is; where it goes, the host is told apart from it.
    Names,
}

pub(super) struct Machine {
    messages: Messages,
    /// Where the host brings each interrupt that has a name: the number of a mapping.
    steered: BTreeMap<(u16, u16), u64>,
    devices: BTreeMap<u16, Device>,
    live: BTreeMap<u64, Live>,
    next: u64,
    free: u8,
    wishes: Vec<(Source, Target)>,
    lie: (u8, u32),
    /// What L2 does in this step: an access to memory, and what it writes.
    step: Option<(Location, Option<u64>)>,
}

impl Machine {
    pub(super) fn new(devices: BTreeMap<u16, Device>, messages: Messages) -> Self {
        let (live, wishes, steered) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        Self {
            messages,
            steered,
            devices,
            live,
            next: 0,
            free: 40,
            wishes,
            lie: (0, 0),
            step: None,
        }
    }

    /// A step of L2 begins.
    pub(super) fn begin(&mut self, step: Option<(Location, Option<u64>)>) {
        self.step = step;
    }

    /// So many mappings can be had, the last few of them by a detour.
    pub(super) fn set_free(&mut self, free: u8) {
        self.free = free;
    }

    /// The host answers otherwise from now on: in one register of eight, by these bits.
    pub(super) fn lie(&mut self, which: u8, how: u32) {
        self.lie = (which, how);
    }

    /// Whether the host lies.
    pub(super) fn lies(&self) -> bool {
        self.lie.1 != 0
    }

    /// An interrupt that is not mapped as it should be.
    pub(super) fn wish(&mut self) -> Option<(Source, Target)> {
        self.wishes.pop()
    }

    pub(super) fn remove(&mut self, bdf: Bdf) {
        if let Some(device) = self.devices.get_mut(&bdf.0) {
            device.is_there = false;
        }
    }

    pub(super) fn remove_all(&mut self) {
        self.devices.values_mut().for_each(|device| device.is_there = false);
        self.lie = (0, 0);
    }

    /// How many mappings are live.
    pub(super) fn live(&self) -> usize {
        self.live.len()
    }

    /// Whether `at` is one or two whole registers of a table.
    pub(super) fn is_register(&self, at: Location) -> bool {
        let end = at.gpa.saturating_add(at.size.into());
        let is_in = |device: &Device| {
            device.table().is_some_and(|table| table.start <= at.gpa && end <= table.end)
        };
        matches!(at.size, 4 | 8)
            && at.gpa.is_multiple_of(at.size.into())
            && !self.lies()
            // A host that changes a function may put its table into the page of another one's.
            && self.is_exact()
            && self.devices.values().filter(|device| device.is_there && is_in(device)).count() == 1
    }

    /// Whether it is known of all functions where their registers are.
    fn is_exact(&self) -> bool {
        self.devices.values().all(|device| device.is_plain)
    }

    /// What may be sent is what is mapped.
    pub(super) fn check(&self) {
        if !self.is_exact() {
            return;
        }
        for (bdf, device) in self.devices.iter().filter(|(_, device)| device.is_there) {
            for (entry, told) in device.sends() {
                let message = Message { address: told.address, data: told.data };
                let is_named = self.messages == Messages::Names;
                assert!(is_named || is_to_l1(message), "{bdf:#x} may send {message:x?}");
                let way = self.steered.get(&(*bdf, entry));
                let is_own = |(number, live): (&u64, &Live)| {
                    live.message == message
                        && live.source == Source { bdf: Bdf(*bdf), entry }
                        && (!is_named || way == Some(number))
                };
                assert!(self.live.iter().any(is_own), "{bdf:#x} {entry} may send {message:x?}");
            }
        }
    }

    /// A mapping goes: no device may send by it any more.
    fn end(&mut self, mapping: &Mapping) {
        let live = self.live.remove(&mapping.number).expect("it is given back once");
        let Some(device) = self.devices.get(&live.source.bdf.0) else { return };
        let is_used = self.is_exact()
            && device.is_there
            && device.sends().any(|(entry, told)| match self.messages {
                Messages::Targets => {
                    (told.address, told.data) == (live.message.address, live.message.data)
                }
                Messages::Names => {
                    self.steered.get(&(live.source.bdf.0, entry)) == Some(&mapping.number)
                }
            });
        assert!(!is_used, "a mapping is given back that {} still uses", live.source.bdf);
        self.free = self.free.saturating_add(1);
    }

    fn is_mapped(&self, part: impl Fn(Message) -> u32, value: u32) -> bool {
        self.live.values().any(|live| part(live.message) == value)
    }
}

fn low(message: Message) -> u32 {
    u32::try_from(message.address & 0xffff_ffff).unwrap_or(0)
}

fn high(message: Message) -> u32 {
    u32::try_from(message.address >> 32).unwrap_or(0)
}

fn data(message: Message) -> u32 {
    message.data
}

/// `whole` with 32 of its bits replaced.
fn with_low(whole: u64, value: u32) -> u64 {
    whole & !0xffff_ffff | u64::from(value)
}

fn with_high(whole: u64, value: u32) -> u64 {
    whole & 0xffff_ffff | u64::from(value) << 32
}

impl Machine {
    /// L1 writes to a register of MSI. False if it is none.
    fn write_msi(&mut self, Register { bdf, offset, size }: Register, value: u32) -> bool {
        let has_msi = |device: &&Device| device.has_msi;
        let Some(device) = self.devices.get(&bdf.0).filter(has_msi) else { return false };
        let (wide, mask) = (device.is_wide_msi, device.has_mask);
        let mut told = device.msi;
        let mut is_on = device.msi_on;
        let data_at = if wide { 12 } else { 8 };
        match (offset.wrapping_sub(MSI), size) {
            (2, 2) => {
                assert_eq!(value & !0x181, 0, "one message, and what the device is able to do");
                is_on = value & 1 != 0;
            }
            (4, 4) => {
                assert!(self.is_mapped(low, value));
                told.address = with_low(told.address, value);
            }
            (8, 4) if wide => {
                assert!(self.is_mapped(high, value));
                told.address = with_high(told.address, value);
            }
            (at, 2) if at == data_at => {
                assert!(self.is_mapped(data, value));
                told.data = value;
            }
            (at, 4) if mask && at == data_at + 4 => {
                assert!(value <= 1);
                told.is_masked = value != 0;
            }
            _ => return false,
        }
        if let Some(device) = self.devices.get_mut(&bdf.0) {
            (device.msi, device.msi_on) = (told, is_on);
        }
        true
    }

    /// L1 uses a port of a device: never one below those that can be a device's, whatever the host says.
    fn assert_port(&self, port: u16, size: u8) {
        assert!(port >= FIRST && u32::from(port) + u32::from(size) <= 1 << 16, "port {port:#x}");
        let has = |device: &Device| {
            let first = u16::try_from(device.get(PORTS, 4) & !3).unwrap_or(0);
            let within = port.checked_sub(first);
            let is_in = within
                .is_some_and(|within| u32::from(within) + u32::from(size) <= u32::from(PORT_COUNT));
            is_in && device.get(4, 1) & 1 != 0
        };
        let is_fit = self.devices.values().any(|device| device.is_there && has(device));
        assert!(is_fit || !self.is_exact(), "port {port:#x} {size}");
    }

    /// L1 writes to a table. False if it is none.
    fn write_table(&mut self, at: Location, value: u64) -> bool {
        let is_in = |device: &Device| device.table().is_some_and(|table| table.contains(&at.gpa));
        let found = self.devices.iter().find(|(_, device)| device.is_there && is_in(device));
        let Some((bdf, start)) =
            found.and_then(|(bdf, device)| Some((*bdf, device.table()?.start)))
        else {
            return false;
        };
        assert!(at.size == 4 && at.gpa.is_multiple_of(4), "{at:x?} in a table");
        let value = u32::try_from(value).expect("a dword");
        let fits = match (at.gpa - start) % 16 {
            0 => self.is_mapped(low, value),
            4 => self.is_mapped(high, value),
            8 => self.is_mapped(data, value),
            _ => value <= 1,
        };
        assert!(fits, "{at:x?} = {value:#x}");
        let number = usize::try_from((at.gpa - start) / 16).expect("it is in the table");
        let Some(told) =
            self.devices.get_mut(&bdf).and_then(|device| device.entries.get_mut(number))
        else {
            return false;
        };
        match (at.gpa - start) % 16 {
            0 => told.address = with_low(told.address, value),
            4 => told.address = with_high(told.address, value),
            8 => told.data = value,
            _ => told.is_masked = value != 0,
        }
        true
    }
}

impl machine::Machine for Machine {
    type Mapping = Mapping;

    fn config_read(&mut self, register: Register) -> u32 {
        let Register { bdf, offset, size } = register;
        assert!(offset.is_multiple_of(size) && matches!(size, 1 | 2 | 4), "{register:x?}");
        let Some(device) = self.devices.get_mut(&bdf.0).filter(|device| device.is_there) else {
            return u32::MAX;
        };
        let mut value = device.get(offset, size);
        if offset >> 5 == self.lie.0 & 7 && self.lie.1 != 0 {
            value ^= self.lie.1;
            device.is_plain = false;
        }
        if offset == EXPRESS + 8 {
            device.control = u16::try_from(value & 0xffff).unwrap_or(0);
        }
        value
    }

    fn config_write(&mut self, register: Register, value: u32) {
        let Register { bdf, offset, size } = register;
        assert!(offset.is_multiple_of(size) && matches!(size, 2 | 4), "{register:x?}");
        assert!(size == 4 || value >> 16 == 0, "{register:x?} = {value:#x}");
        let Some(device) = self.devices.get_mut(&bdf.0) else {
            unreachable!("L1 writes to a function that there is not: {register:x?}")
        };
        if !device.is_plain {
            if (0x10..0x28).contains(&offset) {
                device.set(register, value);
            }
            return;
        }
        device.set(register, value);
        let table = device.table();
        let control = device.control;
        let is_fit = match (offset, size) {
            (0x04, 2) => value & !0x0407 == 0 && value & 0x0400 != 0,
            (0x10..0x28, 4) => offset.is_multiple_of(4),
            (at, 2) if at == MSIX + 2 && device.has_msix => {
                device.msix_on = value & 0x8000 != 0;
                value & 0x3fff == u32::from(ENTRIES - 1)
            }
            (at, 2) if at == EXPRESS + 8 => (value ^ u32::from(control)) & !0x78f0 == 0,
            _ => self.write_msi(register, value),
        };
        assert!(is_fit, "{register:x?} = {value:#x}");
        // Of two tables at one address, it is not known who is told what.
        let shares = |device: &&mut Device| table.is_some() && device.table() == table;
        let sharers: Vec<_> = self.devices.values_mut().filter(shares).collect();
        if sharers.len() > 1 {
            sharers.into_iter().for_each(|device| device.is_plain = false);
        }
    }

    fn memory_read(&mut self, location: Location) -> u64 {
        // Nobody needs to know what a table of the host's holds.
        let junk = u64::from(self.lie.1) << 32 | location.gpa & 0xffff;
        junk & u64::MAX >> (64 - 8 * u32::from(location.size))
    }

    fn memory_write(&mut self, location: Location, value: u64) {
        if !self.is_exact() {
            // Where a table is, is the host's word.
            return;
        }
        let is_of_l2 = self.step == Some((location, Some(value)));
        assert!(self.write_table(location, value) || is_of_l2, "{location:x?} = {value:#x}");
    }

    fn port_read(&mut self, port: u16, size: u8) -> u32 {
        self.assert_port(port, size);
        self.lie.1 ^ u32::from(port)
    }

    fn port_write(&mut self, port: u16, size: u8, _: u32) {
        self.assert_port(port, size);
    }

    fn cpus(&self) -> u32 {
        4
    }

    fn map(&mut self, target: Target, source: Source) -> Result<Mapping, Refusal> {
        assert!(target.cpu < 4 && target.vector.get() >= 16);
        assert!(self.devices.contains_key(&source.bdf.0));
        let Some(free) = self.free.checked_sub(1) else {
            self.wishes.push((source, target));
            return Err(Refusal::Full(target));
        };
        self.free = free;
        let number = self.next;
        self.next += 1;
        let is_detour = free < 4;
        if is_detour {
            self.wishes.push((source, target));
        }
        // Of 32 vectors and 256 CPUs the next pair, so that hardly two have the same.
        let (vector, cpu) = (0x40 + number % 32, number / 32 % 256);
        let [vector, cpu] = [vector, cpu].map(|part| u8::try_from(part).unwrap_or(0));
        let message = match self.messages {
            Messages::Targets => Message::to_l1(cpu, vector),
            Messages::Names => Message::name(source.entry),
        };
        self.live.insert(number, Live { source, message });
        Ok(Mapping { number, is_detour })
    }

    fn message(&self, source: Source, mapping: &Mapping) -> Message {
        let live = self.live.get(&mapping.number).expect("it is live");
        assert_eq!(live.source, source, "the message of another interrupt");
        live.message
    }

    fn is_detour(&self, mapping: &Mapping) -> bool {
        mapping.is_detour
    }

    fn steer(&mut self, source: Source, mapping: Mapping) -> Mapping {
        if self.messages == Messages::Names {
            self.steered.insert((source.bdf.0, source.entry), mapping.number);
        }
        mapping
    }

    fn is_same_way(&self, one: &Mapping, other: &Mapping) -> bool {
        one.is_detour == other.is_detour
    }

    fn unmap(&mut self, mapping: Mapping) {
        self.end(&mapping);
    }

    fn unmap_all(&mut self, bdf: Bdf, mappings: Vec<Mapping>) {
        for mapping in &mappings {
            let source = self.live.get(&mapping.number).map(|live| live.source.bdf);
            assert_eq!(source, Some(bdf), "a mapping of another function");
            self.end(mapping);
        }
        let rest = self.live.values().filter(|live| live.source.bdf == bdf).count();
        assert_eq!(rest, 0, "the relay lets all of {bdf} go, and L1 keeps some");
    }

    fn refused(&mut self, source: Source, _: Refusal) {
        assert!(self.devices.contains_key(&source.bdf.0));
    }

    fn forget_refusal(&mut self, target: Target, source: Source) {
        self.wishes.retain(|wish| *wish != (source, target));
    }
}
