// SPDX-License-Identifier: MIT OR Apache-2.0
//! What exits, and what the processor does by itself.
//!
//! L2's APIC is the processor's as far as it goes: priority, EOI, self-interrupts and virtual-interrupt
//! delivery on the page that the relay fills. CR3, CR8, debug registers and the TSC never exit.
//!
//! A control bit that L1 may not write is listed as "must be 0" even where it is 1, so bits outside
//! the writable mask keep their value.
//!
//! Spec: TDX-TDP "L2 VMX Controls"; SDM "VM-Execution Control Fields".
#![expect(unsafe_code, reason = "capabilities are MSRs")]

use bitvec::{order::Lsb0, slice::BitSlice};
use paravisor::{
    exit::control_register::{CR0_OWNED, CR4_OWNED},
    msr, width,
};
use proxy_irq::VirtualApicPage;
use tdcall::{
    Instruction,
    md::{
        l2_vmcs::Field,
        tdvps::{L2Ctls, MSR_BITMAP_WORDS, MsrBit, l2_ctls, l2_msr_bitmap},
    },
    tdg::{self, L2Vms},
};
use x86_64::registers::model_specific::Msr;

use super::fields::{IA32E_GUEST, L2, Refused, Vmcs, write_id};

/// A set of controls: what L1 wants, what it may change.
struct Controls {
    field: Field,
    capability: u32,
    writable: u32,
    set: u32,
    clear: u32,
}

/// Primary: no exits for interrupt windows, INVLPG, RDTSC, CR3, CR8, NMI windows, debug registers,
/// single steps, PAUSE; RDPMC exits.
const PRIMARY: Controls = Controls {
    field: Field::PROCESSOR_BASED_CONTROLS,
    capability: 0x48e,
    writable: 0x48d9_9a04,
    set: 1 << 11,
    clear: 1 << 2
        | 1 << 9
        | 1 << 12
        | 1 << 15
        | 1 << 16
        | 1 << 19
        | 1 << 20
        | 1 << 22
        | 1 << 23
        | 1 << 27
        | 1 << 30,
};

/// Secondary: RDTSCP, virtual-interrupt delivery, INVPCID, XSAVES on; descriptor-table exits, PAUSE
/// loops, RDRAND, VMFUNC, RDSEED, mode-based execution, WAITPKG, PCONFIG off.
const SECONDARY: Controls = Controls {
    field: Field::SECONDARY_PROCESSOR_BASED_CONTROLS,
    capability: 0x48b,
    writable: 0x0c51_3e0c,
    set: 1 << 3 | 1 << 9 | 1 << 12 | 1 << 20,
    clear: 1 << 2 | 1 << 10 | 1 << 11 | 1 << 13 | 1 << 16 | 1 << 22 | 1 << 26 | 1 << 27,
};

/// What a VM reaches without an exit to L1.
#[derive(Clone, Copy, Debug)]
struct Reach {
    ctls: L2Ctls,
    msrs: Msrs,
}

/// Which MSRs a VM accesses by itself.
#[derive(Clone, Copy, Debug)]
enum Msrs {
    /// Those that the processor keeps for it.
    Native,
    /// None.
    None,
}

/// Sets up this CPU's part of L2, before its first entry.
pub(super) fn set_up(page: &'static VirtualApicPage) -> Result<(), Refused> {
    apply(L2, Reach { ctls: L2Ctls::ENABLE_SHARED_EPTP, msrs: Msrs::Native }, page)
}

/// Sets up a VM that reaches neither memory that the host shares nor any MSR. It has no use for `page`, but the module
/// wants one.
pub(super) fn set_up_bare(vmcs: Vmcs, page: &'static VirtualApicPage) -> Result<(), Refused> {
    apply(vmcs, Reach { ctls: L2Ctls::empty(), msrs: Msrs::None }, page)
}

fn apply(vmcs: Vmcs, reach: Reach, page: &'static VirtualApicPage) -> Result<(), Refused> {
    write_id(l2_ctls(vmcs.vm()), reach.ctls.bits(), L2Ctls::all().bits())?;
    if matches!(reach.msrs, Msrs::Native) {
        set_msr_bitmap(vmcs)?;
    }
    PRIMARY.apply(vmcs)?;
    SECONDARY.apply(vmcs)?;
    vmcs.write(Field::XSS_EXITING_BITMAP, 0)?;
    vmcs.write(Field::TPR_THRESHOLD, 0)?;
    let page = core::ptr::from_ref(page).expose_provenance();
    vmcs.write_masked(Field::VIRTUAL_APIC_ADDRESS, width::wide(page), !0xfff)?;
    vmcs.write(Field::PAGE_FAULT_ERROR_CODE_MASK, 0)?;
    vmcs.write(Field::PAGE_FAULT_ERROR_CODE_MATCH, 0)?;
    vmcs.write(Field::CR3_TARGET_COUNT, 0)?;
    vmcs.write(Field::CR0_GUEST_HOST_MASK, CR0_OWNED)?;
    vmcs.write(Field::CR4_GUEST_HOST_MASK, CR4_OWNED)?;
    vmcs.write_masked(Field::VM_ENTRY_CONTROLS, 0, IA32E_GUEST)?;
    for bitmap in [
        Field::EOI_EXIT_BITMAP_0,
        Field::EOI_EXIT_BITMAP_1,
        Field::EOI_EXIT_BITMAP_2,
        Field::EOI_EXIT_BITMAP_3,
    ] {
        vmcs.write(bitmap, 0)?;
    }
    // There is no translation of the VM yet that could be wrong; a refusal only means no such VM, and the
    // first entry says that better.
    let _ = tdg::vp_invept(&Instruction, L2Vms::from(vmcs.vm()));
    Ok(())
}

impl Controls {
    fn apply(&self, vmcs: Vmcs) -> Result<(), Refused> {
        let current = width::low32(vmcs.read(self.field)?);
        // SAFETY: The module lets L1 read its virtual capability MSRs.
        let capability = unsafe { Msr::new(self.capability).read() };
        let (must, may) = (width::low32(capability), width::high32(capability));
        let wanted = ((current | self.set) & !self.clear | must) & may;
        let value = wanted & self.writable | current & !self.writable;
        vmcs.write_masked(self.field, value.into(), self.writable.into())
    }
}

/// Takes the registers that L2 accesses by itself out of the bitmap, in which all bits are set. Never inlined: the
/// bitmap is built on the stack.
#[inline(never)]
fn set_msr_bitmap(vmcs: Vmcs) -> Result<(), Refused> {
    let mut words = [u64::MAX; MSR_BITMAP_WORDS as usize];
    let bits = BitSlice::<_, Lsb0>::from_slice_mut(&mut words);
    let mut pass = |word: u16, mask: u64| {
        let bit = usize::from(word) * 64 + width::index(mask.trailing_zeros().into());
        bits.set(bit, false);
    };
    let both = msr::NATIVE.iter().chain(&[msr::TASK_PRIORITY]);
    for place in both.clone().chain(msr::NATIVE_READ).filter_map(|msr| MsrBit::of(*msr)) {
        pass(place.read_word, place.mask);
    }
    for place in both.chain(msr::NATIVE_WRITE).filter_map(|msr| MsrBit::of(*msr)) {
        pass(place.write_word, place.mask);
    }
    for (number, word) in (0..).zip(words).filter(|(_, word)| *word != u64::MAX) {
        if let Some(field) = l2_msr_bitmap(vmcs.vm(), number) {
            write_id(field, word, u64::MAX)?;
        }
    }
    Ok(())
}
