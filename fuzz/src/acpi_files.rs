// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host with any ACPI files and any script for them.

use core::{iter::once, ops::Range};

use acpi_routes::{
    loader::{FileName, Loaded},
    madt::Madt,
    tables::Tables,
};

use crate::Input;

const BASE: u64 = 0x1000;
const ROOM: usize = 2048;

/// The files that commands name; the last one does not exist.
const NAMES: [&[u8]; 3] = [b"etc/acpi/tables", b"etc/acpi/rsdp", b"etc/tpm/log"];

/// Bytes of a file that a command changes.
type Change = (usize, Range<usize>);

/// Takes commands, the tables and the root pointer from the input, and walks the tables. What must hold: each
/// file is fetched once; nothing changes but what a command names; a table that is found lies in the copy.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let count = usize::from(input.byte().unwrap_or(0) & 15);
    let (mut script, mut changes) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (command, change) = command(&mut input);
        script.extend(command);
        changes.extend(change);
    }
    let length = 4 * usize::from(input.byte().unwrap_or(0));
    let files = [Some(input.bytes(length)), Some(input.rest()), None];
    let mut fetched = [0; 3];
    let fetch = |name: &FileName, to: &mut [u8]| {
        let index = NAMES.iter().position(|known| name.starts_with(known))?;
        let file = files[index]?;
        fetched[index] += 1;
        to.get_mut(..file.len())?.copy_from_slice(file);
        Some(file.len())
    };
    let mut memory = [0xff; ROOM];
    let loaded = match Loaded::run(&mut memory, BASE, &script, fetch) {
        Ok(loaded) => loaded,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    for (index, name) in NAMES.iter().enumerate() {
        let file = loaded.file(name);
        assert_eq!(fetched[index], usize::from(file.is_some()), "{index}");
        let (Some(copy), Some(file)) = (file, files[index]) else { continue };
        assert_eq!(copy.len(), file.len());
        for (at, _) in copy.iter().zip(file).enumerate().filter(|(_, (now, then))| now != then) {
            let is_it = |(of, range): &Change| *of == index && range.contains(&at);
            assert!(changes.iter().any(is_it), "byte {at} of file {index}");
        }
    }
    walk(&loaded);
}

/// Walks the tables.
fn walk(loaded: &Loaded<'_>) {
    let (bytes, base) = loaded.memory();
    let Some(root) = loaded.file(NAMES[1]) else { return };
    let tables = match Tables::find(bytes, base, root) {
        Ok(tables) => tables,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let aml = tables.aml();
    assert!((1..=17).contains(&aml.len()), "{}", aml.len());
    let signatures = once(&b"DSDT"[..]).chain([&b"SSDT"[..]; 16]);
    let all = aml.iter().copied().zip(signatures).chain(once((tables.madt, &b"APIC"[..])));
    let whole = bytes.as_ptr_range();
    for (table, signature) in all {
        let place = table.as_ptr_range();
        assert!(whole.start <= place.start && place.end <= whole.end, "outside of the copy");
        assert_eq!(&table[..4], signature);
        let length = [4, 5, 6, 7].map(|at| table[at]);
        assert_eq!(usize::try_from(u32::from_le_bytes(length)), Ok(table.len()));
        assert_eq!(table.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)), 0);
    }
    if let Ok(madt) = Madt::check(tables.madt) {
        assert!(madt.io_apics().count() <= 16);
    }
}

/// Takes a command, and what it may change.
fn command(input: &mut Input<'_>) -> (Vec<u8>, Option<Change>) {
    let [number, first, second] = [(); 3].map(|()| input.byte().unwrap_or(0));
    let words = [(); 3].map(|()| input.word());
    let [first, second] = [first, second].map(|name| usize::from(name) % NAMES.len());
    let mut command = vec![0; 128];
    command[0] = number;
    command[4..][..NAMES[first].len()].copy_from_slice(NAMES[first]);
    let at = if number == 2 {
        command[60..][..NAMES[second].len()].copy_from_slice(NAMES[second]);
        116
    } else {
        60
    };
    for (place, byte) in command[at..].iter_mut().zip(words.map(u32::to_le_bytes).concat()) {
        *place = byte;
    }
    let [start, size] = [words[0], words[1] & 0xff].map(|word| usize::try_from(word).unwrap_or(0));
    let change = match number {
        2 => Some((first, start..start.saturating_add(size))),
        3 => Some((first, start..start.saturating_add(1))),
        _ => None,
    };
    (command, change)
}
