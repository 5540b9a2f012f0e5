// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the AML of the host's tables reaches of the machine: the registers by which an ISA bridge routes
//! the lines of link devices, and nothing else.
//!
//! The AML runs in a VM of its own, whose accesses to ports end here. Its registers are the address port, which
//! is kept here and never written to the host, and the four data ports. A link device reads a routing
//! register to say where its line leads, and writes it to lead it elsewhere.
//!
//! Only bridges whose registers are known have any: what a register of another bridge does cannot be told.
//!
//! Spec: PIIX3 "`PIRQRC[A:D]`"; ICH9 "`PIRQ[n]_ROUT`"; PCI "Configuration Mechanism #1".

use crate::pci::{
    address::{AddressPort, Bdf},
    machine::Register,
};

/// Offsets of dwords that are routing registers, a byte a line.
type Dwords = &'static [u8];

/// Identifiers of bridges, and what they have.
const BRIDGES: [(u32, Dwords); 2] = [(0x7000_8086, &[0x60]), (0x2918_8086, &[0x60, 0x68])];

/// What can be written into such a byte: no line, or one of 16.
const WRITABLE: u8 = 0x8f;

/// How many bridges a machine may have.
const MOST: usize = 4;

/// The registers.
#[derive(Clone, Debug, Default)]
pub struct RoutingRegisters {
    bridges: [Option<(Bdf, Dwords)>; MOST],
    selected: AddressPort,
    /// Accesses that were refused.
    pub refused: u64,
}

impl RoutingRegisters {
    /// Those of a machine with these functions and identifiers (device 31:16, vendor 15:0).
    pub fn of(functions: impl Iterator<Item = (Bdf, u32)>) -> Self {
        let bridge = |(bdf, id)| {
            let known = BRIDGES.iter().find(|(known, _)| *known == id);
            known.map(|(_, dwords)| (bdf, *dwords))
        };
        let mut bridges = [None; MOST];
        for (place, bridge) in bridges.iter_mut().zip(functions.filter_map(bridge)) {
            *place = Some(bridge);
        }
        Self { bridges, ..Self::default() }
    }

    /// The AML reads a port. `config` reads the host's configuration space.
    pub fn read(
        &mut self,
        (port, size): (u16, u8),
        config: impl FnOnce(Register) -> u32,
    ) -> Option<u32> {
        if (port, size) == (AddressPort::PORT, 4) {
            return Some(self.selected.0);
        }
        self.register(port, size).map(config)
    }

    /// The AML writes a port. `config` writes the host's configuration space.
    pub fn write(
        &mut self,
        (port, size): (u16, u8),
        value: u32,
        config: impl FnOnce(Register, u32),
    ) -> Option<()> {
        if (port, size) == (AddressPort::PORT, 4) {
            self.selected = AddressPort(value);
            return Some(());
        }
        let register = self.register(port, size)?;
        let used = value.to_le_bytes().into_iter().take(size.into());
        if used.into_iter().any(|byte| byte & !WRITABLE != 0) {
            self.refused += 1;
            return None;
        }
        config(register, value);
        Some(())
    }

    /// Returns the register behind a data port, if the AML may have it.
    fn register(&mut self, port: u16, size: u8) -> Option<Register> {
        let register = self.find(port, size);
        self.refused += u64::from(register.is_none());
        register
    }

    fn find(&self, port: u16, size: u8) -> Option<Register> {
        let byte = u8::try_from(port.checked_sub(AddressPort::DATA)?).ok()?;
        if !matches!((byte, size), (0..4, 1) | (0 | 2, 2) | (0, 4)) {
            return None;
        }
        let (bdf, dword) = self.selected.selected()?;
        let (_, dwords) = self.bridges.iter().flatten().find(|(bridge, _)| *bridge == bdf)?;
        dwords.contains(&dword).then_some(Register { bdf, offset: dword | byte, size })
    }
}

#[cfg(test)]
mod tests {
    use super::RoutingRegisters;
    use crate::pci::{address::Bdf, machine::Register};
    use alloc::vec::Vec;

