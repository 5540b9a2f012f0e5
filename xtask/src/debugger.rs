// SPDX-License-Identifier: MIT OR Apache-2.0
//! What gdb must be told: where the machine listens, whose symbols are where, where L1 begins.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Result,
    bare_metal::{REMAPPED_REGISTRY, REMAPPED_ROOT},
    builds::Builds,
    failure::Context,
    paths,
};

/// Where every virtual CPU of the TD begins, and the machine's own CPUs before that.
const RESET_VECTOR: u64 = 0xffff_fff0;

/// Writes the command file and returns the command line that uses it.
pub(crate) fn prepare(builds: &Builds, port: u16) -> Result<String> {
    let path = paths::images()?.join("debug.gdb");
    fs::write(&path, commands(builds, port))
        .context(|| format!("cannot write {}", path.display()))?;
    Ok(format!("gdb -x {}", path.display()))
}

fn commands(builds: &Builds, port: u16) -> String {
    let registry = paths::registry().unwrap_or_else(|| PathBuf::from(REMAPPED_REGISTRY));
    let Builds { emulator, paravisor, guest, .. } = builds;
    let level = |name: &str, program: &Path| {
        let (program, paravisor) = (program.display(), paravisor.display());
        format!(
            "define {name}\nsymbol-file {program}\nadd-symbol-file {paravisor}\nend\n\
             document {name}\nUse the symbols of {program}, and L1's.\nend\n"
        )
    };
    [
        "# L0 and L2 share addresses, so there is a command for the symbols of either.\n",
        "set pagination off\nset confirm off\nset architecture i386:x86-64\n",
        &format!("set substitute-path {REMAPPED_ROOT} {}\n", paths::root().display()),
        &format!("set substitute-path {REMAPPED_REGISTRY} {}\n", registry.display()),
        &level("l0", emulator),
        &level("l2", guest),
        "l0\n",
        &format!("target remote :{port}\n"),
        "# The machine waits where L1 begins, too: one step away, the next stop there is L1's.\n",
        &format!("stepi\nhbreak *{RESET_VECTOR:#x}\n"),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::commands;
    use crate::builds::Builds;

    #[test]
    fn gdb_gets_all_symbols_and_stops_where_l1_begins() {
        let builds = Builds {
            emulator: "/e".into(),
            paravisor: "/p".into(),
            guest: "/g".into(),
            aml_vm: "/a".into(),
            probe: "/q".into(),
        };
        let text = commands(&builds, 4321);
        for line in [
            "symbol-file /e",
            "symbol-file /g",
            "add-symbol-file /p",
            "l0",
            "target remote :4321",
            "hbreak *0xfffffff0",
        ] {
            assert!(text.lines().any(|found| found == line), "{text}");
        }
    }
}
