// SPDX-License-Identifier: MIT OR Apache-2.0
//! A message to the host in a buffer of fixed size, and the input of the call that posts it.
//!
//! Spec: TLFS "HvCallPostMessage".

use zerocopy::{Immutable, IntoBytes, little_endian::U32};

use super::{ConnectionId, Header, MAX_MESSAGE, to_host::Body};
use crate::synic::MessageType;

/// A message to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a message that is not posted leaves the host waiting"]
pub struct Outgoing {
    connection: ConnectionId,
    length: usize,
    bytes: [u8; MAX_MESSAGE],
}

/// The input of HvCallPostMessage.
#[repr(C)]
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
pub struct PostMessage {
    connection: ConnectionId,
    reserved: U32,
    message_type: U32,
    length: U32,
    payload: [u8; MAX_MESSAGE],
}

const _: () = assert!(size_of::<PostMessage>() == 256);

impl Outgoing {
    pub(crate) fn new<B: Body>(connection: ConnectionId, body: &B) -> Self {
        let mut message = Self { connection, length: 0, bytes: [0; MAX_MESSAGE] };
        message.push(Header { kind: B::KIND, padding: U32::ZERO }.as_bytes());
        message.push(body.as_bytes());
        message
    }

    /// Appends bytes; what does not fit is left out, and told by `false`.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        let end = self.length.saturating_add(bytes.len());
        let Some(room) = self.bytes.get_mut(self.length..end) else { return false };
        room.copy_from_slice(bytes);
        self.length = end;
        true
    }

    /// Where to post it.
    #[must_use]
    pub const fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }

    /// Returns the input of the call that posts it. A host that is short of buffers refuses with
    /// status 0x13, which asks for the same call again, later.
    #[must_use]
    pub fn post_message(&self) -> PostMessage {
        PostMessage {
            connection: self.connection,
            reserved: U32::ZERO,
            message_type: U32::new(MessageType::VMBUS.0),
            length: U32::new(u32::try_from(self.length).unwrap_or(0)),
            payload: self.bytes,
        }
    }
}
