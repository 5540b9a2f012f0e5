// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table that lists the I/O APICs and says which ISA interrupts are wired otherwise.
//!
//! Overrides are for ISA interrupts alone: a global system interrupt that a routing table names is used
//! as it is named.
//!
//! Spec: ACPI "Multiple APIC Description Table (MADT)", "I/O APIC Structure", "Interrupt Source
//! Override Structure".

use core::fmt;

use crate::{Polarity, Trigger};

/// Where the structures begin: after the header, the local APIC's address and the flags.
const STRUCTURES: usize = 44;

/// How many I/O APICs are looked at.
const MAX_IO_APICS: usize = 16;

const IO_APIC: u8 = 1;
const OVERRIDE: u8 = 2;

/// A MADT whose header was found to be one and whose structures fill it exactly.
#[derive(Clone, Copy, Debug)]
pub struct Madt<'a> {
    structures: &'a [u8],
}

/// What is wrong with a MADT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadMadt {
    /// It is another table, or of another length than it says.
    Header,
    /// A structure is too short for what it is, or goes beyond the end.
    Structure,
    /// An override has flags without a meaning.
    Flags,
    /// It has more I/O APICs than anybody looks at.
    IoApics,
}

/// One I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApic {
    /// Its number.
    pub id: u8,
    /// Where its registers are.
    pub address: u32,
    /// The global system interrupt of its input 0. How many inputs it has, only itself can tell.
    pub gsi_base: u32,
}

/// Where an ISA interrupt leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsaInterrupt {
    /// The global system interrupt.
    pub gsi: u32,
    /// How it triggers.
    pub trigger: Trigger,
    /// What is active.
    pub polarity: Polarity,
}

/// One structure: its type and what is in it.
type Structure<'a> = (u8, &'a [u8]);

impl<'a> Madt<'a> {
    /// Checks a private copy of the table.
    ///
    /// # Errors
    ///
    /// What is wrong first. Then nothing of it is to be used.
    pub fn check(table: &'a [u8]) -> Result<Self, BadMadt> {
        let length = field(table, 4).map(u32::from_le_bytes);
        if table.get(..4) != Some(b"APIC") || length.map(usize::try_from) != Some(Ok(table.len())) {
            return Err(BadMadt::Header);
        }
        let structures = table.get(STRUCTURES..).ok_or(BadMadt::Header)?;
        let madt = Self { structures };
        let (mut rest, mut io_apics) = (structures, 0);
        while !rest.is_empty() {
            let ((kind, body), next) = split(rest).ok_or(BadMadt::Structure)?;
            match kind {
                IO_APIC => {
                    io_apic(body).ok_or(BadMadt::Structure)?;
                    io_apics += 1;
                }
                OVERRIDE if body.len() != 8 => return Err(BadMadt::Structure),
                OVERRIDE => {
                    interrupt(body).ok_or(BadMadt::Flags)?;
                }
                _ => {}
            }
            rest = next;
        }
        if io_apics > MAX_IO_APICS { Err(BadMadt::IoApics) } else { Ok(madt) }
    }

    /// Returns the I/O APICs.
    pub fn io_apics(&self) -> impl Iterator<Item = IoApic> {
        self.structures_of(IO_APIC).filter_map(io_apic)
    }

    /// Returns where an ISA interrupt leads: as an override says, or else to the global system interrupt
    /// of its own number, by edges to the high level. There are 16 of them.
    #[must_use]
    pub fn isa(&self, irq: u8) -> Option<IsaInterrupt> {
        if irq >= 16 {
            return None;
        }
        let overridden = self.structures_of(OVERRIDE).find(|body| body.get(..2) == Some(&[0, irq]));
        let plain =
            IsaInterrupt { gsi: irq.into(), trigger: Trigger::Edge, polarity: Polarity::High };
        overridden.map_or(Some(plain), interrupt)
    }

    fn structures_of(&self, kind: u8) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.structures;
        core::iter::from_fn(move || {
            let (structure, next) = split(rest)?;
            rest = next;
            Some(structure)
        })
        .filter_map(move |(other, body)| (other == kind).then_some(body))
    }
}

