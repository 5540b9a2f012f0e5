// SPDX-License-Identifier: MIT OR Apache-2.0
//! Terms that compute.
//!
//! Spec: ACPI "Expression Opcodes Encoding", "Data Objects Encoding".

use alloc::{rc::Rc, vec, vec::Vec};

use super::{
    Interpreter,
    cursor::Cursor,
    execute::Frame,
    namespace::Object,
    store::Place,
    value::{Truth, Value},
};
use crate::{Fault, Machine};

/// How many bytes or elements something may be made of at once.
const MAX_SIZE: u64 = 1 << 20;

impl<'a, M: Machine> Interpreter<'a, M> {
    pub(super) fn expression(
        &mut self,
        frame: &mut Frame,
        at: &mut Cursor<'a>,
        opcode: u16,
    ) -> Result<Value, Fault> {
        Ok(match opcode {
            0x00 => Value::Integer(0),
            0x01 => Value::Integer(1),
            0xff => Value::Integer(self.cut(u64::MAX)),
            0x0a => Value::Integer(at.byte()?.into()),
            0x0b => Value::Integer(at.word()?.into()),
            0x0c => Value::Integer(at.dword()?.into()),
            0x0e => Value::Integer(at.qword()?),
            0x0d => {
                let text = at.text()?;
                self.memory(text.len())?;
                Value::Text(Rc::from(text))
            }
            0x11 => self.buffer(frame, at)?,
            0x12 => {
                let mut list = at.package()?;
                let count = list.byte()?.into();
                self.package(frame, list, count)?
            }
            0x13 => {
                let mut list = at.package()?;
                let count = self.integer(frame, &mut list)?;
                self.package(frame, list, count)?
            }
            0x60..=0x6e => self.find(frame, &Place::numbered(opcode))?,
            // Revision, Debug, Timer.
            0x5b30 => Value::Integer(2),
            0x5b31 => Value::None,
            0x5b33 => Value::Integer(0),
            0x72 | 0x74 | 0x77 | 0x79..=0x7f | 0x85 => self.binary(frame, at, opcode)?,
            0x90..=0x95 => self.logical(frame, at, opcode)?,
            _ => return self.other(frame, at, opcode),
        })
    }

    fn other(
        &mut self,
        frame: &mut Frame,
        at: &mut Cursor<'a>,
        opcode: u16,
    ) -> Result<Value, Fault> {
        match opcode {
            // Store, CopyObject.
            0x70 | 0x9d => {
                let value = self.value(frame, at)?;
                let place = self.super_name(frame, at)?;
                self.store(frame, &place, &value)?;
                Ok(value)
            }
            // RefOf.
            0x71 => self.super_name(frame, at)?.reference(),
            // Increment, Decrement.
            0x75 | 0x76 => {
                let place = self.super_name(frame, at)?;
                let value = self.find(frame, &place)?;
                let by = if opcode == 0x75 { 1 } else { u64::MAX };
                let sum = self.cut(self.to_integer(&value)?.wrapping_add(by));
                self.result(frame, &place, Value::Integer(sum))
            }
            0x78 => self.divide(frame, at),
            // Not, FindSetLeftBit, FindSetRightBit, ToInteger.
            0x80..=0x82 | 0x99 => {
                let value = self.integer(frame, at)?;
                let result = match opcode {
                    0x80 => self.cut(!value),
                    0x81 => u64::from(u64::BITS - value.leading_zeros()),
                    0x82 if value == 0 => 0,
                    0x82 => u64::from(value.trailing_zeros() + 1),
                    _ => value,
                };
                let place = self.target(frame, at)?;
                self.result(frame, &place, Value::Integer(result))
            }
            // DerefOf.
            0x83 => {
                let value = self.value(frame, at)?;
                let place = self.referred(frame, &value)?;
                self.find(frame, &place)
            }
            0x87 => self.size_of(frame, at),
            0x88 => self.index(frame, at),
            0x5b12 => self.cond_ref_of(frame, at),
            0x73 => self.concatenate(frame, at),
            // ToBuffer, ConcatenateResTemplate, Match, ObjectType, ToDecimalString, ToHexString,
            // ToString, Mid, and what loads tables or waits.
            0x84 | 0x89 | 0x8e | 0x96..=0x98 | 0x9c | 0x9e => Err(Fault::Unsupported(opcode)),
            0x5b1f | 0x5b20 | 0x5b24..=0x5b2a | 0x5b88 => Err(Fault::Unsupported(opcode)),
            _ => Err(Fault::Opcode(opcode)),
        }
    }

