// SPDX-License-Identifier: MIT OR Apache-2.0
//! Layout of the shared memory (BAR 2), all fields little-endian 32-bit words.
//!
//! | offset    | word            | written by |
//! |-----------|-----------------|------------|
//! | 0x00      | magic           | peer       |
//! | 0x04      | sequence        | guest, last, before it rings the doorbell |
//! | 0x08–0x14 | opcode, first vector, number of vectors, rounds | guest |
//! | 0x18      | done sequence   | peer, last |
//! | 0x1c      | abort code      | peer       |
//! | 0x40+4i   | acks\[i\]       | guest, in the handler of MSI-X entry i |
//! | 0x200+4i  | rung\[i\]       | peer, before it rings entry i |
//!
//! Every word has one writer, so neither side needs a locked operation.

/// Size of the shared memory in bytes; a power of two, because it becomes a BAR.
pub const SIZE: u64 = 0x1_0000;

/// Value of the magic word once the peer is ready.
pub const MAGIC: u32 = 0x4c59_4348;

/// Most vectors the acknowledgement and ring arrays have room for.
pub const MAX_VECTORS: u16 = 64;

/// Offsets of the single words.
pub mod offset {
    /// [`MAGIC`](super::MAGIC) when ready.
    pub const MAGIC: u64 = 0x00;
    /// Number of the newest command.
    pub const SEQUENCE: u64 = 0x04;
    /// What to do, see [`Opcode`](super::Opcode).
    pub const OPCODE: u64 = 0x08;
    /// First MSI-X entry to ring.
    pub const FIRST: u64 = 0x0c;
    /// How many entries to ring.
    pub const COUNT: u64 = 0x10;
    /// How often.
    pub const ROUNDS: u64 = 0x14;
    /// Number of the newest finished command.
    pub const DONE: u64 = 0x18;
    /// Why it finished, see [`Abort`](super::Abort).
    pub const ABORT: u64 = 0x1c;
    /// First of the guest's acknowledgements.
    pub const ACKS: u64 = 0x40;
    /// First of the peer's ring counts.
    pub const RUNG: u64 = 0x200;
}

/// A command, as the guest numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opcode(pub u32);

impl Opcode {
    /// One ring at a time: the next only after its acknowledgement.
    pub const PACED: Self = Self(1);
    /// Each round rings all vectors, then waits for all acknowledgements.
    pub const BURST: Self = Self(2);
    /// Rings all vectors as often as told and waits for nothing.
    pub const STORM: Self = Self(3);
    /// Rings all vectors about once a millisecond until the next command.
    pub const FREE: Self = Self(4);
    /// Nothing more will come.
    pub const QUIT: Self = Self(5);
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abort(pub u32);

impl Abort {
    /// As asked.
    pub const NONE: Self = Self(0);
    /// An acknowledgement did not come in time.
    pub const ACK_TIMEOUT: Self = Self(1);
    /// The command made no sense.
    pub const BAD_COMMAND: Self = Self(2);
}
