// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages of VMBus from the host's side, by the offsets of the document.
//!
//! The structures of the `vmbus` crate are the client's; these are written a second time, so that a wrong
//! offset does not agree with itself. Offsets count from the start of a message, which begins with its
//! type and four bytes of padding.
//!
//! Spec: VMBUS "Channel messages".

#[cfg(target_os = "none")]
use alloc::vec::Vec;

use crate::host::hyperv::synic::Message;

/// The type of messages that are VMBus's.
pub(crate) const MESSAGE_TYPE: u32 = 1;

const REQUEST_OFFERS: u32 = 3;
const OPEN_CHANNEL: u32 = 5;
const CLOSE_CHANNEL: u32 = 7;
const GPADL_HEADER: u32 = 8;
const GPADL_BODY: u32 = 9;
const GPADL_TEARDOWN: u32 = 11;
const REL_ID_RELEASED: u32 = 13;
const INITIATE_CONTACT: u32 = 14;
const UNLOAD: u32 = 16;
const OPEN_RESERVED_CHANNEL: u32 = 18;
const CLOSE_RESERVED_CHANNEL: u32 = 19;
const MODIFY_CHANNEL: u32 = 22;
const MODIFY_CONNECTION: u32 = 25;
const PAUSE: u32 = 27;
const RESUME: u32 = 29;

/// How the client wants to be reached, and with which version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contact {
    pub(crate) version: u32,
    pub(crate) target_vp: u32,
    pub(crate) sint: u8,
    pub(crate) features: u32,
    /// What the host sets, and what the client sets; 0 for none.
    pub(crate) monitor_pages: [u64; 2],
}

/// How a channel is to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) channel: u32,
    pub(crate) open_id: u32,
    pub(crate) gpadl: u32,
    pub(crate) target_vp: u32,
    pub(crate) downstream_page: u32,
    /// Connection and event flag that the client chose, if the message is long enough.
    pub(crate) signal: Option<(u32, u16)>,
}

/// A message of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Contact(Contact),
    Offers,
    Memory { channel: u32, gpadl: u32, bytes: u16, ranges: u16, words: Vec<u64> },
    MoreMemory { gpadl: u32, words: Vec<u64> },
    ForgetMemory { channel: u32, gpadl: u32 },
    Open(Open),
    Close(u32),
    Released(u32),
    OpenReserved { open: Open, sint: u32 },
    CloseReserved { channel: u32, target_vp: u32, sint: u32 },
    Modify { channel: u32, target_vp: u32 },
    ModifyConnection([u64; 2]),
    Pause,
    Resume,
    Unload,
}

/// Reads a message; `None` if it is too short or of no known type.
pub(crate) fn parse(bytes: &[u8]) -> Option<Request> {
    let word = |at: usize| u32_at(bytes, at);
    let pages = |at: usize| Some([u64_at(bytes, at)?, u64_at(bytes, at + 8)?]);
    Some(match word(0).filter(|_| bytes.len() >= 8)? {
        INITIATE_CONTACT => Request::Contact(Contact {
            version: word(8)?,
            target_vp: word(12)?,
            sint: *bytes.get(16)?,
            features: word(20)?,
            monitor_pages: pages(24)?,
        }),
        REQUEST_OFFERS => Request::Offers,
        GPADL_HEADER => Request::Memory {
            channel: word(8)?,
            gpadl: word(12)?,
            bytes: u16_at(bytes, 16)?,
            ranges: u16_at(bytes, 18)?,
            words: words(bytes.get(20..)?),
        },
        GPADL_BODY => Request::MoreMemory { gpadl: word(12)?, words: words(bytes.get(16..)?) },
        GPADL_TEARDOWN => Request::ForgetMemory { channel: word(8)?, gpadl: word(12)? },
        OPEN_CHANNEL => Request::Open(Open {
            channel: word(8)?,
            open_id: word(12)?,
            gpadl: word(16)?,
            target_vp: word(20)?,
            downstream_page: word(24)?,
            signal: bytes.get(147).and(word(148)).zip(u16_at(bytes, 152)),
        }),
        CLOSE_CHANNEL => Request::Close(word(8)?),
        REL_ID_RELEASED => Request::Released(word(8)?),
        OPEN_RESERVED_CHANNEL => {
            let (channel, target_vp) = (word(8)?, word(12)?);
            let (gpadl, downstream_page) = (word(20)?, word(24)?);
            let (open_id, signal) = (0, None);
            let open = Open { channel, open_id, gpadl, target_vp, downstream_page, signal };
            Request::OpenReserved { open, sint: word(16)? }
        }
        CLOSE_RESERVED_CHANNEL => {
            Request::CloseReserved { channel: word(8)?, target_vp: word(12)?, sint: word(16)? }
        }
        MODIFY_CHANNEL => Request::Modify { channel: word(8)?, target_vp: word(12)? },
        MODIFY_CONNECTION => Request::ModifyConnection(pages(8)?),
        PAUSE => Request::Pause,
        RESUME => Request::Resume,
        UNLOAD => Request::Unload,
        _ => return None,
    })
}

