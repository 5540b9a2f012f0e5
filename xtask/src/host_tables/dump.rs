// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine's tables, out of QEMU.
//!
//! The machine runs its firmware, because QEMU completes the tables when the firmware asks for them; then the files are
//! read from outside, by what QEMU has for its own tests. No guest runs.
//!
//! Spec: QEMU "fw_cfg", "QTest Device Emulation Testing Framework".

use core::time::Duration;
use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Command, Stdio},
    thread,
};

use super::{HostTables, LOADER, Name, RSDP, TABLES};
use crate::{Failure, Result, failure::Context, qemu::Qemu, tool};

/// What the firmware says when all tables are in its memory.
const READY: &str = "Booting from ";

/// Where in the machine's memory a request lies, and what it reads.
const REQUEST: u32 = 0x10_0000;
const TARGET: u32 = 0x20_0000;

/// The directory of files.
const DIRECTORY: u16 = 0x19;

/// Select an item, and read it.
const SELECT_AND_READ: u32 = 1 << 3 | 1 << 1;

/// The port by which QEMU is ended.
const END: u16 = 0xf4;

/// More files than any machine has.
const MAX_FILES: usize = 1024;

/// A machine whose tables are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source<'a> {
    /// What QEMU calls it.
    pub machine: &'a str,
    /// Devices beside those that it has, as QEMU's options say it.
    pub devices: &'a [&'a str],
}

impl HostTables {
    /// Takes the tables of a machine of QEMU's.
    ///
    /// # Errors
    ///
    /// If QEMU cannot be started, or its machine has no such tables.
    pub fn of(source: Source<'_>, qemu: &Qemu) -> Result<Self> {
        const LIMIT: Duration = Duration::from_secs(120);
        let mut child = start(source, qemu)?;
        let pipes = child.stdin.take().zip(child.stdout.take()).zip(child.stderr.take());
        // It ends with QEMU.
        let dialogue = thread::spawn(move || {
            let ((commands, answers), firmware) = pipes.ok_or("no pipes")?;
            wait_for(firmware, READY)?;
            let mut machine = Machine { commands, answers: BufReader::new(answers) };
            let tables = machine.tables();
            machine.ask(&format!("outb {END:#x} 0"));
            tables.ok_or_else(|| "it has no such files".to_owned())
        });
        tool::wait(&mut child, LIMIT).context(|| "cannot wait".to_owned())?;
        let tables = dialogue.join().unwrap_or_else(|_| Err("our own bug".to_owned()));
        let machine = source.machine;
        tables.map_err(|why| Failure::new(format!("no ACPI tables of QEMU's {machine}: {why}")))
    }
}

