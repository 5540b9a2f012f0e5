// SPDX-License-Identifier: MIT OR Apache-2.0
//! One PCI function: its configuration space by the filter, with L2's view of the two capabilities by
//! which it interrupts laid over it.

use super::{
    address::Bdf,
    capability::Id,
    filter::{Action, Filter},
    machine::{Location, Machine, Register, Source},
    message::{Message, Target},
    msi::{Msi, Power},
    msix::Msix,
    ports::Ports,
    route::{Change, Route},
    table::{Place, Table},
};
use crate::{
    intx::Pin,
    width::{low16, low32, ones},
};

/// One function with the mappings of its interrupts.
#[derive(Debug)]
pub struct Function<M> {
    bdf: Bdf,
    filter: Filter,
    msi: Option<MsiFunction<M>>,
    msix: Option<MsixFunction<M>>,
}

#[derive(Debug)]
struct MsiFunction<M> {
    view: Msi,
    route: Route<M>,
    /// The message that the device sends; `None` while it is off.
    sent: Option<Message>,
}

#[derive(Debug)]
struct MsixFunction<M> {
    view: Msix,
    /// Made at the first access, because most functions' tables are never touched.
    table: Option<Table<M>>,
    /// Where the table is; `None` when a base address register may have changed.
    gpa: Option<u64>,
}

const FIRST_BAR: u8 = 0x10;
const END_OF_BARS: u8 = 0x28;
const BAR_IO: u32 = 1;
const BAR_WIDE: u32 = 2 << 1;
const PAGE: u64 = 0x1000;
/// An offset in a table at which no register begins.
const NO_REGISTER: u64 = 1;

impl<M> Function<M> {
    /// Looks at the function at `bdf`, which exists; its `pin` is for L2. `None` if it is nothing for L2.
    pub fn discover(
        machine: &mut impl Machine<Mapping = M>,
        bdf: Bdf,
        pin: Option<Pin>,
    ) -> Option<Self> {
        let mut read =
            |offset, size| machine.config_read(Register { bdf, offset, size }) & low32(ones(size));
        let mut filter = Filter::discover(&mut read, pin)?;
        let msi = filter.capability(Id::MSI).map(|offset| MsiFunction {
            view: Msi::new(offset, low16(read(offset + 2, 2).into())),
            route: Route::NONE,
            sent: None,
        });
        let msix = filter.capability(Id::MSIX).map(|offset| {
            let control = low16(read(offset + 2, 2).into());
            let view = Msix::new(offset, control, read(offset + 4, 4));
            MsixFunction { view, table: None, gpa: None }
        });
        for register in filter.port_registers() {
            if let Some(ports) = Ports::ask(machine, bdf, register) {
                filter.give_ports(register, ports);
            }
        }
        Some(Self { bdf, filter, msi, msix })
    }

    /// Gives all mappings back of a function that is not there any more, and so sends nothing.
    pub fn release(&mut self, machine: &mut impl Machine<Mapping = M>) {
        let source = Source { bdf: self.bdf, entry: 0 };
        if let Some(msi) = &mut self.msi
            && let Some(mapping) = msi.route.take(machine, source)
        {
            machine.unmap(mapping);
        }
        if let Some(table) = self.msix.as_mut().and_then(|msix| msix.table.as_mut()) {
            let mappings = table.take_all(machine, source);
            if !mappings.is_empty() {
                machine.unmap_all(source.bdf, mappings);
            }
        }
    }

    /// Whether the function says that there are more in its device.
    #[must_use]
    pub const fn has_siblings(&self) -> bool {
        self.filter.has_siblings()
    }

    /// The host's port for `port` of L2, if it is the function's with all `bytes`, and decoded.
    #[must_use]
    pub fn port_at_host(&self, port: u16, bytes: u8) -> Option<u16> {
        self.filter.port_at_host(port, bytes)
    }

    /// L2 reads configuration space.
    pub fn config_read(
        &self,
        machine: &mut impl Machine<Mapping = M>,
        offset: u8,
        size: u8,
    ) -> u32 {
        self.view(machine, offset & !3) >> (8 * (offset & 3)) & low32(ones(size))
    }

