// SPDX-License-Identifier: MIT OR Apache-2.0
//! The MSI-X table: what L2 wrote, entry by entry, and what the device has instead.
//!
//! An entry is followed when it becomes unmasked while the function is enabled; a masked entry may be
//! rewritten at will, as drivers do. The device's own entry is masked while it is changed, so that it
//! holds an interrupt back instead of sending half a message, and is told to be silent once, not with
//! each word that L2 writes meanwhile. A mapping outlives a mask, because
//! drivers mask often and shortly; it ends by another message, by a refusal, or with the function. A
//! refusal ends with the mask: what L2 masks it does not ask for.
//!
//! Spec: PCI "MSI-X Table Structure".

use super::{
    machine::{Location, Machine, Source},
    message::{Message, Target},
    route::{Change, Route},
};
use crate::width::low32;
use alloc::vec::Vec;

/// L2's view of one table, and the mappings behind it.
#[derive(Debug)]
pub struct Table<M> {
    entries: Vec<Entry<M>>,
}

#[derive(Debug)]
struct Entry<M> {
    message: Message,
    masked: bool,
    refused: bool,
    /// Whether the device's own entry was masked when L1 last wrote to it.
    silent: bool,
    /// The message in the device's own entry, if L1 has put one there.
    sent: Option<Message>,
    route: Route<M>,
}

/// Where the device has the table, and whether it looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Guest-physical address of entry 0.
    pub gpa: u64,
    /// The function, as a source of interrupts.
    pub source: Source,
    /// Whether MSI-X is enabled.
    pub enabled: bool,
}

const ENTRY: u64 = 16;
const CONTROL: u64 = 12;
const MASKED: u32 = 1;

impl<M> Table<M> {
    /// A table as it is after reset: all masked.
    #[must_use]
    pub fn new(entries: u16) -> Self {
        let reset = || Entry {
            message: Message::default(),
            masked: true,
            refused: false,
            silent: false,
            sent: None,
            route: Route::NONE,
        };
        Self { entries: core::iter::repeat_with(reset).take(entries.into()).collect() }
    }

    /// L2 reads `size` bytes at `offset` of the table: dwords and aligned pairs of them have a
    /// meaning, all else reads as zero.
    #[must_use]
    pub fn read(&self, offset: u64, size: u8) -> u64 {
        match size {
            4 if offset.is_multiple_of(4) => u64::from(self.dword(offset)),
            8 if offset.is_multiple_of(8) => {
                u64::from(self.dword(offset)) | u64::from(self.dword(offset + 4)) << 32
            }
            _ => 0,
        }
    }

    /// L2 writes `size` bytes at `offset`.
    pub fn write(
        &mut self,
        machine: &mut impl Machine<Mapping = M>,
        place: Place,
        access: (u64, u8),
        value: u64,
    ) {
        let (offset, size) = access;
        match size {
            4 if offset.is_multiple_of(4) => self.set_dword(offset, low32(value)),
            8 if offset.is_multiple_of(8) => {
                self.set_dword(offset, low32(value));
                self.set_dword(offset + 4, low32(value >> 32));
            }
            _ => return,
        }
        self.follow(machine, place, offset / ENTRY);
    }

    /// Follows all entries, before the function is enabled.
    pub fn follow_all(&mut self, machine: &mut impl Machine<Mapping = M>, place: Place) {
        for number in 0..crate::width::wide(self.entries.len()) {
            self.follow(machine, place, number);
        }
    }

    /// Gives entry `source.entry` a reserved vector of its own CPU for `target`, which takes a detour or
    /// was refused, if there is one now.
    pub fn climb(
        &mut self,
        machine: &mut impl Machine<Mapping = M>,
        place: Place,
        (source, target): (Source, Target),
    ) {
        let Some(entry) = self.entries.get_mut(usize::from(source.entry)) else { return };
        let Some(mapping) = entry.route.better(machine, source, target) else { return };
        entry.refused = false;
        entry.change_to(machine, place, source, (target, mapping));
    }

    /// Maps anew what is mapped, where the machine would now have another way.
    pub fn renew(&mut self, machine: &mut impl Machine<Mapping = M>, place: Place) {
        for (number, entry) in (0..).zip(&mut self.entries) {
            let source = Source { entry: number, ..place.source };
            if let Some(new) = entry.route.anew(machine, source) {
                entry.change_to(machine, place, source, new);
            }
        }
    }

