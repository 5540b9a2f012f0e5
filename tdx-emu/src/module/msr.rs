// SPDX-License-Identifier: MIT OR Apache-2.0
//! MSRs: native, emulated by the module, #GP, or left to L1 (#VE for its own, an exit for L2's).
//!
//! Spec: TDX-ABI "MSR Virtualization"; TDX-TDP "L2 MSR Access".

use tdcall::exit_reason::ExitReason;

use super::{
    l2_exits::{Route, virtual_tsc},
    stop::Stop,
    vcpu::{Vcpu, VirtualizationException, exception},
    ve,
    vmcs::CR0_PG,
};
use crate::{
    machine::cpus,
    observe,
    svm::{
        exit::VmxExit,
        narrow::low_32,
        permission_maps::{Access, MsrPermissionMap},
        physical,
        virtual_apic::{VirtualApic, register},
        vmcb::efer,
        vmrun::{RAX, RCX, RDX},
    },
};

const TSC: u32 = 0x10;
const ARCH_CAPABILITIES: u32 = 0x10a;
const XAPIC_DISABLE_STATUS: u32 = 0xbd;
const MISC_ENABLE: u32 = 0x1a0;
const PERF_CAPABILITIES: u32 = 0x345;
const DEBUGCTL: u32 = 0x1d9;
const PAT: u32 = 0x277;
const XSS: u32 = 0xda0;
const EFER: u32 = 0xc000_0080;

/// MSRs that a guest reads and writes without an exit.
const NATIVE: [u32; 11] = [
    0x174,
    0x175,
    0x176,
    PAT,
    0xc000_0081,
    0xc000_0082,
    0xc000_0084,
    0xc000_0100,
    0xc000_0101,
    0xc000_0102,
    0xc000_0103,
];

/// MSRs that do not exist for a TD of this emulation: #GP both ways.
const ABSENT: [(u32, u32); 27] = [
    (0x8c, 0x8f),
    (0x98, 0x9b),
    (0x9e, 0x9e),
    (0xc1, 0xc8),
    (0xe1, 0xe1),
    (0x122, 0x122),
    (0x186, 0x18d),
    (0x195, 0x195),
    (0x1a6, 0x1a7),
    (0x1c4, 0x1c5),
    (0x276, 0x276),
    (0x309, 0x310),
    (0x329, 0x329),
    (0x38d, 0x392),
    (0x3f1, 0x3f2),
    (0x3f6, 0x3f7),
    (0x4c1, 0x4c8),
    (0x500, 0x500),
    (0x560, 0x587),
    (0x6a0, 0x6a8),
    (0x6e1, 0x6e1),
    (0x985, 0x98a),
    (0xd90, 0xd90),
    (0xd93, 0xd93),
    (0x1200, 0x12ff),
    (0x14ce, 0x14cf),
    (0x1500, 0x16ff),
];

/// What is done about an access.
enum Action {
    /// Read: this value. Write: it is done.
    Value(u64),
    /// #GP(0).
    Fault,
    /// L1's business.
    L1,
    /// APIC-write exit or #VE at this page offset; the instruction is complete.
    ApicWrite(u64),
    /// EOI-induced exit for this vector; the instruction is complete.
    EoiInduced(u8),
}

/// Opens the native MSRs in L1's map.
pub(crate) fn open_native_for_l1(map: MsrPermissionMap) {
    map.open(TSC, Access::Read);
    for msr in NATIVE {
        map.open(msr, Access::Read);
        map.open(msr, Access::Write);
    }
}

