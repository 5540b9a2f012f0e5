// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one link rule of every bare-metal binary: static, at the addresses of its own `link.ld`.
//!
//! Each such crate says `build = "../build.rs"`. On the host (unit tests, clippy) there is nothing
//! to do, because there the binaries are empty shells.

use std::{env, path::PathBuf};

fn main() {
    let script =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("link.ld");
    println!("cargo::rerun-if-changed={}", script.display());
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    for argument in ["--no-pie", "-static", "-zmax-page-size=4096", "-znorelro", "--build-id=none"]
    {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    println!("cargo::rustc-link-arg-bins=-T{}", script.display());
}
