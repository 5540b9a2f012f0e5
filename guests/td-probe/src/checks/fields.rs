// SPDX-License-Identifier: MIT OR Apache-2.0
//! Metadata: `TDG.VM.RD`, `TDG.VM.WR`, `TDG.VP.RD`, `TDG.VP.WR`, `TDG.SYS.RD`.
//!
//! Spec: TDX-ABI "Metadata Fields", "TDG.VM.RD Leaf" and following.

use tdcall::Registers;

use super::non_maskable;
use crate::{
    door,
    memory::SHARED,
    tally::{JUNK, Tally},
};

const ID_INCORRECT: u64 = 0xc000_0c00_0000_0000;
const NOT_WRITABLE: u64 = 0xc000_0c01_0000_0000;
const NOT_READABLE: u64 = 0xc000_0c02_0000_0000;
const VALUE_NOT_VALID: u64 = 0xc000_0c03_0000_0000;
const ALL: u64 = u64::MAX;

pub(super) fn run(tally: &mut Tally) {
    td(tally);
    system(tally);
    initial(tally);
    refused_reads(tally);
    refused_writes(tally);
    writes(tally);
}

/// Reads a field: its value, or the status.
fn read(leaf: u64, id: u64) -> Result<u64, u64> {
    let mut r = Registers { rax: leaf, rcx: 0, rdx: id, ..JUNK };
    door::tdcall(&mut r);
    if r.rax == 0 { Ok(r.r8) } else { Err(r.rax) }
}

/// Writes bits of a field of this CPU: what was there, or the status.
pub(crate) fn write(id: u64, value: u64, mask: u64) -> Result<u64, u64> {
    let mut r = Registers { rax: 10, rcx: 0, rdx: id, r8: value, r9: mask, ..JUNK };
    door::tdcall(&mut r);
    if r.rax == 0 { Ok(r.r8) } else { Err(r.rax) }
}

/// Reads a field of this CPU.
pub(super) fn vp(id: u64) -> Result<u64, u64> {
    read(9, id)
}

fn td(tally: &mut Tally) {
    let cpus = non_maskable::cpus();
    let rows = [
        ("vm.rd: NUM_VCPUS", 0x9010_0002_0000_0001, cpus),
        ("vm.rd: NUM_L2_VMS", 0x9010_0001_0000_0005, 2),
        ("vm.rd: size and context are ignored", 0x1000_0000_0000_0005, 2),
        ("vm.rd: ATTRIBUTES", 0x1110_0003_0000_0000, 0x1000_0000),
        ("vm.rd: MAX_VCPUS", 0x1110_0002_0000_0002, cpus),
        ("vm.rd: GPAW", 0x1110_0000_0000_0003, 0),
        ("vm.rd: NOTIFY_ENABLES", 0x9110_0003_0000_0010, 0),
        ("vm.rd: CONFIG_FLAGS", 0x1110_0003_0000_0016, 0),
        ("vm.rd: TD_CTLS", 0x1110_0003_0000_0017, 1),
        ("vm.rd: MRCONFIGID", 0x1310_0003_0000_0010, 0),
        ("vm.rd: MROWNERCONFIG", 0x1310_0003_0000_0025, 0),
        ("vm.rd: SERVTD_NUM", 0x9910_0001_0000_0006, 0),
    ];
    for (name, id, value) in rows {
        tally.check(name, read(7, id), Ok(value));
    }
    let uuid = read(7, 0x8010_0003_0000_0020);
    tally.check("vm.rd: TD_UUID is readable", uuid.is_ok(), true);
    let call = |rcx, rdx| Registers { rax: 7, rcx, rdx, ..JUNK };
    let bad = call(1, 0x9010_0002_0000_0001);
    tally.call("vm.rd: RCX", bad, |r| (r.rax, r.r8) = (0xc000_0100_0000_0001, 0));
    let unknown = call(0, 0x9010_0002_0000_0fff);
    tally.call("vm.rd: unknown field", unknown, |r| (r.rax, r.r8) = (ID_INCORRECT, 0));
    let version = Registers { rax: 7 | 1 << 16, ..unknown };
    tally.call("vm.rd: unknown field, version 1", version, |r| {
        (r.rax, r.rdx, r.r8) = (ID_INCORRECT, ALL, 0);
    });
    let write = |rdx, r8, r9| Registers { rax: 8, rcx: 0, rdx, r8, r9, ..JUNK };
    let rows = [
        ("vm.wr: NUM_VCPUS is read-only", write(0x9010_0002_0000_0001, 2, ALL), NOT_WRITABLE),
        ("vm.wr: RTMR is read-only", write(0x1310_0003_0000_0040, 0, ALL), NOT_WRITABLE),
        ("vm.wr: unknown field", write(0x9010_0002_0000_0fff, 2, ALL), ID_INCORRECT),
        ("vm.wr: TD_CTLS is fixed", write(0x1110_0003_0000_0017, 0, 1), VALUE_NOT_VALID),
        ("vm.wr: TD_CTLS without mask", write(0x1110_0003_0000_0017, 1, 0), NOT_WRITABLE),
        ("vm.wr: NOTIFY_ENABLES beyond", write(0x9110_0003_0000_0010, 0, 2), NOT_WRITABLE),
        ("vm.wr: NOTIFY_ENABLES bit 1", write(0x9110_0003_0000_0010, 2, 3), VALUE_NOT_VALID),
        ("vm.wr: NOTIFY_ENABLES", write(0x9110_0003_0000_0010, 1, 1), 0),
    ];
    for (name, input, status) in rows {
        tally.call(name, input, |r| (r.rax, r.r8) = (status, 0));
    }
    let off = write(0x9110_0003_0000_0010, 0, 1);
    tally.call("vm.wr: tells what was there", off, |r| (r.rax, r.r8) = (0, 1));
}