    /// L2 writes configuration space.
    pub fn config_write(
        &mut self,
        machine: &mut impl Machine<Mapping = M>,
        (offset, size): (u8, u8),
        value: u32,
    ) {
        let dword = offset & !3;
        let shift = 8 * (offset & 3);
        let mask = low32(ones(size)) << shift;
        if self.msi.as_ref().is_some_and(|msi| msi.view.covers(dword)) {
            let whole = self.view(machine, dword) & !mask | value << shift & mask;
            self.write_msi(machine, dword, whole);
        } else if self.msix.as_ref().is_some_and(|msix| msix.view.covers(dword)) {
            let whole = self.view(machine, dword) & !mask | value << shift & mask;
            self.write_msix_control(machine, whole);
        } else {
            let action = self.filter.write(offset, size, value);
            self.act(machine, action);
        }
    }

    /// Does what the filter lets through.
    fn act(&mut self, machine: &mut impl Machine<Mapping = M>, action: Action) {
        let bdf = self.bdf;
        match action {
            Action::None => {}
            Action::Write { offset, size, value } => {
                machine.config_write(Register { bdf, offset, size }, value);
                if let Some(msix) = &mut self.msix
                    && (FIRST_BAR..END_OF_BARS).contains(&offset)
                {
                    msix.gpa = None;
                }
            }
            Action::Change { offset, bits, value } => {
                let register = Register { bdf, offset, size: 2 };
                let old = low16(machine.config_read(register).into());
                machine.config_write(register, (old & !bits | value).into());
            }
        }
    }

    /// Whether `gpa` lies in a page of the function's MSI-X table.
    pub fn claims(&mut self, machine: &mut impl Machine<Mapping = M>, gpa: u64) -> bool {
        let bdf = self.bdf;
        self.msix.as_mut().is_some_and(|msix| {
            msix.locate(machine, bdf).is_some_and(|table| {
                let end = (table + msix.view.table_size()).next_multiple_of(PAGE);
                (table & !(PAGE - 1)..end).contains(&gpa)
            })
        })
    }

    /// L2 reads in a page of the table.
    pub fn memory_read(&self, machine: &mut impl Machine<Mapping = M>, at: Location) -> u64 {
        let Some(msix) = &self.msix else { return ones(at.size) };
        let Some((_, offset)) = msix.in_table(at) else { return machine.memory_read(at) };
        match &msix.table {
            // An untouched table is as after reset: masked.
            None => Table::<M>::new(1).read(offset % 16, at.size),
            Some(table) => table.read(offset, at.size),
        }
    }

    /// L2 writes in a page of the table.
    pub fn memory_write(
        &mut self,
        machine: &mut impl Machine<Mapping = M>,
        at: Location,
        value: u64,
    ) {
        let source = Source { bdf: self.bdf, entry: 0 };
        let Some(msix) = &mut self.msix else { return };
        let Some((gpa, offset)) = msix.in_table(at) else {
            return machine.memory_write(at, value);
        };
        let place = Place { gpa, source, enabled: msix.view.is_enabled() };
        let entries = msix.view.entries;
        let table = msix.table.get_or_insert_with(|| Table::new(entries));
        table.write(machine, place, (offset, at.size), value);
    }

    /// Gives interrupt `source` a reserved vector of its own CPU for `target`, which takes a detour or
    /// was refused, if there is one now.
    pub fn climb(
        &mut self,
        machine: &mut impl Machine<Mapping = M>,
        source: Source,
        target: Target,
    ) {
        if let Some(msix) = &mut self.msix
            && let (Some(gpa), Some(table)) = (msix.locate(machine, source.bdf), &mut msix.table)
            && msix.view.is_enabled()
        {
            let place = Place { gpa, source: Source { entry: 0, ..source }, enabled: true };
            table.climb(machine, place, (source, target));
        } else if let Some(msi) = &mut self.msi {
            msi.climb(machine, source, target);
        }
    }

    /// Maps anew what is mapped, where the machine would now have another way.
    pub fn renew(&mut self, machine: &mut impl Machine<Mapping = M>) {
        let source = Source { bdf: self.bdf, entry: 0 };
        if let Some(msix) = &mut self.msix
            && let (Some(gpa), Some(table)) = (msix.locate(machine, self.bdf), &mut msix.table)
            && msix.view.is_enabled()
        {
            table.renew(machine, Place { gpa, source, enabled: true });
        } else if let Some(msi) = &mut self.msi {
            msi.renew(machine, self.bdf);
        }
    }

