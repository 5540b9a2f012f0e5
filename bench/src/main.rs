// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program that `cargo xtask bench` builds and runs: once under callgrind, once for itself.

use std::{fs, io, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use lychgate_bench::{
    instructions,
    measure::effort::Effort,
    page,
    session::{self, Order},
    terminal,
};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Do what callgrind is to count; it writes its files itself
    Count,
    /// Measure, print tables, write `bench.json` and `bench.html`
    Measure(Measure),
}

#[derive(Debug, clap::Args)]
struct Measure {
    /// Measure a little of everything
    #[arg(long)]
    quick: bool,
    /// Where callgrind's files are
    #[arg(long)]
    counts: Option<PathBuf>,
    /// Where results go
    #[arg(long)]
    output: PathBuf,
    /// What compiled this
    #[arg(long, default_value = "unknown")]
    compiler: String,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Count => {
            instructions::perform();
            Ok(())
        }
        Command::Measure(options) => measure(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the tables are what the program is for")]
fn measure(options: Measure) -> io::Result<()> {
    let order = Order {
        effort: if options.quick { Effort::QUICK } else { Effort::FULL },
        quick: options.quick,
        counts: options.counts.as_deref().map(instructions::read).unwrap_or_default(),
        compiler: options.compiler,
    };
    let results = session::run(&order, &mut |step| eprintln!("   bench  {step}"));
    fs::create_dir_all(&options.output)?;
    fs::write(options.output.join("bench.json"), results.json()?)?;
    fs::write(options.output.join("bench.html"), page::page(&results))?;
    println!("{}", terminal::tables(&results));
    Ok(())
}