fn system(tally: &mut Tally) {
    tally.check("sys.rd: vendor", read(11, 0x0800_0002_0000_0000), Ok(0x8086));
    tally.check("sys.rd: major version", read(11, 0x0800_0001_0000_0004), Ok(1));
    tally.check("sys.rd: minor version", read(11, 0x0800_0001_0000_0003), Ok(5));
    tally.check("sys.rd: L2 page attributes", read(11, 0xa200_0001_0000_0000), Ok(0x807f));
    let features = read(11, 0x0a00_0003_0000_0008).map(|bits| bits & 1 << 7);
    tally.check("sys.rd: TD partitioning", features, Ok(1 << 7));
    let unknown = Registers { rax: 11, rdx: 0x0800_0002_0000_0fff, ..JUNK };
    tally.call("sys.rd: unknown field", unknown, |r| {
        (r.rax, r.rdx, r.r8) = (ID_INCORRECT, ALL, 0);
    });
}

/// What an L2 VM starts with.
const INITIAL: [(&str, u64, u64); 44] = [
    ("vp.rd: VCPU_INDEX", 0xa020_0002_0000_0002, 0),
    ("vp.rd: L2_CTLS[1]", 0xa020_0003_0000_0051, 0),
    ("vp.rd: TSC_DEADLINE[1]", 0xa020_0003_0000_0059, ALL),
    ("vp.rd: MSR bitmap, first word", 0x2520_0003_0000_0000, ALL),
    ("vp.rd: MSR bitmap, last word", 0x2520_0003_0000_01ff, ALL),
    ("vp.rd: CR0", 0x2424_0003_0000_6800, 0x21),
    ("vp.rd: CR0 without size", 0x2400_0000_0000_6800, 0x21),
    ("vp.rd: CR3", 0x2424_0003_0000_6802, 0),
    ("vp.rd: CR4", 0x2424_0003_0000_6804, 0x2040),
    ("vp.rd: CR0 mask", 0x2424_0003_0000_6000, ALL),
    ("vp.rd: CR4 mask", 0x2424_0003_0000_6002, ALL),
    ("vp.rd: CR0 shadow", 0x2424_0003_0000_6004, 0),
    ("vp.rd: CR4 shadow", 0x2424_0003_0000_6006, 0),
    ("vp.rd: EFER", 0x2424_0003_0000_2806, 0x901),
    ("vp.rd: PAT", 0x2424_0003_0000_2804, 0x0007_0406_0007_0406),
    ("vp.rd: PDPTE0", 0x2424_0003_0000_280a, ALL),
    ("vp.rd: PDPTE3", 0x2424_0003_0000_2810, ALL),
    ("vp.rd: virtual-APIC address", 0x2424_0003_0000_2012, ALL),
    ("vp.rd: I/O bitmap A", 0x2424_0003_0000_2000, ALL),
    ("vp.rd: #VE information address", 0x2424_0003_0000_202a, ALL),
    ("vp.rd: VM-function controls", 0x2424_0003_0000_2018, 0),
    ("vp.rd: ENCLS bitmap", 0x2424_0003_0000_202e, ALL),
    ("vp.rd: tertiary controls", 0x2424_0003_0000_2034, 0x80),
    ("vp.rd: pin-based controls", 0x2424_0002_0000_4000, 0x29),
    ("vp.rd: exception bitmap", 0x2424_0002_0000_4004, 0x4_0000),
    ("vp.rd: exit controls", 0x2424_0002_0000_400c, 0x1f3c_8204),
    ("vp.rd: secondary controls", 0x2424_0002_0000_401e, 0x1338_b3fa),
    ("vp.rd: activity state", 0x2424_0002_0000_4826, 0),
    ("vp.rd: interruptibility state", 0x2424_0002_0000_4824, 0),
    ("vp.rd: CS selector", 0x2424_0001_0000_0802, 0),
    ("vp.rd: CS limit", 0x2424_0002_0000_4802, 0xffff_ffff),
    ("vp.rd: CS rights", 0x2424_0002_0000_4816, 0xc09b),
    ("vp.rd: SS rights", 0x2424_0002_0000_4818, 0xc093),
    ("vp.rd: TR limit", 0x2424_0002_0000_480e, 0xffff),
    ("vp.rd: TR rights", 0x2424_0002_0000_4822, 0x8b),
    ("vp.rd: IDTR limit", 0x2424_0002_0000_4812, 0),
    ("vp.rd: DR7", 0x2424_0003_0000_681a, 0x400),
    ("vp.rd: RIP", 0x2424_0003_0000_681e, 0xffff_fff0),
    ("vp.rd: RFLAGS", 0x2424_0003_0000_6820, 2),
    ("vp.rd: CR0 of VM 2", 0x2c24_0003_0000_6800, 0x21),
    ("vp.rd: RIP of VM 2", 0x2c24_0003_0000_681e, 0xffff_fff0),
    ("vp.rd: virtual-APIC address of VM 2", 0x2c24_0003_0000_2012, ALL),
    ("vp.rd: MSR bitmap of VM 2, first word", 0x2d20_0003_0000_0000, ALL),
    ("vp.rd: TSC_DEADLINE[2]", 0xa020_0003_0000_005a, ALL),
];

