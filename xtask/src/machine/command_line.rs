// SPDX-License-Identifier: MIT OR Apache-2.0
//! The words that start a machine: QEMU's, and the emulator's among them.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{Clock, DOORBELLS, Machine};
use crate::{host_tables::HostTables, image::RelayTable, qemu::Qemu};

/// MiB that the emulator takes beside the TD's.
const EMULATOR_MEMORY: u32 = 512;

/// MiB of the smallest machine.
const LEAST_MEMORY: u32 = 1024;

/// The files of a run.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    pub(super) emulator: PathBuf,
    pub(super) image: PathBuf,
    pub(super) console: PathBuf,
    pub(super) report: PathBuf,
    pub(super) diagnostics: PathBuf,
    pub(super) bell: PathBuf,
}

impl Files {
    pub(super) fn new(directory: &Path, emulator: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            emulator: emulator.to_owned(),
            image: directory.join("image.fd"),
            console: directory.join("console"),
            report: directory.join("report"),
            diagnostics: directory.join("diagnostics"),
            bell: directory.join("bell"),
        }
    }
}

/// Returns all words after the program's name.
pub(super) fn arguments(
    machine: &Machine,
    qemu: &Qemu,
    files: &Files,
    relay_table: Option<RelayTable>,
) -> Vec<OsString> {
    let memory = machine.td_memory.saturating_add(EMULATOR_MEMORY).max(LEAST_MEMORY);
    let mut words: Vec<OsString> = [
        "-accel tcg -M q35 -display none -nodefaults -no-reboot",
        "-device intel-iommu,intremap=off",
        "-device isa-debug-exit,iobase=0xf4,iosize=4",
    ]
    .iter()
    .flat_map(|line| line.split(' '))
    .map(OsString::from)
    .collect();
    let mut pair = |option: &str, value: OsString| words.extend([option.into(), value]);
    pair("-m", memory.to_string().into());
    // One CPU boots and does nothing more.
    pair("-smp", (machine.smp + 1).to_string().into());
    pair("-cpu", qemu.cpu().into());
    pair("-serial", join("file:", &files.console, ""));
    pair("-debugcon", join("file:", &files.report, ""));
    let [edu, bell] = slots(machine);
    pair("-device", format!("edu{edu}").into());
    pair("-chardev", join("socket,path=", &files.bell, ",id=bell"));
    pair("-device", format!("ivshmem-doorbell,vectors={DOORBELLS},chardev=bell{bell}").into());
    pair("-kernel", files.emulator.clone().into());
    pair("-initrd", files.image.clone().into());
    pair("-append", emulator_options(machine, relay_table).into());
    if machine.clock == Clock::Instructions {
        pair("-icount", "shift=0,sleep=off".into());
        pair("-seed", "42".into());
        pair("-rtc", "base=2026-01-01T00:00:00,clock=vm".into());
    }
    words.extend(machine.qemu_options.iter().map(OsString::from));
    if machine.tables.is_some() {
        words.extend(HostTables::qemu_options(&files.directory).map(OsString::from));
    }
    words
}

/// Where our own devices go. The first place is that of the ISA bridge of an i440FX, if the TD sees one.
fn slots(machine: &Machine) -> [&'static str; 2] {
    let mut words = machine.options.iter().flat_map(|words| words.split(' '));
    if words.any(|word| word.starts_with("bridge=piix3")) {
        [",addr=4", ",addr=2"]
    } else {
        [""; 2]
    }
}

/// Returns the emulator's command line.
fn emulator_options(machine: &Machine, relay_table: Option<RelayTable>) -> String {
    let Machine { host, td_memory, log, .. } = machine;
    let mut words = vec![format!("flavour={host} memory={td_memory} log={log}")];
    if machine.trace {
        words.push("trace=1".to_owned());
    }
    if let Some(RelayTable { address, stride }) = relay_table {
        words.push(format!("relay_table={address:#x} relay_stride={stride}"));
    }
    words.extend(machine.options.iter().cloned());
    words.join(" ")
}

fn join(before: &str, path: &Path, after: &str) -> OsString {
    let mut word = OsString::from(before);
    word.push(path);
    word.push(after);
    word
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Files, arguments};
    use crate::{
        host_tables::HostTables,
        image::RelayTable,
        machine::{Clock, Machine},
        qemu::{Qemu, Version},
    };

    fn line(machine: &Machine, major: u32) -> String {
        let qemu = Qemu { program: "qemu".into(), version: Version { major, minor: 2 } };
        let files = Files::new(Path::new("/run"), Path::new("/emulator"));
        let table = RelayTable { address: 0xfff0_0000, stride: 1024 };
        let words = arguments(machine, &qemu, &files, Some(table));
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_machine_is_what_was_asked_for() {
        let machine = Machine { smp: 3, td_memory: 900, trace: true, ..Machine::default() };
        let line = line(&machine, 10);
        for words in [
            "-accel tcg -M q35 ",
            " -device intel-iommu,intremap=off ",
            " -m 1412 -smp 4 -cpu max,+svm,phys-bits=48 ",
            " -serial file:/run/console -debugcon file:/run/report ",
            " -device isa-debug-exit,iobase=0xf4,iosize=4 ",
            " -device edu -chardev socket,path=/run/bell,id=bell -device ivshmem-doorbell,vectors=48,chardev=bell ",
            " -kernel /emulator -initrd /run/image.fd -append flavour=ghci memory=900 log=info trace=1 \
             relay_table=0xfff00000 relay_stride=1024",
        ] {
            assert!(line.contains(words), "{line}");
        }
        assert!(!line.contains("icount"));
    }

    #[test]
    fn counting_instructions_makes_every_clock_follow_them() {
        let machine = Machine { clock: Clock::Instructions, ..Machine::default() };
        let line = line(&machine, 10);
        let clocks = "-icount shift=0,sleep=off -seed 42 -rtc base=2026-01-01T00:00:00,clock=vm";
        assert!(line.ends_with(clocks), "{line}");
    }

    #[test]
    fn other_tables_are_files_and_another_bridge_has_its_place() {
        let tables = HostTables { tables: vec![], loader: vec![], rsdp: vec![] };
        let options = vec!["log=info bridge=piix3".to_owned()];
        let line = line(&Machine { tables: Some(tables), options, ..Machine::default() }, 10);
        let loader = " -fw_cfg name=opt/org.lychgate/acpi/loader,file=/run/table-loader ";
        for words in [loader, " -device edu,addr=4 ", ",chardev=bell,addr=2 "] {
            assert!(line.contains(words), "{line}");
        }
    }

    #[test]
    fn what_an_old_version_gets_wrong_is_hidden() {
        assert!(line(&Machine::default(), 7).contains("phys-bits=48,-cx16 "));
        assert!(line(&Machine::default(), 11).contains("phys-bits=48 "));
    }
}
