// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a Linux guest finds at its start: Debian's static busybox and an `/init` of our own.
//!
//! The archive is not compressed: it is small, and unpacking would cost the guest more time than
//! measuring its pages costs the host. What `/init` does is chosen by the kernel's command line; see
//! `initramfs/init`.
//!
//! Spec: LINUX "initramfs buffer format".

use std::{fs, io};

use cpio::newc::{self, Builder, ModeFileType};

use crate::{
    Result,
    debian_package::{Wanted, itself, provide},
    failure::Context,
};

/// What the kernel is told unless something else is asked for: where to print and what of, not to
/// stay after a panic, to trust the processor's randomness, and not to change to five levels of
/// page tables, which a TD cannot. As L2 it has no PIT to check; the direct boot beside it has one,
/// and its check fails now and then on a busy machine.
pub const COMMAND_LINE: &str =
    "console=ttyS0,115200 quiet panic=-1 no5lvl random.trust_cpu=on no_timer_check";

/// The first program.
const INIT: &[u8] = include_bytes!("initramfs/init");

/// Programs of busybox that are there by name; its shell knows the others by itself once it finds
/// itself in `/proc`.
const PROGRAMS: [&str; 28] = [
    "sh",
    "awk",
    "cat",
    "cmp",
    "cut",
    "dd",
    "dmesg",
    "echo",
    "grep",
    "head",
    "ls",
    "mknod",
    "mount",
    "nproc",
    "poweroff",
    "readlink",
    "reboot",
    "sha256sum",
    "sleep",
    "stty",
    "sync",
    "tail",
    "taskset",
    "umount",
    "uname",
    "uniq",
    "usleep",
    "yes",
];

const BUSYBOX: Wanted = Wanted {
    place: "busybox",
    suites: &["bookworm", "trixie"],
    entry: "busybox-static",
    select: itself,
    is_file: |path| path == "bin/busybox" || path == "usr/bin/busybox",
    advice: "Connect this machine to Debian's archive and run the command again, or give an \
             initramfs of your own: --initrd PATH",
};

/// Makes the archive; `script` is for `/init` to run in place of its own tests.
///
/// # Errors
///
/// If busybox is not in the cache and cannot be fetched; the failure says what to do.
pub fn build(script: Option<&[u8]>) -> Result<Vec<u8>> {
    let (busybox, _) = provide(&BUSYBOX)?;
    let busybox = fs::read(&busybox).context(|| format!("cannot read {}", busybox.display()))?;
    archive(&busybox, script).context(|| "cannot make the initramfs".to_owned())
}

/// One thing in the archive.
enum Entry<'a> {
    Directory,
    Program(&'a [u8]),
    Link(&'a str),
    /// A character device by its major and minor number.
    Device(u32, u32),
}

fn archive(busybox: &[u8], script: Option<&[u8]>) -> io::Result<Vec<u8>> {
    let mut entries = vec![
        ("bin".to_owned(), Entry::Directory),
        ("bin/busybox".to_owned(), Entry::Program(busybox)),
    ];
    entries.extend(PROGRAMS.map(|program| (format!("bin/{program}"), Entry::Link("busybox"))));
    entries.extend(["dev", "proc", "sys", "tmp"].map(|name| (name.to_owned(), Entry::Directory)));
    entries.extend([
        // What the kernel opens for the first program.
        ("dev/console".to_owned(), Entry::Device(5, 1)),
        ("dev/null".to_owned(), Entry::Device(1, 3)),
        ("init".to_owned(), Entry::Program(INIT)),
    ]);
    entries.extend(script.map(|script| ("script".to_owned(), Entry::Program(script))));
    let mut archive = Vec::new();
    for (inode, (name, entry)) in (1..).zip(&entries) {
        add(&mut archive, inode, name, entry)?;
    }
    newc::trailer(archive)
}

fn add(archive: &mut Vec<u8>, inode: u32, name: &str, entry: &Entry<'_>) -> io::Result<()> {
    let builder = Builder::new(name).ino(inode);
    let (builder, contents): (_, &[u8]) = match entry {
        Entry::Directory => {
            (builder.mode(0o755).set_mode_file_type(ModeFileType::Directory).nlink(2), &[])
        }
        Entry::Program(contents) => {
            (builder.mode(0o755).set_mode_file_type(ModeFileType::Regular), contents)
        }
        Entry::Link(target) => {
            (builder.mode(0o777).set_mode_file_type(ModeFileType::Symlink), target.as_bytes())
        }
        Entry::Device(major, minor) => {
            let builder = builder.mode(0o600).set_mode_file_type(ModeFileType::Char);
            (builder.rdev_major(*major).rdev_minor(*minor), &[])
        }
    };
    let size = u32::try_from(contents.len()).map_err(io::Error::other)?;
    let mut writer = builder.write(archive, size);
    io::Write::write_all(&mut writer, contents)?;
    writer.finish().map(|_| ())
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::{env, fs, process};

    use super::archive;
    use crate::{paths, tool::Tool};

    /// The other witness is the cpio of this machine's busybox or its own, where there is one.
    fn listed(archive: &[u8]) -> Option<String> {
        let program = paths::program("cpio")?;
        let file = env::temp_dir().join(format!("lychgate-cpio-{}", process::id()));
        fs::write(&file, archive).unwrap();
        let limit = Duration::from_secs(60);
        let list = Tool::new(program, limit).arg("-tvF").arg(&file).stdout().unwrap();
        fs::remove_file(&file).unwrap();
        Some(list)
    }

    /// The fields of the header at `at`: name, mode, size, major and minor, and the next header.
    fn header(archive: &[u8], at: usize) -> (String, u32, usize, (u32, u32), usize) {
        assert_eq!(&archive[at..at + 6], b"070701");
        let field = |index: usize| {
            let start = at + 6 + index * 8;
            let text = core::str::from_utf8(&archive[start..start + 8]).unwrap();
            u32::from_str_radix(text, 16).unwrap()
        };
        let (size, name_size) = (field(6) as usize, field(11) as usize);
        let name = &archive[at + 110..at + 110 + name_size - 1];
        let data = (at + 110 + name_size).next_multiple_of(4);
        let name = String::from_utf8(name.to_vec()).unwrap();
        (name, field(1), size, (field(9), field(10)), (data + size).next_multiple_of(4))
    }

    #[test]
    fn the_archive_has_what_the_kernel_needs() {
        let archive = archive(b"\x7fELF...", Some(b"#!/bin/sh\n")).unwrap();
        let (mut at, mut entries) = (0, Vec::new());
        while at < archive.len() {
            let (name, mode, size, device, next) = header(&archive, at);
            at = next;
            if name == "TRAILER!!!" {
                break;
            }
            entries.push((name, mode, size, device));
        }
        let find = |name: &str| entries.iter().find(|entry| entry.0 == name).unwrap();
        assert_eq!(find("dev/console").1, 0o020_600);
        assert_eq!(find("dev/console").3, (5, 1));
        assert_eq!(find("bin/busybox"), &("bin/busybox".into(), 0o100_755, 7, (0, 0)));
        assert_eq!(find("bin/sh"), &("bin/sh".into(), 0o120_777, 7, (0, 0)));
        assert_eq!(find("init").1, 0o100_755);
        assert_eq!(find("script").2, 10);
        assert_eq!(find("proc").1, 0o040_755);
        if let Some(list) = listed(&archive) {
            assert_eq!(list.lines().count(), entries.len(), "{list}");
        }
    }
}