    fn buffer(&mut self, frame: &mut Frame, at: &mut Cursor<'a>) -> Result<Value, Fault> {
        let mut list = at.package()?;
        let size = self.integer(frame, &mut list)?;
        let initial = list.rest();
        let size = self.charged(size.max(u64::try_from(initial.len()).unwrap_or(u64::MAX)))?;
        let mut bytes = initial.to_vec();
        bytes.resize(size, 0);
        Ok(Value::buffer(bytes))
    }

    /// A package of `count` elements; those that are not given are nothing.
    fn package(
        &mut self,
        frame: &mut Frame,
        mut list: Cursor<'a>,
        count: u64,
    ) -> Result<Value, Fault> {
        let count = self.charged(count)?;
        let mut elements = Vec::new();
        while !list.is_empty() {
            if elements.len() == count {
                return Err(Fault::Bounds);
            }
            elements.push(self.element(frame, &mut list)?);
        }
        elements.resize_with(count, || Value::None);
        Ok(Value::package(elements))
    }

    /// An element of a package is data or a name, which need not mean anything yet.
    fn element(&mut self, frame: &mut Frame, list: &mut Cursor<'a>) -> Result<Value, Fault> {
        if list.at_name() {
            let name = list.name()?;
            self.memory(name.segments.len() * 4)?;
            return Ok(Value::Unresolved(Rc::new(name), frame.scope));
        }
        match list.peek() {
            Some(0x00 | 0x01 | 0x0a..=0x0e | 0x11..=0x13 | 0xff) => self.value(frame, list),
            Some(other) => Err(Fault::Opcode(other.into())),
            None => Err(Fault::Truncated),
        }
    }

    fn binary(
        &mut self,
        frame: &mut Frame,
        at: &mut Cursor<'a>,
        opcode: u16,
    ) -> Result<Value, Fault> {
        let (left, right) = (self.integer(frame, at)?, self.integer(frame, at)?);
        let shift = u32::try_from(right).unwrap_or(u32::MAX);
        let result = match opcode {
            0x72 => left.wrapping_add(right),
            0x74 => left.wrapping_sub(right),
            0x77 => left.wrapping_mul(right),
            0x79 => left.checked_shl(shift).unwrap_or(0),
            0x7a => left.checked_shr(shift).unwrap_or(0),
            0x7b => left & right,
            0x7c => !(left & right),
            0x7d => left | right,
            0x7e => !(left | right),
            0x7f => left ^ right,
            _ => left.checked_rem(right).ok_or(Fault::Division)?,
        };
        let result = self.cut(result);
        let place = self.target(frame, at)?;
        self.result(frame, &place, Value::Integer(result))
    }

    fn divide(&mut self, frame: &mut Frame, at: &mut Cursor<'a>) -> Result<Value, Fault> {
        let (left, right) = (self.integer(frame, at)?, self.integer(frame, at)?);
        let quotient = left.checked_div(right).ok_or(Fault::Division)?;
        let place = self.target(frame, at)?;
        self.result(frame, &place, Value::Integer(left - quotient * right))?;
        let place = self.target(frame, at)?;
        self.result(frame, &place, Value::Integer(quotient))
    }

    fn logical(
        &mut self,
        frame: &mut Frame,
        at: &mut Cursor<'a>,
        opcode: u16,
    ) -> Result<Value, Fault> {
        let left = self.value(frame, at)?;
        if opcode == 0x92 {
            let zero = self.to_integer(&left)? == 0;
            return Ok(self.truth(zero.into()));
        }
        let right = self.value(frame, at)?;
        let holds = match opcode {
            0x90 => self.to_integer(&left)? != 0 && self.to_integer(&right)? != 0,
            0x91 => self.to_integer(&left)? != 0 || self.to_integer(&right)? != 0,
            _ => {
                let order = self.compare(&left, &right)?;
                match opcode {
                    0x93 => order.is_eq(),
                    0x94 => order.is_gt(),
                    _ => order.is_lt(),
                }
            }
        };
        Ok(self.truth(holds.into()))
    }

    fn truth(&self, holds: Truth) -> Value {
        Value::Integer(if holds == Truth::True { self.cut(u64::MAX) } else { 0 })
    }

