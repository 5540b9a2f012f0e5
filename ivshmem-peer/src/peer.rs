// SPDX-License-Identifier: MIT OR Apache-2.0
//! The thread that serves one QEMU, from its connection to its end.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::bells::{Bells, new_eventfd};
use crate::command::{Command, Stop, Workplace};
use crate::handshake;
use crate::layout::{Abort, MAGIC, MAX_VECTORS, offset};
use crate::memory::SharedMemory;

/// How long to sleep at most before looking at the sequence number without a doorbell.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// No waiting at all.
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// A running peer: listens on its socket, serves the first QEMU that connects.
#[derive(Debug)]
pub struct Peer {
    socket_path: PathBuf,
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<Summary>>,
}

/// What a peer did in its life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How often each vector was rung.
    pub rung: Vec<u64>,
    /// Commands finished as asked.
    pub commands: u64,
    /// Everything that went wrong, the guest's mistakes included.
    pub errors: Vec<String>,
}

impl Peer {
    /// Listens on `socket_path` for a QEMU whose device has `vectors` vectors (1–64).
    ///
    /// QEMU may be started as soon as this returns. A socket path has at most 107 bytes.
    ///
    /// # Errors
    /// A path that cannot be bound, a number of vectors out of range, or no eventfds left.
    pub fn start(socket_path: &Path, vectors: u16) -> io::Result<Self> {
        if vectors == 0 || vectors > MAX_VECTORS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "vectors must be 1 to 64"));
        }
        let listener = UnixListener::bind(socket_path)?;
        let stop = Arc::new(new_eventfd()?);
        let mut session = Session {
            memory: SharedMemory::new()?,
            bells: Bells::new(vectors)?,
            doorbell: new_eventfd()?,
            stop: Arc::clone(&stop),
            summary: Summary::default(),
        };
        let thread = thread::Builder::new()
            .name("ivshmem-peer".to_owned())
            .spawn(move || session.serve(&listener))?;
        Ok(Self { socket_path: socket_path.to_owned(), stop, thread: Some(thread) })
    }

    /// Ends the peer, whatever it is doing, and says what it did.
    #[must_use]
    pub fn stop(mut self) -> Summary {
        self.end().unwrap_or_default()
    }

    /// Waits until QEMU has come and gone, and says what happened.
    #[must_use]
    pub fn wait(mut self) -> Summary {
        self.join().unwrap_or_default()
    }

    /// Tells the thread to end and waits for it.
    fn end(&mut self) -> Option<Summary> {
        // An eventfd only refuses a write when its counter is full, which also ends the thread.
        let _ = rustix::io::write(&self.stop, &1_u64.to_ne_bytes());
        self.join()
    }

    /// Takes the thread's summary; none if it was taken before.
    fn join(&mut self) -> Option<Summary> {
        let summary = self.thread.take()?.join().unwrap_or_else(|_| Summary {
            errors: vec!["the peer's thread panicked".to_owned()],
            ..Summary::default()
        });
        // The path may have been removed by whoever owns the directory.
        drop(fs::remove_file(&self.socket_path));
        Some(summary)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.end();
    }
}

/// State of the serving thread.
struct Session {
    memory: SharedMemory,
    bells: Bells,
    doorbell: OwnedFd,
    stop: Arc<OwnedFd>,
    summary: Summary,
}

impl Session {
    /// Serves the first client of `listener` until it goes or [`Peer::stop`] is called.
    fn serve(&mut self, listener: &UnixListener) -> Summary {
        if let Err(error) = self.accept_and_obey(listener) {
            self.summary.errors.push(error.to_string());
        }
        self.summary.rung = self.bells.rung();
        self.summary.clone()
    }

    /// Waits for QEMU, introduces the device and obeys commands.
    fn accept_and_obey(&mut self, listener: &UnixListener) -> io::Result<()> {
        if wait_for(listener, &self.doorbell, &self.stop, None)?.over {
            return Ok(());
        }
        let (client, _) = listener.accept()?;
        self.memory.write(offset::MAGIC, MAGIC)?;
        handshake::introduce(&client, &self.memory, self.doorbell.as_fd(), &self.bells)?;
        let mut last = 0;
        while !is_over(&client, &self.stop)? {
            if let Some(command) = Command::newest(&self.memory, last)? {
                last = command.sequence();
                self.obey(&command, &client)?;
            } else if wait_for(&client, &self.doorbell, &self.stop, Some(&LOOK_AGAIN))?.rung {
                clear(&self.doorbell);
            }
        }
        Ok(())
    }

    /// Carries out one command and tells the guest how it ended.
    fn obey(&mut self, command: &Command, client: &UnixStream) -> io::Result<()> {
        let ended = || is_over(client, &self.stop).unwrap_or(true);
        let mut place = Workplace { memory: &self.memory, bells: &mut self.bells, ended: &ended };
        let abort = match command.run(&mut place) {
            Ok(()) => {
                self.summary.commands += 1;
                Abort::NONE
            }
            Err(Stop::Abort(abort, message)) => {
                self.summary.errors.push(message);
                abort
            }
            Err(Stop::Ended) => return Ok(()),
            Err(Stop::Io(error)) => return Err(error),
        };
        self.memory.write(offset::ABORT, abort.0)?;
        self.memory.write(offset::DONE, command.sequence())
    }
}

/// What a wait saw.
struct Seen {
    /// The client has hung up, or the owner wants the end.
    over: bool,
    /// The guest rang our doorbell.
    rung: bool,
}

/// Says, without waiting, whether the client has gone or the owner wants the end.
fn is_over(client: &UnixStream, stop: &OwnedFd) -> io::Result<bool> {
    Ok(wait_for(client, stop, stop, Some(&NOW))?.over)
}

/// Waits for the socket, the doorbell or the owner.
fn wait_for(
    socket: &impl AsFd,
    doorbell: &OwnedFd,
    stop: &OwnedFd,
    limit: Option<&Timespec>,
) -> io::Result<Seen> {
    let mut polled = [
        PollFd::new(socket, PollFlags::IN),
        PollFd::new(doorbell, PollFlags::IN),
        PollFd::new(stop, PollFlags::IN),
    ];
    loop {
        match poll(&mut polled, limit) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => break,
        }
    }
    let [socket, doorbell, stop] = polled.map(|entry| entry.revents());
    Ok(Seen {
        over: socket.intersects(PollFlags::HUP | PollFlags::ERR) || !stop.is_empty(),
        rung: !doorbell.is_empty(),
    })
}

/// Takes back all signals of an eventfd.
fn clear(eventfd: &OwnedFd) {
    // Nothing to read means nothing to clear.
    let _ = rustix::io::read(eventfd, &mut [0_u8; 8]);
}
