// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests that cannot be run: `cargo xtask run` says why in one line, the emulator and the paravisor
//! do if they are given such an image all the same.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::Trial;
use xtask::guest::Guest;
use xtask::machine::{Exit, Scratch};

use crate::stand::{Stand, Verdict, check, ended, said, scenario};

/// Where the made-up kernel wants to unpack itself.
const PREFERRED: u64 = 16 << 20;

/// How much memory it takes for that.
const UNPACKED: u32 = 8 << 20;

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    vec![
        scenario("bad_guest::what_is_no_kernel_is_called_by_its_name", || {
            refused("linux --kernel @text", b"hello", "not a bzImage but a text")
        }),
        scenario("bad_guest::an_old_kernel_is_refused", || {
            let mut old = kernel("2.6.24");
            old[0x206] = 8;
            refused("linux --kernel @old", &old, "boot protocol 2.08 is too old: 2.12 is needed")
        }),
        scenario("bad_guest::a_file_that_is_missing_is_named", || {
            refused("linux --kernel /nonexistent", b"", "cannot read /nonexistent")
        }),
        scenario("bad_guest::an_initrd_that_is_missing_is_named", || {
            refused("linux --kernel @6.1 --initrd /gone", &kernel("6.1.0"), "cannot read /gone")
        }),
        scenario("bad_guest::an_initrd_larger_than_memory_is_refused_with_what_would_do", || {
            let words = "linux --kernel @6.1 --initrd @6.1 --memory 40";
            refused(words, &kernel("6.1.0"), "the guest needs --memory 48 at least, not 40")
        }),
        scenario("bad_guest::an_old_linux_is_not_shown_hyperv", || {
            let words = "linux --kernel @6.1 --identity hyperv";
            refused(words, &kernel("6.1.0"), "--identity hyperv needs Linux 6.12 or newer")
        }),
        scenario("bad_guest::an_old_linux_gets_no_disk", || {
            let words = "linux --kernel @6.1 --disk @6.1";
            refused(words, &kernel("6.1.0"), "--disk needs Linux 6.12 or newer")
        }),
        scenario("bad_guest::a_disk_that_is_missing_is_named", || {
            refused("linux --disk /no/disk", b"", "cannot open /no/disk")
        }),
        scenario("bad_guest::options_for_linux_are_for_linux", || {
            refused("relay --kernel @kernel", b"", "--kernel is of no use to this guest")
        }),
        scenario("bad_guest::a_command_line_too_long_for_the_kernel_is_refused", || {
            let words = format!("linux --kernel @6.1 --initrd @6.1 --append {}", "x".repeat(2048));
            refused(&words, &kernel("6.1.0"), "its kernel takes 2047")
        }),
        scenario("bad_guest::the_emulator_refuses_an_image_beyond_the_tds_memory", beyond_memory),
        scenario("bad_guest::the_paravisor_wants_room_behind_the_guest", no_room),
    ]
}

/// A file that passes for a Linux kernel and holds nothing to run.
fn kernel(version: &str) -> Vec<u8> {
    let mut file = vec![0xf4; 0x8000];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[39]);
    put(0x1fe, &[0x55, 0xaa]);
    put(0x202, b"HdrS\x0f\x02");
    put(0x20e, &0x100u16.to_le_bytes());
    put(0x22c, &0x7fff_ffffu32.to_le_bytes());
    put(0x236, &0x7fu16.to_le_bytes());
    put(0x238, &2047u32.to_le_bytes());
    put(0x258, &PREFERRED.to_le_bytes());
    put(0x260, &UNPACKED.to_le_bytes());
    put(0x300, version.as_bytes());
    put(0x300 + version.len(), b" \0");
    file
}

/// `cargo xtask run --guest …` fails with one line that has `why` in it; a word that begins with `@`
/// becomes the path of a file that holds `contents`.
pub(crate) fn refused(words: &str, contents: &[u8], why: &str) -> Verdict {
    let scratch = Scratch::new().map_err(|failure| failure.to_string())?;
    let mut arguments = vec!["run".to_owned(), "--guest".to_owned()];
    for word in words.split(' ') {
        arguments.push(match word.strip_prefix('@') {
            Some(name) => written(&scratch, name, contents)?.display().to_string(),
            None => word.to_owned(),
        });
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["run", "--quiet", "--package", "xtask", "--"])
        .args(arguments)
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    check!(output.status.code() == Some(1), "{}: {text}", output.status);
    check!(lines.len() == 1 && lines[0].contains(why), "not \"{why}\" but {text}");
    check!(output.stdout.is_empty(), "there are results");
    Ok(())
}

/// Writes a file to be named to somebody.
pub(crate) fn written(scratch: &Scratch, name: &str, contents: &[u8]) -> Result<PathBuf, String> {
    let path = scratch.path().join(name);
    fs::write(&path, contents).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// A guest that cannot run and whose files reach from 24 MiB to 24 MiB and 40 KiB.
pub(crate) fn small_linux() -> Result<Guest, String> {
    let scratch = Scratch::new().map_err(|failure| failure.to_string())?;
    let path = written(&scratch, "kernel", &kernel("6.1.0"))?;
    Guest::linux(&path, Some(vec![1; 0x2000])).map_err(|failure| failure.to_string())
}

/// The TD's memory ends before the guest's files do.
fn beyond_memory() -> Verdict {
    // Few emulated TDs are that small, so the files are moved up by a larger kernel.
    let guest = small_linux()?.with_initrd(vec![1; 10 << 20]);
    Stand::of_guest(1, guest, "").memory(32).run(|outcome| {
        ended(outcome, &Exit::BAD_START)?;
        said(outcome, "L0 | error: ", "beyond the TD's memory: memory=36 would do")
    })
}

/// The files end where the paravisor's own memory begins.
fn no_room() -> Verdict {
    Stand::of_guest(1, small_linux()?, "").memory(46).run(|outcome| {
        ended(outcome, &Exit::TD_DIED)?;
        said(outcome, "L1 | error", "the guest's files reach to 0x180a000")
    })
}
