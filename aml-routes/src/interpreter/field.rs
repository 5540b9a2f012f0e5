// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fields of regions and of buffers.
//!
//! A field of a region is accessed in units of the width that it declares; what a unit has beside the
//! field is kept, or written as ones or zeros, as it declares too.
//!
//! Spec: ACPI "OperationRegion", "Field", "Declare PCI_Config Fields".

use alloc::vec::Vec;

use super::{
    Interpreter,
    namespace::{Id, Object, ROOT},
    value::{Shared, Value},
};
use crate::{Datum, Fault, Location, Machine, Segment, Width, router};

/// The opcode that makes fields, for faults.
const FIELD: u16 = 0x5b81;

/// Where the number of the bus behind a bridge is.
const SECONDARY_BUS: u16 = 0x19;

/// A region of the machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    pub(super) space: u8,
    pub(super) base: u64,
    pub(super) length: u64,
    /// Where it was made: in a device, if it is configuration space.
    pub(super) scope: Id,
}

/// Some bits of a region.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) region: Id,
    pub(super) start: usize,
    pub(super) bits: usize,
    pub(super) access: u8,
    pub(super) update: u8,
}

/// Some bits of a buffer, which it was checked to have.
#[derive(Clone, Debug)]
pub(super) struct BufferField {
    pub(super) buffer: Shared<Vec<u8>>,
    pub(super) start: usize,
    pub(super) bits: usize,
}

impl Field {
    fn width(&self) -> Result<Width, Fault> {
        match self.access {
            // Any: the field itself, if it is one that can be accessed at once.
            0 => Ok(match self.bits {
                16 if self.start.is_multiple_of(16) => Width::Word,
                32 if self.start.is_multiple_of(32) => Width::Dword,
                64 if self.start.is_multiple_of(64) => Width::Qword,
                _ => Width::Byte,
            }),
            1 => Ok(Width::Byte),
            2 => Ok(Width::Word),
            3 => Ok(Width::Dword),
            4 => Ok(Width::Qword),
            _ => Err(Fault::Unsupported(FIELD)),
        }
    }
}

