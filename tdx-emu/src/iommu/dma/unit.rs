// SPDX-License-Identifier: MIT OR Apache-2.0
//! One remapping unit: its registers and the commands that software gives through them.
//!
//! Invalidation goes through the command registers, not the queue: whoever invalidates waits for the
//! end anyway. Each wait has a bound; a unit that does not answer cannot be trusted with anything.
//!
//! Spec: VT-D "Register Descriptions", "Register-based Invalidation Interface", "Fault Event
//! Registers".

use super::{dmar::Absent, entries::DOMAIN, fault::Fault};

const CAP_REG: u64 = 0x08;
const ECAP_REG: u64 = 0x10;
const VER_REG: u64 = 0x00;
const GCMD_REG: u64 = 0x18;
const GSTS_REG: u64 = 0x1c;
const RTADDR_REG: u64 = 0x20;
const CCMD_REG: u64 = 0x28;
const FSTS_REG: u64 = 0x34;
const FECTL_REG: u64 = 0x38;
const FEDATA_REG: u64 = 0x3c;
const FEADDR_REG: u64 = 0x40;
const FEUADDR_REG: u64 = 0x44;

/// Offset of `IOTLB_REG` from where the extended capabilities say that the pair begins.
const IOTLB_REG: u64 = 8;

/// Bits of `GCMD_REG`, and of `GSTS_REG` where they are kept.
mod global {
    pub(super) const TRANSLATION_ENABLE: u32 = 1 << 31;
    pub(super) const SET_ROOT_TABLE_POINTER: u32 = 1 << 30;
    pub(super) const WRITE_BUFFER_FLUSH: u32 = 1 << 27;
    /// Those that stay what they are while another one is written.
    pub(super) const KEPT: u32 = 0x96ff_ffff;
}

/// Both invalidation commands: go on, and the global or the domain's kind of it.
const INVALIDATE: u64 = 1 << 63;
const CONTEXT_GLOBAL: u64 = 1 << 61;
const IOTLB_GLOBAL: u64 = 1 << 60;
const IOTLB_DOMAIN: u64 = 2 << 60;

const FSTS_OVERFLOW: u32 = 1 << 0;
const FECTL_MASK: u32 = 1 << 31;

/// How long a command may take.
const PATIENCE_NS: u64 = 1_000_000_000;

/// The registers of a unit, by offset.
pub(crate) trait Registers {
    /// Reads 4 bytes.
    fn read32(&self, offset: u64) -> u32;

    /// Reads 8 bytes.
    fn read64(&self, offset: u64) -> u64;

    /// Writes 4 bytes.
    fn write32(&self, offset: u64, value: u32);

    /// Writes 8 bytes.
    fn write64(&self, offset: u64, value: u64);

    /// Nanoseconds since some time.
    fn now_ns(&self) -> u64;
}

/// The unit did not do in time what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unresponsive;

/// A remapping unit.
#[derive(Debug)]
pub(crate) struct Unit<R> {
    registers: R,
    capabilities: u64,
    iotlb: u64,
    /// Levels of second-level tables.
    pub(crate) levels: u8,
}

impl<R: Registers> Unit<R> {
    /// Looks at what answers at `registers`.
    pub(crate) fn new(registers: R) -> Result<Self, Absent> {
        let version = registers.read32(VER_REG);
        if version == u32::MAX || !(1..=15).contains(&(version >> 4 & 0xf)) {
            return Err(Absent::Unusable("nothing answers where the unit should be"));
        }
        let capabilities = registers.read64(CAP_REG);
        let levels = match capabilities >> 8 & 0x1f {
            widths if widths & 0b010 != 0 => 3,
            widths if widths & 0b100 != 0 => 4,
            _ => return Err(Absent::Unusable("the unit walks neither three nor four levels")),
        };
        let iotlb = (registers.read64(ECAP_REG) >> 8 & 0x3ff) * 16;
        Ok(Self { registers, capabilities, iotlb, levels })
    }

    /// Makes the unit use the root table at `root`; no request is translated yet.
    pub(crate) fn set_root(&self, root: u64) -> Result<(), Unresponsive> {
        self.switch_off(global::TRANSLATION_ENABLE)?;
        self.registers.write64(RTADDR_REG, root);
        self.switch_on(global::SET_ROOT_TABLE_POINTER)?;
        self.registers.write64(CCMD_REG, INVALIDATE | CONTEXT_GLOBAL);
        self.wait(|unit| unit.registers.read64(CCMD_REG) & INVALIDATE == 0)?;
        self.invalidate(IOTLB_GLOBAL)
    }