    const ICH9: Bdf = Bdf(0x1f << 3);
    const PIIX3: Bdf = Bdf(1 << 3);

    fn machine() -> RoutingRegisters {
        let functions = [(Bdf(0), 0x29c0_8086), (PIIX3, 0x7000_8086), (ICH9, 0x2918_8086)];
        RoutingRegisters::of(functions.into_iter())
    }

    /// Selects a dword and reads one of its data ports.
    fn read(registers: &mut RoutingRegisters, bdf: Bdf, offset: u8, size: u8) -> Option<u32> {
        let address = 1 << 31 | u32::from(bdf.0) << 8 | u32::from(offset & 0xfc);
        registers.write((0xcf8, 4), address, |_, _| panic!("it is kept")).unwrap();
        let wanted = Register { bdf, offset, size };
        registers.read((0xcfc + u16::from(offset & 3), size), |register| {
            assert_eq!(register, wanted);
            0x0b
        })
    }

    #[test]
    fn routing_registers_of_known_bridges_are_all_there_is() {
        let mut registers = machine();
        let readable = |registers: &mut RoutingRegisters, bdf| -> Vec<u8> {
            (0..=255).filter(|offset| read(registers, bdf, *offset, 1).is_some()).collect()
        };
        let both = [0x60, 0x61, 0x62, 0x63, 0x68, 0x69, 0x6a, 0x6b];
        assert_eq!(readable(&mut registers, ICH9), both);
        assert_eq!(readable(&mut registers, PIIX3), both[..4]);
        assert!(readable(&mut registers, Bdf(0)).is_empty());
        assert!(readable(&mut registers, Bdf(0xffff)).is_empty());
        assert_eq!(registers.refused, 248 + 252 + 256 + 256);
        assert!(RoutingRegisters::of([].into_iter()).find(0xcfc, 1).is_none());
    }

    #[test]
    fn an_access_lies_wholly_in_a_register() {
        let mut registers = machine();
        assert_eq!(read(&mut registers, ICH9, 0x60, 4), Some(0x0b));
        assert_eq!(read(&mut registers, ICH9, 0x62, 2), Some(0x0b));
        for (offset, size) in [(0x61, 2), (0x62, 4), (0x63, 2), (0x60, 3), (0x60, 0), (0x60, 8)] {
            assert_eq!(read(&mut registers, ICH9, offset, size), None, "{offset:#x} {size}");
        }
    }

    #[test]
    fn other_ports_are_refused() {
        let mut registers = machine();
        read(&mut registers, ICH9, 0x60, 1).unwrap();
        for port in (0..=u16::MAX).filter(|port| !(0xcfc..0xd00).contains(port)) {
            assert_eq!(registers.read((port, 1), |_| panic!("{port:#x}")), None);
            assert_eq!(registers.write((port, 1), 0, |_, _| panic!("{port:#x}")), None);
        }
        registers.write((0xcf8, 4), 0x60 | u32::from(ICH9.0) << 8, |_, _| panic!()).unwrap();
        assert_eq!(registers.read((0xcfc, 1), |_| panic!("nothing is selected")), None);
    }

    #[test]
    fn a_line_is_led_elsewhere_and_nothing_else_is_written() {
        let mut registers = machine();
        read(&mut registers, PIIX3, 0x61, 1).unwrap();
        let mut written = Vec::new();
        let mut write = |port, size, value| {
            registers.write((port, size), value, |register, value| written.push((register, value)))
        };
        assert_eq!(write(0xcfd, 1, 0x8b), Some(()));
        assert_eq!(write(0xcfd, 1, 0xfff_ff0a), Some(()));
        assert_eq!(write(0xcfd, 1, 0x1b), None);
        assert_eq!(write(0xcfc, 4, 0x0a0b_4080), None);
        let register = Register { bdf: PIIX3, offset: 0x61, size: 1 };
        assert_eq!(written, [(register, 0x8b), (register, 0xfff_ff0a)]);
    }
}
