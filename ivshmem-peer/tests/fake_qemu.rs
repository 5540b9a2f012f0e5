// SPDX-License-Identifier: MIT OR Apache-2.0
//! The peer against a fake QEMU: the client's half of the protocol and a guest that acknowledges.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use core::mem::MaybeUninit;
use core::time::Duration;
use std::fs::{self, File};
use std::io::IoSliceMut;

use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use ivshmem_peer::layout::{self, Abort, Opcode, offset};
use ivshmem_peer::{Peer, Summary};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

const VECTORS: u16 = 4;

/// The device as a client of the peer gets to know it.
struct FakeQemu {
    _socket: UnixStream,
    memory: File,
    doorbell: OwnedFd,
    vectors: Vec<OwnedFd>,
    sequence: u32,
}

/// One protocol message.
fn receive(socket: &UnixStream) -> (i64, Option<OwnedFd>) {
    let mut bytes = [0; 8];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let message =
        recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::empty())
            .unwrap();
    assert_eq!(message.bytes, 8);
    let descriptor = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut rights) => rights.next(),
        _ => None,
    });
    (i64::from_le_bytes(bytes), descriptor)
}

/// Starts a peer under a path of its own.
fn start(name: &str) -> (Peer, PathBuf) {
    let path = std::env::temp_dir().join(format!("bell-{}-{name}", std::process::id()));
    let _ = fs::remove_file(&path);
    (Peer::start(&path, VECTORS).unwrap(), path)
}

impl FakeQemu {
    fn connect(path: &PathBuf) -> Self {
        let socket = UnixStream::connect(path).unwrap();
        assert!(matches!(receive(&socket), (0, None)), "the version comes first");
        assert!(matches!(receive(&socket), (0, None)), "then the client's number");
        let (number, memory) = receive(&socket);
        assert_eq!(number, -1, "then the memory");
        let (number, doorbell) = receive(&socket);
        assert_eq!(number, 1, "then the peer's own doorbell");
        let vectors = (0..VECTORS)
            .map(|_| {
                let (number, eventfd) = receive(&socket);
                assert_eq!(number, 0, "then the client's vectors");
                eventfd.unwrap()
            })
            .collect();
        let memory = File::from(memory.unwrap());
        Self { _socket: socket, memory, doorbell: doorbell.unwrap(), vectors, sequence: 0 }
    }

    fn read(&self, at: u64) -> u32 {
        let mut word = [0; 4];
        self.memory.read_exact_at(&mut word, at).unwrap();
        u32::from_le_bytes(word)
    }

    fn write(&self, at: u64, word: u32) {
        self.memory.write_all_at(&word.to_le_bytes(), at).unwrap();
    }

    fn command(&mut self, opcode: Opcode, first: u32, count: u32, rounds: u32) {
        self.write(offset::OPCODE, opcode.0);
        self.write(offset::FIRST, first);
        self.write(offset::COUNT, count);
        self.write(offset::ROUNDS, rounds);
        self.sequence += 1;
        self.write(offset::SEQUENCE, self.sequence);
        rustix::io::write(&self.doorbell, &1_u64.to_ne_bytes()).unwrap();
    }

    fn is_done(&self) -> bool {
        self.read(offset::DONE) == self.sequence
    }

    /// Plays the guest's handlers until the command is done; returns the interrupts per vector.
    fn acknowledge_until_done(&self) -> Vec<u64> {
        let mut taken = vec![0; usize::from(VECTORS)];
        let since = Instant::now();
        while !self.is_done() {
            assert!(since.elapsed() < Duration::from_secs(30), "the command never ends");
            for (index, eventfd) in self.vectors.iter().enumerate() {
                let mut signals = [0; 8];
                if rustix::io::read(eventfd, &mut signals).is_ok() {
                    taken[index] += u64::from_ne_bytes(signals);
                    let at = offset::ACKS + 4 * index as u64;
                    self.write(at, self.read(at) + 1);
                }
            }
        }
        taken
    }
}

#[test]
fn the_magic_is_there_and_nothing_is_rung_unasked() {
    let (peer, path) = start("magic");
    let qemu = FakeQemu::connect(&path);
    assert_eq!(qemu.read(offset::MAGIC), layout::MAGIC);
    assert_eq!(qemu.memory.metadata().unwrap().len(), layout::SIZE);
    let summary = peer.stop();
    assert_eq!(summary, Summary { rung: vec![0; 4], commands: 0, errors: vec![] });
    assert!(!path.exists());
}

