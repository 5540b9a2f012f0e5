// SPDX-License-Identifier: MIT OR Apache-2.0
//! Terms: statements, calls, and who does the rest.
//!
//! Spec: ACPI "Term Objects Encoding", "Statement Opcodes Encoding".

use alloc::{vec, vec::Vec};

use super::{
    Interpreter,
    cursor::Cursor,
    namespace::{Id, Object, ROOT},
    value::Value,
};
use crate::{Fault, Machine};

/// A table or a method that is being run.
#[derive(Debug)]
pub(super) struct Frame {
    /// Where names are looked up and made.
    pub(super) scope: Id,
    pub(super) locals: [Value; 8],
    pub(super) arguments: Vec<Value>,
    /// What a method made, which goes when the method ends; a table's objects stay.
    pub(super) made: Option<Vec<Id>>,
}

/// How a term ended.
#[derive(Debug)]
pub(super) enum Flow {
    Value(Value),
    Break,
    Continue,
    Return(Value),
}

impl Frame {
    pub(super) fn of_table() -> Self {
        Self { scope: ROOT, locals: [const { Value::None }; 8], arguments: vec![], made: None }
    }

    fn of_method(scope: Id, arguments: Vec<Value>) -> Self {
        Self { scope, arguments, made: Some(vec![]), ..Self::of_table() }
    }
}

impl<'a, M: Machine> Interpreter<'a, M> {
    /// Runs a list of terms to its end or to what leaves it.
    pub(super) fn run(&mut self, frame: &mut Frame, mut list: Cursor<'a>) -> Result<Flow, Fault> {
        while !list.is_empty() {
            match self.term(frame, &mut list)? {
                Flow::Value(_) => {}
                left => return Ok(left),
            }
        }
        Ok(Flow::Value(Value::None))
    }

    /// Runs a list of terms in another scope.
    pub(super) fn run_in(
        &mut self,
        frame: &mut Frame,
        scope: Id,
        list: Cursor<'a>,
    ) -> Result<(), Fault> {
        let before = core::mem::replace(&mut frame.scope, scope);
        let flow = self.run(frame, list);
        frame.scope = before;
        match flow? {
            Flow::Value(_) => Ok(()),
            _ => Err(Fault::Kind),
        }
    }

    /// Evaluates a term to a value.
    pub(super) fn value(&mut self, frame: &mut Frame, at: &mut Cursor<'a>) -> Result<Value, Fault> {
        match self.term(frame, at)? {
            Flow::Value(value) => Ok(value),
            _ => Err(Fault::Kind),
        }
    }

    /// Evaluates a term to an integer.
    pub(super) fn integer(&mut self, frame: &mut Frame, at: &mut Cursor<'a>) -> Result<u64, Fault> {
        let value = self.value(frame, at)?;
        self.to_integer(&value)
    }

    /// Calls a method, or `\_OSI`.
    pub(super) fn call(&mut self, method: Id, arguments: Vec<Value>) -> Result<Value, Fault> {
        let code = match self.names.object(method) {
            Object::Method { code, .. } => *code,
            Object::Osi => return Ok(Value::Integer(0)),
            _ => return Err(Fault::Kind),
        };
        let mut frame = Frame::of_method(method, arguments);
        let flow = self.deeper(|this| this.run(&mut frame, Cursor::new(code)));
        for id in frame.made.into_iter().flatten() {
            self.names.remove(id);
        }
        match flow? {
            Flow::Return(value) => Ok(value),
            Flow::Value(_) => Ok(Value::None),
            Flow::Break | Flow::Continue => Err(Fault::Kind),
        }
    }

    fn term(&mut self, frame: &mut Frame, at: &mut Cursor<'a>) -> Result<Flow, Fault> {
        self.step()?;
        self.deeper(|this| {
            if at.at_name() {
                return this.named(frame, at).map(Flow::Value);
            }
            let opcode = at.opcode()?;
            if let Some(flow) = this.statement(frame, at, opcode)? {
                return Ok(flow);
            }
            if this.declaration(frame, at, opcode)? == Done::Yes {
                return Ok(Flow::Value(Value::None));
            }
            this.expression(frame, at, opcode).map(Flow::Value)
        })
    }

    /// A name: a call of a method, or what has the name.
    fn named(&mut self, frame: &mut Frame, at: &mut Cursor<'a>) -> Result<Value, Fault> {
        let name = at.name()?;
        let found = self.names.find(frame.scope, &name);
        let id = found.ok_or_else(|| Fault::Missing(name.last()))?;
        let wanted = match self.names.object(id) {
            Object::Method { arguments, .. } => *arguments,
            Object::Osi => 1,
            _ => return self.read(id),
        };
        let mut arguments = vec![];
        for _ in 0..wanted {
            arguments.push(self.value(frame, at)?);
        }
        self.call(id, arguments)
    }

    fn statement(
        &mut self,
        frame: &mut Frame,
        at: &mut Cursor<'a>,
        opcode: u16,
    ) -> Result<Option<Flow>, Fault> {
        let flow = match opcode {
            0xa0 => return self.branch(frame, at).map(Some),
            0xa2 => return self.repeat(frame, at).map(Some),
            0xa4 => Flow::Return(self.value(frame, at)?),
            0xa5 => Flow::Break,
            0x9f => Flow::Continue,
            // Noop, BreakPoint.
            0xa3 | 0xcc => Flow::Value(Value::None),
            // Notify, for which nobody waits.
            0x86 => {
                self.super_name(frame, at)?;
                self.value(frame, at)?;
                Flow::Value(Value::None)
            }
            // Stall, Sleep: time passes anyway.
            0x5b21 | 0x5b22 => {
                self.integer(frame, at)?;
                Flow::Value(Value::None)
            }
            // Acquire: got it.
            0x5b23 => {
                self.super_name(frame, at)?;
                at.word()?;
                Flow::Value(Value::Integer(0))
            }
            // Release.
            0x5b27 => {
                self.super_name(frame, at)?;
                Flow::Value(Value::None)
            }
            0x5b32 => return Err(Fault::Fatal),
            _ => return Ok(None),
        };
        Ok(Some(flow))
    }

    fn branch(&mut self, frame: &mut Frame, at: &mut Cursor<'a>) -> Result<Flow, Fault> {
        let mut then = at.package()?;
        let holds = self.integer(frame, &mut then)? != 0;
        let otherwise = if at.peek() == Some(0xa1) {
            at.byte()?;
            Some(at.package()?)
        } else {
            None
        };
        let taken = if holds { Some(then) } else { otherwise };
        taken.map_or(Ok(Flow::Value(Value::None)), |list| self.run(frame, list))
    }

    fn repeat(&mut self, frame: &mut Frame, at: &mut Cursor<'a>) -> Result<Flow, Fault> {
        let body = at.package()?;
        loop {
            self.step()?;
            let mut list = body;
            if self.integer(frame, &mut list)? == 0 {
                return Ok(Flow::Value(Value::None));
            }
            match self.run(frame, list)? {
                Flow::Break => return Ok(Flow::Value(Value::None)),
                Flow::Return(value) => return Ok(Flow::Return(value)),
                Flow::Continue | Flow::Value(_) => {}
            }
        }
    }
}

/// Whether somebody knew the opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Yes,
    No,
}