    /// Takes all mappings out, to be given back, after the function was disabled.
    pub fn take_all(&mut self, machine: &mut impl Machine<Mapping = M>, source: Source) -> Vec<M> {
        let mut take = |(number, entry): (u16, &mut Entry<M>)| {
            entry.refused = false;
            entry.silent = false;
            entry.sent = None;
            entry.route.take(machine, Source { entry: number, ..source })
        };
        (0..).zip(&mut self.entries).filter_map(&mut take).collect()
    }

    fn follow(&mut self, machine: &mut impl Machine<Mapping = M>, place: Place, number: u64) {
        let Some(entry) = self.entries.get_mut(crate::width::index(number)) else { return };
        let device = place.gpa + number * ENTRY;
        let entry_number = u16::try_from(number).unwrap_or(u16::MAX);
        let source = Source { entry: entry_number, ..place.source };
        if entry.masked || !place.enabled {
            entry.route.forget_refusal(machine, source);
            if !entry.silent {
                set_device_mask(machine, device, MASKED);
                entry.silent = true;
            }
            return;
        }
        entry.silent = false;
        match entry.route.follow(machine, source, entry.message) {
            Change::None => {
                entry.refused = false;
                set_device_mask(machine, device, 0);
            }
            Change::Program(message, old) => {
                entry.refused = false;
                entry.tell(machine, device, message);
                entry.route.steer(machine, source);
                set_device_mask(machine, device, 0);
                entry.silent = false;
                give_back(machine, device, old);
            }
            Change::Stop(old) => {
                entry.refused = true;
                entry.silent = true;
                set_device_mask(machine, device, MASKED);
                give_back(machine, device, old);
            }
        }
    }

    fn dword(&self, offset: u64) -> u32 {
        let Some(entry) = self.entries.get(crate::width::index(offset / ENTRY)) else { return 0 };
        match offset % ENTRY {
            0 => low32(entry.message.address),
            4 => low32(entry.message.address >> 32),
            8 => entry.message.data,
            _ => u32::from(entry.masked || entry.refused),
        }
    }

    fn set_dword(&mut self, offset: u64, value: u32) {
        let index = crate::width::index(offset / ENTRY);
        let Some(entry) = self.entries.get_mut(index) else { return };
        let address = entry.message.address;
        match offset % ENTRY {
            0 => entry.message.address = address & !0xffff_ffff | u64::from(value & !3),
            4 => entry.message.address = address & 0xffff_ffff | u64::from(value) << 32,
            8 => entry.message.data = value,
            _ => {
                entry.masked = value & MASKED != 0;
                entry.refused = false;
            }
        }
    }
}

impl<M> Entry<M> {
    /// Puts `message` into the device's own entry, which is masked afterwards, unless it is there already.
    fn tell(&mut self, machine: &mut impl Machine<Mapping = M>, device: u64, message: Message) {
        if self.sent != Some(message) {
            set_device_mask(machine, device, MASKED);
            set_device_message(machine, device, message);
            self.sent = Some(message);
            self.silent = true;
        }
    }

    /// Lets the device, whose entry is in use, have another mapping, and gives the old one back.
    fn change_to(
        &mut self,
        machine: &mut impl Machine<Mapping = M>,
        place: Place,
        source: Source,
        (target, mapping): (Target, M),
    ) {
        let device = place.gpa + u64::from(source.entry) * ENTRY;
        let message = machine.message(source, &mapping);
        let old = self.route.adopt(target, mapping);
        self.tell(machine, device, message);
        self.route.steer(machine, source);
        if self.silent && !self.masked && place.enabled {
            set_device_mask(machine, device, 0);
            self.silent = false;
        }
        give_back(machine, device, old);
    }
}

fn set_device_mask(machine: &mut impl Machine, entry: u64, mask: u32) {
    machine.memory_write(Location { gpa: entry + CONTROL, size: 4 }, mask.into());
}

fn set_device_message(machine: &mut impl Machine, entry: u64, message: Message) {
    let parts = [low32(message.address), low32(message.address >> 32), message.data];
    for (gpa, part) in (entry..).step_by(4).zip(parts) {
        machine.memory_write(Location { gpa, size: 4 }, part.into());
    }
}

/// Gives `old` back. The read returns only after what the device sent before has arrived.
fn give_back<M>(machine: &mut impl Machine<Mapping = M>, entry: u64, old: Option<M>) {
    if let Some(old) = old {
        machine.memory_read(Location { gpa: entry + CONTROL, size: 4 });
        machine.unmap(old);
    }
}

#[cfg(test)]
mod tests;
