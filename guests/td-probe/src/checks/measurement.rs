// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.MR.RTMR.EXTEND` and `TDG.MR.REPORT`.
//!
//! Spec: TDX-ABI "TDG.MR.RTMR.EXTEND Leaf", "TDG.MR.REPORT Leaf", "TDREPORT_STRUCT".

use sha2::{Digest as _, Sha384};
use tdcall::Registers;

use crate::{
    door,
    memory::{self, OPERANDS, SHARED},
    tally::{JUNK, Tally},
};

const OPERAND_INVALID: u64 = 0xc000_0100_0000_0000;
const REPORT_DATA: u64 = OPERANDS + 0x400;
const REPORT: u64 = OPERANDS + 0x800;

pub(super) fn run(tally: &mut Tally) {
    extend(tally);
    report_operands(tally);
    report(tally);
}

fn extend(tally: &mut Tally) {
    let call = |rcx, rdx| Registers { rax: 2, rcx, rdx, ..JUNK };
    let rows = [
        ("rtmr.extend: value not aligned", call(OPERANDS + 32, 0), 1),
        ("rtmr.extend: value in shared memory", call(SHARED, 0), 1),
        ("rtmr.extend: value beyond the address width", call(1 << 52, 0), 1),
        ("rtmr.extend: alignment comes before the index", call(OPERANDS + 8, 4), 1),
        ("rtmr.extend: register 4", call(OPERANDS, 4), 2),
        ("rtmr.extend: register 2^32", call(OPERANDS, 1 << 32), 2),
    ];
    for (name, input, operand) in rows {
        tally.status(name, input, OPERAND_INVALID | operand);
    }
    for register in 0..4_u8 {
        tally.check("rtmr: starts as zero", rtmr(register), [0; 48]);
        let value: [u8; 48] = core::array::from_fn(|index| index.to_le_bytes()[0] ^ register);
        memory::write_bytes(OPERANDS, &value);
        let input = call(OPERANDS, u64::from(register));
        tally.status("rtmr.extend: 48 bytes", input, 0);
        let once = digest(&[&[0; 48], &value]);
        tally.check("rtmr: is the digest", rtmr(register), once);
        tally.status("rtmr.extend: once more", input, 0);
        let twice = digest(&[&once, &value]);
        tally.check("rtmr: is the digest of both", rtmr(register), twice);
    }
}

fn digest(parts: &[&[u8]]) -> [u8; 48] {
    let mut hash = Sha384::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// Reads a run-time measurement by `TDG.VM.RD`.
fn rtmr(register: u8) -> [u8; 48] {
    let mut value = [0; 48];
    let first = 0x1310_0003_0000_0040 + u64::from(register) * 6;
    for (chunk, id) in value.chunks_exact_mut(8).zip(first..) {
        let mut r = Registers { rax: 7, rcx: 0, rdx: id, ..JUNK };
        door::tdcall(&mut r);
        chunk.copy_from_slice(&r.r8.to_le_bytes());
    }
    value
}

fn report_operands(tally: &mut Tally) {
    let call = |rcx, rdx, r8| Registers { rax: 4, rcx, rdx, r8, ..JUNK };
    let rows = [
        ("report: output not aligned", call(REPORT + 512, REPORT_DATA, 0), 1),
        ("report: data not aligned", call(REPORT, REPORT_DATA + 32, 0), 2),
        ("report: output comes before data", call(REPORT + 1, REPORT_DATA + 1, 0), 1),
        ("report: data beyond the address width", call(REPORT, 1 << 48, 0), 2),
        ("report: subtype 1", call(REPORT, REPORT_DATA, 1), 8),
        ("report: subtype 2^63", call(REPORT, REPORT_DATA, 1 << 63), 8),
        ("report: data comes before the subtype", call(REPORT, 1 << 48, 1), 2),
        ("report: output beyond the address width", call(1 << 48, REPORT_DATA, 0), 1),
    ];
    for (name, input, operand) in rows {
        tally.status(name, input, OPERAND_INVALID | operand);
    }
}

fn report(tally: &mut Tally) {
    let data: [u8; 64] = core::array::from_fn(|index| 0xa0 ^ index.to_le_bytes()[0]);
    memory::write_bytes(REPORT_DATA, &data);
    let input = Registers { rax: 4, rcx: REPORT, rdx: REPORT_DATA, r8: 0, ..JUNK };
    tally.status("report: made", input, 0);
    let report: [u8; 1024] = memory::read_bytes(REPORT);
    tally.check(
        "report: type",
        &report[..16],
        &[0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    );
    tally.check("report: data", &report[128..192], &data[..]);
    tally.check("report: hash of TEE_TCB_INFO", &report[32..80], &digest(&[&report[256..512]])[..]);
    tally.check("report: hash of TDINFO", &report[80..128], &digest(&[&report[512..]])[..]);
    tally.check("report: reserved", &report[192..224], &[0; 32][..]);
    tally.check("report: attributes", &report[512..520], &0x1000_0000_u64.to_le_bytes()[..]);
    for register in 0..4_u8 {
        let at = 512 + 208 + usize::from(register) * 48;
        tally.check("report: RTMR", &report[at..at + 48], &rtmr(register)[..]);
    }
    tally.check("report: end of TDINFO is reserved", &report[960..], &[0; 64][..]);
    // Where hardware puts a MAC, the emulator must not put anything that looks like one.
    let mac = &report[224..256];
    let honest = mac.iter().all(u8::is_ascii) && mac.windows(8).any(|part| part == b"NOT A RE");
    tally.check("report: the MAC says that it is not real", honest, true);
}