/// What a channel is offered as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    /// The interface, as it lies in memory.
    pub(crate) interface: [u8; 16],
    /// The instance.
    pub(crate) instance: [u8; 16],
    /// Its number.
    pub(crate) channel: u32,
    /// Its bit in the monitor page.
    pub(crate) monitor: Option<u8>,
    /// Where the host is signalled.
    pub(crate) connection: u32,
}

/// An answer of the host.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Version { supported: bool, connection: u32, features: Option<u32> },
    Offer(Offer),
    AllOffersDelivered,
    Rescind(u32),
    OpenResult { channel: u32, open_id: u32, status: u32 },
    GpadlCreated { channel: u32, gpadl: u32, status: u32 },
    GpadlTorndown(u32),
    UnloadComplete,
    ReservedClosed(u32),
    Modified { channel: u32, status: u32 },
    ConnectionModified { state: u8 },
    Paused,
}

/// Bytes as they are written one behind the other.
struct Bytes {
    bytes: [u8; 240],
    length: usize,
}

impl Bytes {
    fn new(kind: u32) -> Self {
        Self { bytes: [0; 240], length: 8 }.put(0, &kind.to_le_bytes())
    }

    fn put(mut self, at: usize, bytes: &[u8]) -> Self {
        let end = at + bytes.len();
        if let Some(place) = self.bytes.get_mut(at..end) {
            place.copy_from_slice(bytes);
            self.length = self.length.max(end);
        }
        self
    }

    fn word(self, at: usize, word: u32) -> Self {
        self.put(at, &word.to_le_bytes())
    }
}

impl Answer {
    /// The message.
    pub(crate) fn message(self) -> Option<Message> {
        let Bytes { bytes, length } = self.bytes();
        Message::new(MESSAGE_TYPE, bytes.get(..length)?)
    }

    fn bytes(self) -> Bytes {
        match self {
            Self::Version { supported, connection, features } => {
                let answer = [u8::from(supported), 0];
                Bytes::new(15).put(8, &answer).word(12, connection).with_features(features)
            }
            Self::Offer(offer) => Bytes::new(1)
                .put(8, &offer.interface)
                .put(24, &offer.instance)
                .word(184, offer.channel)
                .put(188, &[offer.monitor.unwrap_or(0), u8::from(offer.monitor.is_some()), 1, 0])
                .word(192, offer.connection),
            Self::AllOffersDelivered => Bytes::new(4),
            Self::Rescind(channel) => Bytes::new(2).word(8, channel),
            Self::OpenResult { channel, open_id, status } => {
                Bytes::new(6).word(8, channel).word(12, open_id).word(16, status)
            }
            Self::GpadlCreated { channel, gpadl, status } => {
                Bytes::new(10).word(8, channel).word(12, gpadl).word(16, status)
            }
            Self::GpadlTorndown(gpadl) => Bytes::new(12).word(8, gpadl),
            Self::UnloadComplete => Bytes::new(17),
            Self::ReservedClosed(channel) => Bytes::new(20).word(8, channel),
            Self::Modified { channel, status } => Bytes::new(24).word(8, channel).word(12, status),
            Self::ConnectionModified { state } => Bytes::new(26).put(8, &[state]),
            Self::Paused => Bytes::new(28),
        }
    }
}

impl Bytes {
    fn with_features(self, features: Option<u32>) -> Self {
        match features {
            Some(features) => self.word(16, features),
            None => self,
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect()
}
