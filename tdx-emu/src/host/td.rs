// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TD as the host knows it. There is one.

use alloc::vec::Vec;

use spin::{Mutex, Once};

use super::{
    campaign::{Campaign, Raise, Way},
    command_line::Conversion,
    console::Console,
    deeds::Hostile,
    fw_cfg::{FwCfg, Physical},
    hostile::{Smis, UnaskedInterrupts},
    hyperv::{Partition, hands::TheTd},
    io_apic::IoApic,
    pci::{Pci, physical::Machine},
    private_memory::PrivateMemory,
    quote::Quoting,
    shared_ept::SharedEpt,
    vcpu::Vcpu,
};
use crate::machine::{cpus, tables::Frames};

/// The bit of a guest-physical address that makes it shared.
pub(crate) const SHARED_BIT: u64 = 1 << 47;

/// Bytes in a page.
pub(crate) const PAGE: u64 = 4096;

/// Bytes in a large page.
pub(crate) const LARGE_PAGE: u64 = 2 << 20;

/// The TD.
#[derive(Debug)]
pub(crate) struct Td {
    /// The page that names it to the module.
    pub(crate) tdr: u64,
    /// Time-stamp counter of the machine when the TD's was zero.
    pub(crate) tsc_origin: u64,
    /// Its virtual CPUs.
    pub(crate) vcpus: Vec<Vcpu>,
    /// Its private memory.
    pub(crate) private: PrivateMemory,
    /// Its shared memory and device memory.
    pub(crate) shared: Mutex<SharedEpt<Frames>>,
    /// Its devices.
    pub(crate) pci: Mutex<(Pci, Machine)>,
    /// The IO-APIC that it reaches.
    pub(crate) io_apic: Mutex<IoApic>,
    /// The configuration device that it reaches.
    pub(crate) fw_cfg: Mutex<FwCfg<Physical>>,
    /// Its consoles.
    pub(crate) consoles: [Console; 2],
    /// Quotes it waits for.
    pub(crate) quoting: Quoting,
    /// The partition, if the host is of Hyper-V's kind.
    pub(crate) hyperv: Option<Partition<TheTd>>,
    /// Interrupts that it did not ask for.
    pub(crate) unasked: UnaskedInterrupts,
    /// Every vector, raised in vain.
    pub(crate) campaign: Campaign,
    /// System-management interrupts.
    pub(crate) smis: Smis,
    /// What the host does by a seed.
    pub(crate) hostile: Hostile,
    /// Whether L1 goes on when L2 was given memory.
    pub(crate) resume_l1: bool,
    /// How it has memory converted.
    pub(crate) conversion: Conversion,
    /// Nanoseconds by which a deadline of L1's timer ends early.
    pub(crate) timer_advance_ns: u64,
}

static TD: Once<Td> = Once::new();

impl Td {
    /// Makes the TD known to all CPUs.
    pub(crate) fn publish(self) -> &'static Self {
        TD.call_once(|| self)
    }

    /// The TD, once it is built.
    pub(crate) fn get() -> Option<&'static Self> {
        TD.get()
    }

    /// The virtual CPU that runs on this CPU.
    pub(crate) fn current_vcpu(&self) -> Option<&Vcpu> {
        self.vcpus.get(cpus::current())
    }

    /// Does what the host has to do for a virtual CPU before it is entered, and while it halts.
    pub(crate) fn attend(&'static self, vcpu: &Vcpu) {
        self.quoting.poll(self);
        self.raise_in_vain(vcpu);
        if let Some(hyperv) = &self.hyperv {
            hyperv.attend(vcpu);
        }
    }

    /// Raises the next vector of the campaign, if there is one.
    fn raise_in_vain(&self, vcpu: &Vcpu) {
        let Some(Raise { vector, way }) = self.campaign.next(vcpu.index) else { return };
        if let Some(hyperv) = &self.hyperv {
            hyperv.proxy(vcpu.index, vector);
        }
        match way {
            Way::Posted => vcpu.post(vector),
            Way::Nmi => vcpu.post_nmi(),
            Way::Message => {}
        }
    }

    /// Makes every other virtual CPU leave the TD once, so that none uses a translation that was
    /// changed before.
    pub(crate) fn flush_translations(&self) {
        for vcpu in self.vcpus.iter().filter(|vcpu| vcpu.index != cpus::current()) {
            let crossings = vcpu.crossings();
            vcpu.kick();
            while vcpu.is_still_inside(crossings) {
                core::hint::spin_loop();
            }
        }
    }
}
