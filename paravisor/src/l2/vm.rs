// SPDX-License-Identifier: MIT OR Apache-2.0
//! What all CPUs of L2 have in common, and its making.
#![expect(unsafe_code, reason = "memory is given to L2")]

use alloc::vec::Vec;

use log::info;
use paravisor::{
    command_line::{HostTables, Options},
    hyperv::msr::Constants,
    identity::Identity,
};
use spin::Once;
use tdcall::{Instruction, VmIndex, md, tdg};
use tdvf::payload::GuestKind;

use super::{
    devices, events,
    host_tables::{self, AmlVm},
    hyperv,
    load::{self, Start},
    platform,
};
use crate::{
    cpus,
    epitaph::give_up,
    memory::{
        alias::{self, Rights},
        guest::GuestRam,
    },
    payload::Guest,
};

/// L2 is the TD's first VM besides L1.
pub(super) const VM: VmIndex = VmIndex::VM1;

/// The unit of the TSC's frequency, and the frequency of L2's APIC timer.
const CRYSTAL_HZ: u64 = 25_000_000;

static L2: Once<Vm> = Once::new();

/// L2 as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vm {
    /// Number of virtual CPUs.
    pub(super) cpus: u32,
    /// The bit that makes an address shared.
    pub(super) shared_bit: u64,
    /// TSC ticks of one tick of the APIC timer.
    pub(super) timer_ratio: u64,
    /// TSC ticks for which a quote is waited for.
    pub(super) quote_ticks: u64,
    /// Packets to send over each VMBus channel that answers.
    pub(super) echo: u64,
    /// TSC ticks of a millisecond.
    pub(super) millisecond: u64,
    /// The hypervisor that L2 sees.
    pub(super) identity: Identity,
    /// The values of its constant registers.
    pub(super) hyperv: Constants,
    /// How the first CPU starts.
    pub(super) start: Start,
    /// How the others start.
    pub(super) others: platform::Others,
}

/// Makes L2 ready to run: memory, payload, parameters.
pub(crate) fn prepare(options: &Options<'_>, guest: Option<Guest>, aml_vm: AmlVm, shared_bit: u64) {
    let vms = tdg::vm_rd(&Instruction, md::tdcs::NUM_L2_VMS).unwrap_or(0);
    if vms == 0 {
        give_up(format_args!("the TD has no L2 VM"));
    }
    let Some(guest) = guest else { give_up(format_args!("the image has no guest")) };
    let megahertz = frequency();
    let millisecond = megahertz * CRYSTAL_HZ / 1000;
    let mut routes: Vec<_> = options.routes.into_iter().flatten().collect();
    // A kernel that is not told of TDX sees no device.
    let has_devices = options.identity != Identity::Kvm || guest.kind() != GuestKind::Linux;
    if let HostTables::Routes(interpreter) = options.tables
        && has_devices
    {
        let host = host_tables::Host { vms, shared_bit, millisecond, interpreter };
        let found = host_tables::routes(&routes, aml_vm, host);
        routes.extend(found);
    }
    let cpus = options.cpus.unwrap_or(u32::MAX).min(cpus::count());
    let wires = devices::assign_lines(&routes, shared_bit);
    let Some(others) = platform::lay_out(cpus, options.wake, &wires) else {
        give_up(format_args!("there is no room to tell L2 of its machine"));
    };
    let start = match load::load(guest, options, shared_bit) {
        Ok(start) => start,
        Err(error) => give_up(format_args!("payload: {error}")),
    };
    if !has_devices {
        devices::hide_functions();
    }
    devices::lend_among(cpus);
    events::watch_devices();
    let ram = 0..GuestRam::get().end();
    // SAFETY: L1 refers to L2's RAM by address only, through `GuestRam`.
    if let Err((gpa, status)) = unsafe { alias::give(VM, ram, Rights::All) } {
        give_up(format_args!("page {gpa:#x} cannot be given to L2: {status}"));
    }
    info!("ready: cpus={cpus} ram={:#x} {start}", GuestRam::get().end());
    L2.call_once(|| Vm {
        cpus,
        shared_bit,
        timer_ratio: megahertz,
        quote_ticks: u64::from(options.quote_timeout) * millisecond,
        echo: options.echo,
        millisecond,
        identity: options.identity,
        hyperv: hyperv::constants(megahertz, CRYSTAL_HZ),
        start,
        others,
    });
}

/// L2 as a whole. Only called by CPUs that were let go after [`prepare`].
pub(super) fn vm() -> &'static Vm {
    L2.get().unwrap_or_else(|| give_up(format_args!("L2 runs before it is made")))
}

/// The TSC's frequency in units of the crystal's.
fn frequency() -> u64 {
    const _: () = assert!(CRYSTAL_HZ == 25_000_000, "the field's unit");
    tdg::vm_rd(&Instruction, md::tdcs::TSC_FREQUENCY).unwrap_or(0).max(1)
}
