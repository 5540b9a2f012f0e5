// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accesses to device memory that no driver makes: by other instructions than moves, of other sizes
//! than a register's, to where nothing is, and execution there.

use super::edu;
use super::machine::Machine;
use crate::console::line;
use crate::failure::Failure;
use crate::ring::{self, Mode, Registers};

/// One access, by RBX, which is also RSI and RDI; RCX is 4.
struct Row {
    name: &'static str,
    code: &'static [u8],
    /// RAX before.
    rax: u64,
    wanted: Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// It completes with this RAX.
    Done(u64),
    /// It raises this exception.
    Exception(u8),
}

const UNDEFINED: Wanted = Wanted::Exception(6);
const PROTECTION: Wanted = Wanted::Exception(13);

const IO_APIC_SELECT: u64 = 0xfec0_0000;
const IO_APIC_WINDOW: u64 = 0xfec0_0010;
const ACROSS_PAGES: u64 = 0xfec0_0ffe;
const NOTHING: u64 = 0xfed0_0000;
/// The last entry of the doorbell's table, which nobody has touched.
const ENTRY: u16 = 47;
const CONTROL: u64 = 12;

const fn row(name: &'static str, code: &'static [u8], rax: u64, wanted: Wanted) -> Row {
    Row { name, code, rax, wanted }
}

/// Instructions that are undefined wherever a device is; the last also at nothing.
const REFUSED: &[Row] = &[
    row("or", &[0x83, 0x0b, 0x01], 0, UNDEFINED),
    row("and", &[0x21, 0x03], 0, UNDEFINED),
    row("xchg", &[0x87, 0x03], 0, UNDEFINED),
    row("lock-inc", &[0xf0, 0xff, 0x03], 0, UNDEFINED),
    row("cmp", &[0x39, 0x03], 0, UNDEFINED),
    row("push", &[0xff, 0x33], 0, UNDEFINED),
    row("rep-stos", &[0xf3, 0xab], 0, UNDEFINED),
    row("lods", &[0xad], 0, UNDEFINED),
    row("call", &[0xff, 0xd3], 0, PROTECTION),
];

/// At the IO-APIC's window, while its version is selected.
const WINDOW: &[Row] = &[
    row("read-4", &[0x8b, 0x03], 0, Wanted::Done(0x17_0020)),
    row("read-8", &[0x48, 0x8b, 0x03], 7, Wanted::Done(0)),
    row("read-2", &[0x66, 0x8b, 0x03], 0x7_1234, Wanted::Done(0x7_0000)),
    row("read-1", &[0x8a, 0x03], 0x1234, Wanted::Done(0x1200)),
    row("write-1", &[0x88, 0x03], 0xff, Wanted::Done(0xff)),
    row("write-immediate", &[0xc7, 0x03, 0xff, 0xff, 0xff, 0xff], 0, Wanted::Done(0)),
    row("version-stays", &[0x8b, 0x03], 0, Wanted::Done(0x17_0020)),
];

/// At the control word of an entry of an MSI-X table.
const TABLE: &[Row] = &[
    row("read-4", &[0x8b, 0x03], 0, Wanted::Done(1)),
    row("write-8-across-its-end", &[0x48, 0x89, 0x03], 0, Wanted::Done(0)),
    row("read-8-across-its-end", &[0x48, 0x8b, 0x03], 7, Wanted::Done(0)),
    row("write-1", &[0xc6, 0x03, 0x00], 0, Wanted::Done(0)),
    row("write-2", &[0x66, 0xc7, 0x03, 0x00, 0x00], 0, Wanted::Done(0)),
    row("read-again", &[0x8b, 0x03], 0, Wanted::Done(1)),
];

/// At the last bytes of a page: an access that leaves it belongs to no device.
const ACROSS: &[Row] = &[
    row("read-4", &[0x8b, 0x03], 0, Wanted::Done(0xffff_ffff)),
    row("read-8", &[0x48, 0x8b, 0x03], 0, Wanted::Done(u64::MAX)),
    row("write-4", &[0x89, 0x03], 5, Wanted::Done(5)),
];

/// Where there is nothing.
const ABSENT: &[Row] = &[
    row("read-4", &[0x8b, 0x03], 0, Wanted::Done(0xffff_ffff)),
    row("read-1", &[0x8a, 0x03], 0, Wanted::Done(0xff)),
    row("write-4", &[0x89, 0x03], 5, Wanted::Done(5)),
    row("sign", &[0x0f, 0xbe, 0x03], 0, Wanted::Done(0xffff_ffff)),
];

/// Tries them all, then takes a few interrupts to show that the machine still works.
pub(crate) fn run(machine: &mut Machine<'_>) -> Result<(), Failure> {
    ring::prepare();
    let table = machine.doorbell()?.msix().linear(ENTRY) + CONTROL;
    let select = row("select", &[0xc7, 0x03, 1, 0, 0, 0], 0, Wanted::Done(0));
    let mut mismatches = 0;
    let mut all = |place, address, rows: &[Row]| {
        mismatches += rows.iter().filter(|row| !holds(place, address, row)).count();
    };
    all("io-apic", IO_APIC_SELECT, &[select]);
    all("io-apic", IO_APIC_WINDOW, WINDOW);
    all("msix", table, TABLE);
    all("across", ACROSS_PAGES, ACROSS);
    all("nothing", NOTHING, ABSENT);
    for (place, address) in [("io-apic", IO_APIC_WINDOW), ("msix", table), ("nothing", NOTHING)] {
        all(place, address, REFUSED);
    }
    line!("result accesses mismatches={mismatches}");
    if mismatches > 0 {
        return Err(Failure::Instruction("see the mismatches"));
    }
    edu::raise(machine, 10)
}

fn holds(place: &str, address: u64, row: &Row) -> bool {
    let registers = Registers {
        rax: row.rax,
        rcx: 4,
        rbx: address,
        rsi: address,
        rdi: address,
        ..Registers::default()
    };
    let Some(end) = ring::run(Mode::Kernel64, row.code, registers, 0) else { return false };
    let got = end.vector.map_or(Wanted::Done(end.rax), Wanted::Exception);
    if got != row.wanted {
        line!("result mismatch={} at={place} wanted={:x?} got={got:x?}", row.name, row.wanted);
    }
    got == row.wanted
}
