// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interrupts in a resource template, which is what `_CRS` and `_PRS` give and `_SRS` takes.
//!
//! Spec: ACPI "IRQ Descriptor", "Extended Interrupt Descriptor", "End Tag".

use acpi_routes::{Polarity, Trigger};
use alloc::{vec, vec::Vec};

/// How many interrupts a descriptor's list may have.
const MAX_CHOICES: usize = 64;

const END_TAG: u8 = 0x79;
const EXTENDED_INTERRUPT: u8 = 0x89;

/// The first interrupt descriptor of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interrupts {
    /// Its interrupts: what is in use, or what may be chosen.
    pub(crate) numbers: Vec<u32>,
    pub(crate) trigger: Trigger,
    pub(crate) polarity: Polarity,
    form: Form,
}

/// How it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A mask of 16 bits, and flags if there is room for them.
    Small { flags: Option<u8> },
    /// A list, with these flags.
    Extended { flags: u8 },
}

impl Interrupts {
    /// Finds the first interrupt descriptor; `None` if there is none before the end, or it is malformed.
    pub(crate) fn parse(template: &[u8]) -> Option<Self> {
        let mut rest = template;
        loop {
            let tag = *rest.first()?;
            let (header, length) = if tag & 0x80 != 0 {
                (3, u16::from_le_bytes(*rest.get(1..)?.first_chunk()?).into())
            } else {
                (1, usize::from(tag & 7))
            };
            let (item, next) = rest.get(header..)?.split_at_checked(length)?;
            match tag {
                EXTENDED_INTERRUPT => return Self::extended(item),
                0x22 | 0x23 => return Self::small(item),
                _ if tag & 0xf8 == END_TAG & 0xf8 => return None,
                _ => rest = next,
            }
        }
    }

    /// Writes a template that chooses `number`, in the form in which the choice was offered.
    pub(crate) fn choose(&self, number: u32) -> Option<Vec<u8>> {
        let mut template = match self.form {
            Form::Extended { flags } => {
                let mut item = vec![EXTENDED_INTERRUPT, 6, 0, flags, 1];
                item.extend(number.to_le_bytes());
                item
            }
            Form::Small { flags } => {
                let [low, high] = 1_u16.checked_shl(number).filter(|_| number < 16)?.to_le_bytes();
                let tag = if flags.is_some() { 0x23 } else { 0x22 };
                [tag, low, high].into_iter().chain(flags).collect()
            }
        };
        // A checksum of zero counts as right.
        template.extend([END_TAG, 0]);
        Some(template)
    }

    fn extended(item: &[u8]) -> Option<Self> {
        let (&[flags, count], list) = item.split_first_chunk::<2>()?;
        let count = usize::from(count);
        if count > MAX_CHOICES {
            return None;
        }
        let list = list.get(..count * 4)?;
        let number = |bytes: &[u8]| bytes.first_chunk().copied().map(u32::from_le_bytes);
        Some(Self {
            numbers: list.chunks_exact(4).filter_map(number).collect(),
            trigger: if flags & 2 == 0 { Trigger::Level } else { Trigger::Edge },
            polarity: if flags & 4 == 0 { Polarity::High } else { Polarity::Low },
            form: Form::Extended { flags },
        })
    }

    fn small(item: &[u8]) -> Option<Self> {
        let mask = u16::from_le_bytes(*item.first_chunk()?);
        let flags = item.get(2).copied();
        // Without flags, as on an ISA bus: edges to the high level. Only two settings have a meaning.
        let (trigger, polarity) = match flags.map_or(1, |flags| flags & 9) {
            1 => (Trigger::Edge, Polarity::High),
            8 => (Trigger::Level, Polarity::Low),
            _ => return None,
        };
        let numbers = (0..16).filter(|bit| mask >> bit & 1 != 0).collect();
        Some(Self { numbers, trigger, polarity, form: Form::Small { flags } })
    }
}

#[cfg(test)]
mod tests {
    use acpi_routes::{Polarity, Trigger};

    use super::Interrupts;

    #[test]
    fn a_list_is_read_and_one_of_it_is_chosen() {
        let template = [
            0x47, 1, 0, 0, 0, 0, 0, 0, // ports, which are passed over
            0x89, 14, 0, 0x09, 3, 5, 0, 0, 0, 10, 0, 0, 0, 11, 0, 0, 0, 0x79, 0,
        ];
        let found = Interrupts::parse(&template).unwrap();
        assert_eq!(found.numbers, [5, 10, 11]);
        assert_eq!((found.trigger, found.polarity), (Trigger::Level, Polarity::High));
        let chosen = found.choose(11).unwrap();
        assert_eq!(chosen, [0x89, 6, 0, 0x09, 1, 11, 0, 0, 0, 0x79, 0]);
        assert_eq!(Interrupts::parse(&chosen).unwrap().numbers, [11]);
    }

    #[test]
    fn a_mask_is_read_and_one_of_it_is_chosen() {
        let found = Interrupts::parse(&[0x23, 0x20, 0x0c, 0x18, 0x79, 0]).unwrap();
        assert_eq!(found.numbers, [5, 10, 11]);
        assert_eq!((found.trigger, found.polarity), (Trigger::Level, Polarity::Low));
        assert_eq!(found.choose(10).unwrap(), [0x23, 0, 0x04, 0x18, 0x79, 0]);
        assert_eq!(found.choose(16), None);
        let plain = Interrupts::parse(&[0x22, 0x20, 0, 0x79, 0]).unwrap();
        assert_eq!((plain.trigger, plain.polarity), (Trigger::Edge, Polarity::High));
    }

    #[test]
    fn what_is_malformed_has_no_interrupt() {
        for template in [
            &[][..],
            &[0x79, 0],
            &[0x89],
            &[0x89, 6, 0, 9, 1, 5, 0, 0],
            &[0x89, 6, 0, 9, 2, 5, 0, 0, 0, 0x79, 0],
            &[0x23, 0x20],
            &[0x23, 0x20, 0, 0, 0x79, 0],
        ] {
            assert_eq!(Interrupts::parse(template), None, "{template:x?}");
        }
    }
}
