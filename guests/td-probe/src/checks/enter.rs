// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.ENTER`: operands, and the exits that L1 sees, register by register.
//!
//! Spec: TDX-ABI "TDG.VP.ENTER Leaf"; TDX-TDP "L2 VM Exits".

use tdcall::Registers;

use super::fields::write;
use crate::{
    l2::{self, Exit, L2_RBP, RIP, VM1, state},
    memory::{self, APIC, CODE, PENDING, PRIVATE, READ_ONLY, SHARED, STATE, UNTOUCHED},
    tally::{JUNK, Tally},
};

const OPERAND_INVALID: u64 = 0xc000_0100_0000_0000;
/// CS of L2 in its first mode: selector 0, flat, 32 bits.
const CS32: u64 = 0xffff_ffff_c09b_0000;
const CS64: u64 = 0xffff_ffff_a09b_0000;

pub(super) fn run(tally: &mut Tally) {
    operands(tally);
    tally.check("l2: pages", l2::give_pages(), true);
    tally.check("l2: 32-bit protected mode", l2::protected_mode(), true);
    instructions(tally);
    exceptions(tally);
    memory_accesses(tally);
    masks(tally);
    tally.check("l2: real-address mode", l2::real_mode(), true);
    let exit = l2::run_at(&[0xf4], 0);
    is(
        tally,
        "l2: HLT in real mode",
        exit,
        Wanted { cs: 0x0000_ffff_009b_0000, base: CODE, ..Wanted::of(12, 0, 1, 0) },
    );
    tally.check("l2: 64-bit mode", l2::long_mode(), true);
    long_mode(tally);
    tally.check("l2: 32-bit protected mode again", l2::protected_mode(), true);
}

/// What an exit must look like. All that is not named is 0, or undefined.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    rax: u64,
    qualification: u64,
    length: u64,
    /// How far RIP got beyond the start of the code.
    rip: u64,
    cs: u64,
    base: u64,
    interruption: u64,
    extended: u64,
    /// Linear and physical address, of EPT violations.
    addresses: Option<(u64, u64)>,
}

impl Wanted {
    pub(super) const fn of(rax: u64, qualification: u64, length: u64, rip: u64) -> Self {
        let (base, interruption, extended) = (0, 0, 0);
        let cs = CS32;
        Self { rax, qualification, length, rip, cs, base, interruption, extended, addresses: None }
    }

    /// With another CS.
    pub(super) const fn with_cs(self, cs: u64) -> Self {
        Self { cs, ..self }
    }
}

/// Compares all registers of an exit, and RIP in the state page.
pub(super) fn is(tally: &mut Tally, name: &str, exit: Exit, wanted: Wanted) {
    const VALID: u64 = 1 << 31;
    let mut got = exit.registers;
    let (gla, gpa) = wanted.addresses.unwrap_or((got.rdx, got.r8));
    if wanted.addresses.is_some() {
        // The bits behind the access, the permissions and the kind of linear address are left open.
        got.rcx &= 0x1bf;
    }
    if wanted.interruption & VALID == 0 {
        got.r9 &= VALID;
    }
    got.r10 &= VALID;
    got.r11 = if wanted.length == 0 { 0 } else { got.r11 >> 32 };
    let registers = Registers {
        rax: wanted.rax,
        rcx: wanted.qualification,
        rdx: gla,
        rbx: 0,
        rsi: wanted.cs,
        rdi: wanted.base,
        r8: gpa,
        r9: wanted.interruption,
        r10: 0,
        r11: wanted.length,
        r12: 0,
        r13: wanted.extended,
        r14: 0,
        r15: 0,
    };
    tally.registers(name, &got, &registers);
    let rip = state(RIP) + wanted.base;
    tally.check("  its RIP, and RBP is L2's", (rip, exit.rbp), (CODE + wanted.rip, L2_RBP));
}

