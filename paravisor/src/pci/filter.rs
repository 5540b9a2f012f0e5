// SPDX-License-Identifier: MIT OR Apache-2.0
//! What L2 sees of a function's configuration space, and what it may change.
//!
//! | register                    | L2 reads                        | L2 writes                  |
//! |-----------------------------|---------------------------------|----------------------------|
//! | ids, class, subsystem       | the device's                    | —                          |
//! | command                     | what it wrote                   | ports, memory, master, INTx |
//! | status                      | whether there are capabilities  | —                          |
//! | cache line, latency, BIST   | 0                               | —                          |
//! | base addresses of memory    | the device's                    | all, by dwords             |
//! | base addresses of ports     | where L2 has placed them        | all, by dwords             |
//! | expansion ROM, line         | 0                               | —                          |
//! | pin                         | the one whose line is known     | —                          |
//! | power management            | the device's, without PME       | D-state, which L1 keeps    |
//! | PCI Express                 | the device's, without FLR       | sizes and ordering         |
//! | vendor's capabilities       | the device's                    | —                          |
//! | MSI, MSI-X                  | by their models                 | by their models            |
//! | all else                    | 0                               | —                          |
//!
//! So there are no ROM, resets, vital product data or virtual functions, and nothing beyond the
//! first 256 bytes. The host does not hear where L2 places ports, see `ports.rs`. A device whose line
//! nobody has told of has no pin, and is never let pull it. A device stays in D0 whatever L2 writes and says
//! that it loses nothing on the way back, because a device that forgets its messages would have to be told
//! them again. The host may answer anything: what matters to L1 is read once.
//!
//! Spec: PCI "Type 00h Configuration Space Header"; PCIE "PCI Express Capability Structure", "Power
//! Management".

use alloc::vec::Vec;

use super::{
    capability::{self, Capability, Id},
    ports::Ports,
};
use crate::{
    intx::Pin,
    width::{low16, low32, ones},
};

/// The filter of one function.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Dwords that never change: ids, class, header type, subsystem.
    fixed: [u32; 4],
    command: u16,
    addresses: [Address; 6],
    capabilities: Vec<Capability>,
    power_state: u32,
    pin: Option<Pin>,
}

/// What L1 does about a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Write this to the device.
    Write {
        /// The register.
        offset: u8,
        /// Bytes: 2 or 4.
        size: u8,
        /// What.
        value: u32,
    },
    /// Change these bits of a register of two bytes to these values.
    Change {
        /// The register.
        offset: u8,
        /// Bits that may change.
        bits: u16,
        /// Their values.
        value: u16,
    },
}

/// What a base address register is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Address {
    Memory,
    /// `None` as long as nobody knows which, or if they are none that L2 could have.
    Ports(Option<Ports>),
    Hidden,
}

const COMMAND: u8 = 0x04;
const FIRST_ADDRESS: u8 = 0x10;
const END_OF_ADDRESSES: u8 = 0x28;
const FIRST_CAPABILITY: u8 = 0x34;
const INTERRUPT: u8 = 0x3c;
/// Where the dwords of [`Filter::fixed`] are.
const FIXED: [u8; 4] = [0x00, 0x08, 0x0c, 0x2c];

const MULTI_FUNCTION: u32 = 1 << 23;
const HEADER_TYPE: u32 = 0x7f << 16;
/// The class of bridges, some of which look like devices.
const BRIDGES: u32 = 6;

const PORTS: u16 = 1 << 0;
const MEMORY: u16 = 1 << 1;
const BUS_MASTER: u16 = 1 << 2;
const INTX_DISABLE: u16 = 1 << 10;
const HAS_CAPABILITIES: u32 = 1 << 20;

const ADDRESS_IS_PORT: u32 = 1;
const ADDRESS_IS_WIDE: u32 = 0b110;
const ADDRESS_WIDE: u32 = 0b100;

/// In the first dword of power management: the states in which PME is signalled.
const PME_SUPPORT: u32 = 0xf800_0000;
/// In the second: nothing is lost between D3 and D0.
const NO_SOFT_RESET: u32 = 1 << 3;
const POWER_STATE: u32 = 3;