    /// Integers by size, texts and buffers byte by byte.
    fn compare(&mut self, left: &Value, right: &Value) -> Result<core::cmp::Ordering, Fault> {
        if let Value::Integer(left) = left {
            return Ok(left.cmp(&self.to_integer(right)?));
        }
        let (left, right) = (self.bytes(left)?, self.bytes(right)?);
        Ok(left.cmp(&right))
    }

    fn concatenate(&mut self, frame: &mut Frame, at: &mut Cursor<'a>) -> Result<Value, Fault> {
        let (left, right) = (self.value(frame, at)?, self.value(frame, at)?);
        let bytes = [self.bytes(&left)?, self.bytes(&right)?].concat();
        let result = match (&left, &right) {
            (Value::Text(_), Value::Text(_)) => Value::Text(Rc::from(bytes)),
            (Value::Buffer(_), Value::Buffer(_)) => Value::buffer(bytes),
            _ => return Err(Fault::Unsupported(0x73)),
        };
        let place = self.target(frame, at)?;
        self.result(frame, &place, result)
    }

    fn size_of(&mut self, frame: &mut Frame, at: &mut Cursor<'a>) -> Result<Value, Fault> {
        let place = self.super_name(frame, at)?;
        let size = match self.find(frame, &place)? {
            Value::Package(elements) => elements.try_borrow().map_err(|_| Fault::Kind)?.len(),
            value => self.bytes(&value)?.len(),
        };
        u64::try_from(size).map(Value::Integer).map_err(|_| Fault::Kind)
    }

    fn index(&mut self, frame: &mut Frame, at: &mut Cursor<'a>) -> Result<Value, Fault> {
        let (of, index) = (self.value(frame, at)?, self.integer(frame, at)?);
        let index = usize::try_from(index).map_err(|_| Fault::Bounds)?;
        let (length, reference) = match of {
            Value::Package(elements) => {
                let length = elements.try_borrow().map_err(|_| Fault::Kind)?.len();
                (length, Value::Element(elements, index))
            }
            Value::Buffer(bytes) => {
                let length = bytes.try_borrow().map_err(|_| Fault::Kind)?.len();
                (length, Value::Byte(bytes, index))
            }
            _ => return Err(Fault::Kind),
        };
        if index >= length {
            return Err(Fault::Bounds);
        }
        let place = self.target(frame, at)?;
        self.result(frame, &place, reference)
    }

    fn cond_ref_of(&mut self, frame: &mut Frame, at: &mut Cursor<'a>) -> Result<Value, Fault> {
        let found = if at.at_name() {
            let name = at.name()?;
            self.names.find(frame.scope, &name).map(Value::Named)
        } else {
            Some(self.super_name(frame, at)?.reference()?)
        };
        let place = self.target(frame, at)?;
        let exists = found.is_some();
        if let Some(reference) = found {
            self.store(frame, &place, &reference)?;
        }
        Ok(self.truth(exists.into()))
    }

    /// Stores a result and hands it on.
    fn result(&mut self, frame: &mut Frame, to: &Place, value: Value) -> Result<Value, Fault> {
        self.store(frame, to, &value)?;
        Ok(value)
    }

    /// Charges the memory of so many bytes or elements.
    fn charged(&mut self, size: u64) -> Result<usize, Fault> {
        let size = usize::try_from(size.min(MAX_SIZE + 1)).map_err(|_| Fault::Memory)?;
        self.memory(size)?;
        if u64::try_from(size).is_ok_and(|size| size > MAX_SIZE) {
            return Err(Fault::Memory);
        }
        Ok(size)
    }

    /// Returns the bytes of a text or a buffer.
    fn bytes(&mut self, value: &Value) -> Result<Vec<u8>, Fault> {
        let bytes = match value {
            Value::Text(text) => text.to_vec(),
            Value::Buffer(bytes) => bytes.try_borrow().map_err(|_| Fault::Kind)?.clone(),
            _ => vec![],
        };
        let has_any = matches!(value, Value::Text(_) | Value::Buffer(_));
        self.memory(bytes.len())?;
        if has_any { Ok(bytes) } else { Err(Fault::Kind) }
    }

    /// Tells whether an object is a name's value; used when a name in a package is looked up.
    pub(super) fn is_data(object: &Object<'_>) -> Truth {
        matches!(object, Object::Value(_) | Object::Field(_) | Object::BufferField(_)).into()
    }
}
