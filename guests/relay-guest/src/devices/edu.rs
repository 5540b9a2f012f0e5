// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU's educational device.
//!
//! Writing a register raises an interrupt, and so does the end of a DMA transfer, 100 ms of virtual
//! time after its start. The transfer here reads a few bytes of low memory into the device's own
//! buffer: it changes no memory, whatever a guest physical address means to the device.
//!
//! Spec: EDU "MMIO area spec", "DMA".

use spin::Once;

use crate::failure::Failure;
use crate::pci::message::Message;
use crate::pci::{self, Function, Id, Msi};
use crate::registers::Registers;
use crate::vectors;

/// Vendor and device identifiers.
const ID: Id = Id { vendor: 0x1234, device: 0x11e8 };

/// Registers in BAR 0, and its size.
const LIVENESS: usize = 0x04;
const INTERRUPT_STATUS: usize = 0x24;
const INTERRUPT_RAISE: usize = 0x60;
const INTERRUPT_ACKNOWLEDGE: usize = 0x64;
const DMA_SOURCE: usize = 0x80;
const DMA_DESTINATION: usize = 0x88;
const DMA_COUNT: usize = 0x90;
const DMA_COMMAND: usize = 0x98;
const LENGTH: u64 = 0x10_0000;

/// Start a transfer from memory to the device, with an interrupt at its end.
const DMA_START: u32 = 0x05;

/// Where the device's own buffer begins, as the device sees it.
const DMA_BUFFER: u32 = 0x4_0000;

/// What a transfer copies, and how much of it.
const DMA_FROM: u32 = 0x1000;
const DMA_BYTES: u32 = 16;

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

    /// Starts a transfer, at whose end there is an interrupt.
    pub(crate) fn transfer(&self) {
        self.registers.write(DMA_SOURCE, DMA_FROM);
        self.registers.write(DMA_DESTINATION, DMA_BUFFER);
        self.registers.write(DMA_COUNT, DMA_BYTES);
        self.registers.write(DMA_COMMAND, DMA_START);
    }

    /// Whether the device has nothing to be acknowledged.
    pub(crate) fn is_quiet(&self) -> bool {
        self.registers.read(INTERRUPT_STATUS) == 0
    }
}