/// In the second dword of PCI Express: the function can be reset on its own.
const FUNCTION_RESET: u32 = 1 << 28;
/// In the third, which is device control: relaxed ordering, payload, no snoop, read request.
const HARMLESS: u16 = 1 << 4 | 7 << 5 | 1 << 11 | 7 << 12;

impl Filter {
    /// Looks at a function by `read(register, size)`, of which L2 sees `pin`. `None` if it is a bridge.
    pub fn discover(mut read: impl FnMut(u8, u8) -> u32, pin: Option<Pin>) -> Option<Self> {
        let [ids, class, header, subsystem] = FIXED.map(|offset| read(offset, 4));
        if header & HEADER_TYPE != 0 || class >> 24 == BRIDGES {
            return None;
        }
        let kept = PORTS | MEMORY | BUS_MASTER | if pin.is_some() { INTX_DISABLE } else { 0 };
        let command = low16(read(COMMAND, 2).into()) & kept;
        Some(Self {
            fixed: [ids, class, header & MULTI_FUNCTION, subsystem],
            command,
            addresses: addresses(&mut read),
            capabilities: capability::list(&mut read),
            power_state: 0,
            pin,
        })
    }

    /// The base address registers of ports.
    #[must_use]
    pub fn port_registers(&self) -> Vec<u8> {
        let all = (FIRST_ADDRESS..).step_by(4).zip(&self.addresses);
        let ports = all.filter(|(_, address)| matches!(address, Address::Ports(_)));
        ports.map(|(register, _)| register).collect()
    }

    /// Gives L2 the ports of a base address register.
    pub fn give_ports(&mut self, register: u8, ports: Ports) {
        if let Some(Address::Ports(given)) = self.address_mut(register) {
            *given = Some(ports);
        }
    }

    /// The host's port for `port` of L2, if it is the function's with all `bytes`, and decoded.
    #[must_use]
    pub fn port_at_host(&self, port: u16, bytes: u8) -> Option<u16> {
        let ranges = self.ports().filter(|_| self.command & PORTS != 0);
        ranges.filter_map(|ports| ports.at_host(port, bytes)).next()
    }

    /// The capability of kind `id`, if L2 sees one.
    #[must_use]
    pub fn capability(&self, id: Id) -> Option<u8> {
        self.capabilities.iter().find(|known| known.id == id).map(|known| known.offset)
    }

    /// Whether the function says that there are more in its device.
    #[must_use]
    pub const fn has_siblings(&self) -> bool {
        let [_, _, header, _] = self.fixed;
        header & MULTI_FUNCTION != 0
    }

    /// L2's view of the dword at `register`; `ask` gives the device's, if that matters.
    pub fn read(&self, register: u8, ask: impl FnOnce() -> u32) -> u32 {
        if let Some(fixed) = FIXED.iter().position(|offset| *offset == register) {
            return self.fixed.get(fixed).copied().unwrap_or_default();
        }
        match register {
            COMMAND => {
                let list = if self.capabilities.is_empty() { 0 } else { HAS_CAPABILITIES };
                u32::from(self.command & self.switches()) | list
            }
            FIRST_ADDRESS..END_OF_ADDRESSES => match self.address(register) {
                Address::Memory => ask(),
                Address::Ports(Some(ports)) => ports.read(),
                Address::Ports(None) | Address::Hidden => 0,
            },
            FIRST_CAPABILITY => self.next_after(None).into(),
            INTERRUPT => self.pin.map_or(0, |pin| u32::from(pin.register()) << 8),
            _ => self.read_capability(register, ask),
        }
    }

    /// L2 writes `size` bytes at `offset`, which stay within a dword.
    pub fn write(&mut self, offset: u8, size: u8, value: u32) -> Action {
        let register = offset & !3;
        let shift = 8 * (offset & 3);
        let mask = low32(ones(size)) << shift;
        let value = value << shift & mask;
        match register {
            COMMAND => self.write_command(low16(mask.into()), low16(value.into())),
            FIRST_ADDRESS..END_OF_ADDRESSES if size == 4 => match self.address_mut(register) {
                Some(Address::Memory) => Action::Write { offset, size, value },
                Some(Address::Ports(Some(ports))) => {
                    ports.write(value);
                    Action::None
                }
                _ => Action::None,
            },
            _ => self.write_capability(register, mask, value),
        }
    }

