// SPDX-License-Identifier: MIT OR Apache-2.0
//! The instructions of the test, one a row. Memory operands are `[rbx]`.
//!
//! Where two ends are allowed, a processor of Intel's and QEMU's differ, or QEMU's versions do; the
//! first comment beside says in what.

use super::row::{Ends, Row};

const DONE: Ends = Ends::DONE;
const UD: Ends = Ends::UD;
const GP: Ends = Ends::GP;
const UD_GP: Ends = Ends::UD_GP;
/// Executed, or missing in the processor.
const IF_ANY: Ends = DONE.or(UD);

/// Instructions of hypervisors: VMX, SVM, TDX, SGX, SMX.
pub(super) const HYPERVISORS: &[Row] = &[
    // A hypercall may have to be switched on, and be refused to ring 3.
    Row::new("vmcall", &[0x0f, 0x01, 0xc1]).ends(IF_ANY),
    // QEMU 10 takes every 0F C7 with a memory operand for CMPXCHG8B.
    Row::new("vmclear", &[0x66, 0x0f, 0xc7, 0x33]).ends(IF_ANY),
    Row::new("vmlaunch", &[0x0f, 0x01, 0xc2]),
    Row::new("vmresume", &[0x0f, 0x01, 0xc3]),
    Row::new("vmxoff", &[0x0f, 0x01, 0xc4]),
    Row::new("vmptrld", &[0x0f, 0xc7, 0x33]).ends(IF_ANY),
    Row::new("vmptrst", &[0x0f, 0xc7, 0x3b]).ends(IF_ANY),
    Row::new("vmxon", &[0xf3, 0x0f, 0xc7, 0x33]).ends(IF_ANY),
    Row::new("vmread", &[0x0f, 0x78, 0xc8]),
    Row::new("vmread-memory", &[0x0f, 0x78, 0x0b]),
    Row::new("vmwrite", &[0x0f, 0x79, 0xc8]),
    Row::new("vmwrite-memory", &[0x0f, 0x79, 0x0b]),
    Row::new("invept", &[0x66, 0x0f, 0x38, 0x80, 0x03]),
    Row::new("invvpid", &[0x66, 0x0f, 0x38, 0x81, 0x03]),
    Row::new("vmfunc", &[0x0f, 0x01, 0xd4]),
    // QEMU checks the ring of SVM's before it asks the hypervisor.
    Row::new("vmrun", &[0x0f, 0x01, 0xd8]).user(UD_GP),
    Row::new("vmmcall", &[0x0f, 0x01, 0xd9]),
    Row::new("vmload", &[0x0f, 0x01, 0xda]).user(UD_GP),
    Row::new("vmsave", &[0x0f, 0x01, 0xdb]).user(UD_GP),
    Row::new("stgi", &[0x0f, 0x01, 0xdc]).user(UD_GP),
    Row::new("clgi", &[0x0f, 0x01, 0xdd]).user(UD_GP),
    Row::new("skinit", &[0x0f, 0x01, 0xde]).user(UD_GP),
    Row::new("invlpga", &[0x0f, 0x01, 0xdf]).user(UD_GP),
    Row::new("getsec", &[0x0f, 0x37]),
    Row::new("rsm", &[0x0f, 0xaa]),
    Row::new("encls", &[0x0f, 0x01, 0xcf]),
    Row::new("enclu", &[0x0f, 0x01, 0xd7]),
    Row::new("enclv", &[0x0f, 0x01, 0xc0]),
    Row::new("pconfig", &[0x0f, 0x01, 0xc5]),
    Row::new("seamret", &[0x66, 0x0f, 0x01, 0xcd]),
    Row::new("seamops", &[0x66, 0x0f, 0x01, 0xce]),
    Row::new("seamcall", &[0x66, 0x0f, 0x01, 0xcf]),
    Row::new("loadiwkey", &[0xf3, 0x0f, 0x38, 0xdc, 0xc1]),
    Row::new("enqcmd", &[0xf2, 0x0f, 0x38, 0xf8, 0x03]),
    Row::new("enqcmds", &[0xf3, 0x0f, 0x38, 0xf8, 0x03]),
    Row::new("clui", &[0xf3, 0x0f, 0x01, 0xee]),
    Row::new("hreset", &[0xf3, 0x0f, 0x3a, 0xf0, 0xc0, 0x00]),
];

