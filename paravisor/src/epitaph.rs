// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of L1: what went wrong, in memory, on the console, and as a fatal error to the host.
//!
//! A panic means a bug of L1. It stops this CPU for good, and by the fatal error the TD.
//!
//! Spec: GHCI "TDG.VP.VMCALL<ReportFatalError>".
#![expect(unsafe_code, reason = "the epitaph has a name that a debugger looks for")]

use core::{
    fmt::{self, Write},
    panic::PanicInfo,
};

use cpu::interrupt::Frame;
use spin::Mutex;
use tdcall::{ExitReason, Instruction, VeInfo, tdvmcall};
use x86_64::instructions::interrupts;

use crate::{console, cpus};

const CAPACITY: usize = 256;
const CODE_PANIC: u32 = 1;
const CODE_EXCEPTION: u32 = 2;
const CODE_GAVE_UP: u32 = 3;

/// The last words of the first CPU that ended.
#[derive(Debug)]
struct Epitaph {
    length: usize,
    text: [u8; CAPACITY],
}

#[unsafe(no_mangle)]
static EPITAPH: Mutex<Epitaph> = Mutex::new(Epitaph { length: 0, text: [0; CAPACITY] });

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let place = info.location().map_or(("?", 0), |at| (at.file(), at.line()));
    end(CODE_PANIC, format_args!("panic at {}:{}: {}", place.0, place.1, info.message()))
}

/// Ends L1 because of an exception that nothing explains.
pub(crate) fn exception(frame: &Frame) {
    end(
        CODE_EXCEPTION,
        format_args!(
            "exception vector={} error={:#x} rip={:#x} rsp={:#x} cr2={:#x}",
            frame.vector,
            frame.error_code,
            frame.rip,
            frame.rsp,
            x86_64::registers::control::Cr2::read_raw(),
        ),
    )
}

/// Ends L1 because of a #VE that it should not have caused.
pub(crate) fn virtualization(frame: &Frame, reason: ExitReason, info: &VeInfo) {
    end(
        CODE_EXCEPTION,
        format_args!(
            "#VE {reason} rip={:#x} qualification={:#x} gpa={:#x}",
            frame.rip, info.exit_qualification, info.gpa,
        ),
    )
}

/// Ends L1 because it cannot do its work, through no bug of its own.
pub(crate) fn give_up(why: fmt::Arguments<'_>) -> ! {
    end(CODE_GAVE_UP, why)
}

fn end(code: u32, words: fmt::Arguments<'_>) -> ! {
    interrupts::disable();
    let mut mine = Epitaph { length: 0, text: [0; CAPACITY] };
    // Too long a text is cut, which is all that can go wrong.
    let _ = write!(mine, "cpu {}: {words}", cpus::current());
    if let Some(mut epitaph) = EPITAPH.try_lock()
        && epitaph.length == 0
    {
        epitaph.length = mine.length;
        epitaph.text = mine.text;
    }
    let text = core::str::from_utf8(&mine.text[..mine.length]).unwrap_or("(not UTF-8)");
    console::last_words(format_args!("{text}"));
    loop {
        tdvmcall::report_fatal_error(&Instruction, code, text);
    }
}

impl Write for Epitaph {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let free = self.text.get_mut(self.length).ok_or(fmt::Error)?;
            *free = if byte.is_ascii() { byte } else { b'?' };
            self.length += 1;
        }
        Ok(())
    }
}
