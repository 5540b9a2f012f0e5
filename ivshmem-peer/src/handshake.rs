// SPDX-License-Identifier: MIT OR Apache-2.0
//! The server's half of the ivshmem client-server protocol.
//!
//! Every message is a little-endian 64-bit number, some with a file descriptor in the ancillary
//! data: the version; the client's number; −1 with the memory; then one message per eventfd, whose
//! number says to which peer the eventfd leads. The first eventfd of a number is that peer's vector
//! 0, the next its vector 1 and so on.
//!
//! Spec: IVSHMEM "Interrupt infrastructure", "Client-Server protocol".

use core::mem::MaybeUninit;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::bells::Bells;
use crate::memory::SharedMemory;

/// The only version of the protocol.
const VERSION: i64 = 0;

/// The number that goes with the shared memory.
const MEMORY: i64 = -1;

/// Peer number of the QEMU we serve.
pub(crate) const GUEST: i64 = 0;

/// Our own peer number: the guest's doorbell value is this in the upper half.
pub(crate) const OURS: i64 = 1;

/// Introduces memory, our doorbell and the guest's vectors to the QEMU at the other end.
pub(crate) fn introduce(
    socket: &UnixStream,
    memory: &SharedMemory,
    doorbell: BorrowedFd<'_>,
    bells: &Bells,
) -> io::Result<()> {
    send(socket, VERSION, None)?;
    send(socket, GUEST, None)?;
    send(socket, MEMORY, Some(memory.as_fd()))?;
    send(socket, OURS, Some(doorbell))?;
    bells.eventfds().try_for_each(|eventfd| send(socket, GUEST, Some(eventfd)))
}

/// Sends one message; the socket blocks, and eight bytes are never split.
fn send(socket: &UnixStream, number: i64, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let bytes = number.to_le_bytes();
    let descriptors: Vec<_> = descriptor.into_iter().collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    let sent = sendmsg(socket, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
    if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}