/// Instructions of kernels.
pub(super) const KERNELS: &[Row] = &[
    Row::new("hlt", &[0xf4]).user(GP).only_user(),
    Row::new("cli", &[0xfa]).kernel(DONE).user(GP),
    Row::new("sti-cli", &[0xfb, 0xfa]).kernel(DONE).user(GP),
    Row::new("wbinvd", &[0x0f, 0x09]).kernel(DONE).user(GP),
    Row::new("wbnoinvd", &[0xf3, 0x0f, 0x09]).kernel(DONE).user(GP),
    Row::new("invd", &[0x0f, 0x08]).kernel(DONE).user(GP),
    Row::new("invlpg", &[0x0f, 0x01, 0x3b]).kernel(DONE).user(GP),
    Row::new("invlpg-anywhere", &[0x0f, 0x01, 0x38]).rax(1 << 63).kernel(DONE).user(GP),
    Row::new("invpcid", &[0x66, 0x0f, 0x38, 0x82, 0x03]).kernel(IF_ANY.or(GP)).user(UD_GP),
    Row::new("invpcid-nonsense", &[0x66, 0x0f, 0x38, 0x82, 0x03]).rax(9).ends(UD_GP),
    Row::new("rdpmc", &[0x0f, 0x33]).ends(GP),
    Row::new("rdtsc", &[0x0f, 0x31]).ends(DONE),
    Row::new("rdtscp", &[0x0f, 0x01, 0xf9]).ends(DONE),
    Row::new("rdpru", &[0x0f, 0x01, 0xfd]),
    Row::new("monitor", &[0x0f, 0x01, 0xc8]).ends(UD),
    Row::new("mwait", &[0x0f, 0x01, 0xc9]).ends(UD),
    Row::new("monitorx", &[0x0f, 0x01, 0xfa]),
    Row::new("mwaitx", &[0x0f, 0x01, 0xfb]),
    // QEMU takes these for MFENCE with a prefix.
    Row::new("umonitor", &[0xf3, 0x0f, 0xae, 0xf3]).ends(IF_ANY),
    Row::new("umwait", &[0xf2, 0x0f, 0xae, 0xf3]).ends(IF_ANY),
    Row::new("tpause", &[0x66, 0x0f, 0xae, 0xf3]).ends(IF_ANY),
    Row::new("pause", &[0xf3, 0x90, 0xf3, 0x90, 0xf3, 0x90]).ends(DONE),
    // 1000 times: an exit of a loop of PAUSE is allowed, but not an end.
    Row::new("pause-loop", &[0xb9, 0xe8, 3, 0, 0, 0xf3, 0x90, 0xe2, 0xfc]).ends(DONE),
    Row::new("rdrand", &[0x0f, 0xc7, 0xf0]).ends(IF_ANY),
    Row::new("rdseed", &[0x0f, 0xc7, 0xf8]).ends(IF_ANY),
    Row::new("swapgs", &[0x0f, 0x01, 0xf8]).kernel(DONE).user(GP).narrow(UD, UD_GP),
    Row::new("clac", &[0x0f, 0x01, 0xca]).kernel(IF_ANY).user(UD),
    Row::new("stac-clac", &[0x0f, 0x01, 0xcb, 0x0f, 0x01, 0xca]).kernel(IF_ANY).user(UD),
    Row::new("xgetbv", &[0x0f, 0x01, 0xd0]),
    Row::new("xsetbv-off", &[0x0f, 0x01, 0xd1]).rax(1).user(UD_GP),
    Row::new("xsaves", &[0x0f, 0xc7, 0x2b]).ends(IF_ANY),
    Row::new("xrstors", &[0x0f, 0xc7, 0x1b]).ends(IF_ANY),
    Row::new("rdpkru", &[0x0f, 0x01, 0xee]),
    Row::new("wrpkru", &[0x0f, 0x01, 0xef]),
    Row::new("wrfsbase", &[0xf3, 0x0f, 0xae, 0xd0]),
    Row::new("syscall", &[0x0f, 0x05]),
    Row::new("sysret", &[0x0f, 0x07]).ends(UD_GP),
    Row::new("sysenter", &[0x0f, 0x34]).ends(UD_GP),
    Row::new("sysexit", &[0x0f, 0x35]).ends(UD_GP),
];

