// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the outside sees: COM1 for people, the debug console for programs, an exit value.
//!
//! Lines come out whole, whoever prints: one lock for COM1, one for the debug console. The locks
//! are safe against the CPU's own handlers, because those run in interrupt windows only. What must
//! be said although the code that failed may hold the lock goes through `emergency`.
//!
//! Spec: QEMU documentation, "isa-debug-exit", "isa-debugcon".
#![expect(unsafe_code, reason = "port I/O")]

use core::{
    fmt::{self, Write},
    panic::PanicInfo,
};

use log::{Level, LevelFilter, Log, Metadata, Record};
use spin::Mutex;
use x86_64::instructions::{hlt, interrupts, port::PortWriteOnly};

use super::port_writer::{PortWriter, initialize_com1};

/// The exit value for a bug of L0 itself.
const OWN_BUG: u8 = 0x15;

const EXIT_PORT: u16 = 0xf4;

/// How often [`emergency`] asks for the lock before it prints without.
const PATIENCE: u32 = 1_000_000;

static COM1: Mutex<PortWriter> = Mutex::new(PortWriter::com1());
static DEBUG_CONSOLE: Mutex<PortWriter> = Mutex::new(PortWriter::debug_console());
static LOGGER: Logger = Logger;

/// Whose line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// This program.
    L0,
    /// The paravisor.
    L1,
    /// Its guest.
    L2,
}

/// Prints one line with the prefix of `who`.
pub(crate) fn line(who: Who, text: &str) {
    print(&mut COM1.lock(), who, format_args!("{text}"));
}

/// Writes one line to the debug console.
pub(crate) fn report(line: fmt::Arguments<'_>) {
    let mut port = DEBUG_CONSOLE.lock();
    // The writer takes everything; an error can only come from a `Display` of ours.
    let _ = writeln!(port, "{line}");
    port.flush();
}

/// Chooses what [`log`] prints.
pub(crate) fn set_level(level: LevelFilter) {
    log::set_max_level(level);
}

/// Ends the run: QEMU's exit status is `value * 2 + 1`.
pub(crate) fn exit(value: u8) -> ! {
    // SAFETY: the device ends QEMU; when there is none, nothing happens.
    unsafe { PortWriteOnly::new(EXIT_PORT).write(value) };
    interrupts::disable();
    loop {
        hlt();
    }
}

/// Prints why the run ends, and ends it.
pub(crate) fn error_exit(value: u8, message: fmt::Arguments<'_>) -> ! {
    emergency(format_args!("error: {message}"));
    exit(value)
}

/// Prints which bug of L0 ends the run, and ends it.
pub(super) fn bug_exit(message: fmt::Arguments<'_>) -> ! {
    emergency(format_args!("panic: {message}"));
    exit(OWN_BUG)
}

/// Makes COM1 and [`log`] usable.
pub(super) fn initialize() {
    initialize_com1();
    // Fails only if there is a logger already.
    let _ = log::set_logger(&LOGGER);
    set_level(LevelFilter::Info);
}

/// Prints a line of L0 even if the lock never comes free.
fn emergency(message: fmt::Arguments<'_>) {
    for _ in 0..PATIENCE {
        if let Some(mut port) = COM1.try_lock() {
            return print(&mut port, Who::L0, message);
        }
        core::hint::spin_loop();
    }
    // Ends the line of whoever holds the lock.
    let mut port = PortWriter::com1();
    let _ = port.write_char('\n');
    print(&mut port, Who::L0, message);
}

/// Prints `message` with a prefix before each of its lines.
fn print(port: &mut PortWriter, who: Who, message: fmt::Arguments<'_>) {
    // As in `report`: only a `Display` of ours could fail.
    let _ = write!(port, "{who:?} | ");
    let _ = write!(Prefixed { port, who }, "{message}");
    let _ = port.write_char('\n');
    port.flush();
}

/// Text whose lines, but the first, get the prefix of `who`.
struct Prefixed<'a> {
    port: &'a mut PortWriter,
    who: Who,
}

impl Write for Prefixed<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut lines = text.split('\n');
        self.port.write_str(lines.next().unwrap_or_default())?;
        lines.try_for_each(|line| write!(self.port, "\n{:?} | {line}", self.who))
    }
}

/// The sink of the `log` macros.
struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        };
        let module = record.target().rsplit("::").next().unwrap_or_default();
        let message = format_args!("{level:<5} {module}: {}", record.args());
        print(&mut COM1.lock(), Who::L0, message);
    }

    fn flush(&self) {}
}

/// The panic handler.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    match info.location() {
        Some(at) => bug_exit(format_args!("{} at {}:{}", info.message(), at.file(), at.line())),
        None => bug_exit(format_args!("{}", info.message())),
    }
}
