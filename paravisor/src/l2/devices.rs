// SPDX-License-Identifier: MIT OR Apache-2.0
//! L2's devices, between the host's and the relay.
//!
//! The bus model decides, this file does: TDVMCALLs for the device, the relay's control plane for its
//! interrupts. Tickets of unmapped slots are waited for after the bus is unlocked, because their owner
//! may be waiting for the bus itself.
//!
//! Where all interrupts of a function go at once, because L2 switched its MSI-X off, the relay lets them go by
//! one request to each CPU that takes some.
//!
//! When slots came free, interrupts that had to take another CPU's slot, or got none, climb to them.

use alloc::vec::Vec;
use core::task::Poll;

use log::{info, warn};
use paravisor::{
    acpi::Wire,
    intx::{Pin, Route},
    pci::{
        address::{AddressPort, Bdf},
        bus::Bus,
        machine::{Location, Machine, Refusal, Register, Source},
        message::{Message, Target},
    },
    platform::Ways,
    width,
};
use proxy_irq::{Kick, Mode, Promotion, Reason, Relay, SLOTS, Teardown, Ticket};
use spin::Mutex;
use tdcall::{
    Instruction,
    tdvmcall::{self, IoSize, MmioSize},
};

use super::{
    io_apic,
    requests::serve,
    vcpu::Vcpu,
    vm::vm,
    ways::{self, Way, relay_source},
};
use crate::{
    cpus::{self, MAX_VCPUS},
    interrupt::{
        counters::{
            HOST_REFUSALS, REFUSED, REMOVED, TEARDOWN_CPUS, TEARDOWN_KICKS, TEARDOWNS,
            TEARDOWNS_SILENT,
        },
        vectors,
    },
};

/// TSC ticks after which the owner of a slot counts as silent: more than a second on any machine.
const PATIENCE: u64 = 1 << 33;
/// TSC ticks between two kicks of it.
const KICK_INTERVAL: u64 = 1 << 18;

/// Which pin a device has; 0 is none.
const INTERRUPT_PIN: u8 = 0x3d;

static BUS: Mutex<Bus<Way>> = Mutex::new(Bus::new());
static RELAY: Mutex<Relay<'static, MAX_VCPUS>> =
    Mutex::new(Relay::new(&cpus::RELAY_TABLE, vectors::RELAY));

/// The host's devices, and what was unmapped on the way: its owners have still to let it go.
#[derive(Default)]
struct Host {
    tickets: Vec<Ticket<'static>>,
    teardowns: Vec<Teardown<'static, MAX_VCPUS>>,
}

/// Shows L2 the host bridge alone. A kernel that is not told of TDX cannot give a device memory.
pub(super) fn hide_functions() {
    BUS.lock().hide_functions();
}

/// Lets the first `cpus` CPUs take interrupts for each other.
pub(super) fn lend_among(cpus: u32) {
    RELAY.lock().lend_among(width::index(cpus.into()));
}

/// Gives devices their lines, as `routes` say. Returns where they lead in L2's machine. Of a device that
/// gets none, L2 sees no pin.
pub(super) fn assign_lines(routes: &[Route], shared_bit: u64) -> Vec<Wire> {
    let mut wires = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        let Route { bdf, pin, .. } = *route;
        let found = host_read(Register { bdf, offset: INTERRUPT_PIN, size: 1 });
        if Pin::from_register(width::low8(found.into())) != Some(pin) {
            warn!("intx refused: {route}: the host says that its pin is {found:#x}");
            continue;
        }
        if let Some(other) = routes.iter().take(index).find(|other| route.contradicts(other)) {
            warn!("intx refused: {route}: of the same pin it is said: {other}");
            continue;
        }
        if let Some(gsi) = io_apic::assign(route, shared_bit) {
            BUS.lock().show_pin(bdf, pin);
            wires.push(Wire { bdf, pin, gsi: width::low32(width::wide(gsi)) });
        }
    }
    wires
}

/// Reads the host's configuration space, as it is.
pub(super) fn host_read(register: Register) -> u32 {
    Host::default().config_read(register)
}

/// Writes the host's configuration space.
pub(super) fn host_write(register: Register, value: u32) {
    Host::default().config_write(register, value);
}

/// L2 reads a port of the bus.
pub(super) fn port_read(vcpu: &Vcpu, port: u16, size: u8) -> u32 {
    with_bus(vcpu, |bus, host| bus.read(host, port, size))
}

/// L2 writes a port of the bus.
pub(super) fn port_write(vcpu: &Vcpu, port: u16, size: u8, value: u32) {
    with_bus(vcpu, |bus, host| bus.write(host, (port, size), value));
}

/// L2 reads a port that the platform does not have. `None` if no device has it either.
pub(super) fn device_port_read(vcpu: &Vcpu, port: u16, size: u8) -> Option<u32> {
    with_bus(vcpu, |bus, host| bus.port_read(host, port, size))
}