fn initial(tally: &mut Tally) {
    for (name, id, value) in INITIAL {
        tally.check(name, vp(id), Ok(value));
    }
    // PKRS is loaded only in TDs that have it.
    let entry = vp(0x2424_0002_0000_4012).map(|controls| controls & !(1 << 22));
    tally.check("vp.rd: entry controls", entry, Ok(0x003e_c004 & !(1 << 22)));
    // MWAIT, RDPMC and MONITOR exit if the TD has none of them.
    let optional = 1 << 10 | 1 << 11 | 1 << 29;
    let primary = vp(0x2424_0002_0000_4002).map(|controls| controls & !optional);
    tally.check("vp.rd: primary controls", primary, Ok(0x9122_0088 & !optional));
}

fn refused_reads(tally: &mut Tally) {
    let rows = [
        ("vp.rd: MSR-bitmap address", 0x2424_0003_0000_2004, NOT_READABLE),
        ("vp.rd: TSC offset", 0x2424_0003_0000_2010, NOT_READABLE),
        ("vp.rd: TSC multiplier", 0x2424_0003_0000_2032, NOT_READABLE),
        ("vp.rd: shared EPTP", 0x2424_0003_0000_203c, NOT_READABLE),
        ("vp.rd: L1's own CR0", 0x0024_0003_0000_6800, NOT_READABLE),
        ("vp.rd: host CR0", 0x2424_0003_0000_6c00, ID_INCORRECT),
        ("vp.rd: the high half of a field", 0x2424_0003_0000_2805, ID_INCORRECT),
        ("vp.rd: VM 3, which does not exist", 0x3424_0003_0000_6800, ID_INCORRECT),
        ("vp.rd: reserved bit of the id", 0x2424_0003_0100_6800, ID_INCORRECT),
        ("vp.rd: more than one element", 0x2424_0007_0000_6800, ID_INCORRECT),
        ("vp.rd: unknown class", 0x3f20_0003_0000_0000, ID_INCORRECT),
    ];
    for (name, rdx, status) in rows {
        let input = Registers { rax: 9, rcx: 0, rdx, ..JUNK };
        tally.call(name, input, |r| (r.rax, r.rdx, r.r8) = (status, ALL, 0));
    }
    let rcx = Registers { rax: 9, rcx: 1, rdx: 0x2424_0003_0000_6800, ..JUNK };
    tally.call("vp.rd: RCX", rcx, |r| (r.rax, r.rdx, r.r8) = (0xc000_0100_0000_0001, ALL, 0));
}