/// Recomputes an L2 VM's map for the 64 MSRs of word `word` (0 to 511) of L1's bitmap `bitmap`:
/// what L1 leaves open is open only if it is native.
pub(crate) fn update_l2_map(map: MsrPermissionMap, bitmap: u64, word: u64) {
    let (access, first) = match word {
        0..128 => (Access::Read, word * 64),
        128..256 => (Access::Read, 0xc000_0000 + (word - 128) * 64),
        256..384 => (Access::Write, (word - 256) * 64),
        _ => (Access::Write, 0xc000_0000 + (word - 384) * 64),
    };
    let bits = physical::read(bitmap + word * 8);
    for bit in 0..64 {
        let msr = low_32(first + bit);
        let native = NATIVE.contains(&msr) || (msr == TSC && access == Access::Read);
        if native && bits & 1 << bit == 0 {
            map.open(msr, access);
        } else {
            map.close(msr, access);
        }
    }
}

/// RDMSR of L1.
pub(crate) fn l1_read(vcpu: &mut Vcpu, exit: &VmxExit) -> Result<(), Stop> {
    match read(vcpu) {
        Action::Value(value) => {
            set_value(vcpu, value);
            Ok(())
        }
        Action::Fault => Err(Stop::ExceptionWithError(exception::GP)),
        _ => Err(Stop::Ve(ve::of_instruction(exit))),
    }
}

/// WRMSR of L1.
pub(crate) fn l1_write(vcpu: &mut Vcpu, exit: &VmxExit) -> Result<(), Stop> {
    match write(vcpu, efer::SCE) {
        Action::Value(_) | Action::EoiInduced(_) => Ok(()),
        Action::Fault => Err(Stop::ExceptionWithError(exception::GP)),
        Action::ApicWrite(offset) => {
            // Trap-like: the #VE is taken behind the instruction.
            vcpu.vmcb().advance(exit.length);
            Err(Stop::Ve(VirtualizationException {
                reason: ExitReason::APIC_WRITE,
                qualification: offset,
                ..VirtualizationException::default()
            }))
        }
        Action::L1 => Err(Stop::Ve(ve::of_instruction(exit))),
    }
}

/// RDMSR of an L2 VM.
pub(crate) fn l2_read(vcpu: &mut Vcpu) -> Route {
    if exits_to_l1(vcpu, Access::Read) {
        return Route::L1;
    }
    match read(vcpu) {
        Action::Value(value) => {
            set_value(vcpu, value);
            Route::Advance
        }
        Action::Fault => {
            vcpu.inject_exception_with_error(exception::GP);
            Route::Resume
        }
        _ => Route::L1,
    }
}

/// WRMSR of an L2 VM.
pub(crate) fn l2_write(vcpu: &mut Vcpu) -> Route {
    if exits_to_l1(vcpu, Access::Write) {
        return Route::L1;
    }
    match write(vcpu, efer::SCE | efer::LME) {
        Action::Value(_) => Route::Advance,
        Action::Fault => {
            vcpu.inject_exception_with_error(exception::GP);
            Route::Resume
        }
        Action::ApicWrite(offset) => trap(vcpu, ExitReason::APIC_WRITE, offset),
        Action::EoiInduced(vector) => trap(vcpu, ExitReason::VIRTUALIZED_EOI, u64::from(vector)),
        Action::L1 => Route::L1,
    }
}

/// An exit to L1 behind the WRMSR that caused it.
fn trap(vcpu: &mut Vcpu, reason: ExitReason, qualification: u64) -> Route {
    let length = vcpu.vm().vmcs.exit.length;
    vcpu.vmcb().advance(length);
    vcpu.vm_mut().vmcs.exit = VmxExit { reason, qualification, ..VmxExit::default() };
    Route::L1
}

/// Whether L1's bitmap, or the range, sends the access to L1.
fn exits_to_l1(vcpu: &Vcpu, access: Access) -> bool {
    let msr = low_32(vcpu.gprs.0[RCX]);
    let quarter = match msr {
        0..=0x1fff => 0,
        0xc000_0000..=0xc000_1fff => 128,
        _ => return true,
    };
    let half = if access == Access::Write { 256 } else { 0 };
    let word = half + quarter + u64::from(msr & 0x1fff) / 64;
    let bits = physical::read(vcpu.l2[vcpu.current - 1].msr_bitmap + word * 8);
    bits & 1 << (msr % 64) != 0
}

