// SPDX-License-Identifier: MIT OR Apache-2.0
//! Named objects: a tree, kept as a list and a map from parent and name.
//!
//! Spec: ACPI "ACPI Namespace", "Definition Block Loading".

use alloc::{collections::BTreeMap, vec, vec::Vec};

use super::{
    cursor::{Name, Start},
    field::{BufferField, Field, Region},
    value::Value,
};
use crate::{Fault, Path, Segment};

/// A named object. Numbers of objects that are gone are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id(usize);

/// What has a name.
#[derive(Clone, Debug)]
pub(super) enum Object<'a> {
    /// A scope, or something that only matters for what is in it.
    Scope,
    Device,
    Value(Value),
    Method {
        code: &'a [u8],
        arguments: u8,
    },
    /// `\_OSI`, which answers that nothing is known.
    Osi,
    Region(Region),
    Field(Field),
    BufferField(BufferField),
    Mutex,
    /// Another name of that object.
    Alias(Id),
    /// Something that is not done here, made by this opcode.
    Unsupported(u16),
}

#[derive(Clone, Debug)]
struct Node<'a> {
    name: Segment,
    parent: Id,
    object: Object<'a>,
}

/// All named objects.
#[derive(Clone, Debug)]
pub(super) struct Namespace<'a> {
    nodes: Vec<Node<'a>>,
    children: BTreeMap<(Id, Segment), Id>,
}

pub(super) const ROOT: Id = Id(0);

impl<'a> Namespace<'a> {
    pub(super) fn new() -> Self {
        let root = Node { name: Segment(*b"\\___"), parent: ROOT, object: Object::Scope };
        let mut names = Self { nodes: vec![root], children: BTreeMap::new() };
        for name in [b"_GPE", b"_SB_", b"_SI_", b"_PR_", b"_TZ_"] {
            names.insert(ROOT, Segment(*name), Object::Scope);
        }
        names.insert(ROOT, Segment(*b"_GL_"), Object::Mutex);
        names.insert(ROOT, Segment(*b"_OSI"), Object::Osi);
        names.insert(ROOT, Segment(*b"_REV"), Object::Value(Value::Integer(2)));
        names
    }

    /// Finds what a name means in a scope. A single segment is also looked for in all scopes above.
    pub(super) fn find(&self, scope: Id, name: &Name) -> Option<Id> {
        let (mut at, search) = match name.start {
            Start::Root => (ROOT, false),
            Start::Above(0) => (scope, name.segments.len() == 1),
            Start::Above(above) => (self.above(scope, above)?, false),
        };
        if search {
            let segment = *name.segments.first()?;
            loop {
                if let Some(id) = self.child(at, segment) {
                    return Some(id);
                }
                if at == ROOT {
                    return None;
                }
                at = self.parent(at);
            }
        }
        name.segments.iter().try_fold(at, |at, segment| self.child(at, *segment))
    }

    /// Finds an object by its absolute name.
    pub(super) fn at(&self, path: &Path) -> Option<Id> {
        path.segments().iter().try_fold(ROOT, |at, segment| self.child(at, *segment))
    }

    /// Makes an object by a name; what a scope re-opens may exist already.
    pub(super) fn create(
        &mut self,
        scope: Id,
        name: &Name,
        object: Object<'a>,
    ) -> Result<Id, Fault> {
        let (last, path) = name.segments.split_last().ok_or(Fault::Kind)?;
        let start = match name.start {
            Start::Root => Some(ROOT),
            Start::Above(above) => self.above(scope, above),
        };
        let parent =
            start.and_then(|at| path.iter().try_fold(at, |at, segment| self.child(at, *segment)));
        let parent = parent.ok_or(Fault::Missing(*last))?;
        if self.children.contains_key(&(parent, *last)) {
            return Err(Fault::Exists(*last));
        }
        Ok(self.insert(parent, *last, object))
    }

    /// Forgets the name of an object that a method made.
    pub(super) fn remove(&mut self, id: Id) {
        if let Some(node) = self.nodes.get_mut(id.0) {
            node.object = Object::Scope;
            self.children.remove(&(node.parent, node.name));
        }
    }

    pub(super) fn object(&self, id: Id) -> &Object<'a> {
        self.nodes.get(id.0).map_or(&Object::Scope, |node| &node.object)
    }

    pub(super) fn set(&mut self, id: Id, object: Object<'a>) {
        if let Some(node) = self.nodes.get_mut(id.0) {
            node.object = object;
        }
    }

    pub(super) fn parent(&self, id: Id) -> Id {
        self.nodes.get(id.0).map_or(ROOT, |node| node.parent)
    }

    /// Finds a child by its name.
    pub(super) fn child(&self, parent: Id, name: Segment) -> Option<Id> {
        let id = *self.children.get(&(parent, name))?;
        match self.object(id) {
            Object::Alias(other) => Some(*other),
            _ => Some(id),
        }
    }

    /// Returns the devices, parents before children.
    pub(super) fn devices(&self) -> impl Iterator<Item = Id> {
        let devices = |(_, node): &(Id, &Node<'_>)| matches!(node.object, Object::Device);
        (0..).map(Id).zip(&self.nodes).filter(devices).map(|(id, _)| id)
    }

    pub(super) fn path(&self, mut id: Id) -> Path {
        let mut segments = vec![];
        while let Some(node) = self.nodes.get(id.0).filter(|_| id != ROOT) {
            segments.push(node.name);
            id = node.parent;
        }
        segments.reverse();
        Path::new(segments)
    }

    fn above(&self, scope: Id, count: usize) -> Option<Id> {
        (0..count).try_fold(scope, |at, _| (at != ROOT).then(|| self.parent(at)))
    }

    fn insert(&mut self, parent: Id, name: Segment, object: Object<'a>) -> Id {
        let id = Id(self.nodes.len());
        self.nodes.push(Node { name, parent, object });
        self.children.insert((parent, name), id);
        id
    }
}
