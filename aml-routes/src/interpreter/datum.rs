// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values to and from plain data, and to integers.

use alloc::{rc::Rc, vec, vec::Vec};

use super::{
    Integers, Interpreter,
    value::{Truth, Value},
};
use crate::{Datum, Fault, Machine};

impl<M: Machine> Interpreter<'_, M> {
    pub(super) fn value_of(&mut self, datum: Datum) -> Result<Value, Fault> {
        Ok(match datum {
            Datum::None | Datum::Object(_) => Value::None,
            Datum::Integer(value) => Value::Integer(self.cut(value)),
            Datum::Text(text) => Value::Text(Rc::from(text)),
            Datum::Bytes(bytes) => Value::buffer(bytes),
            Datum::List(list) => {
                let mut elements = vec![];
                for datum in list {
                    elements.push(self.deeper(|this| this.value_of(datum))?);
                }
                Value::package(elements)
            }
        })
    }

    /// Names in packages become the data that they name, or the absolute name of what is no data.
    pub(super) fn datum_of(&mut self, value: &Value) -> Result<Datum, Fault> {
        self.step()?;
        Ok(match value {
            Value::None | Value::Element(..) | Value::Byte(..) => Datum::None,
            Value::Integer(value) => Datum::Integer(*value),
            Value::Text(text) => {
                self.memory(text.len())?;
                Datum::Text(text.to_vec())
            }
            Value::Buffer(bytes) => {
                let bytes = bytes.try_borrow().map_err(|_| Fault::Kind)?.clone();
                self.memory(bytes.len())?;
                Datum::Bytes(bytes)
            }
            Value::Package(elements) => {
                let elements = elements.try_borrow().map_err(|_| Fault::Kind)?.clone();
                self.memory(elements.len())?;
                let data = |this: &mut Self| {
                    elements.iter().map(|value| this.datum_of(value)).collect::<Result<Vec<_>, _>>()
                };
                Datum::List(self.deeper(data)?)
            }
            Value::Named(id) => Datum::Object(self.names.path(*id)),
            Value::Unresolved(name, scope) => match self.names.find(*scope, name) {
                None => Datum::None,
                Some(id) if Self::is_data(self.names.object(id)) == Truth::True => {
                    let value = self.read(id)?;
                    self.deeper(|this| this.datum_of(&value))?
                }
                Some(id) => Datum::Object(self.names.path(id)),
            },
        })
    }

    /// Integers as they are, buffers by their first bytes.
    pub(super) fn to_integer(&self, value: &Value) -> Result<u64, Fault> {
        match value {
            Value::Integer(value) => Ok(*value),
            Value::Buffer(bytes) => {
                let bytes = bytes.try_borrow().map_err(|_| Fault::Kind)?;
                let most = if self.wide == Integers::Bits32 { 4 } else { 8 };
                let mut integer = [0; 8];
                for (to, from) in integer.iter_mut().zip(bytes.iter().take(most)) {
                    *to = *from;
                }
                Ok(u64::from_le_bytes(integer))
            }
            _ => Err(Fault::Kind),
        }
    }
}
