// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask`: see `xtask::command` for what it can do.

use std::process::ExitCode;

fn main() -> ExitCode {
    xtask::command::main()
}