fn value(vcpu: &Vcpu) -> u64 {
    vcpu.gprs.0[RAX] & 0xffff_ffff | vcpu.gprs.0[RDX] << 32
}

fn set_value(vcpu: &mut Vcpu, value: u64) {
    vcpu.gprs.0[RAX] = value & 0xffff_ffff;
    vcpu.gprs.0[RDX] = value >> 32;
}

fn is_absent(msr: u32) -> bool {
    ABSENT.iter().any(|(first, last)| (*first..=*last).contains(&msr))
}

/// What an RDMSR of the current virtual machine gives.
fn read(vcpu: &Vcpu) -> Action {
    const BIT_PERF_DISABLED: u64 = 1 << 12;
    const X2APIC_LOCKED: u64 = 1 << 21;
    let msr = low_32(vcpu.gprs.0[RCX]);
    match msr {
        TSC => Action::Value(virtual_tsc(vcpu)),
        0x48 | DEBUGCTL | PERF_CAPABILITIES => Action::Value(0),
        0x49 | 0x10b => Action::Fault,
        XAPIC_DISABLE_STATUS => Action::Value(1),
        ARCH_CAPABILITIES => Action::Value(X2APIC_LOCKED),
        MISC_ENABLE => Action::Value(BIT_PERF_DISABLED | 1),
        XSS => Action::Value(vcpu.xss),
        EFER => Action::Value(vcpu.vm().vmcs.efer),
        0x480..=0x492 if vcpu.current == 0 => vmx_capability(msr).map_or(Action::L1, Action::Value),
        0x800..=0x8ff => read_apic(vcpu, msr),
        msr if is_absent(msr) => Action::Fault,
        _ => Action::L1,
    }
}

/// Virtual VMX capability MSRs: how L1 learns what it may set in an L2 VMCS.
fn vmx_capability(msr: u32) -> Option<u64> {
    use super::{vmcs, vmcs_fields};
    let pair = |initial: u32, writable: u32| {
        u64::from(initial & !writable) | u64::from(initial | writable) << 32
    };
    Some(match msr {
        0x480 => 1 << 54 | 1 << 55 | 1 << 56,
        0x485 => 1 << 5 | 1 << 6 | 1 << 7 | 1 << 14 | 4 << 16 | 1 << 29 | 1 << 30,
        0x486 => 0x20,
        0x487 => 0x8005_003f,
        0x488 => 0x2040,
        0x489 => 0x2040 | vmcs_fields::CR4_WRITABLE,
        0x48b => pair(vmcs::secondary::INITIAL, vmcs_fields::SECONDARY_WRITABLE),
        0x48c => 1 | 1 << 16 | 1 << 17 | 1 << 22,
        0x48d => pair(0x29, 0),
        0x48e => pair(vmcs::primary::INITIAL, vmcs_fields::PRIMARY_WRITABLE),
        0x48f => pair(0x1f3c_8204, 0),
        0x490 => pair(0x003e_c004, 0x200),
        0x491 => 0,
        0x492 => 0x8e,
        _ => return None,
    })
}

/// What a WRMSR of the current virtual machine does. `efer_changeable` are the bits of EFER that
/// may change without L1's help.
fn write(vcpu: &mut Vcpu, efer_changeable: u64) -> Action {
    let msr = low_32(vcpu.gprs.0[RCX]);
    let value = value(vcpu);
    match msr {
        0x48 | 0x49 | 0x10b => Action::Value(0),
        ARCH_CAPABILITIES | XAPIC_DISABLE_STATUS | PERF_CAPABILITIES | 0x480..=0x492 => {
            Action::Fault
        }
        DEBUGCTL if value == 0 => Action::Value(0),
        XSS if value == 0 => {
            vcpu.xss = 0;
            Action::Value(0)
        }
        XSS | DEBUGCTL => Action::Fault,
        EFER => {
            let vmcs = &mut vcpu.vm_mut().vmcs;
            let changed = value ^ vmcs.efer;
            if changed & !(efer_changeable | efer::LMA) != 0 {
                return Action::L1;
            }
            if changed & efer_changeable & efer::LME != 0 && vmcs.cr0 & CR0_PG != 0 {
                return Action::Fault;
            }
            vmcs.efer = (vmcs.efer & !efer_changeable) | (value & efer_changeable);
            Action::Value(0)
        }
        0x800..=0x8ff => write_apic(vcpu, msr, value),
        msr if is_absent(msr) => Action::Fault,
        _ => Action::L1,
    }
}

