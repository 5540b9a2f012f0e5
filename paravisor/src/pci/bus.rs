// SPDX-License-Identifier: MIT OR Apache-2.0
//! All functions that L2 has touched, and the ports by which it touches them.
//!
//! Functions are looked at when L2 first does. Their number is bounded; what comes after that does
//! not exist for L2, because its interrupts could not be watched.

use super::{
    address::{AddressPort, Bdf},
    function::Function,
    machine::{Location, Machine, Register},
};
use crate::width::{low32, ones};
use alloc::vec::Vec;

/// L2's PCI bus.
#[derive(Debug)]
pub struct Bus<M> {
    functions: Vec<(Bdf, Function<M>)>,
    address: AddressPort,
}

const MAX_FUNCTIONS: usize = 64;
const NO_VENDOR: u32 = 0xffff;

impl<M> Bus<M> {
    /// A bus nobody has looked at.
    #[must_use]
    pub const fn new() -> Self {
        Self { functions: Vec::new(), address: AddressPort(0) }
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

    fn claimant(
        &mut self,
        machine: &mut impl Machine<Mapping = M>,
        gpa: u64,
    ) -> Option<&mut Function<M>> {
        let found = self.functions.iter_mut().position(|(_, f)| f.claims(machine, gpa))?;
        self.functions.get_mut(found).map(|(_, function)| function)
    }

    /// The register behind a data port, if the access stays within its dword.
    fn selected(&self, port: u16, size: u8) -> Option<(Bdf, u8)> {
        let within = u8::try_from(port.checked_sub(AddressPort::DATA)?).ok()?;
        let (bdf, register) = self.address.selected()?;
        let fits = within < 4 && within + size <= 4 && within.is_multiple_of(size);
        fits.then_some((bdf, register + within))
    }

    fn function(
        &mut self,
        machine: &mut impl Machine<Mapping = M>,
        bdf: Bdf,
    ) -> Option<&mut Function<M>> {
        let at = match self.functions.binary_search_by_key(&bdf, |(known, _)| *known) {
            Ok(at) => at,
            Err(at) => {
                let vendor = machine.config_read(Register { bdf, offset: 0, size: 2 });
                if vendor & NO_VENDOR == NO_VENDOR || self.functions.len() >= MAX_FUNCTIONS {
                    return None;
                }
                self.functions.insert(at, (bdf, Function::discover(machine, bdf)));
                at
            }
        };
        self.functions.get_mut(at).map(|(_, function)| function)
    }
}

impl<M> Default for Bus<M> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
