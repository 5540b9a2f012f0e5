// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine of memory cells, which notes in what order it was asked for what.

use super::{
    address::Bdf,
    machine::{Location, Machine, Refusal, Register, Source},
    message::{Message, Target},
};
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use std::format;

/// The one function of the model.
pub(crate) const BDF: Bdf = Bdf(0x0010);
/// Where its base address register 1 points.
pub(crate) const BAR1: u64 = 0xfebd_0000;

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) config: BTreeMap<u8, u8>,
    pub(crate) memory: BTreeMap<u64, u32>,
    pub(crate) log: Vec<String>,
    pub(crate) free: u8,
    /// How many of the next mappings are detours.
    pub(crate) detours: u8,
    /// Whether messages are names, of which the host is told what they mean; and whether it posts.
    pub(crate) names: bool,
    pub(crate) posts: bool,
    /// What base address registers read as when ones were written to them.
    pub(crate) masks: BTreeMap<u8, u32>,
    /// How often configuration space was read.
    pub(crate) asked: u32,
    next: u8,
}

impl Model {
    /// A machine with `free` reserved vectors, from 0x40 on.
    pub(crate) fn new(free: u8) -> Self {
        Self { free, ..Self::default() }
    }

    pub(crate) fn set(&mut self, offset: u8, value: u32, size: u8) {
        for (byte, at) in value.to_le_bytes().into_iter().take(size.into()).zip(offset..) {
            self.config.insert(at, byte);
        }
    }

    pub(crate) fn get(&self, offset: u8, size: u8) -> u32 {
        let byte = |at| u32::from(*self.config.get(&at).unwrap_or(&0));
        (0..size).rev().fold(0, |all, i| all << 8 | byte(offset + i))
    }

    pub(crate) fn take_log(&mut self) -> Vec<String> {
        core::mem::take(&mut self.log)
    }
}

impl Machine for Model {
    /// What is mapped, by which reserved vector; from 0xc0 on it is another CPU's.
    type Mapping = (Target, u8);

    fn config_read(&mut self, register: Register) -> u32 {
        self.asked += 1;
        if register.bdf == BDF { self.get(register.offset, register.size) } else { u32::MAX }
    }

    fn config_write(&mut self, register: Register, value: u32) {
        self.log.push(format!("config {:02x} = {value:x}", register.offset));
        let kept = |mask: &u32| value & mask | mask & 3;
        let value = self.masks.get(&register.offset).map_or(value, kept);
        self.set(register.offset, value, register.size);
    }

    fn memory_read(&mut self, location: Location) -> u64 {
        self.log.push(format!("read {:x}", location.gpa));
        u64::from(*self.memory.get(&location.gpa).unwrap_or(&0))
    }

    fn memory_write(&mut self, location: Location, value: u64) {
        self.log.push(format!("write {:x} = {value:x}", location.gpa));
        self.memory.insert(location.gpa, u32::try_from(value).unwrap());
    }

    fn port_read(&mut self, port: u16, size: u8) -> u32 {
        self.log.push(format!("in {port:x} {size}"));
        0xa5a5_a5a5
    }

    fn port_write(&mut self, port: u16, size: u8, value: u32) {
        self.log.push(format!("out {port:x} {size} = {value:x}"));
    }

    fn cpus(&self) -> u32 {
        4
    }

    fn map(&mut self, target: Target, source: Source) -> Result<Self::Mapping, Refusal> {
        if self.free == 0 {
            return Err(Refusal::Full(target));
        }
        self.free -= 1;
        let first = if self.detours > 0 { 0xc0 } else { 0x40 };
        self.detours = self.detours.saturating_sub(1);
        let reserved = first + self.next;
        self.next += 1;
        let (vector, cpu, entry) = (target.vector.get(), target.cpu, source.entry);
        self.log.push(format!("map {vector:x} cpu {cpu} entry {entry} -> {reserved:x}"));
        Ok((target, reserved))
    }

    fn message(&self, source: Source, mapping: &Self::Mapping) -> Message {
        if self.names {
            return Message { address: 0xfee0_0000, data: 0x80 | u32::from(source.entry) };
        }
        let other = if self.is_detour(mapping) { 7 } else { 0 };
        Message::to_l1(u8::try_from(mapping.0.cpu).unwrap() + other, mapping.1)
    }

    fn steer(&mut self, source: Source, mapping: Self::Mapping) -> Self::Mapping {
        if !self.names {
            return mapping;
        }
        let (target, reserved) = mapping;
        self.log.push(format!("steer entry {} -> {reserved:x}", source.entry));
        if self.posts || reserved >= 0xc0 {
            return mapping;
        }
        // The host does not post this one.
        self.unmap(mapping);
        self.detours = 1;
        let other = self.map(target, source).unwrap();
        self.log.push(format!("steer entry {} -> {:x}", source.entry, other.1));
        other
    }

    fn is_same_way(&self, one: &Self::Mapping, other: &Self::Mapping) -> bool {
        self.is_detour(one) == self.is_detour(other)
    }

    fn is_detour(&self, (_, reserved): &Self::Mapping) -> bool {
        *reserved >= 0xc0
    }

    fn unmap(&mut self, (_, reserved): Self::Mapping) {
        self.free += 1;
        self.log.push(format!("unmap {reserved:x}"));
    }

    fn unmap_all(&mut self, bdf: Bdf, mappings: Vec<Self::Mapping>) {
        self.free += u8::try_from(mappings.len()).unwrap();
        let reserved: Vec<_> =
            mappings.iter().map(|(_, reserved)| format!("{reserved:x}")).collect();
        self.log.push(format!("unmap all of {bdf}: {}", reserved.join(" ")));
    }

    fn refused(&mut self, source: Source, why: Refusal) {
        self.log.push(format!("refused entry {} {why}", source.entry));
    }

    fn forget_refusal(&mut self, target: Target, source: Source) {
        self.log.push(format!("forget {:x} entry {}", target.vector.get(), source.entry));
    }
}
