// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instructions that raise #VE, and `TDG.VP.VEINFO.GET`.
//!
//! Spec: TDX-BASE "Virtualization Exception (#VE)"; TDX-ABI "TDG.VP.VEINFO.GET Leaf".

use tdcall::Registers;
use x86_64::registers::control::{Cr0, Cr4};

use crate::{
    boot, door,
    memory::SHARED,
    tally::{JUNK, Tally},
    trap::{Trap, attempt},
};

/// A #VE at the instruction itself.
const VE: Option<Trap> = Some(Trap { vector: 20, error: 0, offset: 0, resume_flag: true });
/// #UD.
const UD: Option<Trap> = Some(Trap { vector: 6, error: 0, offset: 0, resume_flag: false });
/// #GP(0).
pub(super) const GP: Option<Trap> =
    Some(Trap { vector: 13, error: 0, offset: 0, resume_flag: false });

/// What `TDG.VP.VEINFO.GET` must say: reason, qualification, instruction length.
pub(super) type Why = (u64, u64, u64);

pub(super) fn run(tally: &mut Tally) {
    none(tally);
    instructions(tally);
    ports(tally);
    control_registers(tally);
    shared_memory(tally);
    undefined(tally);
    twice(tally);
    none(tally);
}

/// Checks an exception, and that it came with this information.
pub(super) fn ve(tally: &mut Tally, name: &str, got: Option<Trap>, why: Why) {
    let mut r = Registers { rax: 3, ..JUNK };
    door::tdcall(&mut r);
    // The upper half of R10 is instruction information, which most reasons leave undefined.
    let information = (r.rax, r.rcx, r.rdx, r.r10 & 0xffff_ffff, r.r8, r.r9);
    let (reason, qualification, length) = why;
    tally.check(name, (got, information), (VE, (0, reason, qualification, length, 0, 0)));
}

fn none(tally: &mut Tally) {
    tally.call("ve: no information without #VE", Registers { rax: 3, ..JUNK }, |r| {
        *r = Registers { rax: 0xc000_0704_0000_0000, rcx: 0, rdx: 0, r8: 0, r9: 0, r10: 0, ..*r };
    });
}

fn instructions(tally: &mut Tally) {
    ve(tally, "ve: HLT", attempt!("hlt"), (12, 0, 1));
    ve(tally, "ve: INVD", attempt!("invd"), (13, 0, 2));
    ve(tally, "ve: WBINVD", attempt!("wbinvd"), (54, 0, 2));
    ve(tally, "ve: VMCALL", attempt!("vmcall"), (18, 0, 3));
    let monitor = attempt!("monitor", in("rax") 0x0080_0000, in("ecx") 0, in("edx") 0);
    ve(tally, "ve: MONITOR", monitor, (39, 0, 3));
    ve(tally, "ve: MWAIT", attempt!("mwait", in("eax") 0, in("ecx") 0), (36, 0, 3));
}

fn ports(tally: &mut Tally) {
    let out8 = attempt!("out dx, al", in("dx") 0x80, in("al") 0_u8);
    ve(tally, "ve: OUT DX, AL", out8, (30, 0x0080_0000, 1));
    let out16 = attempt!("out dx, ax", in("dx") 0x3f8, in("ax") 0);
    ve(tally, "ve: OUT DX, AX", out16, (30, 0x03f8_0001, 2));
    let out32 = attempt!("out dx, eax", in("dx") 0xcf8, in("eax") 0);
    ve(tally, "ve: OUT DX, EAX", out32, (30, 0x0cf8_0003, 1));
    let in8 = attempt!("in al, dx", in("dx") 0x60, out("al") _);
    ve(tally, "ve: IN AL, DX", in8, (30, 0x0060_0008, 1));
    let in32 = attempt!("in eax, dx", in("dx") 0xcfc, out("eax") _);
    ve(tally, "ve: IN EAX, DX", in32, (30, 0x0cfc_000b, 1));
    let immediate = attempt!("in al, 0x64", out("al") _);
    ve(tally, "ve: IN AL, 0x64", immediate, (30, 0x0064_0048, 2));
    let immediate = attempt!("out 0x80, eax", in("eax") 0);
    ve(tally, "ve: OUT 0x80, EAX", immediate, (30, 0x0080_0043, 2));
}