/// x2APIC registers that the processor virtualizes: reads come from the virtual-APIC page.
fn read_apic(vcpu: &Vcpu, msr: u32) -> Action {
    let Some(apic) = vcpu.vm().apic else { return Action::L1 };
    let offset = u64::from(msr & 0xff) << 4;
    let l2 = vcpu.current != 0;
    match offset {
        register::EOI | register::SELF_IPI => Action::Fault,
        register::TPR | register::PPR | 0x100..0x280 => Action::Value(u64::from(apic.read(offset))),
        0x090 | 0x0c0 | 0x0e0 => Action::Value(0),
        // L1's own ID, version and timers are the host's to answer; an L2 VM reads its page.
        0x020 | 0x030 | 0x0d0 | 0x0f0 | 0x280 | 0x2f0 | 0x300 | 0x320..0x3a0 | 0x3e0 if l2 => {
            Action::Value(u64::from(apic.read(offset)))
        }
        0x020 | 0x030 | 0x0d0 | 0x0f0 | 0x280 | 0x2f0 | 0x300 | 0x320..0x3a0 | 0x3e0 => Action::L1,
        _ => Action::Fault,
    }
}

fn write_apic(vcpu: &mut Vcpu, msr: u32, value: u64) -> Action {
    let is_l2 = vcpu.current != 0;
    let vm = vcpu.vm_mut();
    let Some(apic) = vm.apic else { return Action::L1 };
    let offset = u64::from(msr & 0xff) << 4;
    match offset {
        register::TPR => match u8::try_from(value) {
            Ok(tpr) => {
                apic.set_tpr(tpr, vm.vmcs.status);
                Action::Value(0)
            }
            Err(_) => Action::Fault,
        },
        register::EOI if value == 0 => end_of_interrupt(vcpu, apic),
        register::SELF_IPI => match u8::try_from(value) {
            Ok(vector) if vector >= 16 => {
                apic.request(vector);
                vm.vmcs.status.rvi = vm.vmcs.status.rvi.max(vector);
                Action::Value(0)
            }
            Ok(_) => Action::ApicWrite(register::SELF_IPI),
            Err(_) => Action::Fault,
        },
        register::EOI | register::PPR | 0x100..0x280 | 0x090 | 0x0c0 | 0x0e0 => Action::Fault,
        0x020 | 0x030 | 0x0d0 if is_l2 => Action::Fault,
        0x020 | 0x030 | 0x0d0 | 0x0f0 | 0x280 | 0x2f0 | 0x300 | 0x320..0x3a0 | 0x3e0 => Action::L1,
        _ => Action::Fault,
    }
}

fn end_of_interrupt(vcpu: &mut Vcpu, apic: VirtualApic) -> Action {
    let is_l1 = vcpu.current == 0;
    let vmcs = &mut vcpu.vm_mut().vmcs;
    let vector = apic.end_of_interrupt(&mut vmcs.status);
    if is_l1 {
        observe::l1_eoi(cpus::current());
        return Action::Value(0);
    }
    if vmcs.eoi_exit[usize::from(vector / 64)] & 1 << (vector % 64) != 0 {
        return Action::EoiInduced(vector);
    }
    Action::Value(0)
}
