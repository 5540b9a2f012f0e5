// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a term stores to, and what it finds there.
//!
//! Spec: ACPI "Rules for Storing and Copying Objects", "SuperName" and "Target".

use super::{
    Interpreter,
    cursor::Cursor,
    execute::Frame,
    namespace::{Id, Object},
    value::{Shared, Value},
};
use crate::{Fault, Machine};
use alloc::{rc::Rc, vec::Vec};

/// Where something is stored.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// Nowhere.
    Nothing,
    Local(usize),
    Argument(usize),
    Named(Id),
    Element(Shared<Vec<Value>>, usize),
    Byte(Shared<Vec<u8>>, usize),
}

impl Place {
    /// Returns the local or argument that an opcode from 0x60 to 0x6E names.
    pub(super) fn numbered(opcode: u16) -> Self {
        match opcode {
            0x60..=0x67 => Self::Local(usize::from(opcode - 0x60)),
            _ => Self::Argument(usize::from(opcode.saturating_sub(0x68))),
        }
    }

    /// Makes a reference to it. Locals and arguments end with their method, so there is none to them.
    pub(super) fn reference(self) -> Result<Value, Fault> {
        match self {
            Self::Named(id) => Ok(Value::Named(id)),
            Self::Element(elements, index) => Ok(Value::Element(elements, index)),
            Self::Byte(bytes, index) => Ok(Value::Byte(bytes, index)),
            Self::Nothing | Self::Local(_) | Self::Argument(_) => Err(Fault::Unsupported(0x71)),
        }
    }
}

impl<'a, M: Machine> Interpreter<'a, M> {
    /// Reads where to store to, if anywhere.
    pub(super) fn target(
        &mut self,
        frame: &mut Frame,
        at: &mut Cursor<'a>,
    ) -> Result<Place, Fault> {
        if at.peek() == Some(0) {
            at.byte()?;
            return Ok(Place::Nothing);
        }
        self.super_name(frame, at)
    }

    /// Reads a place.
    pub(super) fn super_name(
        &mut self,
        frame: &mut Frame,
        at: &mut Cursor<'a>,
    ) -> Result<Place, Fault> {
        if at.at_name() {
            let name = at.name()?;
            let id = self.names.find(frame.scope, &name);
            return id.map(Place::Named).ok_or_else(|| Fault::Missing(name.last()));
        }
        let mut ahead = *at;
        let opcode = ahead.opcode()?;
        match opcode {
            0x60..=0x6e => {
                *at = ahead;
                Ok(Place::numbered(opcode))
            }
            // Debug.
            0x5b31 => {
                *at = ahead;
                Ok(Place::Nothing)
            }
            // Index, RefOf.
            0x88 | 0x71 => {
                let reference = self.value(frame, at)?;
                self.referred(frame, &reference)
            }
            // DerefOf.
            0x83 => {
                *at = ahead;
                let reference = self.value(frame, at)?;
                self.referred(frame, &reference)
            }
            _ => Err(Fault::Opcode(opcode)),
        }
    }

    /// Returns what a reference refers to; a text names it.
    pub(super) fn referred(&self, frame: &Frame, reference: &Value) -> Result<Place, Fault> {
        match reference {
            Value::Named(id) => Ok(Place::Named(*id)),
            Value::Element(elements, index) => Ok(Place::Element(Rc::clone(elements), *index)),
            Value::Byte(bytes, index) => Ok(Place::Byte(Rc::clone(bytes), *index)),
            Value::Unresolved(name, scope) => {
                let id = self.names.find(*scope, name);
                id.map(Place::Named).ok_or_else(|| Fault::Missing(name.last()))
            }
            Value::Text(text) => {
                let name = super::Name::from_text(text).ok_or(Fault::Kind)?;
                let id = self.names.find(frame.scope, &name);
                id.map(Place::Named).ok_or_else(|| Fault::Missing(name.last()))
            }
            _ => Err(Fault::Kind),
        }
    }

    /// Returns what is there.
    pub(super) fn find(&mut self, frame: &Frame, place: &Place) -> Result<Value, Fault> {
        match place {
            Place::Nothing => Ok(Value::None),
            Place::Local(index) => frame.locals.get(*index).cloned().ok_or(Fault::Bounds),
            Place::Argument(index) => frame.arguments.get(*index).cloned().ok_or(Fault::Bounds),
            Place::Named(id) => self.read(*id),
            Place::Element(elements, index) => {
                let elements = elements.try_borrow().map_err(|_| Fault::Kind)?;
                elements.get(*index).cloned().ok_or(Fault::Bounds)
            }
            Place::Byte(bytes, index) => {
                let bytes = bytes.try_borrow().map_err(|_| Fault::Kind)?;
                let byte = bytes.get(*index).ok_or(Fault::Bounds)?;
                Ok(Value::Integer((*byte).into()))
            }
        }
    }

