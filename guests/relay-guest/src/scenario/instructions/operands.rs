// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instructions of which the operand decides: control registers, leaves, MSRs, ports.
#![expect(unsafe_code, reason = "control registers and MSRs")]

use x86_64::registers::control::{Cr0, Cr4};
use x86_64::registers::model_specific::Msr;

use super::row::Ends;
use super::{Attempt, Tally};
use crate::ring::{self, Mode, Registers};

/// Port I/O.
mod ports;

const DONE: Ends = Ends::DONE;
const GP: Ends = Ends::GP;
const UD_GP: Ends = Ends::UD_GP;
/// Executed, or refused: no register of that number, no such bit in this processor.
const IF_LEGAL: Ends = DONE.or(GP);

/// Values that fit in no register of a kernel's.
const NONSENSE: [u64; 3] = [0, u64::MAX, 0x5555_5555_5555_5555];

const EFER: u32 = 0xc000_0080;
const CR4_OSXSAVE: u64 = 1 << 18;

/// Switches off what some rows must find off, and sets the far pointer that others need.
pub(super) fn settle() {
    const SCE: u64 = 1;
    const TASK: u64 = 0x38 << 32;
    let mut efer = Msr::new(EFER);
    // SAFETY: Every CPU has it.
    let value = unsafe { efer.read() };
    // SAFETY: Nobody here uses SYSCALL.
    unsafe { efer.write(value & !SCE) };
    ring::set_scratch(8, TASK);
}

/// Executes them all.
pub(super) fn run(tally: &mut Tally) {
    control_registers(tally);
    extended_control(tally);
    hypercalls(tally);
    leaves(tally);
    read_msrs(tally);
    write_msrs(tally);
    ports::run(tally);
}

/// MOV to CR0, CR4 and CR8.
fn control_registers(tally: &mut Tally) {
    const PE: u64 = 1;
    const PG: u64 = 1 << 31;
    const CD: u64 = 1 << 30;
    const NW: u64 = 1 << 29;
    let base = Cr0::read_raw();
    let mut cr0 = |value, wanted| {
        tally.kernel(&Attempt::new("to-cr0", &[0x0f, 0x22, 0xc0], wanted).rax(value));
    };
    for harmless in [1 << 16, 1 << 3, 1 << 5, 1 << 18, 1 << 6, 0x1ffa_ffc0, CD, CD | NW] {
        cr0(base ^ harmless, DONE);
    }
    for wrong in [0, u64::MAX, base | NW, base & !PE, base & !PG, base | 1 << 32, base | 1 << 63] {
        cr0(wrong, GP);
    }
    let base = Cr4::read_raw();
    let mut cr4 = |value, wanted| {
        tally.kernel(&Attempt::new("to-cr4", &[0x0f, 0x22, 0xe0], wanted).rax(value));
    };
    // TSD, DE, PCE, MCE, OSFXSR, OSXSAVE.
    for harmless in [1 << 2, 1 << 3, 1 << 8, 1 << 6, 1 << 9, CR4_OSXSAVE] {
        cr4(base ^ harmless, DONE);
    }
    // UMIP, FSGSBASE, PCIDE, PKE, CET, UINTR, key locker: as the processor has them.
    for feature in [11, 16, 17, 22, 23, 25, 19] {
        cr4(base | 1 << feature, IF_LEGAL);
    }
    // No PAE; LA57, VMXE, SMXE, reserved bits.
    for wrong in [0, base & !(1 << 5), base | 1 << 12, base | 1 << 13, base | 1 << 14] {
        cr4(wrong, GP);
    }
    for bit in 26..64 {
        cr4(base | 1 << bit, GP);
    }
    for value in (0..18).chain(NONSENSE) {
        let wanted = if value < 16 { DONE } else { GP };
        tally.kernel(&Attempt::new("to-cr8", &[0x44, 0x0f, 0x22, 0xc0], wanted).rax(value));
    }
    tally.kernel(&Attempt::new("to-cr8", &[0x44, 0x0f, 0x22, 0xc0], DONE));
    for value in [1 << 32 | 0x400, u64::MAX] {
        tally.kernel(&Attempt::new("to-dr7", &[0x0f, 0x23, 0xf8], IF_LEGAL).rax(value));
    }
    tally.kernel(&Attempt::new("to-dr7", &[0x0f, 0x23, 0xf8], DONE).rax(0x400));
}

/// XSETBV with XSAVE on.
fn extended_control(tally: &mut Tally) {
    let base = Cr4::read_raw();
    // SAFETY: The bit allows XSETBV and XGETBV and nothing else that is used here.
    unsafe { Cr4::write_raw(base | CR4_OSXSAVE) };
    let xsetbv = Attempt::new("xsetbv", &[0x0f, 0x01, 0xd1], GP);
    for value in [0, 2, 4, 5, 1 << 3 | 1, 1 << 5 | 1, 1 << 62 | 1, u64::MAX] {
        tally.everywhere(&xsetbv.edx_eax(value), UD_GP);
    }
    for index in [1, 2, 0x8000_0000, u64::MAX] {
        tally.everywhere(&xsetbv.edx_eax(1).rcx(index), UD_GP);
    }
    tally.kernel(&Attempt { wanted: IF_LEGAL, ..xsetbv.edx_eax(7) });
    for value in [3, 1] {
        tally.kernel(&Attempt { wanted: DONE, ..xsetbv.edx_eax(value) });
    }
    // SAFETY: As it was.
    unsafe { Cr4::write_raw(base) };
}