fn refused_writes(tally: &mut Tally) {
    const SHARED_PAGE: u64 = SHARED | 0x1000;
    let rows = [
        ("vp.wr: VCPU_INDEX", 0xa020_0002_0000_0002, 1, ALL, NOT_WRITABLE),
        ("vp.wr: activity state", 0x2424_0002_0000_4826, 1, ALL, NOT_WRITABLE),
        ("vp.wr: pin-based controls", 0x2424_0002_0000_4000, 0x29, ALL, NOT_WRITABLE),
        ("vp.wr: shared EPTP", 0x2424_0003_0000_203c, 0, ALL, NOT_WRITABLE),
        ("vp.wr: CR0 with an empty mask", 0x2424_0003_0000_6800, 0x21, 0, NOT_WRITABLE),
        ("vp.wr: host CR0", 0x2424_0003_0000_6c00, 0, ALL, ID_INCORRECT),
        ("vp.wr: CR0.NE cleared", 0x2424_0003_0000_6800, 0x1, ALL, VALUE_NOT_VALID),
        ("vp.wr: CR0.CD set", 0x2424_0003_0000_6800, 0x4000_0021, ALL, VALUE_NOT_VALID),
        ("vp.wr: CR0.CD only", 0x2424_0003_0000_6800, 0x4000_0000, 1 << 30, NOT_WRITABLE),
        ("vp.wr: CR4.MCE cleared", 0x2424_0003_0000_6804, 0x2000, ALL, VALUE_NOT_VALID),
        ("vp.wr: CR4.VMXE cleared", 0x2424_0003_0000_6804, 0x40, ALL, VALUE_NOT_VALID),
        ("vp.wr: CR4.CET", 0x2424_0003_0000_6804, 0x80_2040, ALL, VALUE_NOT_VALID),
        ("vp.wr: CR4.KL", 0x2424_0003_0000_6804, 0x8_2040, ALL, VALUE_NOT_VALID),
        ("vp.wr: EFER.NXE cleared", 0x2424_0003_0000_2806, 0x101, ALL, VALUE_NOT_VALID),
        ("vp.wr: #MC out of the bitmap", 0x2424_0002_0000_4004, 0, ALL, VALUE_NOT_VALID),
        ("vp.wr: HLT exiting", 0x2424_0002_0000_4002, 0, 1 << 7, NOT_WRITABLE),
        ("vp.wr: CR3 in shared memory", 0x2424_0003_0000_6802, SHARED_PAGE, ALL, VALUE_NOT_VALID),
        ("vp.wr: CR3 bit 63", 0x2424_0003_0000_6802, 1 << 63, ALL, VALUE_NOT_VALID),
        ("vp.wr: PDPTE beyond", 0x2424_0003_0000_280a, 1 << 52, ALL, VALUE_NOT_VALID),
        ("vp.wr: shared vAPIC", 0x2424_0003_0000_2012, SHARED_PAGE, ALL, VALUE_NOT_VALID),
        ("vp.wr: L2_CTLS[1] beyond", 0xa020_0003_0000_0051, 8, 8, NOT_WRITABLE),
        ("vp.wr: TSC_DEADLINE of 0", 0xa020_0003_0000_0059, 0, ALL, 0xc000_0100_0000_0000),
    ];
    for (name, rdx, r8, r9, status) in rows {
        let input = Registers { rax: 10, rcx: 0, rdx, r8, r9, ..JUNK };
        tally.call(name, input, |r| (r.rax, r.r8) = (status, 0));
    }
}

