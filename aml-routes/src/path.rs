// SPDX-License-Identifier: MIT OR Apache-2.0
//! Absolute names of the namespace.
//!
//! Spec: ACPI "Name Objects Encoding".

use alloc::vec::Vec;
use core::fmt;

/// A name of four characters, filled up with underscores.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment(pub [u8; 4]);

/// The segments from the root on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Vec<Segment>);

impl Path {
    /// Makes a path of these segments.
    #[must_use]
    pub fn new(segments: Vec<Segment>) -> Self {
        Self(segments)
    }

    /// Reads a path that is written from the root on, with dots between segments of four characters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parts = text.trim_start_matches('\\').split('.').filter(|part| !part.is_empty());
        let segments = parts.map(|part| part.as_bytes().try_into().ok().map(Segment));
        Some(Self(segments.collect::<Option<_>>()?))
    }

    /// Returns the path of a child.
    #[must_use]
    pub fn child(&self, name: &[u8; 4]) -> Self {
        let segments = self.0.iter().copied().chain([Segment(*name)]);
        Self(segments.collect())
    }

    /// Returns the path of what this is a child of; the root has none.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, parent) = self.0.split_last()?;
        Some(Self(parent.to_vec()))
    }

    /// Returns the segments.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{}", byte.escape_ascii()))
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\\")?;
        for (index, segment) in self.0.iter().enumerate() {
            write!(f, "{}{segment}", if index == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}
