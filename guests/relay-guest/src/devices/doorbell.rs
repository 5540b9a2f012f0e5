// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU's ivshmem device, whose outside end rings on command.
//!
//! Commands lie in the shared memory (BAR 2): operation, entries, rounds, then a new sequence
//! number; a store to the doorbell register (BAR 0) makes the other end look. It answers with the
//! same sequence number when it has done what was asked. Handlers count acknowledgements there.
//!
//! Spec: IVSHMEM "Device Specification for Inter-VM shared memory device".

use core::cell::Cell;
use core::ops::Range;

use spin::Once;

use crate::failure::Failure;
use crate::pci::message::Message;
use crate::pci::{self, Function, Id, MsiX};
use crate::registers::Registers;
use crate::vectors::{self, MAX_ENTRIES, Set};
use crate::wait;

/// Vendor and device identifiers.
const ID: Id = Id { vendor: 0x1af4, device: 0x1110 };

/// The doorbell register in BAR 0, and that BAR's size.
const DOORBELL: usize = 0x0c;
const REGISTERS_LENGTH: u64 = 0x100;

/// Doorbell value: vector 0 of peer 1, the outside end.
const RING_PEER: u32 = 1 << 16;

/// Words of the shared memory, and the part of it in use.
const MAGIC: usize = 0x00;
const SEQUENCE: usize = 0x04;
const OPERATION: usize = 0x08;
const FIRST: usize = 0x0c;
const COUNT: usize = 0x10;
const ROUNDS: usize = 0x14;
const DONE: usize = 0x18;
const ABORT: usize = 0x1c;
const ACKS: usize = 0x40;
const RUNG: usize = 0x200;
const MEMORY_LENGTH: u64 = 0x1000;

/// The magic word of a peer that is ready.
const READY: u32 = 0x4c59_4348;

/// The shared memory, for the handlers.
static MEMORY: Once<Registers> = Once::new();

/// What the outside end can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// One ring at a time, the next after its acknowledgement.
    Paced = 1,
    /// Each round rings all entries, then waits for all acknowledgements.
    Burst = 2,
    /// Rings without waiting.
    Storm = 3,
    /// Rings without waiting until the next command.
    Free = 4,
}

/// The device.
#[derive(Debug)]
pub(crate) struct Doorbell {
    function: Function,
    registers: Registers,
    memory: Registers,
    msix: MsiX,
    sequence: Cell<u32>,
    destinations: [Cell<u8>; MAX_ENTRIES as usize],
}

/// Counts the acknowledgement of `entry`.
pub(crate) fn acknowledge(entry: u16) {
    if let Some(memory) = MEMORY.get() {
        memory.increase(ACKS + 4 * usize::from(entry));
    }
}

impl Doorbell {
    /// Finds the device, brings it up and waits for its outside end.
    pub(crate) fn find(shared: u64) -> Result<Self, Failure> {
        let function = pci::find(ID).ok_or(Failure::NoDevice("1af4:1110"))?;
        let registers = function.map(0, REGISTERS_LENGTH, shared)?;
        let memory = function.map(2, MEMORY_LENGTH, shared)?;
        let msix = MsiX::of(function, shared)?;
        function.enable();
        msix.enable();
        wait::poll_until("the outside end of the doorbell", || memory.read(MAGIC) == READY)?;
        MEMORY.call_once(|| memory);
        let sequence = Cell::new(memory.read(SEQUENCE));
        let destinations = [const { Cell::new(0) }; MAX_ENTRIES as usize];
        Ok(Self { function, registers, memory, msix, sequence, destinations })
    }

    /// The PCI function.
    pub(crate) fn function(&self) -> Function {
        self.function
    }

    /// The table of messages.
    pub(crate) fn msix(&self) -> &MsiX {
        &self.msix
    }

    /// Sends `entry` to the CPU with APIC id `cpu` by its vector of `set`, or finds it refused.
    pub(crate) fn assign(&self, entry: u16, set: Set, cpu: u8) -> Result<(), Failure> {
        self.announce(entry, set, cpu);
        self.msix.unmask(entry)
    }

    /// The same without the last step: the entry is masked until it is unmasked.
    pub(crate) fn announce(&self, entry: u16, set: Set, cpu: u8) {
        self.destinations[usize::from(entry)].set(cpu);
        self.msix.program(entry, Message::new(vectors::doorbell(set, entry), cpu));
    }

    /// Gives `entry` a message with `vector`, which nobody can take: it is refused and has no way left.
    pub(crate) fn withdraw(&self, entry: u16, vector: u8) {
        self.msix.program(entry, Message::new(vector, 0));
        // That it is refused is what is wanted.
        let _ = self.msix.unmask(entry);
    }

    /// The APIC id that `entry` was last sent to.
    pub(crate) fn destination(&self, entry: u16) -> u8 {
        self.destinations[usize::from(entry)].get()
    }

    /// Asks the outside end to do `operation` with `entries`.
    pub(crate) fn ask(&self, operation: Operation, entries: Range<u16>, rounds: u32) {
        self.memory.write(OPERATION, operation as u32);
        self.memory.write(FIRST, u32::from(entries.start));
        self.memory.write(COUNT, u32::from(entries.end - entries.start));
        self.memory.write(ROUNDS, rounds);
        self.sequence.update(|sequence| sequence.wrapping_add(1));
        self.memory.write(SEQUENCE, self.sequence.get());
        self.registers.write(DOORBELL, RING_PEER);
    }

    /// Whether the last command is done.
    pub(crate) fn is_done(&self) -> bool {
        self.memory.read(DONE) == self.sequence.get()
    }

    /// Waits until the last command is done.
    pub(crate) fn await_done(&self) -> Result<(), Failure> {
        wait::poll_until("the end of a command", || self.is_done())?;
        match self.memory.read(ABORT) {
            0 => Ok(()),
            code => Err(Failure::Aborted(code)),
        }
    }

    /// How often `entry` was rung.
    pub(crate) fn rung(&self, entry: u16) -> u32 {
        self.memory.read(RUNG + 4 * usize::from(entry))
    }

    /// Whether every ring of `entry` is acknowledged.
    pub(crate) fn is_settled(&self, entry: u16) -> bool {
        self.memory.read(ACKS + 4 * usize::from(entry)) == self.rung(entry)
    }

    /// Forgets the rings of `entry` that were merged or fell on a masked entry.
    pub(crate) fn settle(&self, entry: u16) {
        self.memory.write(ACKS + 4 * usize::from(entry), self.rung(entry));
    }
}
