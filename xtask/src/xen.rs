// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xen as Debian ships it: a kernel that starts by multiboot and that nobody wrote for this project.

use std::path::PathBuf;

use crate::{
    Result,
    debian_package::{Wanted, itself, provide},
};

const XEN: Wanted = Wanted {
    place: "xen-4.17",
    suites: &["bookworm"],
    entry: "xen-hypervisor-4.17-amd64",
    select: itself,
    is_file: |path| path.starts_with("boot/xen-") && path.ends_with(".gz"),
    advice: "Connect this machine to Debian's archive and run the command again",
};

/// Returns the hypervisor's file, which is compressed, fetching it if it is not in the cache.
///
/// # Errors
///
/// If it is not in the cache and cannot be fetched; the failure says what to do.
pub fn xen() -> Result<PathBuf> {
    provide(&XEN).map(|(path, _)| path)
}
