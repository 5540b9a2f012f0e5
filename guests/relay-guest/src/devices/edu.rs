// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU's educational device.
//!
//! Writing a register raises an interrupt, and so does the end of a DMA transfer, 100 ms of virtual
//! time after its start, whether or not the device reached the memory. A transfer copies a few bytes
//! between memory and the device's own buffer.
//!
//! Spec: EDU "MMIO area spec", "DMA".

use spin::Once;

use crate::failure::Failure;
use crate::pci::message::Message;
use crate::pci::{self, Function, Id, Msi};
use crate::registers::Registers;
use crate::vectors;

/// Vendor and device identifiers.
pub(super) const ID: Id = Id { vendor: 0x1234, device: 0x11e8 };

/// Registers in BAR 0, and its size.
const LIVENESS: usize = 0x04;
pub(super) const INTERRUPT_STATUS: usize = 0x24;
pub(super) const INTERRUPT_RAISE: usize = 0x60;
pub(super) const INTERRUPT_ACKNOWLEDGE: usize = 0x64;
const DMA_SOURCE: usize = 0x80;
const DMA_DESTINATION: usize = 0x88;
const DMA_COUNT: usize = 0x90;
const DMA_COMMAND: usize = 0x98;
pub(super) const LENGTH: u64 = 0x10_0000;

/// Start a transfer from memory to the device, with an interrupt at its end.
const DMA_START: u32 = 0x05;

/// The other direction.
const DMA_TO_MEMORY: u32 = 0x02;

/// Where the device's own buffer begins, as the device sees it.
const DMA_BUFFER: u32 = 0x4_0000;

/// How much a transfer copies.
pub(crate) const DMA_BYTES: usize = 64;
const DMA_COUNTED: u32 = 64;

const _: () = assert!(DMA_BYTES == DMA_COUNTED as usize);

/// Where a transfer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From memory into the device's buffer.
    ToDevice,
    /// From the device's buffer into memory.
    ToMemory,
}

/// The registers, for the handler.
static REGISTERS: Once<Registers> = Once::new();

/// The device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edu {
    function: Function,
    registers: Registers,
    msi: Msi,
}

/// Takes back whatever the device raised.
pub(crate) fn acknowledge() {
    if let Some(registers) = REGISTERS.get() {
        registers.write(INTERRUPT_ACKNOWLEDGE, registers.read(INTERRUPT_STATUS));
    }
}

impl Edu {
    /// Finds the device and brings it up.
    pub(crate) fn find(shared: u64) -> Result<Self, Failure> {
        let function = pci::find(ID).ok_or(Failure::NoDevice("1234:11e8"))?;
        let registers = function.map(0, LENGTH, shared)?;
        let msi = Msi::of(function)?;
        function.enable();
        registers.write(LIVENESS, 0x1234_5678);
        if registers.read(LIVENESS) != !0x1234_5678 {
            return Err(Failure::BadDevice("edu does not live"));
        }
        REGISTERS.call_once(|| registers);
        Ok(Self { function, registers, msi })
    }

    /// The PCI function.
    pub(crate) fn function(&self) -> Function {
        self.function
    }

    /// Sends the device's interrupts to the CPU with APIC id `cpu`.
    pub(crate) fn assign(&self, cpu: u8) {
        self.msi.program(Message::new(vectors::EDU, cpu));
    }

    /// Raises an interrupt.
    pub(crate) fn raise(&self) {
        self.registers.write(INTERRUPT_RAISE, 1);
    }

    /// Starts a transfer between the memory at `address`, as a device names it, and the buffer. At its
    /// end there is an interrupt.
    pub(crate) fn transfer(&self, direction: Direction, address: u32) {
        let (source, destination, command) = match direction {
            Direction::ToDevice => (address, DMA_BUFFER, DMA_START),
            Direction::ToMemory => (DMA_BUFFER, address, DMA_START | DMA_TO_MEMORY),
        };
        self.registers.write(DMA_SOURCE, source);
        self.registers.write(DMA_DESTINATION, destination);
        self.registers.write(DMA_COUNT, DMA_COUNTED);
        self.registers.write(DMA_COMMAND, command);
    }

    /// Whether the device has nothing to be acknowledged.
    pub(crate) fn is_quiet(&self) -> bool {
        self.registers.read(INTERRUPT_STATUS) == 0
    }
}
