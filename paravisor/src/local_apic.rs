// SPDX-License-Identifier: MIT OR Apache-2.0
//! L2's local APIC: the registers that neither the processor nor the relay has.
//!
//! Priority, EOI, the three bitmaps and SELF_IPI live in the virtual-APIC page and normally cause no
//! exit. What is here is identity, local vectors, the timer and the interrupt command. Only x2APIC
//! mode exists.
//!
//! Spec: SDM "Extended XAPIC (x2APIC)".

/// The interrupt command register.
pub mod command;

/// The timer.
pub mod timer;

use command::Command;
use proxy_irq::L2Vector;
use timer::Timer;

use crate::width::low32;

/// The registers of one virtual CPU.
#[derive(Clone, Debug)]
pub struct LocalApic {
    id: u32,
    spurious: u32,
    /// Timer, thermal, performance, LINT0, LINT1, error; and CMCI.
    local_vectors: [u32; 7],
    command: u64,
    /// The timer behind the first local vector.
    pub timer: Timer,
}

/// What a write asks of L1 besides keeping the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// Interrupts for other CPUs, or this one.
    Send(Command),
    /// The timer has another deadline.
    Timer,
    /// An interrupt for this CPU.
    SelfInterrupt(L2Vector),
}

/// The register does not exist, cannot be written, or does not take the value: #GP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault;

const VERSION: u32 = 0x0005_0014;
const MASKED: u32 = 1 << 16;
const LOCAL_VECTOR_BITS: u32 = 0x0001_f7ff;
const TIMER_BITS: u32 = 0x0007_00ff;
const SPURIOUS_BITS: u32 = 0x01ff;
const CMCI: usize = 6;

impl LocalApic {
    /// After reset, for CPU `id`. One tick of the timer is `ratio` ticks of the TSC.
    #[must_use]
    pub const fn new(id: u32, ratio: u64) -> Self {
        Self {
            id,
            spurious: 0xff,
            local_vectors: [MASKED; 7],
            command: 0,
            timer: Timer::new(ratio),
        }
    }

    /// What `IA32_APIC_BASE` reads: enabled, x2APIC, boot processor or not.
    #[must_use]
    pub const fn base(&self) -> u64 {
        0xfee0_0c00 | if self.id == 0 { 1 << 8 } else { 0 }
    }

    /// Reads the register at x2APIC MSR `msr`.
    ///
    /// # Errors
    /// There is no such register, or it cannot be read.
    pub fn read(&self, msr: u32, now: u64) -> Result<u64, Fault> {
        Ok(match msr {
            0x802 => self.id.into(),
            0x803 => VERSION.into(),
            0x80d => (self.id >> 4 << 16 | 1 << (self.id & 0xf)).into(),
            0x80f => self.spurious.into(),
            0x828 => 0,
            0x82f => self.local_vectors[CMCI].into(),
            0x830 => self.command,
            0x832..=0x837 => (*self.local_vector(msr).ok_or(Fault)?).into(),
            0x838 => self.timer.initial_count().into(),
            0x839 => self.timer.current_count(now).into(),
            0x83e => self.timer.divide().into(),
            _ => return Err(Fault),
        })
    }

    /// Writes the register at x2APIC MSR `msr`.
    ///
    /// # Errors
    /// There is no such register, it cannot be written, or the value has reserved bits.
    pub fn write(&mut self, msr: u32, value: u64, now: u64) -> Result<Effect, Fault> {
        if msr == 0x830 {
            self.command = value;
            return Ok(Command::parse(value).map_or(Effect::None, Effect::Send));
        }
        if value >> 32 != 0 {
            return Err(Fault);
        }
        let value = low32(value);
        match msr {
            0x80f => self.spurious = checked(value, SPURIOUS_BITS)?,
            0x828 => _ = checked(value, 0)?,
            0x82f => self.local_vectors[CMCI] = checked(value, LOCAL_VECTOR_BITS)?,
            0x832 => {
                self.local_vectors[0] = checked(value, TIMER_BITS)?;
                self.timer.set_mode(value >> 17 & 3);
                return Ok(Effect::Timer);
            }
            0x833..=0x837 => {
                let vector = self.local_vector_mut(msr).ok_or(Fault)?;
                *vector = checked(value, LOCAL_VECTOR_BITS)?;
            }
            0x838 => {
                self.timer.set_initial_count(value, now);
                return Ok(Effect::Timer);
            }
            0x83e => self.timer.set_divide(checked(value, 0xb)?),
            0x83f => {
                let [number, ..] = checked(value, 0xff)?.to_le_bytes();
                return Ok(L2Vector::new(number).map_or(Effect::None, Effect::SelfInterrupt));
            }
            _ => return Err(Fault),
        }
        Ok(Effect::None)
    }