fn operands(tally: &mut Tally) {
    let call = |rcx, rdx| Registers { rax: 25, rcx, rdx, ..JUNK };
    let rows = [
        ("enter: state not aligned", call(VM1, STATE + 128), 2),
        ("enter: state in shared memory", call(VM1, STATE | SHARED), 2),
        ("enter: state beyond the address width", call(VM1, 1 << 52), 2),
        ("enter: the state comes before the VM", call(0, STATE + 1), 2),
        ("enter: VM 0", call(0, STATE), 1),
        ("enter: VM 3", call(3 << 52, STATE), 1),
        ("enter: bit 2 is reserved", call(VM1 | 4, STATE), 1),
        ("enter: bit 51 is reserved", call(VM1 | 1 << 51, STATE), 1),
        ("enter: bit 54 is reserved", call(VM1 | 1 << 54, STATE), 1),
        ("enter: no virtual-APIC page", call(VM1, STATE), 170),
        ("enter: VM 2, no virtual-APIC page", call(2 << 52, STATE), 170),
    ];
    for (name, input, operand) in rows {
        tally.status(name, input, OPERAND_INVALID | operand);
    }
    let apic = write(0x2424_0003_0000_2012, APIC, u64::MAX);
    tally.check("enter: a virtual-APIC page", apic, Ok(u64::MAX));
}

fn instructions(tally: &mut Tally) {
    let rows: [(&str, &[u8], u64, u64, u64); 15] = [
        ("l2: HLT", &[0xf4], 12, 0, 1),
        ("l2: CPUID", &[0x0f, 0xa2], 10, 0, 2),
        ("l2: INVD", &[0x0f, 0x08], 13, 0, 2),
        ("l2: WBINVD", &[0x0f, 0x09], 54, 0, 2),
        ("l2: VMCALL", &[0x0f, 0x01, 0xc1], 18, 0, 3),
        ("l2: VMLAUNCH", &[0x0f, 0x01, 0xc2], 20, 0, 3),
        ("l2: GETSEC", &[0x0f, 0x37], 11, 0, 2),
        ("l2: RDMSR", &[0x0f, 0x32], 31, 0, 2),
        ("l2: WRMSR", &[0x0f, 0x30], 32, 0, 2),
        ("l2: OUT 0x80, AL", &[0xe6, 0x80], 30, 0x0080_0040, 2),
        ("l2: IN EAX, DX", &[0xed], 30, 0x0002_000b, 1),
        ("l2: OUT DX, AX", &[0x66, 0xef], 30, 0x0002_0001, 2),
        ("l2: MOV CR0, EAX", &[0x0f, 0x22, 0xc0], 28, 0, 3),
        ("l2: MOV CR4, EDX", &[0x0f, 0x22, 0xe2], 28, 0x204, 3),
        ("l2: CLTS", &[0x0f, 0x06], 28, 0x20, 2),
    ];
    for (name, code, reason, qualification, length) in rows {
        let exit = l2::run(code);
        is(tally, name, exit, Wanted::of(reason, qualification, length, 0));
    }
    let counted = (0..16).filter(|number| !matches!(number, 4 | 5));
    let kept = counted.clone().filter(|n| state(n * 8) == 0x2222_0000 + n).count();
    tally.check("l2: its registers are in the state page", kept, 14);
    let exit = l2::run(&[0xb8, 0x78, 0x56, 0x34, 0x12, 0x90]);
    is(tally, "l2: two instructions and HLT", exit, Wanted::of(12, 0, 1, 6));
    tally.check("l2: RAX in the state page", state(0), 0x1234_5678);
    tally.check("l2: RIP by VP.RD", super::fields::vp(0x2424_0003_0000_681e), Ok(CODE + 6));
    tally.check("l2: exit reason by VP.RD", super::fields::vp(0x2424_0002_0000_4402), Ok(12));
    for (name, flag) in [("l2: INVEPT", 1), ("l2: INVVPID", 2), ("l2: INVVPID globals", 3)] {
        l2::load(&[0x90]);
        is(tally, name, l2::enter_with(flag), Wanted::of(12, 0, 1, 1));
    }
}

fn exceptions(tally: &mut Tally) {
    const BITMAP: u64 = 0x2424_0002_0000_4004;
    tally.check("l2: #UD exits", write(BITMAP, 1 << 6, 1 << 6), Ok(1 << 18));
    let exit = l2::run(&[0x0f, 0x0b]);
    is(tally, "l2: UD2", exit, Wanted { interruption: 0x8000_0306, ..Wanted::of(0, 0, 0, 0) });
    tally.check("l2: #UD does not exit", write(BITMAP, 0, 1 << 6), Ok(1 << 18 | 1 << 6));
    memory::write_bytes(l2::HANDLER, &[0xf4]);
    let exit = l2::run(&[0x90, 0x0f, 0x0b]);
    let wanted = Wanted { cs: CS32 | 8, ..Wanted::of(12, 0, 1, 0x800) };
    is(tally, "l2: its own #UD handler", exit, wanted);
    let pushed = memory::read(l2::STACK - 12) & 0xffff_ffff;
    tally.check("l2: the handler finds the faulting EIP", pushed, CODE + 1);
    tally.check("l2: 32-bit protected mode once more", l2::protected_mode(), true);
    let limit = write(0x2424_0002_0000_4812, 0, u64::MAX);
    tally.check("l2: without an IDT", limit, Ok(0x7ff));
    let exit = l2::run(&[0x0f, 0x0b]);
    tally.check("l2: triple fault", exit.registers.rax, 2);
    tally.check("l2: and alive again", l2::protected_mode(), true);
    is(tally, "l2: HLT after a triple fault", l2::run(&[0xf4]), Wanted::of(12, 0, 1, 0));
}

