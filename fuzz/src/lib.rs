// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fuzz targets: what a hostile host or L2 can send, and what must hold whatever it sends.
//!
//! The directory is laid out as cargo-fuzz has it: a binary a target in `fuzz_targets/`, inputs that are
//! worth keeping in `corpus/`. What a target *does* is a function here, so that three things can call it:
//!
//! - libFuzzer, in a build with `--cfg fuzzing`: `cargo xtask fuzz vmbus_messages --seconds 600`, on
//!   stable Rust, or `cargo fuzz run -s none vmbus_messages`;
//! - the same binary in an ordinary build, which runs the files it is given: how to look at a finding;
//! - `cargo test`, which replays every corpus.
//!
//! A target fails by panicking; the crates under test must not, and the targets assert what holds.
#![expect(clippy::expect_used, reason = "a target that panics has found something")]

use std::{env, fs, path::PathBuf, process::ExitCode};

/// A host that fills message slots and sets event flags.
pub mod synic_pages;

/// A host that sends messages, and a client that goes on as if nothing had happened.
pub mod vmbus_messages;

/// A host that sends payloads of proxy interrupts.
pub mod proxy_payload;

/// A host that writes into a ring.
pub mod ring_reader;

/// A host that reads from a ring.
pub mod ring_writer;

/// A host that answers TDVMCALLs.
pub mod tdvmcall_results;

/// An L2 that writes to configuration space, and a host that answers reads of it.
pub mod pci_accesses;

/// An L2 whose instructions L1 decodes.
pub mod mmio_instructions;

/// A host that answers requests for quotes.
pub mod quote_answers;

/// A host that lists memory, and files that are no kernels.
pub mod boot_files;

/// Somebody who answers where interrupt pins lead, and a host with a MADT.
pub mod route_answers;

/// A host with AML.
pub mod aml_tables;

/// A host with ACPI files and a script for them.
pub mod acpi_files;

mod input;

pub use input::Input;

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// All targets, by the names of their binaries and corpora.
pub const TARGETS: [(&str, Target); 13] = [
    ("vmbus_messages", vmbus_messages::run),
    ("synic_pages", synic_pages::run),
    ("proxy_payload", proxy_payload::run),
    ("ring_reader", ring_reader::run),
    ("ring_writer", ring_writer::run),
    ("tdvmcall_results", tdvmcall_results::run),
    ("pci_accesses", pci_accesses::run),
    ("mmio_instructions", mmio_instructions::run),
    ("quote_answers", quote_answers::run),
    ("boot_files", boot_files::run),
    ("route_answers", route_answers::run),
    ("aml_tables", aml_tables::run),
    ("acpi_files", acpi_files::run),
];

/// Makes the body of a binary: libFuzzer's entry, or a `main` that runs files.
#[macro_export]
macro_rules! fuzz_binary {
    ($target:path) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|input: &[u8]| $target(input));

        #[cfg(not(fuzzing))]
        fn main() -> std::process::ExitCode {
            $crate::run_files($target)
        }
    };
}

/// Runs a target on the files that the command line names.
#[must_use]
pub fn run_files(target: Target) -> ExitCode {
    for path in env::args_os().skip(1).map(PathBuf::from) {
        match fs::read(&path) {
            Ok(input) => target(&input),
            Err(error) => {
                eprintln!("{}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
