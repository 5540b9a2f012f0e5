// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loading what starts by PVH or by multiboot.

use alloc::{format, string::String};
use core::ops::Range;

use log::{info, warn};
use paravisor::{
    command_line::Options,
    guest_memory::GuestMemory,
    hand_off::{Block, HandOff},
    kernel::{self, Plan, Protocol},
    multiboot_info,
    platform_area::PlatformArea,
    segment::Room,
    start_info,
    width::wide,
};
use tdvf::payload::Extent;

use super::{Error, Start, put};
use crate::{memory::guest::GuestRam, payload::Guest};

/// Copies the segments of `guest` to their places and writes what the kernel is told.
///
/// The kernel's file and the module may be in L2's RAM already: nothing is copied onto them.
pub(super) fn load(
    ram: &mut GuestRam,
    guest: &Guest,
    options: &Options<'_>,
    shared_bit: u64,
) -> Result<Start, Error> {
    let area = PlatformArea::below(ram.end());
    let module = guest.initrd();
    if let Some(module) = module.filter(|module| range(*module).end > area.start()) {
        return Err(Error::Module(module.address));
    }
    let taken = [range(guest.kernel_place()), range(module.unwrap_or_default())];
    let room = Room { end: area.start(), taken: &taken };
    let plan = kernel::plan(guest.kernel(), &room, options.entry).map_err(Error::Kernel)?;
    for segment in plan.segments() {
        info!(
            "segment at {:#x}: {:#x} of {:#x} bytes",
            segment.gpa,
            segment.bytes.len(),
            segment.size
        );
        put(ram, segment.gpa, segment.bytes)?;
    }
    if plan.wants_video {
        warn!("the kernel would like a video mode; there is no display");
    }
    let (map, command_line) = (area.regions(), command_line(options, shared_bit));
    let hand_off = HandOff {
        map: &map,
        rsdp: area.acpi().start,
        command_line: &command_line,
        module: module.map(|module| (module.address, module.length)),
    };
    tell(ram, Block::new(area.boot_information()), &plan, &hand_off)
}

const fn range(extent: Extent) -> Range<u64> {
    extent.address..extent.address.saturating_add(extent.length)
}

/// Writes what the kernel is told to its place.
fn tell(
    ram: &mut GuestRam,
    mut block: Block,
    plan: &Plan<'_>,
    hand_off: &HandOff<'_>,
) -> Result<Start, Error> {
    let at = match plan.protocol {
        Protocol::Pvh => start_info::write(&mut block, hand_off)?,
        Protocol::Multiboot => multiboot_info::write(&mut block, hand_off)?,
    };
    put(ram, block.gpa(), block.bytes())?;
    if plan.protocol == Protocol::Multiboot {
        be_a_pc(ram, plan, hand_off)?;
    }
    let (entry, at) = (plan.entry, u32::try_from(at).map_err(|_| Error::Copy(at))?);
    Ok(match plan.protocol {
        Protocol::Pvh => Start::Pvh { entry, start_info: at },
        Protocol::Multiboot => Start::Multiboot { entry, information: at },
    })
}

/// Tells in the places of a PC's BIOS what the information does not tell, or not to all; but a kernel
/// that wants such a place for itself keeps it.
fn be_a_pc(ram: &mut GuestRam, plan: &Plan<'_>, hand_off: &HandOff<'_>) -> Result<(), Error> {
    const RSDP_SIZE: usize = 36;
    let mut rsdp = [0; RSDP_SIZE];
    if !ram.read(hand_off.rsdp, &mut rsdp) {
        return Err(Error::Copy(hand_off.rsdp));
    }
    let base_memory = multiboot_info::base_memory(hand_off.map).to_le_bytes();
    let places = [
        (multiboot_info::BASE_MEMORY, base_memory.as_slice()),
        (multiboot_info::RSDP, rsdp.as_slice()),
    ];
    places
        .into_iter()
        .filter(|(gpa, bytes)| plan.leaves(&(*gpa..*gpa + wide(bytes.len()))))
        .try_for_each(|(gpa, bytes)| put(ram, gpa, bytes))
}

/// The guest's command line, with a word about sharing for a guest that knows it.
fn command_line(options: &Options<'_>, shared_bit: u64) -> String {
    if options.tell_shared_bit {
        format!("{} shared_bit={}", options.guest, shared_bit.trailing_zeros())
    } else {
        options.guest.into()
    }
}
