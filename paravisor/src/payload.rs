// SPDX-License-Identifier: MIT OR Apache-2.0
//! What came with the image: the command lines and the guest.
//!
//! Both are measured and mapped read-only.
#![expect(unsafe_code, reason = "parts of the image are reached by address")]

use tdvf::payload::{self, DIRECTORY, Directory, ENCODED, Extent};

/// The image's payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload {
    /// The paravisor's command line and behind it the guest's.
    pub(crate) command_line: &'static [u8],
    /// The guest's file.
    pub(crate) guest: Option<&'static [u8]>,
}

impl Payload {
    /// Finds it by the directory.
    pub(crate) fn find() -> Result<Self, payload::Error> {
        let directory = bytes(Extent { address: DIRECTORY, length: ENCODED as u64 });
        let directory = Directory::decode(directory)?;
        Ok(Self { command_line: bytes(directory.command_line), guest: directory.guest.map(bytes) })
    }
}

/// `extent` is either the directory itself or was checked to lie in the image below it.
fn bytes(extent: Extent) -> &'static [u8] {
    let start = core::ptr::with_exposed_provenance(paravisor::width::index(extent.address));
    // SAFETY: The image is private, mapped memory, which is never written below the window.
    unsafe { core::slice::from_raw_parts(start, paravisor::width::index(extent.length)) }
}