    /// L2's view of one dword.
    fn view(&self, machine: &mut impl Machine<Mapping = M>, dword: u8) -> u32 {
        let register = Register { bdf: self.bdf, offset: dword, size: 4 };
        let device = self.filter.read(dword, || machine.config_read(register));
        if let Some(msi) = self.msi.as_ref().filter(|msi| msi.view.covers(dword)) {
            return msi.view.read(dword, device);
        }
        match self.msix.as_ref().filter(|msix| msix.view.covers(dword)) {
            Some(msix) => msix.view.read(device),
            None => device,
        }
    }

    fn write_msi(&mut self, machine: &mut impl Machine<Mapping = M>, dword: u8, value: u32) {
        let source = Source { bdf: self.bdf, entry: 0 };
        let Some(msi) = &mut self.msi else { return };
        msi.view.write(dword, value);
        let Some(wanted) = msi.view.wanted() else {
            return msi.stop(machine, self.bdf);
        };
        match msi.route.follow(machine, source, wanted) {
            Change::None => {}
            Change::Program(message, old) => {
                msi.program(machine, source, message);
                if let Some(old) = old {
                    let offset = msi.view.control_register();
                    flush(machine, Register { bdf: self.bdf, offset, size: 2 });
                    machine.unmap(old);
                }
            }
            Change::Stop(old) => {
                msi.view.refuse();
                msi.stop(machine, self.bdf);
                if let Some(old) = old {
                    machine.unmap(old);
                }
            }
        }
    }

    fn write_msix_control(&mut self, machine: &mut impl Machine<Mapping = M>, value: u32) {
        let source = Source { bdf: self.bdf, entry: 0 };
        let bdf = self.bdf;
        let Some(msix) = &mut self.msix else { return };
        let was_enabled = msix.view.is_enabled();
        let mut control = msix.view.write(value);
        let gpa = msix.locate(machine, bdf);
        if gpa.is_none() && !was_enabled && msix.table.is_some() {
            // Out of reach, the entries still say what they said before their mappings were given back.
            control = msix.view.keep_off();
        }
        let enabled = msix.view.is_enabled();
        if let (true, false, Some(gpa), Some(table)) = (enabled, was_enabled, gpa, &mut msix.table)
        {
            table.follow_all(machine, Place { gpa, source, enabled });
        }
        let register = Register { bdf, offset: msix.view.control_register(), size: 2 };
        machine.config_write(register, control.into());
        if let (false, Some(table)) = (enabled, &mut msix.table) {
            flush(machine, register);
            let mappings = table.take_all(machine, source);
            // A function that was told to use both ways at once still has the other one.
            if self.msi.as_ref().is_some_and(|msi| msi.sent.is_some()) {
                mappings.into_iter().for_each(|mapping| machine.unmap(mapping));
            } else if !mappings.is_empty() {
                machine.unmap_all(bdf, mappings);
            }
        }
    }
}

/// Waits until all messages that a function sent before it was told otherwise have arrived: an answer
/// does not overtake them.
fn flush(machine: &mut impl Machine, register: Register) {
    machine.config_read(register);
}

impl<M> MsiFunction<M> {
    /// Tells the device what to send. While it is on, only what changes is written: without a mask
    /// bit it may send at any moment, and one write is never seen by half.
    fn program(
        &mut self,
        machine: &mut impl Machine<Mapping = M>,
        source: Source,
        message: Message,
    ) {
        let bdf = source.bdf;
        let (low, high, data) = self.view.message_registers();
        let changes = |part: fn(Message) -> u32| {
            self.sent.is_none_or(|sent| part(sent) != part(message)).then(|| part(message))
        };
        let parts = [
            (Some(low), 4, changes(|message| low32(message.address))),
            (high, 4, changes(|message| low32(message.address >> 32))),
            (Some(data), 2, changes(|message| message.data)),
        ];
        for (register, size, value) in parts {
            if let (Some(offset), Some(value)) = (register, value) {
                machine.config_write(Register { bdf, offset, size }, value);
            }
        }
        self.route.steer(machine, source);
        if self.sent.is_none() {
            let offset = self.view.control_register();
            let control = self.view.device_control(Power::On).into();
            machine.config_write(Register { bdf, offset, size: 2 }, control);
        }
        self.sent = Some(message);
    }

