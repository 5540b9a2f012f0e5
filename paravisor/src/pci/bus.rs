// SPDX-License-Identifier: MIT OR Apache-2.0
//! All functions that L2 has, and the ports by which it touches them.
//!
//! They are looked for once, on bus 0, when L2 first looks at any: kernels ask for every number there
//! is, and each answer of the host would cost exits of the TD. Their number is bounded; what comes
//! after that does not exist for L2, because its interrupts could not be watched.

use super::{
    address::{AddressPort, Bdf},
    function::Function,
    host_bridge,
    machine::{Location, Machine, Register, Source},
    message::Target,
};
use crate::{
    intx::Pin,
    width::{low32, ones},
};
use alloc::vec::Vec;

/// L2's PCI bus.
#[derive(Debug)]
pub struct Bus<M> {
    /// In the order of their numbers; `None` before they were looked for.
    functions: Option<Vec<(Bdf, Function<M>)>>,
    /// Functions whose interrupts have a line.
    pins: Vec<(Bdf, Pin)>,
    address: AddressPort,
}

const MAX_FUNCTIONS: usize = 64;
const NO_VENDOR: u32 = 0xffff;
const DEVICES: u16 = 32;
const FUNCTIONS: u16 = 8;

impl<M> Bus<M> {
    /// A bus nobody has looked at.
    #[must_use]
    pub const fn new() -> Self {
        Self { functions: None, pins: Vec::new(), address: AddressPort(0) }
    }

    /// Shows `pin` of the function at `bdf`, whose line is known. Before L2 looks for functions.
    pub fn show_pin(&mut self, bdf: Bdf, pin: Pin) {
        self.pins.push((bdf, pin));
    }

    /// Makes it a bus of the host bridge alone.
    pub fn hide_functions(&mut self) {
        self.functions = Some(Vec::new());
    }

    /// Whether `port` is one of the eight ports of configuration mechanism 1.
    #[must_use]
    pub const fn has_port(port: u16) -> bool {
        port >= AddressPort::PORT && port < AddressPort::DATA + 4
    }

    /// L2 reads a port.
    pub fn read(&mut self, machine: &mut impl Machine<Mapping = M>, port: u16, size: u8) -> u32 {
        let absent = low32(ones(size));
        if port == AddressPort::PORT && size == 4 {
            return self.address.0;
        }
        let Some((bdf, offset)) = self.selected(port, size) else { return absent };
        if bdf == host_bridge::BDF {
            return host_bridge::read(offset & !3) >> (8 * (offset & 3)) & absent;
        }
        match self.function(machine, bdf) {
            Some(function) => function.config_read(machine, offset, size) & absent,
            None => absent,
        }
    }

    /// L2 writes a port.
    pub fn write(
        &mut self,
        machine: &mut impl Machine<Mapping = M>,
        (port, size): (u16, u8),
        value: u32,
    ) {
        if port == AddressPort::PORT && size == 4 {
            self.address = AddressPort(value);
            return;
        }
        let Some((bdf, offset)) = self.selected(port, size) else { return };
        if let Some(function) = self.function(machine, bdf) {
            function.config_write(machine, (offset, size), value);
        }
    }

    /// L2 reads a port that may be a function's. `None` if it is not.
    pub fn port_read(
        &self,
        machine: &mut impl Machine<Mapping = M>,
        port: u16,
        size: u8,
    ) -> Option<u32> {
        let at_host = self.port_at_host(port, size)?;
        Some(machine.port_read(at_host, size) & low32(ones(size)))
    }

    /// L2 writes a port that may be a function's. `None` if it is not.
    pub fn port_write(
        &self,
        machine: &mut impl Machine<Mapping = M>,
        (port, size): (u16, u8),
        value: u32,
    ) -> Option<()> {
        let at_host = self.port_at_host(port, size)?;
        machine.port_write(at_host, size, value);
        Some(())
    }

    /// L2 reads device memory. `None` if no function has its MSI-X table there.
    pub fn memory_read(
        &mut self,
        machine: &mut impl Machine<Mapping = M>,
        at: Location,
    ) -> Option<u64> {
        self.claimant(machine, at.gpa).map(|function| function.memory_read(machine, at))
    }

    /// L2 writes device memory. `None` if no function has its MSI-X table there.
    pub fn memory_write(
        &mut self,
        machine: &mut impl Machine<Mapping = M>,
        at: Location,
        value: u64,
    ) -> Option<()> {
        self.claimant(machine, at.gpa).map(|function| function.memory_write(machine, at, value))
    }

