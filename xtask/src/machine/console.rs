// SPDX-License-Identifier: MIT OR Apache-2.0
//! The console as it grows: shown to whoever wants to watch.
//!
//! The machine writes to a file and not to a pipe, because a full pipe would make it wait, and
//! with that change what a repeatable run does.

use core::time::Duration;
use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
};

/// How often the file is looked at. Nothing but the display depends on it.
const PERIOD: Duration = Duration::from_millis(50);

/// A display of a growing file.
#[derive(Debug)]
pub(super) struct Tail {
    end: Sender<()>,
    thread: JoinHandle<()>,
}

impl Tail {
    pub(super) fn start(path: &Path) -> Self {
        let (end, ended) = mpsc::channel();
        let file = File::open(path);
        let thread = thread::spawn(move || {
            let Ok(mut file) = file else { return };
            loop {
                let last = ended.recv_timeout(PERIOD) != Err(RecvTimeoutError::Timeout);
                show_more(&mut file);
                if last {
                    break;
                }
            }
        });
        Self { end, thread }
    }

    /// Shows what is left and ends.
    pub(super) fn stop(self) {
        drop(self.end);
        // A display that failed is no reason to fail.
        drop(self.thread.join());
    }
}

fn show_more(file: &mut File) {
    let mut text = Vec::new();
    if file.read_to_end(&mut text).is_ok() {
        drop(io::stderr().write_all(&text));
    }
}