/// L2 writes a port that the platform does not have. `None` if no device has it either.
pub(super) fn device_port_write(vcpu: &Vcpu, port: u16, size: u8, value: u32) -> Option<()> {
    with_bus(vcpu, |bus, host| bus.port_write(host, (port, size), value))
}

/// L2 reads device memory that the host does not map for it. `None` if it is no MSI-X table.
pub(super) fn memory_read(vcpu: &Vcpu, at: Location) -> Option<u64> {
    with_bus(vcpu, |bus, host| bus.memory_read(host, at))
}

/// L2 writes device memory that the host does not map for it. `None` if it is no MSI-X table.
pub(super) fn memory_write(vcpu: &Vcpu, at: Location, value: u64) -> Option<()> {
    with_bus(vcpu, |bus, host| bus.memory_write(host, at, value))
}

/// L2 chooses by which way its interrupts come, now and from now on.
pub(super) fn choose_ways(vcpu: &Vcpu, chosen: Ways) {
    with_bus(vcpu, |bus, host| {
        ways::choose(chosen);
        bus.renew(host);
    });
}

/// Looks which devices the host has taken away, and gives their mappings back.
pub(super) fn forget_removed(vcpu: &Vcpu) {
    for bdf in with_bus(vcpu, |bus, host| bus.forget_removed(host)) {
        REMOVED.add();
        warn!("device removed: {bdf}");
    }
}

fn with_bus<R>(vcpu: &Vcpu, work: impl FnOnce(&mut Bus<Way>, &mut Host) -> R) -> R {
    let mut host = Host::default();
    let result = work(&mut BUS.lock(), &mut host);
    if !host.tickets.is_empty() || !host.teardowns.is_empty() {
        settle(vcpu, host);
        climb(vcpu);
    }
    result
}

/// Moves interrupts to slots of their own CPUs, as far as there are any.
fn climb(vcpu: &Vcpu) {
    for cpu in 0..width::index(vm().cpus.into()) {
        // Each try has a slot or leaves the interrupt as it is; then the next one has its turn.
        for _ in 0..SLOTS {
            let promotion = RELAY.lock().promotion(cpu);
            let Some(Promotion { vector, source, .. }) = promotion else { break };
            let target = Target { vector, cpu: width::low32(width::wide(cpu)) };
            let source = Source {
                bdf: Bdf(width::low16(source.device.into())),
                entry: width::low16(source.entry.into()),
            };
            let mut host = Host::default();
            BUS.lock().climb(&mut host, source, target);
            settle(vcpu, host);
        }
    }
}

/// Waits for what owners have to let go, and for what follows from that.
fn settle(vcpu: &Vcpu, host: Host) {
    host.teardowns.into_iter().for_each(|teardown| finish(vcpu, teardown));
    for ticket in host.tickets {
        let mut next = Some(ticket);
        while let Some(mut ticket) = next.take() {
            let kick = |ticket: &Ticket<'_>| {
                if ticket.kick() == Kick::Needed {
                    cpus::kick(ticket.cpu());
                }
            };
            if wait(vcpu, &mut ticket, |ticket| ticket.poll(), kick).is_ready() {
                next = RELAY.lock().conclude(&ticket);
            } else {
                warn!("unmap: the owner is silent: cpu={}", ticket.cpu());
                RELAY.lock().quarantine(ticket);
            }
        }
    }
}

/// Waits until all owners have let a function's slots go. Those of one that is silent stay out of use.
fn finish(vcpu: &Vcpu, mut teardown: Teardown<'static, MAX_VCPUS>) {
    let kick = |teardown: &Teardown<'_, MAX_VCPUS>| {
        for cpu in teardown.kicks() {
            TEARDOWN_KICKS.add();
            cpus::kick(cpu);
        }
    };
    TEARDOWNS.add();
    TEARDOWN_CPUS.add_many(width::wide(teardown.cpus()));
    if wait(vcpu, &mut teardown, Teardown::poll, kick).is_pending() {
        TEARDOWNS_SILENT.add();
        warn!("teardown: owners are silent");
    }
    RELAY.lock().finish(teardown);
}

/// Waits until `what` owners have to do is done, serving this CPU's own requests meanwhile. Pending if
/// that took too long.
fn wait<T>(
    vcpu: &Vcpu,
    what: &mut T,
    poll: impl Fn(&mut T) -> Poll<()>,
    kick: impl Fn(&T),
) -> Poll<()> {
    let since = cpu::tsc();
    let mut next_kick = since;
    loop {
        // What has to be let through first comes as soon as interrupts are on again.
        ::cpu::InterruptsOff::with(|_| serve(vcpu.block));
        if poll(what).is_ready() {
            return Poll::Ready(());
        }
        let now = cpu::tsc();
        if now >= next_kick {
            kick(what);
            next_kick = now.saturating_add(KICK_INTERVAL);
        }
        if now.saturating_sub(since) > PATIENCE {
            return Poll::Pending;
        }
        core::hint::spin_loop();
    }
}