    /// Gives interrupt `source` a reserved vector of its own CPU for `target`, which takes a detour or
    /// was refused, if there is one now.
    pub fn climb(
        &mut self,
        machine: &mut impl Machine<Mapping = M>,
        source: Source,
        target: Target,
    ) {
        let found = self.functions.iter_mut().flatten().find(|(bdf, _)| *bdf == source.bdf);
        if let Some((_, function)) = found {
            function.climb(machine, source, target);
        }
    }

    /// Maps anew what is mapped, where the machine would now have another way.
    pub fn renew(&mut self, machine: &mut impl Machine<Mapping = M>) {
        for (_, function) in self.functions.iter_mut().flatten() {
            function.renew(machine);
        }
    }

    /// Forgets functions that are not there any more and gives their mappings back. Returns which they
    /// were. They do not come back for L2, whatever the host says later: its driver was told otherwise.
    pub fn forget_removed(&mut self, machine: &mut impl Machine<Mapping = M>) -> Vec<Bdf> {
        let mut removed = Vec::new();
        self.functions.iter_mut().flatten().for_each(|(bdf, function)| {
            if is_absent(machine, *bdf) {
                function.release(machine);
                removed.push(*bdf);
            }
        });
        self.functions.iter_mut().for_each(|all| all.retain(|(bdf, _)| !removed.contains(bdf)));
        removed
    }

    /// The host's port for one of L2's. Of two functions that L2 has placed at one port, it is the first's.
    fn port_at_host(&self, port: u16, size: u8) -> Option<u16> {
        let mut functions = self.functions.iter().flatten();
        functions.find_map(|(_, function)| function.port_at_host(port, size))
    }

    fn claimant(
        &mut self,
        machine: &mut impl Machine<Mapping = M>,
        gpa: u64,
    ) -> Option<&mut Function<M>> {
        let functions = self.functions.as_mut()?;
        let found = functions.iter_mut().position(|(_, function)| function.claims(machine, gpa))?;
        functions.get_mut(found).map(|(_, function)| function)
    }

    /// The register behind a data port, if the access stays within its dword.
    fn selected(&self, port: u16, size: u8) -> Option<(Bdf, u8)> {
        let within = u8::try_from(port.checked_sub(AddressPort::DATA)?).ok()?;
        let (bdf, register) = self.address.selected()?;
        let fits = within < 4 && within + size <= 4 && within.is_multiple_of(size);
        fits.then(|| (bdf, register + within))
    }

    fn function(
        &mut self,
        machine: &mut impl Machine<Mapping = M>,
        bdf: Bdf,
    ) -> Option<&mut Function<M>> {
        if bdf == host_bridge::BDF {
            return None;
        }
        let functions = self.functions.get_or_insert_with(|| scan(machine, &self.pins));
        let found = functions.binary_search_by_key(&bdf, |(known, _)| *known).ok()?;
        functions.get_mut(found).map(|(_, function)| function)
    }
}

/// Looks for the host's functions. Those beyond a device's first are looked for if that says so.
fn scan<M>(
    machine: &mut impl Machine<Mapping = M>,
    pins: &[(Bdf, Pin)],
) -> Vec<(Bdf, Function<M>)> {
    let mut functions = Vec::new();
    let pin_of = |bdf| pins.iter().find(|(known, _)| *known == bdf).map(|(_, pin)| *pin);
    for first in (0..DEVICES * FUNCTIONS).step_by(usize::from(FUNCTIONS)) {
        let mut count = 1;
        for bdf in (first..first + FUNCTIONS).map(Bdf) {
            if bdf.0 >= first + count || functions.len() >= MAX_FUNCTIONS {
                break;
            }
            if is_absent(machine, bdf) {
                continue;
            }
            if let Some(function) = Function::discover(machine, bdf, pin_of(bdf)) {
                count = if function.has_siblings() { FUNCTIONS } else { count };
                functions.push((bdf, function));
            }
        }
    }
    functions
}

fn is_absent(machine: &mut impl Machine, bdf: Bdf) -> bool {
    let vendor = machine.config_read(Register { bdf, offset: 0, size: 2 });
    vendor & NO_VENDOR == NO_VENDOR
}

impl<M> Default for Bus<M> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
