// SPDX-License-Identifier: MIT OR Apache-2.0
//! The programs of a run, as ELF files with symbols.

use core::time::Duration;
use std::path::PathBuf;

use crate::{
    Result,
    bare_metal::{BareMetal, PROGRAMS},
    paths,
    progress::step,
    toolchain::TARGET,
};

const LIMIT: Duration = Duration::from_secs(1200);

/// What was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Builds {
    /// The emulator: QEMU's kernel.
    pub emulator: PathBuf,
    /// The paravisor: most of the image.
    pub paravisor: PathBuf,
    /// The guest that the image carries.
    pub guest: PathBuf,
    /// What runs the AML of the host's tables; part of the image.
    pub aml_vm: PathBuf,
    /// What checks the TDX module in the paravisor's place.
    pub probe: PathBuf,
}

impl Builds {
    /// Builds them, after providing what is needed for that.
    ///
    /// # Errors
    ///
    /// If something cannot be provided or does not build; the failure has the compiler's words.
    pub fn make() -> Result<Self> {
        let bare_metal = BareMetal::provide()?;
        let packages = PROGRAMS.iter().flat_map(|program| ["--package", program]);
        let cargo = bare_metal.cargo("build", LIMIT).args(["--release", "--quiet"]).args(packages);
        step("build", &PROGRAMS.join(", "), || cargo.stdout())?;
        Ok(Self::made())
    }

    /// Returns where they are once built.
    pub(crate) fn made() -> Self {
        let directory = paths::target().join(TARGET).join("release");
        let programs = PROGRAMS.map(|program| directory.join(program));
        let [emulator, paravisor, guest, aml_vm, probe] = programs;
        Self { emulator, paravisor, guest, aml_vm, probe }
    }
}
