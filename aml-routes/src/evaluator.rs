// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the rules need of an interpreter: to find devices, and to evaluate objects into plain data.
//!
//! This is the seam at which the interpreter can be replaced.

use alloc::vec::Vec;

use crate::{Fault, Path};

/// Plain data that an evaluation gave, or that a method is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datum {
    /// Nothing, or what is no data: a method, a region.
    None,
    /// An integer.
    Integer(u64),
    /// The bytes of a string, without an end mark.
    Text(Vec<u8>),
    /// The bytes of a buffer.
    Bytes(Vec<u8>),
    /// The elements of a package.
    List(Vec<Self>),
    /// A device or something else that is no data, by its name.
    Object(Path),
}

/// An interpreter with tables loaded.
pub trait Evaluator {
    /// Returns the names of all devices, parents before children.
    fn devices(&self) -> Vec<Path>;

    /// Tells whether something has this name.
    fn exists(&self, path: &Path) -> bool;

    /// Looks a name up as AML that stands at `scope` would: written with `\`, `^` and dots.
    fn look_up(&self, name: &[u8], scope: &Path) -> Option<Path>;

    /// Evaluates an object: calls a method, or reads a value.
    ///
    /// # Errors
    ///
    /// Why there is no value.
    fn evaluate(&mut self, path: &Path, arguments: Vec<Datum>) -> Result<Datum, Fault>;
}
