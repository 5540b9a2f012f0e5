// SPDX-License-Identifier: MIT OR Apache-2.0
//! The order in which L1 comes up, on the first CPU and on the others.
#![expect(unsafe_code, reason = "memory is taken into use")]

use log::{info, warn};
use paravisor::{
    command_line::{self, Options},
    memory_map::MemoryMap,
};
use tdcall::{Instruction, tdg};

use crate::{
    boot, console, cpus, descriptors,
    epitaph::give_up,
    heap,
    interrupt::{event_notify, synic},
    l2::{self, AmlVm},
    memory::{accept, aml_vm::Pages, guest, map},
    paging,
    payload::Payload,
};

/// The first CPU arrives from assembly, with the host's argument.
pub(crate) extern "C" fn first(hand_off: u64) -> ! {
    cpus::adopt(0);
    let payload = match Payload::find() {
        Ok(payload) => payload,
        Err(error) => give_up(format_args!("{error}")),
    };
    let options = options(payload.command_line);
    console::init(options.log);
    let info = tdg::vp_info(&Instruction)
        .unwrap_or_else(|status| give_up(format_args!("TDG.VP.INFO: {status}")));
    info!(
        "lychgate gpa_width={} vcpus={} attributes={:#x}",
        info.gpa_width,
        info.num_vcpus,
        info.attributes.bits()
    );
    cpus::set_count(cpus_served(info.num_vcpus));
    let map = match map::read(hand_off) {
        Ok(map) => map,
        Err(error) => give_up(format_args!("{error}")),
    };
    if let Some(Err(error)) = payload.guest.as_ref().map(|guest| guest.check(map)) {
        give_up(format_args!("{error}"));
    }
    take_memory(map);
    paging::load(info.shared_bit());
    descriptors::load();
    event_notify::ask();
    event_notify::set_up(0);
    synic::ask();
    synic::set_up(0, info.shared_bit());
    // SAFETY: The range was accepted, and the heap begins behind it.
    let pages = unsafe { Pages::take(&map.aml_vm()) };
    let aml_vm = AmlVm { pages, program: payload.aml_vm };
    l2::prepare(&options, payload.guest, aml_vm, info.shared_bit());
    boot::release_others();
    l2::run(0)
}

/// Another CPU arrives from assembly, after the first has let it go.
pub(crate) extern "C" fn other(index: u32) -> ! {
    let index = paravisor::width::index(index.into());
    cpus::adopt(index);
    let info = tdg::vp_info(&Instruction)
        .unwrap_or_else(|status| give_up(format_args!("TDG.VP.INFO: {status}")));
    paging::load(info.shared_bit());
    descriptors::load();
    event_notify::set_up(index);
    synic::set_up(index, info.shared_bit());
    l2::run(index)
}

fn options(command_line: &'static [u8]) -> Options<'static> {
    match command_line::parse(command_line) {
        Ok(options) => options,
        Err(error) => give_up(format_args!("command line: {error}")),
    }
}

fn cpus_served(there_are: u32) -> u32 {
    let most = u32::try_from(cpus::MAX_VCPUS).unwrap_or(u32::MAX);
    if there_are > most {
        warn!("CPUs without work: {}", there_are - most);
    }
    there_are.clamp(1, most)
}

/// Accepts all memory and makes the heap.
fn take_memory(map: MemoryMap) {
    for (whose, range) in [("own", map.own()), ("guest", map.guest())] {
        // SAFETY: Nothing but the image has been in use so far, and the image is not in the map. Parts
        // of the guest may be; they were added with the image and keep their content.
        let accepted = match unsafe { accept::range(range.clone()) } {
            Ok(accepted) => accepted,
            Err(error) => give_up(format_args!("{error}")),
        };
        info!(
            "memory: {whose}={:#x}..{:#x} pages_2m={} pages_4k={} already={:#x}",
            range.start, range.end, accepted.pages_2m, accepted.pages_4k, accepted.already_accepted
        );
    }
    // SAFETY: The range has just been accepted and is nobody's yet.
    unsafe { heap::init(map.heap()) };
    // SAFETY: The range has just been accepted; nothing in L1 refers to it but, while L2 is loaded, the
    // payload's owner to the parts of the guest in it.
    unsafe { guest::set_end(map.guest().end) };
}