/// One line for each interrupt that has, or was refused, a way.
pub(super) fn say_mappings() {
    let listed: Vec<_> = RELAY.lock().mappings().collect();
    for entry in listed {
        let mode = match entry.mode {
            Mode::Posted => "posted",
            Mode::Remote => "remote",
            Mode::Proxied => "proxied",
            Mode::Refused => "refused",
            Mode::Unmapping => "unmapping",
            Mode::Quarantined => "quarantined",
            _ => "other",
        };
        let reason = match entry.reason {
            Reason::SlotFree => "slot-free",
            Reason::Asked => "asked",
            Reason::BlockFull => "block-full",
            Reason::Released => "released",
            Reason::OwnerSilent => "owner-silent",
            Reason::NotOffered => "not-offered",
            _ => "other",
        };
        let bdf = Bdf(width::low16(entry.source.device.into()));
        let reserved = entry.reserved.map_or(0, proxy_irq::ReservedVector::get);
        let slot = vectors::RELAY.slot(reserved);
        let spurious = slot.map_or(0, |slot| cpus::relay_block(entry.taker).spurious(slot));
        info!(
            "relay: reserved={reserved} taker={} vector={} cpu={} device={bdf} entry={} mode={mode} \
             reason={reason} references={} spurious={spurious}",
            entry.taker,
            entry.vector.get(),
            entry.cpu,
            entry.source.entry,
            entry.references,
        );
    }
}

impl Machine for Host {
    type Mapping = Way;

    fn config_read(&mut self, register: Register) -> u32 {
        select(register);
        self.port_read(AddressPort::DATA + u16::from(register.offset & 3), register.size)
    }

    fn config_write(&mut self, register: Register, value: u32) {
        select(register);
        self.port_write(AddressPort::DATA + u16::from(register.offset & 3), register.size, value);
    }

    fn memory_read(&mut self, location: Location) -> u64 {
        let Some(size) = MmioSize::from_bytes(location.size.into()) else { return u64::MAX };
        let gpa = location.gpa | vm().shared_bit;
        count_refusal(tdvmcall::mmio_read(&Instruction, gpa, size)).unwrap_or(size.mask())
    }

    fn memory_write(&mut self, location: Location, value: u64) {
        let Some(size) = MmioSize::from_bytes(location.size.into()) else { return };
        let gpa = location.gpa | vm().shared_bit;
        count_refusal(tdvmcall::mmio_write(&Instruction, gpa, size, value));
    }

    fn port_read(&mut self, port: u16, size: u8) -> u32 {
        let Some(size) = IoSize::from_bytes(size.into()) else { return u32::MAX };
        count_refusal(tdvmcall::io_read(&Instruction, port, size)).unwrap_or(size.mask())
    }

    fn port_write(&mut self, port: u16, size: u8, value: u32) {
        let Some(size) = IoSize::from_bytes(size.into()) else { return };
        count_refusal(tdvmcall::io_write(&Instruction, port, size, value));
    }

    fn cpus(&self) -> u32 {
        vm().cpus
    }

    fn map(&mut self, target: Target, source: Source) -> Result<Way, Refusal> {
        Way::open(&mut RELAY.lock(), target, source)
    }

    fn message(&self, source: Source, way: &Way) -> Message {
        way.message(source)
    }

    fn steer(&mut self, source: Source, way: Way) -> Way {
        let (way, ticket) = way.steer(&mut RELAY.lock(), source);
        self.tickets.extend(ticket);
        way
    }

    fn is_detour(&self, way: &Way) -> bool {
        way.is_detour()
    }

    fn is_same_way(&self, one: &Way, other: &Way) -> bool {
        one.is_same(other)
    }

    fn unmap(&mut self, way: Way) {
        self.tickets.extend(way.close(&mut RELAY.lock()));
    }

    fn unmap_all(&mut self, bdf: Bdf, ways: Vec<Way>) {
        let mut relay = RELAY.lock();
        // They are all slots that the relay knows of the function, so its handles are stale from here on.
        self.teardowns.push(relay.unmap_device(bdf.0.into()));
        for way in ways {
            if matches!(way, Way::Proxied(_)) {
                self.tickets.extend(way.close(&mut relay));
            }
        }
    }

    fn forget_refusal(&mut self, target: Target, source: Source) {
        let cpu = width::index(target.cpu.into());
        RELAY.lock().forget_refusal(cpu, target.vector, relay_source(source));
    }

    fn refused(&mut self, source: Source, why: Refusal) {
        if REFUSED.add_and_tell() {
            warn!("mapping refused: device={} entry={} {why}", source.bdf, source.entry);
        }
    }
}

/// Selects the register by the address port.
fn select(register: Register) {
    let address = AddressPort::of(register.bdf, register.offset).0;
    count_refusal(tdvmcall::io_write(&Instruction, AddressPort::PORT, IoSize::Dword, address));
}

fn count_refusal<T, E>(result: Result<T, E>) -> Option<T> {
    if result.is_err() {
        HOST_REFUSALS.add();
    }
    result.ok()
}