    /// The vector the timer raises, unless it is masked or none an APIC accepts.
    #[must_use]
    pub fn timer_vector(&self) -> Option<L2Vector> {
        let [number, ..] = self.local_vectors[0].to_le_bytes();
        L2Vector::new(number).filter(|_| self.local_vectors[0] & MASKED == 0)
    }

    fn local_vector(&self, msr: u32) -> Option<&u32> {
        self.local_vectors.get(usize::try_from(msr.checked_sub(0x832)?).ok()?)
    }

    fn local_vector_mut(&mut self, msr: u32) -> Option<&mut u32> {
        self.local_vectors.get_mut(usize::try_from(msr.checked_sub(0x832)?).ok()?)
    }
}

const fn checked(value: u32, bits: u32) -> Result<u32, Fault> {
    if value & !bits == 0 { Ok(value) } else { Err(Fault) }
}

#[cfg(test)]
mod tests {
    use super::{Effect, Fault, LocalApic};
    use proxy_irq::L2Vector;

    #[test]
    fn identity_is_the_cpu_and_cannot_be_written() {
        let mut apic = LocalApic::new(17, 40);
        assert_eq!(apic.read(0x802, 0), Ok(17));
        assert_eq!(apic.read(0x80d, 0), Ok(1 << 16 | 2));
        assert_eq!(apic.write(0x802, 0, 0), Err(Fault));
        assert_eq!(apic.base(), 0xfee0_0c00);
        assert_eq!(LocalApic::new(0, 40).base(), 0xfee0_0d00);
    }

    #[test]
    fn local_vectors_keep_what_is_written_and_refuse_reserved_bits() {
        let mut apic = LocalApic::new(0, 40);
        assert_eq!(apic.read(0x835, 0), Ok(0x1_0000), "masked after reset");
        assert_eq!(apic.write(0x835, 0x700, 0), Ok(Effect::None));
        assert_eq!(apic.read(0x835, 0), Ok(0x700));
        assert_eq!(apic.write(0x835, 1 << 20, 0), Err(Fault));
        assert_eq!(apic.write(0x835, 1 << 40, 0), Err(Fault));
    }

    #[test]
    fn the_timer_vector_is_raised_unless_masked() {
        let mut apic = LocalApic::new(0, 40);
        assert_eq!(apic.timer_vector(), None);
        assert_eq!(apic.write(0x832, 0xec, 0), Ok(Effect::Timer));
        assert_eq!(apic.timer_vector(), L2Vector::new(0xec));
    }

    #[test]
    fn a_self_interrupt_below_16_is_dropped() {
        let mut apic = LocalApic::new(0, 40);
        let vector = L2Vector::new(0x51).unwrap();
        assert_eq!(apic.write(0x83f, 0x51, 0), Ok(Effect::SelfInterrupt(vector)));
        assert_eq!(apic.write(0x83f, 0x05, 0), Ok(Effect::None));
        assert_eq!(apic.write(0x83f, 0x151, 0), Err(Fault));
    }

    #[test]
    fn what_does_not_exist_faults_both_ways() {
        let mut apic = LocalApic::new(0, 40);
        for msr in [0x800, 0x804, 0x80e, 0x831, 0x83a, 0x840, 0x8ff] {
            assert_eq!(apic.read(msr, 0), Err(Fault));
            assert_eq!(apic.write(msr, 0, 0), Err(Fault));
        }
    }
}
