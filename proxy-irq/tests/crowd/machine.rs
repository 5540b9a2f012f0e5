// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine of many CPUs as far as the relay sees one: interrupts that pend in L1, kicks, L2 running
//! or not. The steps of a CPU are those of the paravisor's loop, one call each, so that anything can
//! come between two of them.

use proxy_irq::{ApicMode, Kick, L2Vector, RelayBlock, Slot};

use crate::told::{self, Told};

/// Where a CPU is between two steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Loop,
    L2,
}

/// One CPU and what the hardware knows of it.
#[derive(Debug)]
pub(crate) struct Cpu<'a> {
    pub(crate) block: &'a RelayBlock,
    rvi: u8,
    place: Place,
    /// Reserved vectors that pend in L1's IRR.
    irr: u32,
    kicked: bool,
}

impl<'a> Cpu<'a> {
    pub(crate) fn new(block: &'a RelayBlock) -> Self {
        block.set_mode(ApicMode::Offload);
        Self { block, rvi: 0, place: Place::Loop, irr: 0, kicked: false }
    }

    /// A device's message has arrived.
    pub(crate) fn pend(&mut self, slot: Slot) {
        assert_eq!(self.irr & slot.bit(), 0, "the model rings a device once until it is answered");
        self.irr |= slot.bit();
    }

    /// Another CPU has left work here.
    pub(crate) fn kick(&mut self, kick: Kick) {
        self.kicked |= kick == Kick::Needed;
    }

    pub(crate) fn is_in_l2(&self) -> bool {
        self.place == Place::L2
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.is_in_l2() && self.irr == 0 && !self.kicked
    }

    /// Takes the highest interrupt that pends in L1, if any; it ends L2's turn first. Returns the
    /// slot, if it was not a kick.
    pub(crate) fn interrupt(&mut self) -> Option<Slot> {
        if self.irr == 0 && !self.kicked {
            return None;
        }
        self.leave_l2();
        self.kicked = false;
        let slot = Slot::in_bits(self.irr).last()?;
        self.irr &= !slot.bit();
        self.block.on_posted(slot);
        Some(slot)
    }

    /// Does what the control plane has asked for.
    pub(crate) fn service(&self) {
        if self.place == Place::Loop {
            self.block.service(|| self.irr);
        }
    }

    /// Drains, and enters L2 if nothing came in between. What L2 takes is passed to `taken`, and what
    /// reached no mapping is returned.
    pub(crate) fn run(&mut self, mut taken: impl FnMut(L2Vector)) -> Told {
        if self.place == Place::L2 {
            return Told::default();
        }
        let drained = told::drain(self.block, self.rvi);
        self.rvi = drained.rvi;
        // An entry with an interrupt pending is refused by the module.
        if self.block.try_enter_l2().is_ok() {
            self.place = Place::L2;
            if self.irr != 0 {
                self.leave_l2();
                return drained;
            }
            while let Some(vector) = self.block.page().deliverable() {
                assert!(self.rvi >= vector.get(), "the RVI hides a vector");
                self.block.page().deliver(vector);
                self.block.page().end_of_interrupt();
                self.rvi = self.block.page().rvi();
                taken(vector);
            }
        }
        drained
    }

    fn leave_l2(&mut self) {
        if self.place == Place::L2 {
            self.block.resume();
            self.place = Place::Loop;
        }
    }
}
