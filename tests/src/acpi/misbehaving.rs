// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a program in the VM for AML gets if it does what it may not, as AML that has overcome the interpreter would.
//!
//! The image is spoiled: the program that it has for that VM begins with other instructions. Whatever they do, L1
//! takes the VM's memory away, says how it ended, and L2 runs without the lines that nobody knows of.

use libtest_mimic::Trial;
use tdvf::payload::{DIRECTORY, Directory};
use xtask::machine::Exit;

use crate::stand::{Stand, Verdict, check, ended, said, scenario};

/// Instructions, and how the VM ends by them.
type Case = (&'static str, fn(&mut Vec<u8>), &'static str);

/// Names a function that spoils an image by instructions.
macro_rules! cases {
    ($($name:literal: $code:expr => $ending:literal;)*) => {
        [$(($name, |image: &mut Vec<u8>| replace(image, $code), $ending)),*]
    };
}

/// Flushes translations: `mov rax, cr3; mov cr3, rax`.
const FLUSH: [u8; 6] = [0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8];
/// `mov eax, [0x400000]`, where the page of the request is mapped.
const READ_GIVEN: [u8; 7] = [0x8b, 0x04, 0x25, 0, 0, 0x40, 0];
/// `mov byte [0x400000], 0`.
const WRITE_GIVEN: [u8; 8] = [0xc6, 0x04, 0x25, 0, 0, 0x40, 0, 0];
/// `mov [0x3fe010], rax`: that page is mapped anew.
const MAP_GIVEN: [u8; 8] = [0x48, 0x89, 0x04, 0x25, 0x10, 0xe0, 0x3f, 0];
/// `mov eax, 0xe3`: L2's memory from 0 on, writable.
const RAM_OF_L2: [u8; 5] = [0xb8, 0xe3, 0, 0, 0];
/// `mov rax, 0x8000fec000e3`: the host's IO-APIC, as the TD shares it.
const CHIP_OF_THE_HOST: [u8; 10] = [0x48, 0xb8, 0xe3, 0, 0xc0, 0xfe, 0, 0x80, 0, 0];
/// `mov eax, 0x400000e3`: where the TD has no memory at all.
const NO_MEMORY: [u8; 5] = [0xb8, 0xe3, 0, 0, 0x40];
/// `or byte [0x3fe010], 2`: the page of the request is writable.
const MAKE_WRITABLE: [u8; 8] = [0x80, 0x0c, 0x25, 0x10, 0xe0, 0x3f, 0, 2];

const CASES: [Case; 14] = cases! {
    "it_reads_where_nothing_is": &[0x8b, 0x04, 0x25, 0, 0x10, 0, 0] => "an exception";
    "it_writes_what_it_is_given": &WRITE_GIVEN => "an exception";
    "it_writes_that_by_page_tables_of_its_own":
        &[&MAKE_WRITABLE[..], &FLUSH, &WRITE_GIVEN].concat() => "a wild access: gpa=0x6e00000";
    "it_maps_memory_of_l2":
        &[&RAM_OF_L2[..], &MAP_GIVEN, &FLUSH, &READ_GIVEN].concat() => "a wild access: gpa=0x0";
    "it_maps_what_the_host_shares":
        &[&CHIP_OF_THE_HOST[..], &MAP_GIVEN, &FLUSH, &READ_GIVEN].concat() => "a wild access: gpa=0x8000fec00000";
    "it_maps_what_is_no_memory":
        &[&NO_MEMORY[..], &MAP_GIVEN, &FLUSH, &READ_GIVEN].concat() => "a wild access: gpa=0x40000000";
    "it_reads_a_register":
        // `xor ecx, ecx; rdmsr`.
        &[0x31, 0xc9, 0x0f, 0x32] => "it did what it may not";
    "its_stack_has_no_end": &[0x50, 0xeb, 0xfd] => "an exception";
    "it_never_ends": &[0xeb, 0xfe] => "it took too long";
    "it_panics": &[0xb8, 3, 0, 0, 0, 0xf4] => "it panicked or had no memory left";
    "it_asks_for_cpuid": &[0x0f, 0xa2] => "it did what it may not";
    "it_calls_the_host": &[0x66, 0x0f, 0x01, 0xcc] => "it did what it may not";
    "it_halts_without_an_answer": &[0xb8, 1, 0, 0, 0, 0xf4] => "it has answered";
    "it_writes_other_ports":
        // `out 0x80, al`; then `mov eax, 0; adc eax, 0x10; hlt` tells the carry flag.
        &[0xe6, 0x80, 0xb8, 0, 0, 0, 0, 0x83, 0xd0, 0x10, 0xf4] => "it halted with 0x11 ports=1 refused=1";
};

/// The scenarios of this part.
pub(super) fn scenarios() -> Vec<Trial> {
    let cases = CASES.into_iter().map(|(name, spoil, ending)| {
        scenario(format!("acpi::l2_runs_although_{name}"), move || ends(spoil, ending))
    });
    cases.collect()
}

fn ends(spoil: fn(&mut Vec<u8>), ending: &str) -> Verdict {
    let stand = Stand::new(2, "scenario=demo").spoil(spoil);
    stand.paravisor_option("acpi=routes").run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        said(outcome, "L1 | info  ", &format!("acpi: vm: {ending}"))?;
        said(outcome, "L1 | warn  ", "intx: device=00:01.0 pin=A: the tables were not evaluated")?;
        let given = outcome.console.iter().any(|line| line.contains("l2_pin="));
        check!(!given, "a line is given all the same");
        Ok(())
    })
}

/// Puts `code` to where the program for AML begins.
fn replace(image: &mut [u8], code: &[u8]) {
    if let Some(at) = entry(image) {
        image[at..at + code.len()].copy_from_slice(code);
    }
}

/// Where in the image's file the program's first instruction is.
fn entry(image: &[u8]) -> Option<usize> {
    let directory = at_address(image, DIRECTORY)?;
    let program = Directory::decode(image.get(directory..)?).ok()?.aml_vm?;
    let file = at_address(image, program.address)?;
    let number = |at: usize| {
        let bytes = image.get(file + at..)?.first_chunk::<8>()?;
        usize::try_from(u64::from_le_bytes(*bytes)).ok()
    };
    // The first segment's headers come right behind the file's; the program begins in it.
    let (first, offset, address) = (number(0x18)?, number(0x40 + 8)?, number(0x40 + 16)?);
    Some(file + offset + first.checked_sub(address)?)
}

/// Where in the image's file the byte at a guest-physical address is.
fn at_address(image: &[u8], address: u64) -> Option<usize> {
    let parsed = tdvf::parse(image).ok()?;
    let section = parsed.sections().iter().find(|section| {
        let start = section.memory_address();
        (start..start + section.memory_size()).contains(&address) && section.measured()
    })?;
    let data = parsed.data(section).as_ptr().addr() - image.as_ptr().addr();
    Some(data + usize::try_from(address - section.memory_address()).ok()?)
}