    /// Returns the value of a named object; what is no data stands for itself.
    pub(super) fn read(&mut self, id: Id) -> Result<Value, Fault> {
        match self.names.object(id) {
            Object::Value(value) => Ok(value.clone()),
            Object::Field(field) => {
                let field = *field;
                self.read_field(field)
            }
            Object::BufferField(field) => {
                let field = field.clone();
                self.read_buffer_field(&field)
            }
            Object::Unsupported(opcode) => Err(Fault::Unsupported(*opcode)),
            _ => Ok(Value::Named(id)),
        }
    }

    /// Stores a copy of a value.
    pub(super) fn store(
        &mut self,
        frame: &mut Frame,
        place: &Place,
        value: &Value,
    ) -> Result<(), Fault> {
        match place {
            Place::Nothing => Ok(()),
            Place::Local(index) => {
                let copy = self.copy(value)?;
                *frame.locals.get_mut(*index).ok_or(Fault::Bounds)? = copy;
                Ok(())
            }
            Place::Argument(index) => {
                // A reference that was handed over is stored through.
                let old = frame.arguments.get(*index).cloned().ok_or(Fault::Bounds)?;
                if let Value::Named(_) | Value::Element(..) | Value::Byte(..) = old {
                    let place = self.referred(frame, &old)?;
                    return self.deeper(|this| this.store(frame, &place, value));
                }
                let copy = self.copy(value)?;
                *frame.arguments.get_mut(*index).ok_or(Fault::Bounds)? = copy;
                Ok(())
            }
            Place::Named(id) => self.store_named(*id, value),
            Place::Element(elements, index) => {
                let copy = self.copy(value)?;
                let mut elements = elements.try_borrow_mut().map_err(|_| Fault::Kind)?;
                *elements.get_mut(*index).ok_or(Fault::Bounds)? = copy;
                Ok(())
            }
            Place::Byte(bytes, index) => {
                let [byte, ..] = self.to_integer(value)?.to_le_bytes();
                let mut bytes = bytes.try_borrow_mut().map_err(|_| Fault::Kind)?;
                *bytes.get_mut(*index).ok_or(Fault::Bounds)? = byte;
                Ok(())
            }
        }
    }

    /// A named object keeps its kind.
    fn store_named(&mut self, id: Id, value: &Value) -> Result<(), Fault> {
        let new = match self.names.object(id) {
            Object::Field(field) => {
                let field = *field;
                return self.write_field(field, value);
            }
            Object::BufferField(field) => {
                let field = field.clone();
                return self.write_buffer_field(&field, value);
            }
            Object::Value(Value::Integer(_)) => Value::Integer(self.to_integer(value)?),
            Object::Value(Value::Buffer(bytes)) => {
                let bytes = Rc::clone(bytes);
                let Value::Buffer(copy) = self.copy(value)? else { return Err(Fault::Kind) };
                let copy = copy.take();
                *bytes.try_borrow_mut().map_err(|_| Fault::Kind)? = copy;
                return Ok(());
            }
            Object::Value(Value::Text(_)) if !matches!(value, Value::Text(_)) => {
                return Err(Fault::Kind);
            }
            Object::Value(_) => self.copy(value)?,
            Object::Unsupported(opcode) => return Err(Fault::Unsupported(*opcode)),
            _ => return Err(Fault::Kind),
        };
        self.names.set(id, Object::Value(new));
        Ok(())
    }

    /// Copies a value and what is in it.
    fn copy(&mut self, value: &Value) -> Result<Value, Fault> {
        match value {
            Value::Buffer(bytes) => {
                let bytes = bytes.try_borrow().map_err(|_| Fault::Kind)?.clone();
                self.memory(bytes.len())?;
                Ok(Value::buffer(bytes))
            }
            Value::Package(elements) => {
                let elements = elements.try_borrow().map_err(|_| Fault::Kind)?.clone();
                self.memory(elements.len())?;
                let copy =
                    |this: &mut Self| elements.iter().map(|value| this.copy(value)).collect();
                self.deeper(copy).map(Value::package)
            }
            other => Ok(other.clone()),
        }
    }
}
