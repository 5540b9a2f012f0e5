// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copying the payload into L2's memory, with the page that tells it about itself.
//!
//! L2's RAM was accepted, so it is zero wherever the payload has no bytes. The start info takes the
//! last page of L2's RAM, which no segment may touch.

use core::fmt;

use paravisor::{guest_memory::GuestMemory, pvh, start_info};

use tdvf::payload::GuestKind;

use crate::{
    memory::{guest::GuestRam, map::TD_HOB},
    payload::Guest,
};

/// Where L2 starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loaded {
    /// The entry point.
    pub(super) entry: u32,
    /// The start info.
    pub(super) start_info: u32,
}

/// Why the payload cannot run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Error {
    /// There is no way to start such a file.
    Kind(GuestKind),
    /// The file is not one we load.
    File(pvh::Error),
    /// A segment could not be copied, which the plan should have ruled out.
    Copy(u64),
    /// The command line does not fit into the start info's page.
    CommandLine,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "there is no way to start a guest of kind {kind:?}"),
            Self::File(error) => write!(f, "{error}"),
            Self::Copy(gpa) => write!(f, "the segment at {gpa:#x} cannot be copied"),
            Self::CommandLine => f.write_str("the command line is too long"),
        }
    }
}

/// Loads `guest`, whose command line is `command_line`.
pub(super) fn load(guest: Guest, command_line: &str, shared_bit: u64) -> Result<Loaded, Error> {
    if guest.kind() != GuestKind::Elf {
        return Err(Error::Kind(guest.kind()));
    }
    let mut ram = GuestRam::get();
    clear_hand_off(&mut ram)?;
    let page = ram.end() - start_info::PAGE as u64;
    let plan = pvh::plan(guest.kernel(), page).map_err(Error::File)?;
    for segment in plan.segments() {
        if !ram.write(segment.gpa, segment.bytes) {
            return Err(Error::Copy(segment.gpa));
        }
    }
    let mut info = [0; start_info::PAGE];
    let shared = SharedBit::of(shared_bit);
    if !start_info::fill(&mut info, page, ram.end(), [command_line, shared.text()]) {
        return Err(Error::CommandLine);
    }
    let start_info = u32::try_from(page).map_err(|_| Error::Copy(page))?;
    if !ram.write(page, &info) {
        return Err(Error::Copy(page));
    }
    Ok(Loaded { entry: plan.entry, start_info })
}

/// The hand-off blocks lie in what is L2's RAM now, and hold what the host wrote.
fn clear_hand_off(ram: &mut GuestRam) -> Result<(), Error> {
    let page = [0; start_info::PAGE];
    for gpa in TD_HOB.step_by(page.len()) {
        if !ram.write(gpa, &page) {
            return Err(Error::Copy(gpa));
        }
    }
    Ok(())
}

/// What tells L2 which addresses are shared. There are two kinds of TD.
struct SharedBit(u64);

impl SharedBit {
    const fn of(bit: u64) -> Self {
        Self(bit)
    }

    const fn text(&self) -> &'static str {
        if self.0 == 1 << 51 { "shared_bit=51" } else { "shared_bit=47" }
    }
}
