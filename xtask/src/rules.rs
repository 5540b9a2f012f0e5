// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules for source files that no other tool checks: licence, size, nothing left undone.
//!
//! It also counts the modules that may hold unsafe code: each names its reason where it says so,
//! and together they are what an auditor has to read.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::{Result, failure::Context};

/// What every source file begins with.
const LICENCE: &str = "SPDX-License-Identifier: MIT OR Apache-2.0";

/// The most lines that a file may have.
const MOST_LINES: usize = 600;

/// What a module with unsafe code says, in two parts so as not to count this one.
const UNSAFE: &str = concat!("expect(", "unsafe_code");

/// Words that stand for work not done; in parts for the same reason.
const UNDONE: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];

/// Directories with nothing of ours in them.
const SKIPPED: [&str; 2] = ["target", ".git"];

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// One line for each breach of a rule.
    pub(crate) breaches: Vec<String>,
    /// Modules with unsafe code by top-level directory.
    pub(crate) unsafe_modules: BTreeMap<String, usize>,
}

/// Checks every source file below `root`.
pub(crate) fn check(root: &Path) -> Result<Found> {
    let mut found = Found::default();
    for path in files(root)? {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let name = path.strip_prefix(root).unwrap_or(&path);
        check_file(name, &text, &mut found);
    }
    Ok(found)
}

fn check_file(name: &Path, text: &str, found: &mut Found) {
    let extension = name.extension().unwrap_or_default().to_string_lossy().into_owned();
    let shown = name.display();
    let mut breach = |what: String| found.breaches.push(format!("{shown}: {what}"));
    if ["rs", "toml", "ld", "S"].contains(&extension.as_str()) {
        if !text.lines().next().is_some_and(|line| line.contains(LICENCE)) {
            breach(format!("line 1 is not the licence line ({LICENCE})"));
        }
        for (index, line) in text.lines().enumerate() {
            if let Some(word) = UNDONE.iter().find(|word| line.contains(*word)) {
                breach(format!("line {} says {word}", index + 1));
            }
        }
    }
    if extension == "rs" {
        let lines = text.lines().count();
        if lines > MOST_LINES {
            breach(format!("{lines} lines, {MOST_LINES} are the most"));
        }
        let count = text.matches(UNSAFE).count();
        if count > 0 {
            let package = name.iter().next().unwrap_or_default().to_string_lossy().into_owned();
            *found.unsafe_modules.entry(package).or_default() += count;
        }
    }
}

/// Returns all files below `root`, in a stable order.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut directories) = (Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = directories.pop() {
        let entries =
            fs::read_dir(&directory).context(|| format!("cannot list {}", directory.display()))?;
        for entry in entries.flatten() {
            let path = entry.path();
            let skipped = SKIPPED.iter().any(|name| entry.file_name() == *name);
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                files.push(path);
            } else if !skipped {
                directories.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Found, LICENCE, MOST_LINES, check_file};

    fn check(name: &str, text: &str) -> Found {
        let mut found = Found::default();
        check_file(Path::new(name), text, &mut found);
        found
    }

    #[test]
    fn a_file_that_keeps_the_rules_passes() {
        let text = format!("// {LICENCE}\n//! Doc.\n");
        assert_eq!(check("cpu/src/lib.rs", &text), Found::default());
        assert_eq!(check("README.md", "anything"), Found::default());
    }

    #[test]
    fn each_breach_is_named() {
        let breaches = |name, text: &str| check(name, text).breaches;
        assert_eq!(breaches("a/b.rs", "fn main() {}\n").len(), 1);
        let undone = format!("# {LICENCE}\n# {}: later\n", super::UNDONE[0]);
        let expected = format!("Cargo.toml: line 2 says {}", super::UNDONE[0]);
        assert_eq!(breaches("Cargo.toml", &undone), [expected]);
        let long = format!("// {LICENCE}\n{}", "\n".repeat(MOST_LINES));
        assert_eq!(breaches("a/b.rs", &long).len(), 1);
    }

    #[test]
    fn unsafe_modules_are_counted_by_package() {
        let text = format!("// {LICENCE}\n#![{}, reason = \"\")]\n", super::UNSAFE);
        let found = check("cpu/src/msr.rs", &text);
        assert_eq!(found.unsafe_modules["cpu"], 1);
    }
}
