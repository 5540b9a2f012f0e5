// SPDX-License-Identifier: MIT OR Apache-2.0
//! Terms by hand, and what tables may not do.

use alloc::{vec, vec::Vec};

use super::{Interpreter, Limits};
use crate::{Datum, Evaluator, Fault, Location, Machine, Nothing, Path, Refused, Segment, Width};

const LIMITS: Limits = Limits { steps: 400_000, memory: 1 << 16, depth: 96 };

/// A table of this revision over code.
fn table(revision: u8, code: &[u8]) -> Vec<u8> {
    let mut table = b"DSDT".to_vec();
    table.extend(u32::try_from(36 + code.len()).unwrap().to_le_bytes());
    table.push(revision);
    table.resize(36, 0);
    table.extend(code);
    table
}

/// Runs a method of these terms and returns what it returned.
fn run_on(machine: &mut impl Machine, code: &[u8]) -> Result<Datum, Fault> {
    // Scope (\) { Method (MAIN) { ... } }, which spares the length of the method.
    let mut method = vec![0x14, 0x40, 0];
    let length = 2 + 5 + code.len();
    method[1] |= u8::try_from(length & 0xf).unwrap();
    method[2] = u8::try_from(length >> 4).unwrap();
    method.extend(b"MAIN\0");
    method.extend(code);
    let table = table(2, &method);
    let mut interpreter = Interpreter::load(&[&table], machine, LIMITS)?;
    interpreter.evaluate(&main(), vec![])
}

fn main() -> Path {
    Path::new(vec![Segment(*b"MAIN")])
}

fn run(code: &[u8]) -> Result<Datum, Fault> {
    run_on(&mut Nothing, code)
}

impl<M: Machine> Machine for &mut M {
    fn read(&mut self, from: Location, width: Width) -> Result<u64, Refused> {
        (**self).read(from, width)
    }

    fn write(&mut self, to: Location, width: Width, value: u64) -> Result<(), Refused> {
        (**self).write(to, width, value)
    }
}

/// Some ports.
struct Ports([u8; 8], Vec<(u16, u64)>);