fn control_registers(tally: &mut Tally) {
    let cr0 = Cr0::read_raw();
    let cr4 = Cr4::read_raw();
    tally.check("cr0: NE reads as 1", cr0 & 1 << 5, 1 << 5);
    tally.check("cr4: MCE reads as 1, VMXE as 0", cr4 & (1 << 6 | 1 << 13), 1 << 6);
    let cd = attempt!("mov cr0, rax", in("rax") cr0 | 1 << 30);
    ve(tally, "ve: CR0.CD", cd, (28, 0, 3));
    let cd_nw = attempt!("mov cr0, rdx", in("rdx") cr0 | 3 << 29);
    ve(tally, "ve: CR0.CD and NW", cd_nw, (28, 0x200, 3));
    let ne = attempt!("mov cr0, rax", in("rax") cr0 & !(1 << 5));
    tally.check("cr0: clearing NE is #GP", ne, GP);
    let ts = attempt!("mov cr0, rax", in("rax") cr0 | 1 << 3);
    tally.check("cr0: TS is the TD's own", (ts, Cr0::read_raw()), (None, cr0 | 1 << 3));
    tally.check("cr0: CLTS", (attempt!("clts"), Cr0::read_raw()), (None, cr0));
    let mce = attempt!("mov cr4, rcx", in("rcx") cr4 & !(1 << 6));
    ve(tally, "ve: CR4.MCE cleared", mce, (28, 0x104, 3));
    let vmxe = attempt!("mov cr4, r9", in("r9") cr4 | 1 << 13);
    ve(tally, "ve: CR4.VMXE set", vmxe, (28, 0x904, 4));
    let cet = attempt!("mov cr4, rax", in("rax") cr4 | 1 << 23);
    tally.check("cr4: CET without XFAM is #GP", cet, GP);
    let high = attempt!("mov cr4, rax", in("rax") cr4 | 1 << 32);
    tally.check("cr4: bit 32 is #GP", high, GP);
    let pge = attempt!("mov cr4, rax", in("rax") cr4 | 1 << 7);
    tally.check("cr4: PGE is the TD's own", (pge, Cr4::read_raw()), (None, cr4 | 1 << 7));
    tally.check("cr4: PGE back", attempt!("mov cr4, rax", in("rax") cr4), None);
    let osxsave = attempt!("mov cr4, rax", in("rax") cr4 | 1 << 18);
    tally.check("cr4: OSXSAVE", osxsave, None);
    let index = attempt!("xsetbv", in("ecx") 1, in("eax") 3, in("edx") 0);
    tally.check("xsetbv: register 1 is #GP", index, GP);
    let x87 = attempt!("xsetbv", in("ecx") 0, in("eax") 2, in("edx") 0);
    tally.check("xsetbv: without x87 is #GP", x87, GP);
    let beyond = attempt!("xsetbv", in("ecx") 0, in("eax") 3, in("edx") 1 << 30);
    tally.check("xsetbv: beyond XFAM is #GP", beyond, GP);
    let sse = attempt!("xsetbv", in("ecx") 0, in("eax") 3, in("edx") 0);
    tally.check("xsetbv: x87 and SSE", sse, None);
}

fn shared_memory(tally: &mut Tally) {
    const NOWHERE: u64 = 0xd000_0000;
    let address = boot::SHARED_WINDOW + NOWHERE + 0x123;
    let read = attempt!("mov rax, [rdx]", in("rdx") address, out("rax") _);
    let mut r = Registers { rax: 3, ..JUNK };
    door::tdcall(&mut r);
    // Reading, and a valid linear address that is not one of a table.
    let got = (read, r.rax, r.rcx, r.rdx & 0x1bf, r.r8, r.r9);
    let wanted = (VE, 0, 48, 0x181, address, SHARED + NOWHERE + 0x123);
    tally.check("ve: shared memory that is not there, read", got, wanted);
    let write = attempt!("mov [rdx], al", in("rdx") address, in("al") 0_u8);
    let mut r = Registers { rax: 3, ..JUNK };
    door::tdcall(&mut r);
    let got = (write, r.rax, r.rcx, r.rdx & 0x1bf, r.r8, r.r9);
    let wanted = (VE, 0, 48, 0x182, address, SHARED + NOWHERE + 0x123);
    tally.check("ve: shared memory that is not there, write", got, wanted);
}

fn undefined(tally: &mut Tally) {
    tally.check("ud: VMLAUNCH", attempt!("vmlaunch"), UD);
    tally.check("ud: VMXOFF", attempt!("vmxoff"), UD);
    tally.check("ud: SEAMCALL", attempt!(".byte 0x66, 0x0f, 0x01, 0xcf"), UD);
    tally.check("ud: GETSEC", attempt!("getsec", in("eax") 0), UD);
    tally.check("ud: RSM", attempt!("rsm"), UD);
    tally.check("ud: UD2", attempt!("ud2"), UD);
    let rdpmc = attempt!("rdpmc", in("ecx") 0, out("eax") _, out("edx") _);
    tally.check("gp: RDPMC without PERFMON", rdpmc, GP);
    tally.check("none: PAUSE", attempt!("pause"), None);
    tally.check("none: RDTSC", attempt!("rdtsc", out("eax") _, out("edx") _), None);
}

/// A second #VE before the first was fetched.
fn twice(tally: &mut Tally) {
    tally.check("ve: the first of two", attempt!("hlt"), VE);
    let df = Some(Trap { vector: 8, error: 0, offset: 0, resume_flag: false });
    tally.check("ve: a second one is #DF", attempt!("wbinvd"), df);
    ve(tally, "ve: the information is the first one's", VE, (12, 0, 1));
    ve(tally, "ve: and there is room again", attempt!("wbinvd"), (54, 0, 2));
}
