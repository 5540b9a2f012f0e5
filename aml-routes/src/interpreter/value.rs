// SPDX-License-Identifier: MIT OR Apache-2.0
//! What expressions have for values.
//!
//! Buffers and packages are shared until they are stored: reading a name gives the thing itself, so
//! that an index or a buffer field writes into it; a store copies.

use alloc::{rc::Rc, vec::Vec};
use core::cell::RefCell;

use super::{Id, Name};

/// Something that more than one value may stand for.
pub(super) type Shared<T> = Rc<RefCell<T>>;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing was stored yet.
    None,
    Integer(u64),
    Text(Rc<[u8]>),
    Buffer(Shared<Vec<u8>>),
    Package(Shared<Vec<Self>>),
    /// A named object that is no data, or a reference to one.
    Named(Id),
    /// A name in a package, to be looked up in that scope when it is needed.
    Unresolved(Rc<Name>, Id),
    /// An element of a package.
    Element(Shared<Vec<Self>>, usize),
    /// A byte of a buffer.
    Byte(Shared<Vec<u8>>, usize),
}

impl Value {
    pub(super) fn buffer(bytes: Vec<u8>) -> Self {
        Self::Buffer(Rc::new(RefCell::new(bytes)))
    }

    pub(super) fn package(elements: Vec<Self>) -> Self {
        Self::Package(Rc::new(RefCell::new(elements)))
    }
}

/// What a comparison gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    True,
    False,
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}
