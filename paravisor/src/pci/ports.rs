// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ports of a function: a base address register that L2 moves, in front of a range of the host's that
//! does not move.
//!
//! Each access of L2 to a port exits, so where L2 finds the range is a matter between L1 and L2: L2
//! sizes and moves the register like that of any device, and L1 asks the host for the same port of the
//! range that the register had when L1 first looked. The host is asked for its size once. Below
//! [`FIRST`](ports::FIRST) is neither L2's range nor the host's: there are the platform's own ports on the one side,
//! and on the other those by which L1 itself speaks with the host.
//!
//! Spec: PCI "Base Addresses", "Address Decoding".

use super::{
    address::Bdf,
    machine::{Machine, Register},
};
use crate::width::low16;

/// The first port that can be a device's.
pub const FIRST: u16 = 0x1000;

/// In the register, what is no address.
const FLAGS: u32 = 3;
/// It is for ports.
const IS_PORT: u32 = 1;
/// No function has more ports in one range, and a register has two bits of flags.
const SIZES: core::ops::RangeInclusive<u32> = 4..=256;
/// Ports are decoded by so many bits.
const SPACE: u32 = 0xffff;

const COMMAND: u8 = 0x04;
const DECODE: u32 = 0b11;

/// A range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The host's first port.
    host: u16,
    /// How many there are.
    size: u16,
    /// Where L2 has placed them: as it reads, without flags.
    placed: u32,
}

impl Ports {
    /// Asks the host for the range of the register at `offset` of a function, which does not decode
    /// meanwhile. `None` if what it answers is no range that L2 could have.
    pub fn ask(machine: &mut impl Machine, bdf: Bdf, offset: u8) -> Option<Self> {
        let command = Register { bdf, offset: COMMAND, size: 2 };
        let register = Register { bdf, offset, size: 4 };
        let decodes = machine.config_read(command) & SPACE;
        machine.config_write(command, decodes & !DECODE);
        let found = machine.config_read(register);
        machine.config_write(register, u32::MAX);
        let ones = machine.config_read(register);
        machine.config_write(register, found);
        machine.config_write(command, decodes);
        Self::new(found, ones)
    }

    /// The range of a register that was `found` with this value, and read as `ones` when it was written
    /// with ones. Its upper half may be missing.
    #[must_use]
    pub fn new(found: u32, ones: u32) -> Option<Self> {
        let (host, mask) = (found & !FLAGS, ones & !FLAGS & SPACE);
        let size = (SPACE + 1).checked_sub(mask).filter(|size| SIZES.contains(size))?;
        let fits = size.is_power_of_two() && host.is_multiple_of(size) && host <= SPACE;
        let is_port = [found, ones].iter().all(|value| value & FLAGS == IS_PORT);
        let host = low16(host.into());
        (is_port && fits && host >= FIRST).then(|| Self {
            host,
            size: low16(size.into()),
            placed: host.into(),
        })
    }

    /// What L2 reads.
    #[must_use]
    pub const fn read(&self) -> u32 {
        self.placed | IS_PORT
    }

    /// What L2 writes: an address, or ones to learn the size.
    pub fn write(&mut self, value: u32) {
        self.placed = value & !(u32::from(self.size) - 1);
    }

    /// The host's port for `port` of L2, if the range has all `bytes` of the access.
    #[must_use]
    pub fn at_host(&self, port: u16, bytes: u8) -> Option<u16> {
        let last = u32::from(port) + u32::from(bytes.checked_sub(1)?);
        let within = u32::from(port).checked_sub(self.placed)?;
        let is_all = port >= FIRST && last - self.placed < u32::from(self.size) && last <= SPACE;
        is_all.then(|| self.host + low16(within.into()))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{FIRST, Ports};
    use crate::pci::model::{BDF, Model};

    const ONES: u32 = 0xffff_fff9;

    fn ports() -> Ports {
        Ports::new(0xc041, ONES).unwrap()
    }

    #[test]
    fn l2_sizes_and_moves_it() {
        let mut ports = ports();
        assert_eq!(ports.read(), 0xc041, "as the host has it");
        ports.write(u32::MAX);
        assert_eq!(ports.read(), 0xffff_fff9, "eight ports");
        assert_eq!(ports.at_host(0xfff8, 1), None, "it is out of reach meanwhile");
        ports.write(0x2007);
        assert_eq!(ports.read(), 0x2001);
        assert_eq!(ports.at_host(0x2000, 1), Some(0xc040), "the host's have not moved");
        assert_eq!(ports.at_host(0xc040, 1), None);
    }

    #[test]
    fn an_access_is_in_the_range_with_all_its_bytes() {
        let ports = ports();
        assert_eq!(ports.at_host(0xc040, 1), Some(0xc040));
        assert_eq!(ports.at_host(0xc044, 4), Some(0xc044));
        assert_eq!(ports.at_host(0xc047, 1), Some(0xc047));
        for (port, bytes) in [(0xc03f, 1), (0xc03f, 2), (0xc045, 4), (0xc047, 2), (0xc048, 1)] {
            assert_eq!(ports.at_host(port, bytes), None, "{port:#x} {bytes}");
        }
        let last = Ports::new(0xfffd, 0xfffd).unwrap();
        assert_eq!((last.at_host(0xffff, 1), last.at_host(0xffff, 2)), (Some(0xffff), None));
    }

    #[test]
    fn the_ports_of_the_platform_are_never_a_device_s() {
        let mut ports = ports();
        for placed in [0, 0x3f8, 0xcf8, u32::from(FIRST) - 8] {
            ports.write(placed);
            let reached: Vec<_> =
                (0..=0xffff).filter(|port| ports.at_host(*port, 1).is_some()).collect();
            assert_eq!(reached, [], "{placed:#x}");
        }
    }

    #[test]
    fn ports_by_which_l1_speaks_with_the_host_are_no_range() {
        for host in [0x2f8, 0x3f8, 0xcf8, 0x510, 0xff8] {
            assert_eq!(Ports::new(host | 1, ONES), None, "{host:#x}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_no_range() {
        for (found, ones) in [
            (0xc040, ONES),        // memory
            (0xc041, 0xffff_fff8), // memory when it is sized
            (0xc041, 0),           // nothing is left of it
            (0xc041, 0xffff_ffff), // a function that is gone
            (0xc041, 0xffff_0001), // as large as the space
            (0xc001, 0xffff_fe01), // larger than any
            (0xc041, 0xffff_ff59), // a hole in the size
            (0xc045, 0xffff_fff1), // not aligned
            (0x0001_c041, ONES),   // above the ports there are
            (0xffff_ffff, 0xffff_ffff),
        ] {
            assert_eq!(Ports::new(found, ones), None, "{found:#x} {ones:#x}");
        }
        assert!(Ports::new(0xc041, 0x0000_fff9).is_some(), "the upper half may be missing");
    }

    #[test]
    fn the_host_is_asked_while_nothing_decodes_and_has_everything_back() {
        let mut model = Model::new(0);
        model.set(0x04, 0x0107, 2);
        model.set(0x14, 0xc041, 4);
        // A model without size masks keeps the ones.
        assert_eq!(Ports::ask(&mut model, BDF, 0x14), None);
        let log =
            ["config 04 = 104", "config 14 = ffffffff", "config 14 = c041", "config 04 = 107"];
        assert_eq!(model.take_log(), log);
    }
}