/// `mov eax, [address]`.
fn load(address: u64) -> [u8; 5] {
    let [a, b, c, d, ..] = address.to_le_bytes();
    [0xa1, a, b, c, d]
}

/// `mov [address], eax`.
fn store(address: u64) -> [u8; 5] {
    let [_, a, b, c, d] = load(address);
    [0xa3, a, b, c, d]
}

fn violation(rax: u64, qualification: u64, gpa: u64, extended: u64) -> Wanted {
    Wanted { extended, addresses: Some((gpa, gpa)), ..Wanted::of(rax, qualification, 0, 0) }
}

fn memory_accesses(tally: &mut Tally) {
    const TO_L1: u64 = 0x1100_0000_0030;
    let exit = l2::run(&load(PRIVATE + 0x10));
    is(tally, "l2: reads a page of L1", exit, violation(48, 0x181, PRIVATE + 0x10, 0));
    let exit = l2::run(&store(PRIVATE + 0xffc));
    is(tally, "l2: writes a page of L1", exit, violation(48, 0x182, PRIVATE + 0xffc, 0));
    memory::write(READ_ONLY, 0x5151);
    is(tally, "l2: reads what it may", l2::run(&load(READ_ONLY)), Wanted::of(12, 0, 1, 5));
    tally.check("l2: and has it", state(0), 0x5151);
    let exit = l2::run(&store(READ_ONLY));
    is(tally, "l2: writes what it may not", exit, violation(48, 0x18a, READ_ONLY, 0));
    let exit = l2::run(&load(PENDING));
    is(tally, "l2: reads a pending page", exit, violation(48, 0x181, PENDING, 6));
    let accept = Registers { rax: 6, rcx: PENDING, ..JUNK };
    tally.status("l2: L1 accepts the page", accept, 0);
    is(tally, "l2: reads it then", l2::run(&load(PENDING)), Wanted::of(12, 0, 1, 5));
    let exit = l2::run(&load(UNTOUCHED));
    is(tally, "l2: reads a page that the host gives", exit, violation(48, 0x181, UNTOUCHED, 6));
    const NOWHERE: u64 = 0x4000_0000;
    let exit = l2::run(&load(NOWHERE));
    is(tally, "l2: reads no memory of the TD", exit, violation(TO_L1, 0x181, NOWHERE, 0));
    // jmp eax
    l2::load(&[0xff, 0xe0]);
    l2::set_state(0, READ_ONLY);
    let exit = l2::enter();
    let got = (exit.registers.rax, exit.registers.rcx & 0x1bf, state(RIP));
    tally.check("l2: executes what it may not", got, (48, 0x18c, READ_ONLY));
}

