// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host that speaks as Hyper-V does: identity, MSRs, hypercalls. On any other it is left out.
//!
//! What a message must look like is written here by hand from the documents, for the emulator has it from
//! elsewhere.
//!
//! Spec: TLFS "Hypervisor Discovery", "Hypercall Interface", "Synthetic Interrupt Controller".

/// What is asked of the host, and the pages that both sides see.
pub(super) mod host;

/// VMBus: from contact to unload.
mod bus;

/// Interrupts of a device that the host asks L1 to pass on.
mod proxied;

use self::host::{
    EVENTS, HYPERCALL, MESSAGES, OUTPUT, cpuid, hypercall, of, rdmsr, read, share, word, write,
    wrmsr,
};
use crate::tally::Tally;

const INVALID_OPERAND: u64 = 1 << 63;

const OS_ID: u64 = 0x4000_0000;
const VP_INDEX: u64 = 0x4000_0002;
const SCONTROL: u64 = 0x4000_0080;
const SVERSION: u64 = 0x4000_0081;
const SIEFP: u64 = 0x4000_0082;
const SIMP: u64 = 0x4000_0083;
const SINT0: u64 = 0x4000_0090;
const SINT7: u64 = 0x4000_0097;

/// The vectors of the two sources.
const PROXY_VECTOR: u64 = 0x53;
const BUS_VECTOR: u64 = 0x52;

const GET_VP_REGISTERS: u64 = 0x50;
const SET_VP_REGISTERS: u64 = 0x51;

pub(super) fn run(tally: &mut Tally) {
    let signature = [0x7263_694d, 0x666f_736f, 0x7648_2074];
    let [_, found @ ..] = cpuid(0x4000_0000);
    if found != signature {
        return;
    }
    identity(tally);
    registers(tally);
    calls(tally);
    bus::run(tally);
    proxied::run(tally);
    tally.check("hyperv: off", wrmsr(SCONTROL, 0), 0);
}

fn identity(tally: &mut Tally) {
    tally.check("hyperv: interface", cpuid(0x4000_0001)[0], 0x3123_7648);
    let [eax, ebx, ..] = cpuid(0x4000_0003);
    tally.check("hyperv: SynIC, hypercalls, VP index", eax & 0x64, 0x64);
    tally.check("hyperv: messages, signals, VP registers", ebx & 0x2_0030, 0x2_0030);
    tally.check("hyperv: isolated by TDX", cpuid(0x4000_000c)[1] & 0xf, 3);
}

fn registers(tally: &mut Tally) {
    tally.check("hyperv: no call without an identity", hypercall(0x1_005d, 0, 0), 6);
    tally.check("hyperv: own identity", wrmsr(OS_ID, 0x8100_0000_0000_0000), 0);
    tally.check("hyperv: own identity reads back", rdmsr(OS_ID), (0, 0x8100_0000_0000_0000));
    tally.check("hyperv: VP index", rdmsr(VP_INDEX), (0, 0));
    tally.check("hyperv: VP index cannot be written", wrmsr(VP_INDEX, 1), INVALID_OPERAND);
    tally.check("synic: version", rdmsr(SVERSION), (0, 1));
    tally.check("synic: version cannot be written", wrmsr(SVERSION, 1), INVALID_OPERAND);
    tally.check("synic: a source is masked", rdmsr(SINT7), (0, 1 << 16));
    tally.check("synic: a private page is refused", wrmsr(SIMP, of(MESSAGES) | 1), INVALID_OPERAND);
    tally.check("synic: pages are shared", share(), 0);
    tally.check("synic: message page", wrmsr(SIMP, of(MESSAGES) | 1), 0);
    tally.check("synic: event page", wrmsr(SIEFP, of(EVENTS) | 1), 0);
    tally.check("synic: vector 15 is refused", wrmsr(SINT7, 15), INVALID_OPERAND);
    tally.check("synic: source 7", wrmsr(SINT7, BUS_VECTOR), 0);
    tally.check("synic: source 0", wrmsr(SINT0, 1 << 20 | PROXY_VECTOR), 0);
    tally.check("synic: on", wrmsr(SCONTROL, 1), 0);
    let all = [SIMP, SIEFP, SINT7, SCONTROL].map(rdmsr);
    let wanted = [of(MESSAGES) | 1, of(EVENTS) | 1, BUS_VECTOR, 1].map(|value| (0, value));
    tally.check("synic: all reads back", all, wanted);
    tally.check("synic: there is no source 16", wrmsr(SINT0 + 16, BUS_VECTOR), INVALID_OPERAND);
}

fn calls(tally: &mut Tally) {
    tally.check("hypercall: unknown", hypercall(0x7fff, of(HYPERCALL), 0), 2);
    tally.check("hypercall: reserved bit", hypercall(1 << 27 | 0x5c, of(HYPERCALL), 0), 3);
    tally.check("hypercall: not aligned", hypercall(0x5c, of(HYPERCALL) + 4, 0), 4);
    tally.check("hypercall: across a page", hypercall(0x5c, of(HYPERCALL) + 0xf08, 0), 3);
    tally.check("hypercall: private input", hypercall(0x5c, 0x0080_0000, 0), 5);
    tally.check("hypercall: beyond all addresses", hypercall(0x5c, u64::MAX - 7, 0), 3);
    tally.check("signal: nobody listens", hypercall(0x1_005d, 0x2_7001, 0), 0x12);
    tally.check("post: nobody listens", host::post(3, &[0; 8]), 0x12);
    // Partition, then virtual processor and trust level, then names.
    write(HYPERCALL, u64::MAX);
    write(HYPERCALL + 8, 0xffff_fffe);
    write(HYPERCALL + 16, 0x000d_0006 | 0x0009_0003 << 32);
    write(HYPERCALL + 24, 0x000a_0007 | 0x0001_2345 << 32);
    let got = hypercall(4 << 32 | GET_VP_REGISTERS, of(HYPERCALL), of(OUTPUT));
    tally.check("registers: three of four", got, 3 << 32 | 5);
    let values = [0, 16, 32].map(|offset| read(OUTPUT + offset));
    let [capabilities, index, sint7] = values;
    let redirects = capabilities == 1 << 34;
    tally.check("registers: capabilities", redirects || capabilities == 0, true);
    tally.check("registers: index and source", (index, sint7), (0, BUS_VECTOR));
    write(HYPERCALL + 16, 0x000a_0010);
    write(HYPERCALL + 24, 0);
    write(HYPERCALL + 32, 1);
    write(HYPERCALL + 40, 0);
    let set = hypercall(1 << 32 | SET_VP_REGISTERS, of(HYPERCALL), 0);
    tally.check("registers: SCONTROL", set, 1 << 32);
    write(HYPERCALL + 16, 0x000d_0006);
    let set = hypercall(1 << 32 | SET_VP_REGISTERS, of(HYPERCALL), 0);
    tally.check("registers: capabilities cannot be set", set, 6);
    write(HYPERCALL + 8, 99);
    let got = hypercall(1 << 32 | GET_VP_REGISTERS, of(HYPERCALL), of(OUTPUT));
    tally.check("registers: no such processor", got, 0xe);
    tally.check("registers: pages are as they were", word(EVENTS), 0);
}