#[test]
fn a_paced_command_rings_each_vector_once_a_round() {
    let (peer, path) = start("paced");
    let mut qemu = FakeQemu::connect(&path);
    qemu.command(Opcode::PACED, 1, 2, 50);
    assert_eq!(qemu.acknowledge_until_done(), [0, 50, 50, 0]);
    assert_eq!(qemu.read(offset::ABORT), Abort::NONE.0);
    assert_eq!(qemu.read(offset::RUNG + 4), 50);
    let summary = peer.stop();
    assert_eq!(summary, Summary { rung: vec![0, 50, 50, 0], commands: 1, errors: vec![] });
}

#[test]
fn a_burst_is_acknowledged_as_a_whole_and_never_merged() {
    let (peer, path) = start("burst");
    let mut qemu = FakeQemu::connect(&path);
    qemu.command(Opcode::BURST, 0, 4, 100);
    assert_eq!(qemu.acknowledge_until_done(), [100; 4]);
    assert_eq!(peer.stop().rung, [100; 4]);
}

#[test]
fn a_storm_waits_for_nobody() {
    let (peer, path) = start("storm");
    let mut qemu = FakeQemu::connect(&path);
    qemu.command(Opcode::STORM, 0, 4, 1000);
    qemu.acknowledge_until_done();
    let summary = peer.stop();
    assert_eq!((summary.rung, summary.commands), (vec![1000; 4], 1));
}

#[test]
fn free_ringing_ends_with_the_next_command() {
    let (peer, path) = start("free");
    let mut qemu = FakeQemu::connect(&path);
    qemu.command(Opcode::FREE, 0, 4, 0);
    while qemu.read(offset::RUNG) < 5 {
        thread::yield_now();
    }
    assert!(!qemu.is_done());
    qemu.command(Opcode::QUIT, 0, 0, 0);
    qemu.acknowledge_until_done();
    let rung = qemu.read(offset::RUNG);
    let summary = peer.stop();
    assert_eq!(summary.rung, [u64::from(rung); 4]);
    assert_eq!(summary.commands, 2);
}

#[test]
fn commands_without_sense_are_refused_and_noted() {
    let (peer, path) = start("bad");
    let mut qemu = FakeQemu::connect(&path);
    for (opcode, first, count) in [
        (Opcode(9), 0, 1),
        (Opcode::PACED, 0, 5),
        (Opcode::PACED, 4, 1),
        (Opcode::PACED, u32::MAX, 2),
        (Opcode::STORM, 0, 0),
    ] {
        qemu.command(opcode, first, count, 1);
        qemu.acknowledge_until_done();
        assert_eq!(qemu.read(offset::ABORT), Abort::BAD_COMMAND.0);
    }
    let summary = peer.stop();
    assert_eq!((summary.rung, summary.commands), (vec![0; 4], 0));
    assert_eq!(summary.errors.len(), 5);
}

#[test]
fn a_missing_acknowledgement_aborts_the_command() {
    let (peer, path) = start("late");
    let mut qemu = FakeQemu::connect(&path);
    qemu.command(Opcode::PACED, 2, 1, 1);
    while !qemu.is_done() {
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(qemu.read(offset::ABORT), Abort::ACK_TIMEOUT.0);
    let summary = peer.stop();
    assert_eq!(summary.errors, ["command 1: vector 2 rung 1 times, acknowledged 0 times"]);
}

#[test]
fn the_peer_ends_when_qemu_goes_even_in_the_middle_of_a_command() {
    let (peer, path) = start("gone");
    let mut qemu = FakeQemu::connect(&path);
    qemu.command(Opcode::PACED, 0, 1, 1);
    while qemu.read(offset::RUNG) == 0 {
        thread::yield_now();
    }
    drop(qemu);
    assert_eq!(peer.wait().rung, [1, 0, 0, 0]);
}

#[test]
fn stop_works_without_a_client_and_during_a_command() {
    let (peer, _) = start("idle");
    assert_eq!(peer.stop().commands, 0);
    let (peer, path) = start("busy");
    let mut qemu = FakeQemu::connect(&path);
    qemu.command(Opcode::FREE, 0, 1, 0);
    while qemu.read(offset::RUNG) == 0 {
        thread::yield_now();
    }
    assert!(peer.stop().rung[0] > 0);
}

#[test]
fn a_path_in_use_and_a_silly_number_of_vectors_are_errors() {
    let (peer, path) = start("twice");
    assert!(Peer::start(&path, VECTORS).is_err());
    assert!(Peer::start(&path.with_extension("x"), 0).is_err());
    assert!(Peer::start(&path.with_extension("x"), 65).is_err());
    drop(peer);
}
