// SPDX-License-Identifier: MIT OR Apache-2.0
//! What AML reaches of the machine, by ports.
//!
//! Spec: PCI "Configuration Mechanism #1".

use aml_routes::{Location, Machine, Refused, Width};

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;
const ENABLE: u32 = 1 << 31;

/// Ports, each access to which may be refused.
pub(crate) trait Ports {
    /// Reads 1, 2 or 4 bytes.
    fn input(&mut self, port: u16, size: u8) -> Result<u32, Refused>;

    /// Writes 1, 2 or 4 bytes.
    fn output(&mut self, port: u16, size: u8, value: u32) -> Result<(), Refused>;
}

/// The machine behind ports.
#[derive(Debug)]
pub(crate) struct Reach<P>(pub(crate) P);

impl<P: Ports> Reach<P> {
    /// Returns the port behind which a location is, after selecting it.
    fn port(&mut self, location: Location, size: u8) -> Result<u16, Refused> {
        match location {
            Location::Port(port) => Ok(port),
            Location::Config { segment: 0, bus, function, offset: offset @ 0..0x100 }
                if offset % 4 + u16::from(size) <= 4 =>
            {
                let register = u32::from(bus) << 16 | u32::from(function) << 8;
                let dword = u32::from(offset & 0xfc);
                self.0.output(ADDRESS, 4, ENABLE | register | dword)?;
                Ok(DATA + offset % 4)
            }
            Location::Config { .. } | Location::Memory(_) => Err(Refused),
        }
    }
}

impl<P: Ports> Machine for Reach<P> {
    fn read(&mut self, from: Location, width: Width) -> Result<u64, Refused> {
        let size = size(width)?;
        let port = self.port(from, size)?;
        self.0.input(port, size).map(u64::from)
    }

    fn write(&mut self, to: Location, width: Width, value: u64) -> Result<(), Refused> {
        let size = size(width)?;
        let port = self.port(to, size)?;
        let value = u32::try_from(value).map_err(|_| Refused)?;
        self.0.output(port, size, value)
    }
}

/// A port has no more than 4 bytes.
const fn size(width: Width) -> Result<u8, Refused> {
    match width {
        Width::Byte => Ok(1),
        Width::Word => Ok(2),
        Width::Dword => Ok(4),
        Width::Qword => Err(Refused),
    }
}

#[cfg(test)]
mod tests {
    use super::{Ports, Reach};
    use aml_routes::{Location, Machine, Refused, Width};

    /// What was written, and an answer to all reads.
    #[derive(Debug, Default)]
    struct Log(Vec<(u16, u8, u32)>);

    impl Ports for Log {
        fn input(&mut self, port: u16, size: u8) -> Result<u32, Refused> {
            self.0.push((port, size, 0));
            Ok(0x1234)
        }

        fn output(&mut self, port: u16, size: u8, value: u32) -> Result<(), Refused> {
            self.0.push((port, size, value));
            if port == 0x80 { Err(Refused) } else { Ok(()) }
        }
    }

    fn config(offset: u16) -> Location {
        Location::Config { segment: 0, bus: 2, function: 0xf9, offset }
    }

    #[test]
    fn a_register_is_selected_and_then_accessed() {
        let mut reach = Reach(Log::default());
        assert_eq!(reach.read(config(0x61), Width::Byte), Ok(0x1234));
        assert_eq!(reach.write(config(0x62), Width::Word, 5), Ok(()));
        let address = 0x8002_f960;
        let wanted = [(0xcf8, 4, address), (0xcfd, 1, 0), (0xcf8, 4, address), (0xcfe, 2, 5)];
        assert_eq!(reach.0.0, wanted);
    }

    #[test]
    fn what_no_port_reaches_is_refused_here() {
        let mut reach = Reach(Log::default());
        let segment = Location::Config { segment: 1, bus: 0, function: 0, offset: 0 };
        for (location, width) in [
            (config(0x100), Width::Byte),
            (config(0x63), Width::Word),
            (config(0x61), Width::Dword),
            (config(0x60), Width::Qword),
            (segment, Width::Byte),
            (Location::Memory(0xfec0_0000), Width::Dword),
            (Location::Port(0x70), Width::Qword),
        ] {
            assert_eq!(reach.read(location, width), Err(Refused), "{location:?}");
            assert_eq!(reach.write(location, width, 0), Err(Refused), "{location:?}");
        }
        assert!(reach.0.0.is_empty());
        assert_eq!(reach.write(Location::Port(0x80), Width::Byte, 1), Err(Refused));
    }
}