fn start(source: Source<'_>, qemu: &Qemu) -> Result<Child> {
    Command::new(&qemu.program)
        .args(["-accel", "tcg", "-display", "none", "-nodefaults", "-no-reboot"])
        .args(["-M", source.machine, "-m", "512", "-cpu", qemu.cpu()])
        .args(source.devices.iter().flat_map(|device| ["-device", device]))
        .args(["-device", &format!("isa-debug-exit,iobase={END:#x},iosize=4")])
        .args(["-chardev", "file,id=firmware,path=/dev/stderr"])
        .args(["-device", "isa-debugcon,iobase=0x402,chardev=firmware"])
        // AML tells of a serial port, which all machines have that we start.
        .args(["-serial", "null"])
        .args(["-qtest", "stdio", "-qtest-log", "none"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context(|| format!("cannot start {}", qemu.program.display()))
}

/// Waits for a line that begins so; what comes later is read and dropped, so that nobody waits to say it. Fails with
/// what was said last if it does not come.
fn wait_for(stream: impl Read + Send + 'static, begin: &str) -> core::result::Result<(), String> {
    let mut lines = BufReader::new(stream).split(b'\n').map_while(core::result::Result::ok);
    let mut last = b"its firmware starts nothing".to_vec();
    for line in &mut lines {
        if line.starts_with(begin.as_bytes()) {
            thread::spawn(move || lines.for_each(drop));
            return Ok(());
        }
        if !line.trim_ascii().is_empty() {
            last = line;
        }
    }
    Err(String::from_utf8_lossy(&last).into_owned())
}

/// A machine that does single accesses.
struct Machine<W, R> {
    commands: W,
    answers: R,
}

impl<W: Write, R: BufRead> Machine<W, R> {
    fn tables(&mut self) -> Option<HostTables> {
        let count = u32::from_be_bytes(self.item(DIRECTORY, 4)?.try_into().ok()?);
        let files = usize::try_from(count).ok().filter(|files| *files <= MAX_FILES)?;
        let directory = self.item(DIRECTORY, 4 + 64 * files)?;
        let mut file = |name: Name| {
            let mut entries = directory.get(4..)?.chunks_exact(64);
            let entry = entries.find(|entry| {
                let (given, rest) = entry[8..].split_at(name.own.len());
                given == name.own.as_bytes() && rest.iter().all(|byte| *byte == 0)
            })?;
            let [a, b, c, d, e, f, ..] = *entry else { return None };
            let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
            self.item(u16::from_be_bytes([e, f]), length)
        };
        Some(HostTables { tables: file(TABLES)?, loader: file(LOADER)?, rsdp: file(RSDP)? })
    }

    /// Reads the first bytes of an item.
    fn item(&mut self, number: u16, length: usize) -> Option<Vec<u8>> {
        let control = u32::from(number) << 16 | SELECT_AND_READ;
        let words = [control, u32::try_from(length).ok()?, 0, TARGET];
        let request: String = words.iter().map(|word| format!("{word:08x}")).collect();
        self.ask(&format!("write {REQUEST:#x} 16 0x{request}"))?;
        self.ask("outl 0x514 0")?;
        self.ask(&format!("outl 0x518 {:#x}", REQUEST.swap_bytes()))?;
        if self.ask(&format!("read {REQUEST:#x} 4"))? != "0x00000000" {
            return None;
        }
        let bytes = self.ask(&format!("read {TARGET:#x} {length:#x}"))?;
        let digits = bytes.strip_prefix("0x")?.as_bytes().chunks_exact(2);
        let byte = |pair| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok();
        digits.map(byte).collect::<Option<Vec<u8>>>().filter(|bytes| bytes.len() == length)
    }

    /// Makes an access and returns what is answered.
    fn ask(&mut self, command: &str) -> Option<String> {
        writeln!(self.commands, "{command}").and_then(|()| self.commands.flush()).ok()?;
        let mut line = String::new();
        loop {
            line.clear();
            if self.answers.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(answer) = line.strip_prefix("OK") {
                return Some(answer.trim().to_owned());
            }
            // Interrupts are told of, too.
            if line.starts_with("FAIL") || line.starts_with("ERR") {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::{Machine, wait_for};

    #[test]
    fn the_firmware_is_waited_for_and_its_last_words_are_told() {
        assert_eq!(wait_for(&b"SeaBIOS\nBooting from ROM\n"[..], "Booting"), Ok(()));
        let failure = wait_for(&b"one\nqemu: no such machine\n"[..], "Booting");
        assert_eq!(failure, Err("qemu: no such machine".to_owned()));
    }

    #[test]
    fn an_answer_is_found_among_interrupts() {
        let answers = VecDeque::from(b"IRQ raise 4\nOK 0x0102\nFAIL Unknown\n".to_vec());
        let mut machine = Machine { commands: Vec::new(), answers };
        assert_eq!(machine.ask("read 0 2").as_deref(), Some("0x0102"));
        assert_eq!(machine.ask("reed 0 2"), None);
        assert_eq!(machine.ask("read 0 2"), None, "nobody is there any more");
        assert!(machine.commands.starts_with(b"read 0 2\nreed"));
    }
}