fn masks(tally: &mut Tally) {
    const CR0_MASK: u64 = 0x2424_0003_0000_6000;
    const CR4_MASK: u64 = 0x2424_0003_0000_6002;
    // mov eax, value; mov cr0, eax
    let cr0 = |a: u8, d: u8| [0xb8, a, 0, 0, d, 0x0f, 0x22, 0xc0];
    let cr4 = |a: u8, b: u8| [0xb8, a, b, 0, 0, 0x0f, 0x22, 0xe0];
    tally.check("l2: owns its CR0", write(CR0_MASK, 0, u64::MAX).is_ok(), true);
    tally.check("l2: owns its CR4", write(CR4_MASK, 0, u64::MAX).is_ok(), true);
    is(tally, "l2: sets TS", l2::run(&cr0(0x29, 0)), Wanted::of(12, 0, 1, 8));
    let now = super::fields::vp(0x2424_0003_0000_6800);
    tally.check("l2: TS is set", now, Ok(0x29));
    is(tally, "l2: sets CD", l2::run(&cr0(0x21, 0x40)), Wanted::of(28, 0, 3, 5));
    memory::write_bytes(l2::HANDLER, &[0xf4]);
    let wanted = Wanted { cs: CS32 | 8, ..Wanted::of(12, 0, 1, 0x800) };
    is(tally, "l2: clearing NE is #GP", l2::run(&cr0(0x01, 0)), wanted);
    tally.check("l2: back from #GP", l2::protected_mode(), true);
    is(tally, "l2: sets PGE", l2::run(&cr4(0xc0, 0x20)), Wanted::of(12, 0, 1, 8));
    is(tally, "l2: clears MCE", l2::run(&cr4(0x80, 0x20)), Wanted::of(28, 4, 3, 5));
    is(tally, "l2: clears VMXE", l2::run(&cr4(0xc0, 0)), Wanted::of(28, 4, 3, 5));
    tally.check("l2: L1 owns TS", write(CR0_MASK, 8, u64::MAX).is_ok(), true);
    is(tally, "l2: sets TS of L1", l2::run(&cr0(0x29, 0)), Wanted::of(28, 0, 3, 5));
    is(tally, "l2: sets EM", l2::run(&cr0(0x25, 0)), Wanted::of(12, 0, 1, 8));
    const CR0_SHADOW: u64 = 0x2424_0003_0000_6004;
    tally.check("l2: L1 owns NE", write(CR0_MASK, 1 << 5, u64::MAX).is_ok(), true);
    tally.check("l2: and shows it as 0", write(CR0_SHADOW, 0, u64::MAX), Ok(0));
    is(tally, "l2: writes NE as it sees it", l2::run(&cr0(0x03, 0)), Wanted::of(12, 0, 1, 8));
    let now = super::fields::vp(0x2424_0003_0000_6800);
    tally.check("l2: MP is set, NE has stayed", now, Ok(0x23));
    tally.check("l2: CR0 back", write(CR0_MASK, u64::MAX, u64::MAX).is_ok(), true);
    tally.check("l2: CR4 back", write(CR4_MASK, u64::MAX, u64::MAX).is_ok(), true);
}

fn long_mode(tally: &mut Tally) {
    const TDCALL: [u8; 4] = [0x66, 0x0f, 0x01, 0xcc];
    let wanted = |reason, length, rip| Wanted { cs: CS64, ..Wanted::of(reason, 0, length, rip) };
    is(tally, "l2: HLT in 64-bit mode", l2::run(&[0xf4]), wanted(12, 1, 0));
    is(tally, "l2: TDCALL", l2::run(&TDCALL), wanted(77, 4, 0));
    // mov rax, [shared 0xd0000040]
    let mut code = [0x48, 0xa1, 0, 0, 0, 0, 0, 0, 0, 0];
    code[2..].copy_from_slice(&0x80_d000_0040_u64.to_le_bytes());
    let exit = l2::run(&code);
    let addresses = Some((0x80_d000_0040, SHARED | 0xd000_0040));
    let to_l1 = Wanted { addresses, ..wanted(0x1100_0000_0030, 0, 0) };
    is(tally, "l2: reads shared memory", exit, Wanted { qualification: 0x181, ..to_l1 });
    let allowed = write(0xa020_0003_0000_0051, 2, 2);
    tally.check("l2: may call the host", allowed, Ok(0));
    l2::load(&TDCALL);
    // Write 0x55 to port 0x80.
    for (register, value) in [(0, 0), (1, 0xfc00), (10, 0), (11, 30), (12, 1), (13, 1), (14, 0x80)]
    {
        l2::set_state(register * 8, value);
    }
    is(tally, "l2: calls the host and goes on", l2::enter(), wanted(12, 1, 4));
    tally.check("l2: has its answer", (state(0), state(8), state(80)), (0, 0xfc00, 0));
    l2::load(&TDCALL);
    l2::set_state(0, 0);
    l2::set_state(8, 1);
    is(tally, "l2: calls with a wrong mask", l2::enter(), wanted(12, 1, 4));
    tally.check("l2: is told so", state(0), OPERAND_INVALID | 1);
    l2::load(&TDCALL);
    l2::set_state(0, 1 << 32);
    is(tally, "l2: calls with a reserved bit", l2::enter(), wanted(12, 1, 4));
    tally.check("l2: is told that, too", state(0), OPERAND_INVALID);
    l2::load(&TDCALL);
    l2::set_state(0, 1);
    is(tally, "l2: another leaf is L1's", l2::enter(), wanted(77, 4, 0));
    tally.check("l2: no more calls", write(0xa020_0003_0000_0051, 0, 2), Ok(2));
}