    /// A device without a pin is never allowed to use it, whatever L2 sees.
    fn write_command(&mut self, mask: u16, value: u16) -> Action {
        let mask = mask & self.switches();
        if mask == 0 {
            return Action::None;
        }
        self.command = self.command & !mask | value & mask;
        let silent = if self.pin.is_none() { INTX_DISABLE } else { 0 };
        let value = self.command & self.switches() | silent;
        Action::Write { offset: COMMAND, size: 2, value: value.into() }
    }

    /// The bits of the command that are L2's.
    fn switches(&self) -> u16 {
        let ports = if self.ports().next().is_some() { PORTS } else { 0 };
        ports | MEMORY | BUS_MASTER | INTX_DISABLE
    }

    fn read_capability(&self, register: u8, ask: impl FnOnce() -> u32) -> u32 {
        let Some((at, known)) = self.owner(register) else { return 0 };
        let dword = (register - known.offset) / 4;
        let seen = match (known.id, dword) {
            (Id::POWER, 0) => ask() & !PME_SUPPORT,
            (Id::POWER, _) => self.power_state | NO_SOFT_RESET,
            (Id::EXPRESS, 1) => ask() & !FUNCTION_RESET,
            _ => ask(),
        };
        if dword != 0 {
            return seen;
        }
        seen & 0xffff_0000 | u32::from(self.next_after(Some(at))) << 8 | u32::from(known.id.0)
    }

    fn write_capability(&mut self, register: u8, mask: u32, value: u32) -> Action {
        let Some((_, known)) = self.owner(register) else { return Action::None };
        match (known.id, (register - known.offset) / 4) {
            (Id::POWER, 1) => {
                let mask = mask & POWER_STATE;
                self.power_state = self.power_state & !mask | value & mask;
                Action::None
            }
            (Id::EXPRESS, 2) => {
                let bits = low16(mask.into()) & HARMLESS;
                let value = low16(value.into()) & bits;
                if bits == 0 {
                    Action::None
                } else {
                    Action::Change { offset: register, bits, value }
                }
            }
            _ => Action::None,
        }
    }

    fn ports(&self) -> impl Iterator<Item = &Ports> {
        self.addresses.iter().filter_map(|address| match address {
            Address::Ports(ports) => ports.as_ref(),
            Address::Memory | Address::Hidden => None,
        })
    }

    fn address(&self, register: u8) -> Address {
        let number = usize::from(register.wrapping_sub(FIRST_ADDRESS)) / 4;
        self.addresses.get(number).copied().unwrap_or(Address::Hidden)
    }

    fn address_mut(&mut self, register: u8) -> Option<&mut Address> {
        self.addresses.get_mut(usize::from(register.wrapping_sub(FIRST_ADDRESS)) / 4)
    }

    /// The capability that has the dword at `register`, with its place in the list. Should the host's
    /// overlap, it is the one that begins last.
    fn owner(&self, register: u8) -> Option<(usize, Capability)> {
        let has = |known: &Capability| {
            register.checked_sub(known.offset).is_some_and(|within| within < known.length)
        };
        let owners = self.capabilities.iter().copied().enumerate().filter(|(_, known)| has(known));
        owners.max_by_key(|(_, known)| known.offset)
    }

    /// The pointer to the capability after that at a place of the list, or to the first one.
    fn next_after(&self, place: Option<usize>) -> u8 {
        let next = place.map_or(0, |place| place + 1);
        self.capabilities.get(next).map_or(0, |known| known.offset)
    }
}

/// What the base address registers are for. The upper half of a wide one goes with the lower.
fn addresses(read: &mut impl FnMut(u8, u8) -> u32) -> [Address; 6] {
    let mut addresses = [Address::Hidden; 6];
    let mut is_upper_half = false;
    for (address, offset) in addresses.iter_mut().zip((FIRST_ADDRESS..).step_by(4)) {
        let low = read(offset, 4);
        let is_memory = is_upper_half || low & ADDRESS_IS_PORT == 0;
        *address = if is_memory { Address::Memory } else { Address::Ports(None) };
        is_upper_half = !is_upper_half && is_memory && low & ADDRESS_IS_WIDE == ADDRESS_WIDE;
    }
    addresses
}

#[cfg(test)]
mod tests;
