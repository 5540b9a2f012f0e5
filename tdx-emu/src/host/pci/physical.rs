// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's PCI devices, and the routes of their interrupts into the TD.
//!
//! Spec: PCI "Configuration Mechanism"; SDM "Message Signalled Interrupts".
#![expect(unsafe_code, reason = "ports and device registers")]

use x86_64::instructions::port::Port;

use super::platform::{PhysicalMessage, Platform, Target};
use crate::{
    iommu::{
        self, dma,
        remapping::{Entry, Way},
    },
    machine::{cpus, memory},
    observe::Source,
};

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;
const ENABLE: u32 = 1 << 31;

/// The machine, as far as the TD's devices need it. There is one, behind a lock, because the two
/// ports are used one after the other.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Address of the first posted-interrupt descriptor; the others follow.
    pub(crate) descriptors: u64,
    /// Number of virtual CPUs.
    pub(crate) vcpus: usize,
    /// The way of messages for which the TD asked for none.
    pub(crate) usual_way: Way,
}

impl Machine {
    fn select(devfn: u8, offset: u8) -> u16 {
        let address = ENABLE | u32::from(devfn) << 8 | u32::from(offset & !3);
        // SAFETY: the address register has no effect by itself.
        unsafe { Port::new(ADDRESS).write(address) };
        DATA + u16::from(offset & 3)
    }
}

impl Platform for Machine {
    fn config_read(&mut self, devfn: u8, offset: u8, size: u8) -> u32 {
        let port = Self::select(devfn, offset);
        self.port_read(port, size)
    }

    fn config_write(&mut self, devfn: u8, offset: u8, size: u8, value: u32) {
        let port = Self::select(devfn, offset);
        self.port_write(port, size, value);
    }

    fn memory_read(&mut self, hpa: u64, size: u8) -> u64 {
        match size {
            // SAFETY: the caller checked that the address is memory of one of the TD's devices,
            // which the identity map covers.
            1 => u64::from(unsafe { memory::at::<u8>(hpa).read_volatile() }),
            // SAFETY: as above, and aligned.
            2 => u64::from(unsafe { memory::at::<u16>(hpa & !1).read_volatile() }),
            // SAFETY: as above.
            4 => u64::from(unsafe { memory::at::<u32>(hpa & !3).read_volatile() }),
            // SAFETY: as above.
            _ => unsafe { memory::at::<u64>(hpa & !7).read_volatile() },
        }
    }

    fn memory_write(&mut self, hpa: u64, size: u8, value: u64) {
        let [b0, b1, b2, b3, ..] = value.to_le_bytes();
        match size {
            // SAFETY: as for `memory_read`; the device belongs to the TD.
            1 => unsafe { memory::at::<u8>(hpa).write_volatile(b0) },
            // SAFETY: as above.
            2 => unsafe {
                memory::at::<u16>(hpa & !1).write_volatile(u16::from_le_bytes([b0, b1]));
            },
            // SAFETY: as above.
            4 => unsafe {
                memory::at::<u32>(hpa & !3).write_volatile(u32::from_le_bytes([b0, b1, b2, b3]));
            },
            // SAFETY: as above.
            _ => unsafe { memory::at::<u64>(hpa & !7).write_volatile(value) },
        }
    }

    fn port_read(&mut self, port: u16, size: u8) -> u32 {
        match size {
            // SAFETY: a port of a device that belongs to the TD, or the data port of configuration space,
            // reading which changes nothing.
            1 => u32::from(unsafe { Port::<u8>::new(port).read() }),
            // SAFETY: as above.
            2 => u32::from(unsafe { Port::<u16>::new(port).read() }),
            // SAFETY: as above.
            _ => unsafe { Port::<u32>::new(port).read() },
        }
    }

    fn port_write(&mut self, port: u16, size: u8, value: u32) {
        let [b0, b1, ..] = value.to_le_bytes();
        match size {
            // SAFETY: a port of a device that belongs to the TD; or configuration space, of which
            // `super::device` decides what is written: decoding, bus mastering, interrupts.
            1 => unsafe { Port::new(port).write(b0) },
            // SAFETY: as above.
            2 => unsafe { Port::new(port).write(u16::from_le_bytes([b0, b1])) },
            // SAFETY: as above.
            _ => unsafe { Port::new(port).write(value) },
        }
    }

    fn confine(&mut self, devfn: u8) -> bool {
        dma::confine(devfn)
    }

    fn allocate_vector(&mut self, source: Source) -> Option<u8> {
        iommu::source(source)
    }

    fn usual_way(&self) -> Way {
        self.usual_way
    }

    fn route(&mut self, vector: u8, target: Target) -> Option<PhysicalMessage> {
        const INTERRUPT_WINDOW: u32 = 0xfee0_0000;
        const LOWEST: u8 = 32;
        if target.cpu >= self.vcpus || target.vector < LOWEST {
            return None;
        }
        let descriptor = self.descriptors + target.cpu as u64 * 64;
        let cpu = u8::try_from(target.cpu).ok()?;
        iommu::remap(vector, Entry { descriptor, vector: target.vector, cpu, way: target.way });
        let address = INTERRUPT_WINDOW | u32::from(cpus::apic_id(target.cpu)) << 12;
        Some(PhysicalMessage { address, data: u32::from(vector) })
    }
}
