// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TD itself, behind what the rest of this flavour knows of one.
#![expect(unsafe_code, reason = "shared memory is named by address and changes at any time")]

use core::sync::atomic::AtomicU32;

use super::{
    Partition,
    guest::{Guest, Retarget},
    synic::Added,
};
use crate::{
    host::{
        pci::{entry::Message, platform::Target},
        td::Td,
        vcpu::Vcpu,
    },
    iommu::{self, Called},
    machine::{clock, memory},
};

/// How long the monitor page is not looked at, at most.
const LATENCY_NS: u64 = 200_000;

/// The TD that runs. Before it is published nothing is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TheTd;

impl Guest for TheTd {
    fn with_page<R>(self, gpa: u64, access: impl FnOnce(&[AtomicU32]) -> R) -> Option<R> {
        let td = Td::get()?;
        // Memory of devices is shared, too, but not the host's to read.
        if !td.private.contains(gpa) {
            return None;
        }
        // Held over the access, so that the page is not used for something else meanwhile.
        let shared = td.shared.lock();
        let page = memory::at::<AtomicU32>(shared.translate(gpa & !0xfff)?);
        // SAFETY: 1. The shared EPT maps whole pages of this machine that lie in the identity map, and none is
        // taken away while the lock is held. 2. The TD writes it meanwhile: here it is atomics only.
        let page = unsafe { core::slice::from_raw_parts(page, 1024) };
        Some(access(page))
    }

    fn post(self, cpu: usize, vector: u8) {
        let Some(td) = Td::get() else { return };
        if let Some(vcpu) = td.vcpus.get(cpu) {
            (0..td.hostile.times()).for_each(|_| vcpu.post(vector));
        }
    }

    fn cpus(self) -> usize {
        Td::get().map_or(0, |td| td.vcpus.len())
    }

    fn retarget(self, retarget: Retarget) -> bool {
        let Some(td) = Td::get() else { return false };
        let Retarget { devfn, address, data, cpu, vector, way } = retarget;
        let message = Message { address: address.into(), data };
        let (pci, machine) = &mut *td.pci.lock();
        let found = pci.redirect(devfn, message, Target { cpu, vector, way }, machine);
        // From here on nothing new goes the old way.
        iommu::settle();
        log::debug!(
            "retarget: devfn={devfn:#x} cpu={cpu} vector={vector:#x} {way:?} found={found}"
        );
        found
    }
}

impl Partition<TheTd> {
    /// Does what is due for a virtual CPU, and has it look again soon if something wants that.
    pub(crate) fn attend(&self, vcpu: &Vcpu) {
        self.poll(TheTd, vcpu.index);
        if self.watches(vcpu.index) {
            vcpu.timer.look_at(clock::now_ns() + LATENCY_NS);
        }
    }
}

/// A device sent a message that is not posted. Context: an interrupt handler.
pub(crate) fn proxy(cpu: usize, vector: u8) -> Called {
    let known = Td::get().and_then(|td| td.hyperv.as_ref().zip(td.vcpus.get(cpu)));
    let Some((hyperv, vcpu)) = known else { return Called::No };
    // One that waits already had the virtual CPU summoned, and that was not seen yet.
    if hyperv.proxy(cpu, vector) == Added::AtOnce {
        vcpu.summon();
        Called::Yes
    } else {
        Called::No
    }
}
