// SPDX-License-Identifier: MIT OR Apache-2.0
//! Terms that make named objects.
//!
//! Spec: ACPI "Namespace Modifier Objects Encoding", "Named Objects Encoding".

use super::{
    Interpreter,
    cursor::{Cursor, Name},
    execute::{Done, Frame},
    field::{BufferField, Field, Region},
    namespace::{Id, Object},
    value::Value,
};
use crate::{Fault, Machine};

/// What a named object is charged for.
const NODE: usize = 64;

impl<'a, M: Machine> Interpreter<'a, M> {
    pub(super) fn declaration(
        &mut self,
        frame: &mut Frame,
        at: &mut Cursor<'a>,
        opcode: u16,
    ) -> Result<Done, Fault> {
        match opcode {
            // Alias.
            0x06 => {
                let (source, name) = (at.name()?, at.name()?);
                let id = self.names.find(frame.scope, &source);
                let id = id.ok_or_else(|| Fault::Missing(source.last()))?;
                self.create(frame, &name, Object::Alias(id))?;
            }
            // Name.
            0x08 => {
                let name = at.name()?;
                let value = self.value(frame, at)?;
                self.create(frame, &name, Object::Value(value))?;
            }
            // Scope.
            0x10 => {
                let mut list = at.package()?;
                let name = list.name()?;
                let scope = self.names.find(frame.scope, &name);
                let scope = scope.ok_or_else(|| Fault::Missing(name.last()))?;
                self.run_in(frame, scope, list)?;
            }
            // Method.
            0x14 => {
                let mut list = at.package()?;
                let (name, flags) = (list.name()?, list.byte()?);
                let object = Object::Method { code: list.rest(), arguments: flags & 7 };
                self.create(frame, &name, object)?;
            }
            // External: what another table makes.
            0x15 => {
                at.name()?;
                at.word()?;
            }
            // CreateDWordField and its like.
            0x8a => self.buffer_field(frame, at, 8, 32)?,
            0x8b => self.buffer_field(frame, at, 8, 16)?,
            0x8c => self.buffer_field(frame, at, 8, 8)?,
            0x8d => self.buffer_field(frame, at, 1, 1)?,
            0x8f => self.buffer_field(frame, at, 8, 64)?,
            0x5b13 => self.buffer_field(frame, at, 1, 0)?,
            _ => return self.extended(frame, at, opcode),
        }
        Ok(Done::Yes)
    }

    fn extended(
        &mut self,
        frame: &mut Frame,
        at: &mut Cursor<'a>,
        opcode: u16,
    ) -> Result<Done, Fault> {
        match opcode {
            // Mutex.
            0x5b01 => {
                let name = at.name()?;
                at.byte()?;
                self.create(frame, &name, Object::Mutex)?;
            }
            // Event.
            0x5b02 => {
                let name = at.name()?;
                self.create(frame, &name, Object::Unsupported(opcode))?;
            }
            // OperationRegion.
            0x5b80 => {
                let (name, space) = (at.name()?, at.byte()?);
                let (base, length) = (self.integer(frame, at)?, self.integer(frame, at)?);
                let region = Region { space, base, length, scope: frame.scope };
                self.create(frame, &name, Object::Region(region))?;
            }
            // Field.
            0x5b81 => {
                let mut list = at.package()?;
                let name = list.name()?;
                let region = self.names.find(frame.scope, &name);
                let region = region.ok_or_else(|| Fault::Missing(name.last()))?;
                self.fields(frame, &mut list, |field| Object::Field(Field { region, ..field }))?;
            }
            // IndexField, BankField.
            0x5b86 | 0x5b87 => {
                let mut list = at.package()?;
                list.name()?;
                list.name()?;
                if opcode == 0x5b87 {
                    self.integer(frame, &mut list)?;
                }
                self.fields(frame, &mut list, |_| Object::Unsupported(opcode))?;
            }
            // Device.
            0x5b82 => self.container(frame, at, 0, Object::Device)?,
            // Processor, PowerResource, ThermalZone: for what is in them.
            0x5b83 => self.container(frame, at, 6, Object::Scope)?,
            0x5b84 => self.container(frame, at, 3, Object::Scope)?,
            0x5b85 => self.container(frame, at, 0, Object::Scope)?,
            _ => return Ok(Done::No),
        }
        Ok(Done::Yes)
    }

    /// Something with objects in it, after so many bytes of its own.
    fn container(
        &mut self,
        frame: &mut Frame,
        at: &mut Cursor<'a>,
        own: usize,
        object: Object<'a>,
    ) -> Result<(), Fault> {
        let mut list = at.package()?;
        let name = list.name()?;
        list.take(own)?;
        let id = self.create(frame, &name, object)?;
        self.run_in(frame, id, list)
    }

    /// A field of a buffer: `unit` is the bits that its index counts in, 0 `bits` are read.
    fn buffer_field(
        &mut self,
        frame: &mut Frame,
        at: &mut Cursor<'a>,
        unit: usize,
        bits: usize,
    ) -> Result<(), Fault> {
        let Value::Buffer(buffer) = self.value(frame, at)? else { return Err(Fault::Kind) };
        let index = usize::try_from(self.integer(frame, at)?).map_err(|_| Fault::Bounds)?;
        let bits = match bits {
            0 => usize::try_from(self.integer(frame, at)?).map_err(|_| Fault::Bounds)?,
            bits => bits,
        };
        let name = at.name()?;
        let start = index.checked_mul(unit).ok_or(Fault::Bounds)?;
        let end = start.checked_add(bits).ok_or(Fault::Bounds)?;
        if bits == 0 || end > buffer.try_borrow().map_err(|_| Fault::Kind)?.len() * 8 {
            return Err(Fault::Bounds);
        }
        let object = Object::BufferField(BufferField { buffer, start, bits });
        self.create(frame, &name, object).map(|_| ())
    }

    /// The fields of a list, after the flags.
    fn fields(
        &mut self,
        frame: &mut Frame,
        list: &mut Cursor<'a>,
        make: impl Fn(Field) -> Object<'a>,
    ) -> Result<(), Fault> {
        let flags = list.byte()?;
        let (mut access, update) = (flags & 0xf, flags >> 5 & 3);
        let mut start = 0_usize;
        while let Some(kind) = list.peek() {
            self.step()?;
            let bits = match kind {
                // Bits without a name.
                0 => {
                    list.byte()?;
                    list.length()?
                }
                // Another access from here on.
                1 | 3 => {
                    list.byte()?;
                    access = list.byte()? & 0xf;
                    list.take(if kind == 1 { 1 } else { 2 })?;
                    0
                }
                2 => return Err(Fault::Unsupported(0x5b81)),
                _ => {
                    let name = Name::of(list.segment()?);
                    let bits = list.length()?;
                    let field = Field { region: frame.scope, start, bits, access, update };
                    self.create(frame, &name, make(field))?;
                    bits
                }
            };
            start = start.checked_add(bits).ok_or(Fault::Bounds)?;
        }
        Ok(())
    }

    fn create(&mut self, frame: &mut Frame, name: &Name, object: Object<'a>) -> Result<Id, Fault> {
        self.memory(NODE)?;
        let id = self.names.create(frame.scope, name, object)?;
        if let Some(made) = &mut frame.made {
            made.push(id);
        }
        Ok(id)
    }
}
