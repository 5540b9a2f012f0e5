// SPDX-License-Identifier: MIT OR Apache-2.0
//! Replays every corpus, and checks that targets, binaries and corpora are the same list.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use core::panic::AssertUnwindSafe;
use std::{
    fs, panic,
    path::{Path, PathBuf},
};

use lychgate_fuzz::TARGETS;

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn names(path: &Path) -> Vec<String> {
    let name = |entry: fs::DirEntry| entry.path().file_stem().unwrap().to_str().unwrap().to_owned();
    let mut names: Vec<_> = fs::read_dir(path).unwrap().map(|entry| name(entry.unwrap())).collect();
    names.sort();
    names
}

#[test]
fn every_target_has_a_binary_and_a_corpus() {
    let mut targets: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    targets.sort();
    assert_eq!(names(&directory("fuzz_targets")), targets);
    assert_eq!(names(&directory("corpus")), targets);
}

#[test]
fn no_input_that_was_kept_finds_anything() {
    for (name, target) in TARGETS {
        let mut inputs = 0;
        for entry in fs::read_dir(directory("corpus").join(name)).unwrap() {
            let path = entry.unwrap().path();
            let input = fs::read(&path).unwrap();
            let run = AssertUnwindSafe(|| target(&input));
            assert!(panic::catch_unwind(run).is_ok(), "{}", path.display());
            inputs += 1;
        }
        assert!(inputs > 0, "{name} has no corpus");
    }
}