impl<M: Machine> Interpreter<'_, M> {
    pub(super) fn read_field(&mut self, field: Field) -> Result<Value, Fault> {
        if field.bits <= 64 {
            return self.read_bits(field).map(Value::Integer);
        }
        self.memory(field.bits / 8)?;
        let mut bytes = Vec::new();
        for start in (0..field.bits).step_by(8) {
            let bits = (field.bits - start).min(8);
            let part = self.read_bits(Field { start: field.start + start, bits, ..field })?;
            bytes.push(part.to_le_bytes()[0]);
        }
        Ok(Value::buffer(bytes))
    }

    pub(super) fn write_field(&mut self, field: Field, value: &Value) -> Result<(), Fault> {
        if field.bits > 64 {
            return Err(Fault::Unsupported(FIELD));
        }
        let value = self.to_integer(value)?;
        let (width, units) = units(&field)?;
        let unit_bits = width.bytes() * 8;
        let offset = field.start as u64 % unit_bits;
        let mask = ones(field.bits as u64) << offset;
        let value = u128::from(value) << offset & mask;
        for (index, unit) in units.enumerate() {
            let shift = index as u64 * unit_bits;
            let mask = low(mask >> shift) & low(ones(unit_bits));
            let value = low(value >> shift) & mask;
            let around = match field.update {
                _ if mask == low(ones(unit_bits)) => 0,
                0 => self.access(&field, width, unit, None)?,
                1 => u64::MAX,
                _ => 0,
            };
            self.access(&field, width, unit, Some(around & !mask | value))?;
        }
        Ok(())
    }

    fn read_bits(&mut self, field: Field) -> Result<u64, Fault> {
        let (width, units) = units(&field)?;
        let unit_bits = width.bytes() * 8;
        let mut bits = 0_u128;
        for (index, unit) in units.enumerate() {
            let value = self.access(&field, width, unit, None)? & low(ones(unit_bits));
            bits |= u128::from(value) << (index as u64 * unit_bits);
        }
        Ok(low(bits >> (field.start as u64 % unit_bits) & ones(field.bits as u64)))
    }

    /// Reads a unit, or writes it if there is something to write.
    fn access(
        &mut self,
        field: &Field,
        width: Width,
        unit: u64,
        value: Option<u64>,
    ) -> Result<u64, Fault> {
        self.step()?;
        let Object::Region(region) = self.names.object(field.region) else {
            return Err(Fault::Kind);
        };
        let region = *region;
        let offset = unit.checked_mul(width.bytes()).ok_or(Fault::Bounds)?;
        let end = offset.checked_add(width.bytes()).ok_or(Fault::Bounds)?;
        if end > region.length {
            return Err(Fault::Bounds);
        }
        let address = region.base.checked_add(offset).ok_or(Fault::Bounds)?;
        let location = match region.space {
            0 => Location::Memory(address),
            1 => Location::Port(u16::try_from(address).map_err(|_| Fault::Bounds)?),
            2 => {
                let offset = u16::try_from(address).map_err(|_| Fault::Bounds)?;
                let (segment, bus, function) = self.function(region.scope)?;
                Location::Config { segment, bus, function, offset }
            }
            _ => return Err(Fault::Unsupported(FIELD)),
        };
        match value {
            None => Ok(self.machine.read(location, width)?),
            Some(value) => {
                self.machine.write(location, width, value & low(ones(width.bytes() * 8)))?;
                Ok(value)
            }
        }
    }

    /// Returns segment, bus and function of the device that `scope` is in.
    fn function(&mut self, scope: Id) -> Result<(u16, u8, u8), Fault> {
        let device = self.device(scope).ok_or(Fault::Kind)?;
        let address = self.named_integer(device, b"_ADR")?.unwrap_or(0);
        let function = u8::try_from((address >> 16 & 0x1f) << 3 | address & 7).unwrap_or(0);
        let above = self.names.parent(device);
        let (segment, bus) =
            if self.is_root(device)? { self.bus(device)? } else { self.bus(above)? };
        Ok((segment, bus, function))
    }

    /// Returns segment and number of the bus below the device that `scope` is in.
    fn bus(&mut self, scope: Id) -> Result<(u16, u8), Fault> {
        let device = self.device(scope).ok_or(Fault::Kind)?;
        if self.is_root(device)? {
            let segment = self.named_integer(device, b"_SEG")?.unwrap_or(0);
            let bus = self.named_integer(device, b"_BBN")?.unwrap_or(0);
            let segment = u16::try_from(segment).map_err(|_| Fault::Bounds)?;
            return Ok((segment, u8::try_from(bus).map_err(|_| Fault::Bounds)?));
        }
        let (segment, bus, function) = self.deeper(|this| this.function(device))?;
        let location = Location::Config { segment, bus, function, offset: SECONDARY_BUS };
        let [bus, ..] = self.machine.read(location, Width::Byte)?.to_le_bytes();
        Ok((segment, bus))
    }

    fn device(&self, mut scope: Id) -> Option<Id> {
        loop {
            match self.names.object(scope) {
                Object::Device => return Some(scope),
                _ if scope == ROOT => return None,
                _ => scope = self.names.parent(scope),
            }
        }
    }

    fn is_root(&mut self, device: Id) -> Result<bool, Fault> {
        for name in [b"_HID", b"_CID"] {
            if let Some(id) = self.evaluated(device, name)?
                && router::is_root(&id)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn named_integer(&mut self, device: Id, name: &[u8; 4]) -> Result<Option<u64>, Fault> {
        match self.evaluated(device, name)? {
            None => Ok(None),
            Some(Datum::Integer(value)) => Ok(Some(value)),
            Some(_) => Err(Fault::Kind),
        }
    }

    fn evaluated(&mut self, device: Id, name: &[u8; 4]) -> Result<Option<Datum>, Fault> {
        let Some(id) = self.names.child(device, Segment(*name)) else { return Ok(None) };
        let value = match self.names.object(id) {
            Object::Method { .. } => self.call(id, Vec::new())?,
            _ => self.read(id)?,
        };
        self.datum_of(&value).map(Some)
    }

    pub(super) fn read_buffer_field(&mut self, field: &BufferField) -> Result<Value, Fault> {
        let buffer = field.buffer.try_borrow().map_err(|_| Fault::Kind)?;
        let bit = |index: usize| buffer.get(index / 8).map(|byte| byte >> (index % 8) & 1);
        let mut bytes = Vec::new();
        for index in 0..field.bits {
            if index % 8 == 0 {
                bytes.push(0);
            }
            let bit = bit(field.start + index).ok_or(Fault::Bounds)?;
            if let Some(last) = bytes.last_mut() {
                *last |= bit << (index % 8);
            }
        }
        drop(buffer);
        self.memory(field.bits)?;
        let mut integer = [0; 8];
        match integer.get_mut(..bytes.len()) {
            Some(low) => {
                low.copy_from_slice(&bytes);
                Ok(Value::Integer(u64::from_le_bytes(integer)))
            }
            None => Ok(Value::buffer(bytes)),
        }
    }

    pub(super) fn write_buffer_field(
        &mut self,
        field: &BufferField,
        value: &Value,
    ) -> Result<(), Fault> {
        self.steps(field.bits)?;
        let bytes = match value {
            Value::Buffer(bytes) => bytes.try_borrow().map_err(|_| Fault::Kind)?.clone(),
            other => self.to_integer(other)?.to_le_bytes().to_vec(),
        };
        let mut buffer = field.buffer.try_borrow_mut().map_err(|_| Fault::Kind)?;
        for index in 0..field.bits {
            let bit = bytes.get(index / 8).map_or(0, |byte| byte >> (index % 8) & 1);
            let at = field.start + index;
            let byte = buffer.get_mut(at / 8).ok_or(Fault::Bounds)?;
            *byte = *byte & !(1 << (at % 8)) | bit << (at % 8);
        }
        Ok(())
    }
}

/// Returns the width of a field's units and their indices in the region.
fn units(field: &Field) -> Result<(Width, core::ops::RangeInclusive<u64>), Fault> {
    let width = field.width()?;
    let last = field.start.checked_add(field.bits).and_then(|end| end.checked_sub(1));
    let last = last.filter(|last| *last >= field.start).ok_or(Fault::Bounds)?;
    let unit = width.bytes() * 8;
    Ok((width, field.start as u64 / unit..=last as u64 / unit))
}

fn ones(bits: u64) -> u128 {
    (1 << bits.min(64)) - 1
}

fn low(bits: u128) -> u64 {
    let [low, _] = [bits & u128::from(u64::MAX), bits >> 64];
    u64::try_from(low).unwrap_or(0)
}