    /// Moves to a better mapping, if there is one.
    fn climb(&mut self, machine: &mut impl Machine<Mapping = M>, source: Source, target: Target) {
        if self.sent.is_some()
            && let Some(mapping) = self.route.better(machine, source, target)
        {
            self.change_to(machine, source, (target, mapping));
        }
    }

    /// Maps anew what is mapped, if the machine would now have another way.
    fn renew(&mut self, machine: &mut impl Machine<Mapping = M>, bdf: Bdf) {
        let source = Source { bdf, entry: 0 };
        if self.sent.is_some()
            && let Some(new) = self.route.anew(machine, source)
        {
            self.change_to(machine, source, new);
        }
    }

    /// Changes to another mapping, if the device can be told of it by one write, or can be masked: else it
    /// might send half of the old message and half of the new one.
    fn change_to(
        &mut self,
        machine: &mut impl Machine<Mapping = M>,
        source: Source,
        (target, mapping): (Target, M),
    ) {
        let (Some(sent), Source { bdf, .. }) = (self.sent, source) else { return };
        let message = machine.message(source, &mapping);
        let mask = self.view.mask_register();
        let is_one_write = sent.data == message.data && sent.address >> 32 == message.address >> 32;
        if mask.is_none() && !is_one_write {
            return machine.unmap(mapping);
        }
        let set_mask = |machine: &mut _, value| {
            if let Some(offset) = mask {
                Machine::config_write(machine, Register { bdf, offset, size: 4 }, value);
            }
        };
        let old = self.route.adopt(target, mapping);
        if sent == message {
            self.route.steer(machine, source);
        } else {
            set_mask(machine, 1);
            self.program(machine, source, message);
            set_mask(machine, 0);
        }
        if let Some(old) = old {
            flush(machine, Register { bdf, offset: self.view.control_register(), size: 2 });
            machine.unmap(old);
        }
    }

    fn stop(&mut self, machine: &mut impl Machine<Mapping = M>, bdf: Bdf) {
        let register = Register { bdf, offset: self.view.control_register(), size: 2 };
        machine.config_write(register, self.view.device_control(Power::Off).into());
        self.sent = None;
        flush(machine, register);
        if let Some(mapping) = self.route.take(machine, Source { bdf, entry: 0 }) {
            machine.unmap(mapping);
        }
    }
}

impl<M> MsixFunction<M> {
    /// The table's address, read anew after a base address register may have changed.
    fn locate(&mut self, machine: &mut impl Machine<Mapping = M>, bdf: Bdf) -> Option<u64> {
        if self.gpa.is_none() {
            self.gpa = self.read_bar(machine, bdf).map(|bar| bar + u64::from(self.view.table));
        }
        self.gpa
    }

    /// The address in the table's base address register, if that is a memory one with an address.
    fn read_bar(&self, machine: &mut impl Machine<Mapping = M>, bdf: Bdf) -> Option<u64> {
        let offset = FIRST_BAR + 4 * self.view.bar;
        if offset >= END_OF_BARS {
            return None;
        }
        let low = machine.config_read(Register { bdf, offset, size: 4 });
        if low & BAR_IO != 0 {
            return None;
        }
        let high = if low & BAR_WIDE != 0 && offset + 4 < END_OF_BARS {
            machine.config_read(Register { bdf, offset: offset + 4, size: 4 })
        } else {
            0
        };
        let address = u64::from(high) << 32 | u64::from(low & !0xf);
        // Nothing is below the first page, and nothing fits above the widest address.
        (PAGE..1 << 51).contains(&address).then_some(address)
    }

    /// The table's address, and the offset in it that an access to any byte of it has. None but L1
    /// writes to the device's own table, so an access that only overlaps it counts as one too.
    fn in_table(&self, at: Location) -> Option<(u64, u64)> {
        let start = self.gpa?;
        let end = start + self.view.table_size();
        let overlaps = at.gpa < end && start < at.gpa.saturating_add(at.size.into());
        overlaps.then_some((start, at.gpa.checked_sub(start).unwrap_or(NO_REGISTER)))
    }
}

#[cfg(test)]
mod tests;