/// Control, debug and segment registers.
pub(super) const REGISTERS: &[Row] = &[
    Row::new("clts", &[0x0f, 0x06]).kernel(DONE).user(GP),
    Row::new("smsw", &[0x0f, 0x01, 0xe0]).ends(DONE),
    Row::new("smsw-memory", &[0x0f, 0x01, 0x23]).ends(DONE),
    Row::new("smsw-lmsw", &[0x0f, 0x01, 0xe0, 0x0f, 0x01, 0xf0]).kernel(DONE).user(GP),
    Row::new("smsw-lmsw-memory", &[0x0f, 0x01, 0x23, 0x0f, 0x01, 0x33]).kernel(DONE).user(GP),
    Row::new("lmsw-clears-pe", &[0x0f, 0x01, 0xf0]).kernel(DONE).user(GP),
    Row::new("from-cr0", &[0x0f, 0x20, 0xc0]).kernel(DONE).user(GP),
    Row::new("from-cr1", &[0x0f, 0x20, 0xc8]).user(UD_GP),
    Row::new("from-cr2", &[0x0f, 0x20, 0xd0]).kernel(DONE).user(GP),
    Row::new("from-cr3", &[0x0f, 0x20, 0xd8]).kernel(DONE).user(GP),
    Row::new("from-cr4", &[0x0f, 0x20, 0xe0]).kernel(DONE).user(GP),
    Row::new("from-cr5", &[0x0f, 0x20, 0xe8]).user(UD_GP),
    Row::new("from-cr8", &[0x44, 0x0f, 0x20, 0xc0]).kernel(DONE).user(GP).only_long(),
    Row::new("to-cr2", &[0x0f, 0x22, 0xd0]).kernel(DONE).user(GP),
    Row::new("to-cr3-again", &[0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8]).kernel(DONE).user(GP),
    Row::new("to-cr7", &[0x0f, 0x22, 0xf8]).user(UD_GP),
    Row::new("to-cr15", &[0x44, 0x0f, 0x22, 0xf8]).user(UD_GP).only_long(),
    Row::new("from-dr0", &[0x0f, 0x21, 0xc0]).kernel(DONE).user(GP),
    Row::new("from-dr6", &[0x0f, 0x21, 0xf0]).kernel(DONE).user(GP),
    Row::new("from-dr7", &[0x0f, 0x21, 0xf8]).kernel(DONE).user(GP),
    Row::new("to-dr0", &[0x0f, 0x23, 0xc0]).kernel(DONE).user(GP),
    Row::new("to-dr3", &[0x0f, 0x23, 0xd8]).kernel(DONE).user(GP),
    Row::new("to-dr4", &[0x0f, 0x23, 0xe0]).rax(0xffff_0ff0).kernel(DONE).user(GP),
    Row::new("to-dr6", &[0x0f, 0x23, 0xf0]).rax(0xffff_0ff0).kernel(DONE).user(GP),
    Row::new("to-dr7", &[0x0f, 0x23, 0xf8]).rax(0x400).kernel(DONE).user(GP),
    Row::new("sgdt-lgdt", &[0x0f, 0x01, 0x03, 0x0f, 0x01, 0x13]).kernel(DONE).user(GP),
    Row::new("sidt-lidt", &[0x0f, 0x01, 0x0b, 0x0f, 0x01, 0x1b]).kernel(DONE).user(GP),
    Row::new("sldt", &[0x0f, 0x00, 0xc0]).ends(DONE),
    Row::new("str", &[0x0f, 0x00, 0xc8]).ends(DONE),
    Row::new("lldt-nothing", &[0x0f, 0x00, 0xd0]).kernel(DONE).user(GP),
    Row::new("lldt-nonsense", &[0x0f, 0x00, 0xd0]).rax(0x1238).ends(GP),
    // QEMU takes it in ring 0 and gives itself up at the next exception in ring 3.
    Row::new("ltr-nothing", &[0x0f, 0x00, 0xd8]).user(GP).only_user(),
    Row::new("ltr-busy", &[0x0f, 0x00, 0xd8]).rax(0x38).ends(GP),
    Row::new("no-stack-segment", &[0x8e, 0xd0]).kernel(DONE).user(GP).narrow(GP, GP),
    Row::new("data-segment-nonsense", &[0x8e, 0xd8]).rax(0xfff8).ends(GP),
];