    /// Makes the unit announce faults by a message.
    pub(crate) fn announce_faults(&self, address: u32, data: u32) {
        self.registers.write32(FEDATA_REG, data);
        self.registers.write32(FEADDR_REG, address);
        self.registers.write32(FEUADDR_REG, 0);
        let control = self.registers.read32(FECTL_REG);
        self.registers.write32(FECTL_REG, control & !FECTL_MASK);
    }

    /// From here on requests are translated or refused.
    pub(crate) fn enable(&self) -> Result<(), Unresponsive> {
        self.switch_on(global::TRANSLATION_ENABLE)
    }

    /// To be called after pages were mapped: hardware that caches what is not present forgets it.
    pub(crate) fn mapped(&self) -> Result<(), Unresponsive> {
        const CACHING_MODE: u64 = 1 << 7;
        if self.capabilities & CACHING_MODE != 0 { self.unmapped() } else { self.flush_writes() }
    }

    /// To be called after pages were unmapped. When it returns no device reaches them any more.
    pub(crate) fn unmapped(&self) -> Result<(), Unresponsive> {
        self.flush_writes()?;
        self.invalidate(IOTLB_DOMAIN | DOMAIN << 32)
    }

    /// Hands over the recorded faults and empties the registers; tells whether more were lost.
    pub(crate) fn take_faults(&self, mut each: impl FnMut(Fault)) -> bool {
        let first = (self.capabilities >> 24 & 0x3ff) * 16;
        let count = (self.capabilities >> 40 & 0xff) + 1;
        for register in (0..count).map(|number| first + number * 16) {
            let [low, high] = [register, register + 8].map(|half| self.registers.read64(half));
            if let Some(fault) = Fault::read(low, high) {
                each(fault);
                self.registers.write64(register + 8, Fault::FULL);
            }
        }
        let overflow = self.registers.read32(FSTS_REG) & FSTS_OVERFLOW != 0;
        if overflow {
            self.registers.write32(FSTS_REG, FSTS_OVERFLOW);
        }
        overflow
    }

    /// Older hardware keeps table entries in a buffer of its own until it is told.
    fn flush_writes(&self) -> Result<(), Unresponsive> {
        const REQUIRED: u64 = 1 << 4;
        if self.capabilities & REQUIRED == 0 {
            return Ok(());
        }
        let status = self.registers.read32(GSTS_REG) & global::KEPT;
        self.registers.write32(GCMD_REG, status | global::WRITE_BUFFER_FLUSH);
        self.wait(|unit| unit.registers.read32(GSTS_REG) & global::WRITE_BUFFER_FLUSH == 0)
    }

    fn invalidate(&self, kind: u64) -> Result<(), Unresponsive> {
        self.registers.write64(self.iotlb + IOTLB_REG, INVALIDATE | kind);
        self.wait(|unit| unit.registers.read64(unit.iotlb + IOTLB_REG) & INVALIDATE == 0)
    }

    /// Switches one function on, and waits until the status says so.
    fn switch_on(&self, bit: u32) -> Result<(), Unresponsive> {
        let status = self.registers.read32(GSTS_REG) & global::KEPT;
        self.registers.write32(GCMD_REG, status | bit);
        self.wait(|unit| unit.registers.read32(GSTS_REG) & bit != 0)
    }

    /// Switches one function off, and waits until the status says so.
    fn switch_off(&self, bit: u32) -> Result<(), Unresponsive> {
        let status = self.registers.read32(GSTS_REG) & global::KEPT;
        self.registers.write32(GCMD_REG, status & !bit);
        self.wait(|unit| unit.registers.read32(GSTS_REG) & bit == 0)
    }

    fn wait(&self, done: impl Fn(&Self) -> bool) -> Result<(), Unresponsive> {
        let since = self.registers.now_ns();
        while !done(self) {
            if self.registers.now_ns().saturating_sub(since) > PATIENCE_NS {
                return Err(Unresponsive);
            }
            core::hint::spin_loop();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
