// SPDX-License-Identifier: MIT OR Apache-2.0
//! VMRUN, VMLOAD and VMSAVE.
//!
//! The emulator runs with GIF=0 and IF=0; IF is opened only across VMRUN, so that a physical
//! interrupt makes the guest exit and nothing else. VMRUN leaves FS, GS, TR, LDTR and the SYSCALL
//! state in the processor; VMLOAD and VMSAVE around it make the VMCB whole.
//!
//! The time-stamp counter is read right before and right after. Where it counts instructions, the
//! difference less `OWN_INSTRUCTIONS` is how many the guest executed, and none of the emulator's.
//!
//! Spec: APM "VMRUN Instruction", "VMSAVE and VMLOAD Instructions".

#![expect(unsafe_code, reason = "VMRUN has no intrinsic")]

use core::arch::{asm, naked_asm};

use super::{physical::Hpa, vmcb::Vmcb};
use crate::machine::{interrupt, lapic};

/// Makes the guest exit right behind the delivery of an interrupt, and has no other meaning.
const BEHIND_INJECTION_VECTOR: u8 = 0xf4;

/// Instructions from one reading of the time-stamp counter to the other, both in [`vmrun`], if the guest
/// executes none.
const OWN_INSTRUCTIONS: u64 = 40;

/// Sixteen general registers in x86 register-number order, as they were at the last exit. RSP
/// belongs to a virtual machine, not to the register file: it is kept in the VMCB and copied here
/// for whoever must read it by number.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Gprs(pub(crate) [u64; 16]);

/// Index of RAX in [`Gprs`].
pub(crate) const RAX: usize = 0;
/// Index of RCX in [`Gprs`].
pub(crate) const RCX: usize = 1;
/// Index of RDX in [`Gprs`].
pub(crate) const RDX: usize = 2;
/// Index of RBX in [`Gprs`].
pub(crate) const RBX: usize = 3;
/// Index of RSP in [`Gprs`].
pub(crate) const RSP: usize = 4;
/// Index of RBP in [`Gprs`].
pub(crate) const RBP: usize = 5;
/// Index of RSI in [`Gprs`].
pub(crate) const RSI: usize = 6;
/// Index of RDI in [`Gprs`].
pub(crate) const RDI: usize = 7;

/// Runs the guest of `vmcb` until it exits. Returns how many instructions it executed, the one that
/// exits not among them, if instructions are what the time-stamp counter counts.
pub(crate) fn run(vmcb: Vmcb, gprs: &mut Gprs) -> u64 {
    vmcb.set_rax(gprs.0[RAX]);
    if injects_interrupt(vmcb) {
        lapic::self_ipi(BEHIND_INJECTION_VECTOR);
    }
    // SAFETY: loads guest state that the emulator itself never uses (no FS, GS, TR or SYSCALL).
    unsafe { asm!("vmload rax", in("rax") vmcb.page(), options(nostack)) };
    // SAFETY: the VMCB confines the guest to its nested table; our state is restored by VMRUN's
    // host save area and by the stub itself.
    let ticks = unsafe { vmrun(vmcb.page(), gprs) };
    // SAFETY: stores guest state into a page that is this CPU's own.
    unsafe { asm!("vmsave rax", in("rax") vmcb.page(), options(nostack)) };
    gprs.0[RAX] = vmcb.rax();
    gprs.0[RSP] = vmcb.rsp();
    ticks.saturating_sub(OWN_INSTRUCTIONS)
}

/// Whether VMRUN delivers an external interrupt. QEMU then forgets to forget it: should one of its
/// threads call the CPU out of the guest's code before the next exit, to drop translations say, the
/// guest takes the interrupt a second time, interrupt flag or not. So the guest exits at once.
fn injects_interrupt(vmcb: Vmcb) -> bool {
    const VALID: u64 = 1 << 31;
    const KIND: u64 = 7 << 8;
    const EXTERNAL_INTERRUPT: u64 = 0;
    vmcb.event_inj() & (VALID | KIND) == VALID | EXTERNAL_INTERRUPT
}

/// Enables SVM on this CPU, with `host_save_area` for VMRUN's own use.
pub(crate) fn enable(host_save_area: Hpa) {
    const VM_HSAVE_PA: u32 = 0xc001_0117;
    interrupt::set_handler(BEHIND_INJECTION_VECTOR, |_| {});
    let mut register = x86_64::registers::model_specific::Msr::new(VM_HSAVE_PA);
    // SAFETY: the page was allocated for this purpose and is never freed.
    unsafe { register.write(host_save_area) };
    // SAFETY: from here on interrupts are taken only in `machine::interrupt`'s windows.
    unsafe { asm!("clgi", options(nomem, nostack)) };
}

/// # Safety
///
/// GIF=0 and IF=0; `vmcb` is a valid VMCB whose guest cannot reach the emulator's memory.
#[unsafe(naked)]
unsafe extern "sysv64" fn vmrun(vmcb: Hpa, gprs: *mut Gprs) -> u64 {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rsi",
        "rdtsc",
        "shl rdx, 32",
        "or rax, rdx",
        "push rax",
        "mov rax, rdi",
        "mov rcx, [rsi + 1*8]",
        "mov rdx, [rsi + 2*8]",
        "mov rbx, [rsi + 3*8]",
        "mov rbp, [rsi + 5*8]",
        "mov rdi, [rsi + 7*8]",
        "mov r8,  [rsi + 8*8]",
        "mov r9,  [rsi + 9*8]",
        "mov r10, [rsi + 10*8]",
        "mov r11, [rsi + 11*8]",
        "mov r12, [rsi + 12*8]",
        "mov r13, [rsi + 13*8]",
        "mov r14, [rsi + 14*8]",
        "mov r15, [rsi + 15*8]",
        "mov rsi, [rsi + 6*8]",
        "sti",
        "nop",
        "vmrun rax",
        "cli",
        // The guest's RSI on the stack, ours in RSI.
        "xchg rsi, [rsp + 8]",
        "mov [rsi + 1*8], rcx",
        "mov [rsi + 2*8], rdx",
        "mov [rsi + 3*8], rbx",
        "mov [rsi + 5*8], rbp",
        "mov [rsi + 7*8], rdi",
        "mov [rsi + 8*8], r8",
        "mov [rsi + 9*8], r9",
        "mov [rsi + 10*8], r10",
        "mov [rsi + 11*8], r11",
        "mov [rsi + 12*8], r12",
        "mov [rsi + 13*8], r13",
        "mov [rsi + 14*8], r14",
        "mov [rsi + 15*8], r15",
        "pop rcx",
        "pop rax",
        "mov [rsi + 6*8], rax",
        "rdtsc",
        "shl rdx, 32",
        "or rax, rdx",
        "sub rax, rcx",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
    )
}
