// SPDX-License-Identifier: MIT OR Apache-2.0
//! A DSDT, changed: what a hostile host might give. A seed says how.

/// Bytes before the code of a table.
const HEADER: usize = 36;

/// Where the length of a table is.
const LENGTH: core::ops::Range<usize> = 4..8;

/// A table that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What was done.
    pub name: String,
    /// The table.
    pub dsdt: Vec<u8>,
}

/// Changes `dsdt` as `seed` says. Of five seeds in a row one is code that means harm, and four are drawn by lot:
/// bits, an end, a place for other code of the same table, noise.
#[must_use]
pub fn of_seed(dsdt: &[u8], seed: u64) -> Change {
    let mut dice = Dice::new(seed);
    let turn = usize::try_from(seed / 5).unwrap_or(0);
    let (kind, table) = match seed % 5 {
        0 => ("bits", bits(dsdt, 1 + turn % 8, &mut dice)),
        1 => ("cut", cut(dsdt, turn, &mut dice)),
        2 => ("moved", moved(dsdt, &mut dice)),
        3 => ("noise", noise(dsdt, &mut dice)),
        _ => {
            let all = crafted();
            let (name, code) = &all[turn % all.len()];
            (*name, grafted(dsdt, code, turn / all.len()))
        }
    };
    Change { name: format!("{kind} (seed {seed})"), dsdt: table }
}

fn bits(dsdt: &[u8], count: usize, dice: &mut Dice) -> Vec<u8> {
    let mut table = dsdt.to_vec();
    for _ in 0..count {
        let at = dice.inside(dsdt, 1);
        table[at] ^= 1 << dice.below(8);
    }
    table
}

/// Its length is what is left, or as before, or more than any file has.
fn cut(dsdt: &[u8], turn: usize, dice: &mut Dice) -> Vec<u8> {
    let mut table = dsdt[..dice.inside(dsdt, 1)].to_vec();
    let lengths = [table.len(), dsdt.len(), 0xffff_fff0];
    set_length(&mut table, lengths[turn % lengths.len()]);
    table
}

fn moved(dsdt: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut table = dsdt.to_vec();
    let (from, to) = (dice.inside(dsdt, 64), dice.inside(dsdt, 64));
    table.copy_within(from..from + dice.below(64), to);
    table
}

fn noise(dsdt: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut table = dsdt.to_vec();
    let at = dice.inside(dsdt, 4);
    table[at..at + 4].fill_with(|| u8::try_from(dice.below(256)).unwrap_or(0));
    table
}

/// Code at the end of a table, or instead of all of its own.
fn grafted(dsdt: &[u8], code: &[u8], turn: usize) -> Vec<u8> {
    let kept = if turn.is_multiple_of(2) { dsdt.len() } else { HEADER };
    let mut table = [&dsdt[..kept], code].concat();
    let length = table.len();
    set_length(&mut table, length);
    table
}

fn set_length(table: &mut [u8], length: usize) {
    table[LENGTH].copy_from_slice(&u32::try_from(length).unwrap_or(0).to_le_bytes());
}