/// VMCALL and TDCALL with every leaf and with nonsense.
fn hypercalls(tally: &mut Tally) {
    const TDCALL: &[u8] = &[0x66, 0x0f, 0x01, 0xcc];
    const VMCALL: &[u8] = &[0x0f, 0x01, 0xc1];
    let answered = DONE.or(UD_GP);
    let beyond = [0x1_0019, 1 << 63, 1 << 24 | 5, u64::MAX];
    for leaf in (0..64).chain(beyond) {
        for others in [0, u64::MAX, ring::scratch(), 1 << 47, 0x1000] {
            let registers = Registers {
                rax: leaf,
                rcx: others,
                rdx: others,
                rbx: others,
                rsi: others,
                rdi: others,
                others,
            };
            let tdcall = Attempt { registers, ..Attempt::new("tdcall", TDCALL, answered) };
            tally.everywhere(&tdcall, UD_GP);
        }
    }
    for (number, other) in (0..0x100).zip([0, u64::MAX, 1 << 16].into_iter().cycle()) {
        let registers = Registers { rax: number, rcx: other | number, ..Registers::default() };
        let vmcall = Attempt { registers, ..Attempt::new("vmcall", VMCALL, answered) };
        tally.everywhere(&vmcall, answered);
    }
}

/// CPUID.
fn leaves(tally: &mut Tally) {
    let ranges = [0..0x40, 0x4000_0000..0x4000_0020, 0x4000_0080..0x4000_0090];
    let extended = 0x8000_0000..0x8000_0022;
    let nonsense = [0x2000_0000, 0x8fff_ffff, 0xc000_0000, 0xffff_ffff, u64::MAX];
    for leaf in ranges.into_iter().flatten().chain(extended).chain(nonsense) {
        for subleaf in [0, 1, 2, 18, 63, u64::MAX] {
            let cpuid = Attempt::new("cpuid", &[0x0f, 0xa2], DONE).rax(leaf).rcx(subleaf);
            tally.everywhere(&cpuid, DONE);
        }
    }
}

/// The registers that are tried: every range in which some processor has one, and none at all.
fn msrs() -> impl Iterator<Item = u64> {
    [
        0..0x500,
        0x560..0x590,
        0x600..0x700,
        0x800..0x900,
        0x980..0x990,
        0xc80..0xc90,
        0xd90..0xdb0,
        0x1200..0x1210,
        0x1b00..0x1b08,
        0x4000_0000..0x4000_0108,
        0x4b56_4d00..0x4b56_4d08,
        0xc000_0080..0xc000_0110,
        0xc001_0000..0xc001_0020,
        0xc001_0110..0xc001_0120,
        0xffff_fff0..0x1_0000_0000,
    ]
    .into_iter()
    .flatten()
}

fn read_msrs(tally: &mut Tally) {
    let rdmsr = Attempt::new("rdmsr", &[0x0f, 0x32], IF_LEGAL);
    for msr in msrs() {
        tally.check(Mode::Kernel64, &rdmsr.rcx(msr));
    }
    for msr in [0, 0x10, 0x1b, 0x802, 0xc000_0080, 0xffff_ffff] {
        tally.everywhere(&rdmsr.rcx(msr), GP);
    }
}

/// Writes nonsense and then what was there before. What would interrupt this CPU or others has
/// scenarios of its own, as has what moves memory.
fn write_msrs(tally: &mut Tally) {
    let wrmsr = Attempt::new("wrmsr", &[0x0f, 0x30], IF_LEGAL);
    let rdmsr = Attempt::new("rdmsr", &[0x0f, 0x32], IF_LEGAL);
    let elsewhere = |msr: &u64| matches!(msr, 0x830 | 0x83f | 0x4000_0000..=0x4000_0108);
    for msr in msrs().filter(|msr| !elsewhere(msr)) {
        let before = tally.check(Mode::Kernel64, &rdmsr.rcx(msr));
        for value in NONSENSE {
            tally.check(Mode::Kernel64, &wrmsr.rcx(msr).edx_eax(value));
        }
        if let Some(end) = before.filter(|end| end.vector.is_none()) {
            let value = end.rdx << 32 | end.rax & 0xffff_ffff;
            tally.check(Mode::Kernel64, &wrmsr.rcx(msr).edx_eax(value));
        }
    }
    for msr in [0, 0x10, 0x1b, 0x830, 0xc000_0080, 0xffff_ffff] {
        for mode in [Mode::User64, Mode::User32] {
            tally.check(mode, &Attempt { wanted: GP, ..wrmsr.rcx(msr) });
        }
    }
}