/// Ways elsewhere: interrupts, returns, gates. What lies above the stack pointer is zeros; the far
/// pointer at `[rbx + 64]` leads to the task.
pub(super) const TRANSFERS: &[Row] = &[
    Row::new("int-48", &[0xcd, 0x30]).kernel(Ends::vector(48)).user(GP),
    Row::new("int-2", &[0xcd, 0x02]).kernel(Ends::vector(2)).user(GP),
    Row::new("int-18", &[0xcd, 0x12]).kernel(Ends::vector(18)).user(GP),
    // QEMU 7.2 keeps INT1 for its debugger.
    Row::new("int1", &[0xf1]).ends(Ends::DB.or(UD)),
    Row::new("int3", &[0xcc]).kernel(Ends::vector(3)).user(GP),
    // QEMU 10 has INTO in 64-bit code.
    Row::new("into", &[0xce]).ends(IF_ANY).narrow(DONE, DONE),
    Row::new("ud0", &[0x0f, 0xff, 0xc0]),
    Row::new("ud1", &[0x0f, 0xb9, 0xc0]),
    // With a prefix, as the last instruction of every other row is UD2.
    Row::new("ud2", &[0x66, 0x0f, 0x0b]),
    Row::new("lock-nop", &[0xf0, 0x90]),
    Row::new("too-long", &[0x66; 15]).ends(GP),
    Row::new("division-by-0", &[0xf7, 0xf1]).ends(Ends::vector(0)),
    Row::new("single-step", &[0x9c, 0x80, 0x4c, 0x24, 0x01, 0x01, 0x9d, 0x90]).ends(Ends::DB),
    Row::new("iret-to-nowhere", &[0x48, 0xcf]).ends(GP).only_long(),
    Row::new("iret-to-nowhere-32", &[0xcf]).ends(GP).only_narrow(),
    // Nested-task flag on, then IRET.
    Row::new("iret-to-a-task", &[0x9c, 0x80, 0x4c, 0x24, 0x01, 0x40, 0x9d, 0xcf]).ends(GP),
    Row::new("far-return-to-nowhere", &[0xcb]).ends(GP),
    Row::new("far-jump-to-a-task", &[0xff, 0x6b, 0x40]).ends(GP),
    Row::new("far-call-of-a-task", &[0xff, 0x5b, 0x40]).ends(GP),
    Row::new("load-from-no-address", &[0x48, 0x8b, 0x00]).rax(1 << 63).ends(GP).only_long(),
    Row::new("load-from-no-page", &[0x48, 0x8b, 0x00]).rax(5 << 30).ends(Ends::PF).only_long(),
];