impl Machine for Ports {
    fn read(&mut self, from: Location, width: Width) -> Result<u64, Refused> {
        let Location::Port(port) = from else { return Err(Refused) };
        let bytes = self.0.get(usize::from(port)..).ok_or(Refused)?;
        let bytes = bytes.get(..usize::try_from(width.bytes()).unwrap()).ok_or(Refused)?;
        Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn write(&mut self, to: Location, _: Width, value: u64) -> Result<(), Refused> {
        let Location::Port(port) = to else { return Err(Refused) };
        self.1.push((port, value));
        Ok(())
    }
}

#[test]
fn integers_are_computed() {
    // Return (((7 + 5) << 2) Mod 10)
    let code = [0xa4, 0x85, 0x79, 0x72, 0x0a, 7, 0x0a, 5, 0, 0x0a, 2, 0, 0x0a, 10, 0];
    assert_eq!(run(&code), Ok(Datum::Integer(8)));
    assert_eq!(run(&[0xa4, 0x85, 1, 0, 0]), Err(Fault::Division));
    // Shifts beyond the length give nothing.
    assert_eq!(run(&[0xa4, 0x79, 1, 0x0a, 64, 0]), Ok(Datum::Integer(0)));
    assert_eq!(run(&[0xa4, 0x93, 1, 1]), Ok(Datum::Integer(u64::MAX)));
}

#[test]
fn integers_have_32_bits_in_old_tables() {
    // Name (MAIN, Ones)
    let main_of = |revision| {
        let table = table(revision, b"\x08MAIN\xff");
        let mut interpreter = Interpreter::load(&[&table], Nothing, LIMITS).unwrap();
        interpreter.evaluate(&main(), vec![])
    };
    assert_eq!(main_of(1), Ok(Datum::Integer(0xffff_ffff)));
    assert_eq!(main_of(2), Ok(Datum::Integer(u64::MAX)));
}

#[test]
fn a_loop_builds_a_package_that_is_its_own() {
    // Local0 = Package (3) {}; Local1 = 0
    // While (Local1 < 3) { Local2 = Package { Local1 stays out, One }; Local2[1] = Local1;
    //                      Local0[Local1] = Local2; Local1++ }
    let code = [
        &[0x70, 0x12, 2, 3, 0x60, 0x70, 0, 0x61][..],
        &[0xa2, 0x1a, 0x95, 0x61, 0x0a, 3],
        &[0x70, 0x12, 3, 2, 1, 0x62],
        &[0x70, 0x61, 0x88, 0x62, 1, 0],
        &[0x70, 0x62, 0x88, 0x60, 0x61, 0],
        &[0x75, 0x61, 0xa4 - 1],
        &[0xa4, 0x60],
    ]
    .concat();
    let pair = |index| Datum::List(vec![Datum::Integer(1), Datum::Integer(index)]);
    assert_eq!(run(&code), Ok(Datum::List(vec![pair(0), pair(1), pair(2)])));
}

#[test]
fn a_field_of_a_buffer_writes_into_it() {
    // Name (BUFF, Buffer (4) {}); CreateWordField (BUFF, 1, WORD); WORD = 0x1234; Return (BUFF)
    let code = [
        &b"\x08BUFF\x11\x03\x0a\x04"[..],
        b"\x8bBUFF\x01WORD",
        b"\x70\x0b\x34\x12WORD",
        b"\xa4BUFF",
    ]
    .concat();
    assert_eq!(run(&code), Ok(Datum::Bytes(vec![0, 0x34, 0x12, 0])));
    // One byte further than there is.
    assert_eq!(run(b"\x08BUFF\x11\x03\x0a\x04\x8bBUFF\x0a\x03WORD"), Err(Fault::Bounds));
}

#[test]
fn a_field_of_a_region_is_accessed_in_its_units() {
    // OperationRegion (PORT, SystemIO, 2, 4)
    // Field (PORT, ByteAcc, NoLock, Preserve) { , 4, BITS, 8 }; BITS = 0x5A; Return (BITS)
    let code = [
        &b"\x5b\x80PORT\x01\x0a\x02\x0a\x04"[..],
        b"\x5b\x81\x0dPORT\x01\x00\x04BITS\x08",
        b"\x70\x0a\x5aBITS",
        b"\xa4BITS",
    ]
    .concat();
    let mut ports = Ports([0, 0, 0x21, 0x43, 0, 0, 0, 0], vec![]);
    assert_eq!(run_on(&mut ports, &code), Ok(Datum::Integer(0x32)));
    assert_eq!(ports.1, [(2, 0xa1), (3, 0x45)]);
    assert_eq!(run(&code), Err(Fault::Refused));
    // The region has four bytes.
    let far = [
        &b"\x5b\x80PORT\x01\x0a\x02\x0a\x04"[..],
        b"\x5b\x81\x0dPORT\x01\x00\x1dBITS\x08",
        b"\xa4BITS",
    ]
    .concat();
    assert_eq!(run_on(&mut ports, &far), Err(Fault::Bounds));
}

#[test]
fn what_a_method_made_is_gone_after_it() {
    // Method (TWIC) { Name (TEMP, One) }, called twice.
    let code = b"\x14\x0cTWIC\0\x08TEMP\x01TWICTWIC\xa4\x01";
    assert_eq!(run(code), Ok(Datum::Integer(1)));
    assert_eq!(run(b"\x08TEMP\x01\x08TEMP\x01"), Err(Fault::Exists(Segment(*b"TEMP"))));
}

#[test]
fn what_does_not_end_is_ended() {
    // While (One) {}
    assert_eq!(run(&[0xa2, 2, 1]), Err(Fault::Steps));
    // MAIN ()
    assert_eq!(run(b"MAIN"), Err(Fault::Depth));
    // Not (Not (Not (...
    let deep = [&[0xa4][..], &[0x80; 600]].concat();
    assert_eq!(run(&deep), Err(Fault::Depth));
    // Buffer (0x10000000) {}
    assert_eq!(run(b"\xa4\x11\x06\x0c\x00\x00\x00\x10"), Err(Fault::Memory));
    // Buffers of 4 KiB, each of which is allowed: While (One) { Local0 = Buffer (0x1000) {} }
    assert_eq!(run(b"\xa2\x09\x01\x70\x11\x04\x0b\x00\x10\x60"), Err(Fault::Memory));
}

#[test]
fn what_is_missing_or_unknown_is_said() {
    assert_eq!(run(b"\xa4NOPE"), Err(Fault::Missing(Segment(*b"NOPE"))));
    assert_eq!(run(&[0xa4, 0x0b, 1]), Err(Fault::Truncated));
    assert_eq!(run(&[0xa4, 0xfe]), Err(Fault::Opcode(0xfe)));
    assert_eq!(run(&[0x5b, 0x20]), Err(Fault::Unsupported(0x5b20)));
    assert_eq!(run(&[0x5b, 0x32, 0]), Err(Fault::Fatal));
    assert_eq!(run(&[0xa4, 0x72, 1]), Err(Fault::Truncated));
}
