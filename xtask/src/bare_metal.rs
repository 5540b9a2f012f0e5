// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bare-metal builds: how cargo is called for the target that the images run on.
//!
//! The flags are given as configuration of the target, so that build scripts and procedural macros
//! are built as for the host. `RUSTFLAGS` would override them and is therefore taken away.

use core::time::Duration;

use crate::{
    Result, paths,
    sysroot::{CoreLibrary, provide},
    tool::Tool,
    toolchain::{TARGET, Toolchain, cargo},
};

/// The packages that are bare-metal programs.
pub(crate) const PROGRAMS: [&str; 5] =
    ["tdx-emu", "paravisor", "relay-guest", "aml-vm", "td-probe"];

/// What the workspace's root is called in debug information, on whatever machine it was built.
pub(crate) const REMAPPED_ROOT: &str = "/lychgate";

/// What the directory of other people's crates is called there.
pub(crate) const REMAPPED_REGISTRY: &str = "/registry";

/// What the processor has beside what all have: every one with TDX has POPCNT, which works on general
/// registers.
const FEATURES: &str = "-Ctarget-feature=+popcnt";

/// Arguments of cargo for a program of the host that measures what the images consist of: the same
/// instructions.
pub(crate) fn measured_on_the_host() -> [String; 2] {
    let flags = format!("target.'cfg(target_arch = \"x86_64\")'.rustflags=['{FEATURES}']");
    ["--config".to_owned(), flags]
}

/// How to call cargo.
#[derive(Clone, Debug)]
pub(crate) struct BareMetal {
    /// One `--config` value each.
    configuration: Vec<String>,
}

impl BareMetal {
    /// Returns how to call cargo, after providing the core library if need be.
    pub(crate) fn provide() -> Result<Self> {
        let toolchain = Toolchain::find()?;
        let library = provide(&toolchain)?;
        let mut common = vec!["--cfg".to_owned(), "sha2_backend=\"soft\"".to_owned()];
        if let CoreLibrary::Directory(directory) = library {
            common.extend(["--sysroot".to_owned(), directory.display().to_string()]);
        }
        // The code model stays the target's own, because the core library was built with it and
        // link-time optimisation refuses to mix them; position-independent code suits any address.
        let code = ["-Crelocation-model=pic", "-Cforce-frame-pointers=yes", FEATURES];
        let mut build = code.map(str::to_owned).to_vec();
        build.extend(remaps());
        let mut linker = None;
        if !toolchain.has_linker() {
            // Debian's compiler comes without a linker of its own; GNU's does as well.
            build.push("-Clinker-flavor=ld".to_owned());
            linker = Some("linker='ld'".to_owned());
        }
        let flags = |key: &str, flags: &[String]| format!("{key}={flags:?}");
        let keys =
            [flags("rustflags", &[build, common.clone()].concat()), flags("rustdocflags", &common)];
        let keys = keys.into_iter().chain(linker);
        Ok(Self { configuration: keys.map(|key| format!("target.{TARGET}.{key}")).collect() })
    }

    /// Returns cargo about to do `subcommand` for the target.
    pub(crate) fn cargo(&self, subcommand: &str, limit: Duration) -> Tool {
        let configuration = self.configuration.iter().flat_map(|value| ["--config", value]);
        ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTDOCFLAGS", "CARGO_BUILD_RUSTFLAGS"]
            .into_iter()
            .fold(Tool::new(cargo(), limit), Tool::env_remove)
            .args([subcommand, "--target", TARGET])
            .args(configuration)
            .directory(paths::root())
    }
}

/// Returns the flags that keep this machine's directories out of what is built.
fn remaps() -> Vec<String> {
    let root = Some((paths::root().to_owned(), REMAPPED_ROOT));
    let registry = paths::registry().map(|registry| (registry, REMAPPED_REGISTRY));
    let flag = |(path, name): (std::path::PathBuf, &str)| {
        format!("--remap-path-prefix={}={name}", path.display())
    };
    [registry, root].into_iter().flatten().map(flag).collect()
}
