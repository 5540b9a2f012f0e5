// SPDX-License-Identifier: MIT OR Apache-2.0
//! L1's console: the host's serial port, a byte at a time, and the log on it.
//!
//! A line is `level module: message key=value`. It is written as a whole, under a lock that no
//! interrupt handler takes. The line status is not asked for: the host could answer "busy" for ever.
//!
//! Spec: GHCI "TDG.VP.VMCALL<Instruction.IO>".

use core::fmt::{self, Write};

use log::{LevelFilter, Log, Metadata, Record};
use spin::Mutex;
use tdcall::{
    Instruction,
    tdvmcall::{self, IoSize},
};

const PORT: u16 = 0x3f8;

static CONSOLE: Mutex<Port> = Mutex::new(Port);
static LOGGER: Logger = Logger;

/// The port. What the host refuses is lost; there is nobody to tell.
struct Port;

struct Logger;

/// Makes `log` write here.
pub(crate) fn init(level: LevelFilter) {
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(level);
    }
}

/// Writes a line although another CPU may be in the middle of one: for the last words only.
pub(crate) fn last_words(arguments: fmt::Arguments<'_>) {
    let guard = CONSOLE.try_lock();
    // Writing to the port cannot fail.
    let _ = writeln!(Port, "error epitaph: {arguments}");
    drop(guard);
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let module = record.target().rsplit("::").next().unwrap_or_default();
        let level = match record.level() {
            log::Level::Error => "error",
            log::Level::Warn => "warn ",
            log::Level::Info => "info ",
            log::Level::Debug => "debug",
            log::Level::Trace => "trace",
        };
        // As above.
        let _ = writeln!(CONSOLE.lock(), "{level} {module}: {}", record.args());
    }

    fn flush(&self) {}
}

impl Write for Port {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let _ = tdvmcall::io_write(&Instruction, PORT, IoSize::Byte, byte.into());
        }
        Ok(())
    }
}
