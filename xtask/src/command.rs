// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commands of `cargo xtask`, a file each.

/// Runs the image in the emulator.
mod run;

/// Builds the image.
mod image;

/// Which guest.
mod guest_options;

/// Takes the tables of a machine.
mod tables;

/// Boots Linux kernels over and over.
mod boots;

/// Measures the relay beside the alternatives.
mod bench;

/// Takes very many interrupts.
mod stress;

/// Has a host do what seeds say.
mod hostile;

/// Gives TDs tables that were changed.
mod hostile_tables;

/// Looks for inputs that break what holds.
mod fuzz;

/// Checks everything.
mod test;

/// Checks the source without running it.
mod lint;

/// Compares numbers with those that must be kept.
mod gates;

/// Says what is missing.
mod doctor;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::Result;

/// Builds, runs and checks Lychgate.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the image in the emulator and show what became of each interrupt
    Run(run::Options),
    /// Build the image, its measurements and checksums
    Image(image::Options),
    /// Take the ACPI tables of a machine of QEMU's, to give them to a TD
    Tables(tables::Options),
    /// Boot Linux kernels over and over, each beside a boot directly on QEMU
    Boots(boots::Options),
    /// Measure the relay beside the alternatives: a table, JSON, and a page with plots
    Bench(bench::Options),
    /// Take very many interrupts on several CPUs while mappings come and go
    Stress(stress::Options),
    /// Run guests on a host that lies, interrupts and scribbles as a seed says
    Hostile(hostile::Options),
    /// Run a guest on a host that gives its TD changed ACPI tables, as a seed says
    HostileTables(hostile_tables::Options),
    /// Run fuzz targets under libFuzzer
    Fuzz(fuzz::Options),
    /// Check everything: unit tests, loom, lints, gates, end-to-end tests
    Test(test::Options),
    /// What the continuous integration runs; the same as `test`
    Ci(test::Options),
    /// Check format, lints, documentation and the house's own rules
    Lint,
    /// Measure the relay and compare it with the numbers that it must keep
    Gates(gates::Options),
    /// Say what this machine lacks and how to get it
    Doctor,
}

/// Runs the command that the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    match dispatch(Arguments::parse().command) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode> {
    match command {
        Command::Run(options) => run::run(&options),
        Command::Image(options) => image::run(&options),
        Command::Tables(options) => tables::run(&options),
        Command::Boots(options) => boots::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Stress(options) => stress::run(&options),
        Command::Hostile(options) => hostile::run(&options),
        Command::HostileTables(options) => hostile_tables::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Test(options) | Command::Ci(options) => test::run(&options),
        Command::Lint => lint::run(),
        Command::Gates(options) => gates::run(&options),
        Command::Doctor => doctor::run(),
    }
}