fn writes(tally: &mut Tally) {
    // Field, value, mask; what was there, what is there then.
    let rows = [
        ("vp.wr: CR0.TS by mask", 0x2424_0003_0000_6800, ALL, 8, 0x21, 0x29),
        ("vp.wr: CR0 back", 0x2424_0003_0000_6800, 0x21, ALL, 0x29, 0x21),
        ("vp.wr: CR4.PAE", 0x2424_0003_0000_6804, 0x2060, ALL, 0x2040, 0x2060),
        ("vp.wr: CR4 back", 0x2424_0003_0000_6804, 0x2040, ALL, 0x2060, 0x2040),
        ("vp.wr: EFER", 0x2424_0003_0000_2806, 0x800, 0x501, 0x901, 0x800),
        ("vp.wr: EFER back", 0x2424_0003_0000_2806, 0x901, ALL, 0x800, 0x901),
        ("vp.wr: CR0 mask", 0x2424_0003_0000_6000, 0xff, ALL, ALL, 0xff),
        ("vp.wr: CR0 mask back", 0x2424_0003_0000_6000, ALL, ALL, 0xff, ALL),
        ("vp.wr: 16 bits of 16", 0x2424_0001_0000_0802, 0xffff_1238, ALL, 0, 0x1238),
        ("vp.wr: CS selector back", 0x2424_0001_0000_0802, 0, ALL, 0x1238, 0),
        ("vp.wr: some bits of DR7", 0x2424_0003_0000_681a, ALL, 1, 0x400, 0x401),
        ("vp.wr: DR7 back", 0x2424_0003_0000_681a, 0x400, ALL, 0x401, 0x400),
        ("vp.wr: EOI-exit bitmap 3", 0x2424_0003_0000_2022, 5, ALL, 0, 5),
        ("vp.wr: EOI-exit bitmap back", 0x2424_0003_0000_2022, 0, ALL, 5, 0),
        ("vp.wr: MSR bitmap word", 0x2520_0003_0000_0100, 0, 0xff, ALL, !0xff),
        ("vp.wr: MSR bitmap back", 0x2520_0003_0000_0100, ALL, ALL, !0xff, ALL),
        ("vp.wr: L2_CTLS[1]", 0xa020_0003_0000_0051, 7, ALL & 7, 0, 7),
        ("vp.wr: L2_CTLS[1] back", 0xa020_0003_0000_0051, 0, 7, 7, 0),
        ("vp.wr: exit reason", 0x2424_0002_0000_4402, 0x1234, ALL, 0, 0x1234),
        ("vp.wr: exit reason back", 0x2424_0002_0000_4402, 0, ALL, 0x1234, 0),
    ];
    for (name, id, value, mask, before, after) in rows {
        tally.check(name, (write(id, value, mask), vp(id)), (Ok(before), Ok(after)));
    }
}
