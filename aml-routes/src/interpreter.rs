// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interpreter: tables become a namespace, and methods are run over it.
//!
//! One recursive pass over the bytes: a term is looked at, its arguments are evaluated in the order in
//! which they stand, and then it is done. Nothing is compiled or kept; a method is its bytes.
//!
//! What it does not do is what neither routing tables nor link devices use: index and bank fields,
//! loading of further tables, events, conversions of numbers to text, regions other than ports,
//! configuration space and memory. Mutexes are always free, for nobody else is there.
//!
//! # Limits
//!
//! Each term is a step, and whatever else takes time by the tables' leave is charged steps for it. Each
//! byte and element of a value is charged when it is made or copied and never given back. Terms nest as
//! deep as `Limits::depth` says; with that, the stack is bounded too.

/// Bytes of AML, from front to back.
mod cursor;

/// Named objects.
mod namespace;

/// What expressions have for values.
mod value;

/// Terms: statements, calls, and who does the rest.
mod execute;

/// Terms that make named objects.
mod declare;

/// Terms that compute.
mod operate;

/// Where a term stores to, and what it finds there.
mod store;

/// Fields of regions and of buffers.
mod field;

/// Values to and from plain data.
mod datum;

#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use crate::{Datum, Evaluator, Fault, Machine, Path};
use cursor::{Cursor, Name};
use execute::Frame;
use namespace::{Id, Namespace, Object};

/// The length of a table's header.
const HEADER: usize = 36;

/// What evaluation may use, all in all.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Terms, and the like.
    pub steps: u32,
    /// Bytes and elements of values, and named objects.
    pub memory: u32,
    /// Terms in terms.
    pub depth: u32,
}

/// An interpreter over tables.
#[derive(Debug)]
pub struct Interpreter<'a, M> {
    names: Namespace<'a>,
    machine: M,
    left: Limits,
    /// Bits of an integer, by the revision of the first table.
    wide: Integers,
}

/// How long integers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Integers {
    Bits32,
    Bits64,
}

impl Default for Limits {
    /// Ten times of what the largest tables at hand use, and a depth that fits on a stack of 256 KiB.
    fn default() -> Self {
        Self { steps: 10_000_000, memory: 16 << 20, depth: 96 }
    }
}

impl<'a, M: Machine> Interpreter<'a, M> {
    /// Loads tables, each with its header: the DSDT first, then SSDTs.
    ///
    /// # Errors
    ///
    /// If a table cannot be loaded whole; then there is nothing to be asked.
    pub fn load(tables: &[&'a [u8]], machine: M, limits: Limits) -> Result<Self, Fault> {
        let revision = tables.first().and_then(|table| table.get(8)).ok_or(Fault::Truncated)?;
        let wide = if *revision < 2 { Integers::Bits32 } else { Integers::Bits64 };
        let mut interpreter = Self { names: Namespace::new(), machine, left: limits, wide };
        for table in tables {
            let length = table.get(4..).and_then(|rest| rest.first_chunk().copied());
            let length = usize::try_from(u32::from_le_bytes(length.ok_or(Fault::Truncated)?));
            let code = table.get(HEADER..length.unwrap_or(0)).ok_or(Fault::Truncated)?;
            let mut frame = Frame::of_table();
            interpreter.run(&mut frame, Cursor::new(code))?;
        }
        Ok(interpreter)
    }

    /// Returns the machine.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// Returns what may still be used.
    pub fn left(&self) -> Limits {
        self.left
    }

    /// Charges one step.
    fn step(&mut self) -> Result<(), Fault> {
        self.steps(1)
    }

    fn steps(&mut self, steps: usize) -> Result<(), Fault> {
        let steps = u32::try_from(steps).map_err(|_| Fault::Steps)?;
        self.left.steps = self.left.steps.checked_sub(steps).ok_or(Fault::Steps)?;
        Ok(())
    }

    /// Charges memory, and as many steps, because it is also written.
    fn memory(&mut self, size: usize) -> Result<(), Fault> {
        let charge = u32::try_from(size).map_err(|_| Fault::Memory)?;
        self.left.memory = self.left.memory.checked_sub(charge).ok_or(Fault::Memory)?;
        self.steps(size)
    }

    /// Goes one level deeper for as long as `inner` takes.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        self.left.depth = self.left.depth.checked_sub(1).ok_or(Fault::Depth)?;
        let result = inner(self);
        self.left.depth += 1;
        result
    }

    /// Cuts an integer to the length that integers have.
    fn cut(&self, value: u64) -> u64 {
        match self.wide {
            Integers::Bits32 => value & 0xffff_ffff,
            Integers::Bits64 => value,
        }
    }
}

impl<M: Machine> Evaluator for Interpreter<'_, M> {
    fn devices(&self) -> Vec<Path> {
        self.names.devices().map(|id| self.names.path(id)).collect()
    }

    fn exists(&self, path: &Path) -> bool {
        self.names.at(path).is_some()
    }

    fn look_up(&self, name: &[u8], scope: &Path) -> Option<Path> {
        let name = Name::from_text(name)?;
        Some(self.names.path(self.names.find(self.names.at(scope)?, &name)?))
    }

    fn evaluate(&mut self, path: &Path, arguments: Vec<Datum>) -> Result<Datum, Fault> {
        let missing = || path.segments().last().copied().map_or(Fault::Kind, Fault::Missing);
        let id: Id = self.names.at(path).ok_or_else(missing)?;
        let mut values = Vec::new();
        for argument in arguments {
            values.push(self.value_of(argument)?);
        }
        let value = match self.names.object(id) {
            Object::Method { .. } => self.call(id, values)?,
            _ => self.read(id)?,
        };
        self.datum_of(&value)
    }
}
