// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scripts by hand.

extern crate std;

use std::{vec, vec::Vec};

use proptest::prelude::{any, proptest};

use super::{BadScript, COMMAND, FileName, Loaded, NAME};

const BASE: u64 = 0x1000;

fn name(text: &str) -> FileName {
    let mut name = [0; NAME];
    name[..text.len()].copy_from_slice(text.as_bytes());
    name
}

/// A command of these fields.
fn command(number: u32, fields: &[&[u8]]) -> Vec<u8> {
    let mut command = number.to_le_bytes().to_vec();
    command.extend(fields.concat());
    command.resize(COMMAND, 0);
    command
}

fn allocate(file: &str, align: u32) -> Vec<u8> {
    command(1, &[&name(file), &align.to_le_bytes(), &[1]])
}

fn pointer(to: &str, of: &str, offset: u32, size: u8) -> Vec<u8> {
    command(2, &[&name(to), &name(of), &offset.to_le_bytes(), &[size]])
}

fn checksum(file: &str, at: u32, start: u32, length: u32) -> Vec<u8> {
    let numbers = [at, start, length].map(u32::to_le_bytes).concat();
    command(3, &[&name(file), &numbers])
}

/// Two files: `a` of 16 bytes, `b` of 10.
fn fetch(file: &FileName, to: &mut [u8]) -> Option<usize> {
    let length = match file {
        file if *file == name("a") => 16,
        file if *file == name("b") => 10,
        _ => return None,
    };
    to.get_mut(..length)?.fill(1);
    Some(length)
}

fn run(commands: &[Vec<u8>]) -> Result<Vec<u8>, BadScript> {
    let mut memory = [0; 64];
    let loaded = Loaded::run(&mut memory, BASE, &commands.concat(), fetch)?;
    Ok(loaded.memory().0.to_vec())
}

#[test]
fn files_lie_aligned_and_pointers_become_addresses() {
    let memory = run(&[
        allocate("b", 1),
        allocate("a", 16),
        // The byte 1 in `b` is an offset in `a`, which lies at 16; 8 bytes of ones are none.
        pointer("b", "a", 3, 1),
        checksum("a", 0, 0, 16),
        command(0, &[]),
        command(4, &[&name("a")]),
    ]);
    // An address of two bytes does not fit into one.
    assert_eq!(memory.unwrap_err(), BadScript::Size);
    let zeroed = |file: &FileName, to: &mut [u8]| {
        let length = fetch(file, to)?;
        to[..length].fill(0);
        to[0] = 5;
        Some(length)
    };
    let mut memory = [0; 64];
    let script =
        [allocate("b", 1), allocate("a", 16), pointer("b", "a", 0, 4), checksum("a", 1, 0, 16)]
            .concat();
    let loaded = Loaded::run(&mut memory, BASE, &script, zeroed).unwrap();
    assert_eq!(loaded.file(b"b").unwrap()[..4], 0x1015_u32.to_le_bytes());
    let sum = loaded.file(b"a").unwrap().iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    assert_eq!(sum, 0);
    assert_eq!(loaded.memory().0.len(), 32);
    assert_eq!(loaded.file(b"c"), None);
}

#[test]
fn between_files_lies_nothing() {
    let mut memory = [0xff; 64];
    let script = [allocate("b", 1), allocate("a", 16)].concat();
    let loaded = Loaded::run(&mut memory, BASE, &script, fetch).unwrap();
    assert_eq!(loaded.memory().0[..16], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_pointer_to_the_end_of_a_file_is_refused() {
    let fetch = |_: &FileName, to: &mut [u8]| {
        to.get_mut(..16)?[0] = 16;
        Some(16)
    };
    let mut memory = [0; 64];
    let script = [allocate("a", 1), pointer("a", "a", 0, 4)].concat();
    assert_eq!(Loaded::run(&mut memory, BASE, &script, fetch).unwrap_err(), BadScript::Bounds);
}

#[test]
fn a_command_that_reaches_outside_ends_the_loading() {
    let refused = |command: Vec<u8>| run(&[allocate("a", 1), command]).unwrap_err();
    assert_eq!(refused(pointer("a", "a", 13, 4)), BadScript::Bounds);
    assert_eq!(refused(pointer("a", "a", 0, 3)), BadScript::Size);
    assert_eq!(refused(pointer("a", "a", 0, 8)), BadScript::Bounds);
    assert_eq!(refused(pointer("a", "b", 0, 4)), BadScript::File);
    assert_eq!(refused(checksum("a", 16, 0, 1)), BadScript::Bounds);
    assert_eq!(refused(checksum("a", 0, u32::MAX, 2)), BadScript::Bounds);
    assert_eq!(refused(allocate("a", 1)), BadScript::File);
    assert_eq!(refused(allocate("c", 1)), BadScript::File);
    assert_eq!(refused(allocate("b", 3)), BadScript::Size);
    assert_eq!(refused(allocate("b", 64)), BadScript::File);
    assert_eq!(refused(allocate("", 1)), BadScript::Name);
    assert_eq!(refused(vec![0; 5]), BadScript::Length);
    let long = vec![0; COMMAND * 257];
    assert_eq!(Loaded::run(&mut [], BASE, &long, fetch).unwrap_err(), BadScript::Length);
}

proptest! {
    #[test]
    fn no_script_makes_it_panic(
        numbers in proptest::collection::vec((0..5_u32, any::<[u8; 3]>(), any::<[u8; 16]>()), 0..8),
    ) {
        let script: Vec<u8> = numbers.iter().flat_map(|(number, names, fields)| {
            let file = |byte: u8| name(["a", "b"][usize::from(byte & 1)]);
            let fields = fields.map(|byte| if byte < 200 { byte & 15 } else { byte });
            match number {
                1 => command(1, &[&file(names[0]), &fields]),
                2 => command(2, &[&file(names[0]), &file(names[1]), &fields]),
                number => command(*number, &[&file(names[0]), &fields]),
            }
        }).collect();
        let mut memory = [0; 64];
        if let Ok(loaded) = Loaded::run(&mut memory, BASE, &script, fetch) {
            assert!(loaded.memory().0.len() <= 64);
        }
    }
}
