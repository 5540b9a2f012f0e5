// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Linux kernel: the kernel proper is moved to where it wants to be, the boot parameters and the
//! command line go to the platform area. The initial RAM disk stays where the host put it.
//!
//! Spec: LINUX "64-bit Boot Protocol".

use core::fmt;

use paravisor::{
    guest_memory::GuestMemory,
    linux::{
        boot_params::{self, Told},
        setup_header::{self, HEAD, SetupHeader},
    },
    platform_area::PlatformArea,
    width::{index, wide},
};
use tdvf::payload::Extent;

use crate::{memory::guest::GuestRam, payload::Guest};

/// Why a kernel is not started.
#[derive(Clone, Copy, Debug)]
pub(in crate::l2) enum Error {
    /// It is none.
    Header(setup_header::Error),
    /// The memory it needs at first ends here, which is too far up.
    Memory(u64),
    /// The initial RAM disk is where the kernel cannot use it.
    Initrd(Extent),
    /// The command line is longer than the kernel takes.
    CommandLine(usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(error) => write!(f, "{error}"),
            Self::Memory(end) => write!(f, "the kernel needs memory up to {end:#x}"),
            Self::Initrd(Extent { address, length }) => {
                write!(f, "the kernel cannot use an initrd at {address:#x}+{length:#x}")
            }
            Self::CommandLine(length) => {
                write!(f, "the kernel takes no command line of {length} bytes")
            }
        }
    }
}

/// Loads the kernel. Returns the entry point and where the boot parameters are.
pub(super) fn load(
    ram: &mut GuestRam,
    guest: &Guest,
    command_line: &str,
) -> Result<(u64, u64), Error> {
    let file = guest.kernel();
    let head = file.get(..HEAD).unwrap_or(file);
    let header = SetupHeader::parse(head, wide(file.len())).map_err(Error::Header)?;
    let area = PlatformArea::below(ram.end());
    let used = header.used(wide(file.len()));
    let place = guest.kernel_place();
    let limit = if place.in_ram() { place.address } else { area.start() };
    let kernel = file.get(index(header.kernel_at)..).unwrap_or_default();
    if used.end > limit || !ram.write(header.preferred, kernel) {
        return Err(Error::Memory(used.end));
    }
    let initrd = guest.initrd().unwrap_or_default();
    let last = initrd.address.saturating_add(initrd.length).saturating_sub(1);
    if initrd.length > 0 && (initrd.address < used.end || last > header.initrd_last) {
        return Err(Error::Initrd(initrd));
    }
    let boot_params = tell(ram, &header, area, (command_line, initrd))?;
    Ok((header.entry(), boot_params))
}

/// Writes the boot parameters, and the command line behind them.
fn tell(
    ram: &mut GuestRam,
    header: &SetupHeader<'_>,
    area: PlatformArea,
    (command_line, initrd): (&str, Extent),
) -> Result<u64, Error> {
    let too_long = Error::CommandLine(command_line.len());
    let room = area.boot_information();
    let at = room.start + wide(boot_params::SIZE);
    let end = at + wide(command_line.len());
    let told = Told {
        memory: &area.regions().map(|region| (region.start, region.end, region.kind.0)),
        command_line: at,
        initrd: (initrd.address, initrd.length),
        acpi_root: area.acpi().start,
    };
    let params = boot_params::make(header, &told).ok_or(too_long)?;
    let fits = wide(command_line.len()) <= header.command_line.into() && end < room.end;
    let written = fits
        && ram.write(room.start, &params)
        && ram.write(at, command_line.as_bytes())
        && ram.write(end, &[0]);
    if written { Ok(room.start) } else { Err(too_long) }
}