/// Code that means harm.
fn crafted() -> Vec<(&'static str, Vec<u8>)> {
    let deep = |open: &[u8], depth: usize| open.repeat(depth);
    vec![
        // While (One) {}
        ("a loop", vec![0xa2, 0x02, 0x01]),
        // Method (LOOP) { LOOP () }, and a call of it
        ("a recursion", [&[0x14, 0x0a][..], b"LOOP\0", b"LOOP", b"LOOP"].concat()),
        // If (Not (Not (Not ...
        ("deep operators", [&[0xa0, 0x7f, 0x7f, 0x7f][..], &deep(&[0x80], 4000)].concat()),
        // Package (Package (Package ...
        ("deep packages", deep(&[0x12, 0xff, 0xff, 0xff, 0xff, 1], 500)),
        // Name (HUGE, Buffer (0xFFFFFFFF) {})
        ("a huge buffer", [b"\x08HUGE", &[0x11, 0x06, 0x0c, 0xff, 0xff, 0xff, 0xff][..]].concat()),
        // Name (MANY, VarPackage (0xFFFFFFFF) {})
        ("a huge package", [b"\x08MANY", &[0x13, 0x06, 0x0c, 0xff, 0xff, 0xff, 0xff][..]].concat()),
        // OperationRegion (WILD, SystemMemory, 0, 0xFFFFFFFF), a field of it, Store (One, FLD0)
        ("memory", {
            let region = b"\x5b\x80WILD\x00\x00\x0c\xff\xff\xff\xff";
            [&region[..], b"\x5b\x81\x0bWILD\x03FLD0\x20", b"\x70\x01FLD0"].concat()
        }),
        // The same of ports, with an offset that overflows
        ("ports", {
            let region = b"\x5b\x80WILD\x01\x0b\xff\xff\x0e\xff\xff\xff\xff\xff\xff\xff\xff";
            [&region[..], b"\x5b\x81\x10WILD\x01\x00\xcf\xff\xff\xffFLD0\x08", b"\x70\x01FLD0"]
                .concat()
        }),
        // The same of the port that ends this machine: OperationRegion (WILD, SystemIO, 0xF4, One)
        ("the end", {
            let region = b"\x5b\x80WILD\x01\x0a\xf4\x01";
            [&region[..], b"\x5b\x81\x0bWILD\x01FLD0\x08", b"\x70\x01FLD0"].concat()
        }),
        // Local0 grows: Store (Concatenate (Local0, Local0), Local0), for ever
        ("growth", { b"\x70\x11\x03\x0a\x40\x60\xa2\x07\x01\x73\x60\x60\x60\xa3".to_vec() }),
        // Fatal
        ("giving up", b"\x5b\x32\x00\x00\x00\x00\x00\x00".to_vec()),
    ]
}

/// Numbers that look like chance and are the same each time.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        // Never zero, of which nothing else would come; neighbours must differ in more than a bit.
        let mut dice = Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        dice.below(1);
        dice
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or(0) % bound.max(1)
    }

    /// Where `count` bytes of code begin.
    fn inside(&mut self, dsdt: &[u8], count: usize) -> usize {
        HEADER + self.below(dsdt.len().saturating_sub(HEADER + count))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::of_seed;

    fn dsdt() -> Vec<u8> {
        let mut table: Vec<u8> =
            (0..2000_u32).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect();
        table[4..8].copy_from_slice(&2000_u32.to_le_bytes());
        table
    }

    #[test]
    fn seeds_are_different_and_each_is_the_same_again() {
        let dsdt = dsdt();
        let all: BTreeSet<_> = (0..250).map(|seed| of_seed(&dsdt, seed).dsdt).collect();
        assert!(all.len() > 220, "{}", all.len());
        assert_eq!(of_seed(&dsdt, 77), of_seed(&dsdt, 77));
    }

    #[test]
    fn nothing_before_the_code_is_changed_but_the_length() {
        let dsdt = dsdt();
        for seed in 0..500 {
            let change = of_seed(&dsdt, seed).dsdt;
            assert_eq!((&change[..4], &change[8..36]), (&dsdt[..4], &dsdt[8..36]), "{seed}");
            let length = u32::from_le_bytes(change[4..8].try_into().unwrap());
            assert!(usize::try_from(length).unwrap() >= change.len(), "{seed}");
        }
    }

    #[test]
    fn all_code_that_means_harm_is_among_the_first_hundred_and_ten_both_ways() {
        let dsdt = dsdt();
        let names = |seeds: core::ops::Range<u64>| -> BTreeSet<_> {
            let crafted = seeds.filter(|seed| seed % 5 == 4);
            crafted
                .map(|seed| of_seed(&dsdt, seed).name.split(" (").next().unwrap().to_owned())
                .collect()
        };
        assert_eq!((names(0..55).len(), names(55..110)), (11, names(0..55)));
        assert!(of_seed(&dsdt, 4).dsdt.len() > dsdt.len() && of_seed(&dsdt, 59).dsdt.len() < 50);
    }
}