/// Splits off the first structure.
fn split(bytes: &[u8]) -> Option<(Structure<'_>, &[u8])> {
    let [kind, length, ..] = *bytes else { return None };
    let (structure, rest) = bytes.split_at_checked(length.into())?;
    Some(((kind, structure.get(2..)?), rest))
}

fn io_apic(body: &[u8]) -> Option<IoApic> {
    let [address, gsi_base] = [2, 6].map(|at| field(body, at).map(u32::from_le_bytes));
    Some(IoApic { id: *body.first()?, address: address?, gsi_base: gsi_base? })
}

fn interrupt(body: &[u8]) -> Option<IsaInterrupt> {
    let flags = u16::from_le_bytes(field(body, 6)?);
    // "Conforms to the bus" is what ISA does: edges to the high level.
    let polarity = match flags & 3 {
        0 | 1 => Polarity::High,
        3 => Polarity::Low,
        _ => return None,
    };
    let trigger = match flags >> 2 & 3 {
        0 | 1 => Trigger::Edge,
        3 => Trigger::Level,
        _ => return None,
    };
    Some(IsaInterrupt { gsi: u32::from_le_bytes(field(body, 2)?), trigger, polarity })
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

impl fmt::Display for BadMadt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "it is another table, or of another length than it says",
            Self::Structure => "a structure does not fit",
            Self::Flags => "an override has flags without a meaning",
            Self::IoApics => "it has too many I/O APICs",
        })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use proptest::prelude::{any, proptest};

    use super::{BadMadt, IoApic, IsaInterrupt, Madt};
    use crate::{Polarity, Trigger};

    /// The header of a MADT over these structures.
    fn madt(structures: &[&[u8]]) -> Vec<u8> {
        let body = structures.concat();
        let mut table = b"APIC".to_vec();
        table.extend(u32::try_from(44 + body.len()).unwrap().to_le_bytes());
        table.resize(44, 0);
        table.extend(body);
        table
    }

    const IO_APIC: [u8; 12] = [1, 12, 7, 0, 0, 0, 0xc0, 0xfe, 24, 0, 0, 0];
    const TIMER: [u8; 10] = [2, 10, 0, 0, 2, 0, 0, 0, 0, 0];
    const LEVEL: [u8; 10] = [2, 10, 0, 11, 11, 0, 0, 0, 0x0d, 0];

    #[test]
    fn only_what_is_overridden_leads_elsewhere() {
        let table = madt(&[&IO_APIC, &TIMER, &[0, 8, 0, 0, 1, 0, 0, 0], &LEVEL]);
        let madt = Madt::check(&table).unwrap();
        let edge = |gsi| IsaInterrupt { gsi, trigger: Trigger::Edge, polarity: Polarity::High };
        assert_eq!(madt.isa(0), Some(edge(2)));
        assert_eq!(madt.isa(4), Some(edge(4)));
        assert_eq!(madt.isa(11), Some(IsaInterrupt { trigger: Trigger::Level, ..edge(11) }));
        assert_eq!(madt.isa(16), None);
        let wanted = IoApic { id: 7, address: 0xfec0_0000, gsi_base: 24 };
        assert!(madt.io_apics().eq([wanted]));
    }

    #[test]
    fn a_structure_that_does_not_fit_is_refused() {
        let refused = |structure: &[u8]| Madt::check(&madt(&[structure])).unwrap_err();
        assert_eq!(refused(&IO_APIC[..11]), BadMadt::Structure);
        assert_eq!(refused(&[9, 0, 9, 9]), BadMadt::Structure);
        assert_eq!(refused(&[9, 1]), BadMadt::Structure);
        assert_eq!(refused(&[1, 4, 0, 0]), BadMadt::Structure);
        let mut flags = LEVEL;
        flags[8] = 2;
        assert_eq!(refused(&flags), BadMadt::Flags);
        assert_eq!(refused(&IO_APIC.repeat(17)), BadMadt::IoApics);
        assert_eq!(Madt::check(&madt(&[])[1..]).unwrap_err(), BadMadt::Header);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let table = madt(&[&bytes]);
            for table in [&table[..], &bytes] {
                if let Ok(madt) = Madt::check(table) {
                    assert!((0..16).all(|irq| madt.isa(irq).is_some()));
                    assert!(madt.io_apics().count() <= 16);
                }
            }
        }
    }
}
