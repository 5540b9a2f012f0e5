// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copying the payload into L2's memory, with what tells it about itself.
//!
//! L2's RAM was accepted, so it is zero wherever the payload has no bytes, but for the reset vector.

/// ELF files and multiboot kernels.
mod kernel;

/// Linux kernels.
mod linux;

use core::fmt;

use paravisor::{
    command_line::Options,
    guest_memory::GuestMemory,
    hand_off::TooLong,
    kernel::Error as Refused,
    platform::{RESET_CODE, RESET_VECTOR},
};
use tdvf::payload::GuestKind;

use crate::{
    memory::{guest::GuestRam, map::TD_HOB},
    payload::Guest,
};

/// How L2's first CPU starts. All addresses are L2's physical ones.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    /// By PVH.
    Pvh {
        /// The entry point.
        entry: u32,
        /// The start info.
        start_info: u32,
    },
    /// By multiboot.
    Multiboot {
        /// The entry point.
        entry: u32,
        /// The multiboot information.
        information: u32,
    },
    /// By the 64-bit entry of Linux.
    Linux {
        /// The entry point.
        entry: u64,
        /// The boot parameters.
        boot_params: u64,
    },
}

/// Why the payload cannot run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Error {
    /// The Linux kernel cannot be started.
    Linux(linux::Error),
    /// The file is not one we load.
    Kernel(Refused),
    /// The file that came with the kernel is not in L2's RAM.
    Module(u64),
    /// Bytes could not be copied, which checks before should have ruled out.
    Copy(u64),
    /// The command line does not fit.
    CommandLine,
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pvh { entry, .. } => write!(f, "start=pvh entry={entry:#x}"),
            Self::Linux { entry, .. } => write!(f, "start=linux entry={entry:#x}"),
            Self::Multiboot { entry, .. } => write!(f, "start=multiboot entry={entry:#x}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(error) => write!(f, "{error}"),
            Self::Module(gpa) => write!(f, "the initial RAM disk at {gpa:#x} is not in L2's RAM"),
            Self::Copy(gpa) => write!(f, "nothing can be copied to {gpa:#x}"),
            Self::Linux(error) => write!(f, "{error}"),
            Self::CommandLine => f.write_str("the command line is too long"),
        }
    }
}

impl From<TooLong> for Error {
    fn from(_: TooLong) -> Self {
        Self::CommandLine
    }
}

/// Loads `guest` as `options` ask for.
pub(super) fn load(guest: Guest, options: &Options<'_>, shared_bit: u64) -> Result<Start, Error> {
    let mut ram = GuestRam::get();
    clear_hand_off(&mut ram)?;
    put(&mut ram, RESET_VECTOR, &RESET_CODE)?;
    match guest.kind() {
        GuestKind::Elf | GuestKind::Multiboot => {
            kernel::load(&mut ram, &guest, options, shared_bit)
        }
        GuestKind::Linux => linux::load(&mut ram, &guest, options.guest)
            .map(|(entry, boot_params)| Start::Linux { entry, boot_params })
            .map_err(Error::Linux),
    }
}

/// The hand-off blocks lie in what is L2's RAM now, and hold what the host wrote.
fn clear_hand_off(ram: &mut GuestRam) -> Result<(), Error> {
    const PAGE: [u8; 0x1000] = [0; 0x1000];
    TD_HOB.step_by(PAGE.len()).try_for_each(|gpa| put(ram, gpa, &PAGE))
}

fn put(ram: &mut GuestRam, gpa: u64, bytes: &[u8]) -> Result<(), Error> {
    if ram.write(gpa, bytes) { Ok(()) } else { Err(Error::Copy(gpa)) }
}
