// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the guest says that it counted: `result interrupts device=00:03.0 entry=1 cpu=0 count=12`.
//!
//! The emulator adds its own figure of that moment, because the guest's later interrupts, those of
//! shutting its device down, are in no line.

/// The interrupts that a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Device number in bits 7:3, function in bits 2:0; the bus is 0.
    pub(crate) devfn: u8,
    /// MSI-X entry.
    pub(crate) entry: u16,
    /// The virtual CPU.
    pub(crate) cpu: usize,
}

impl Claim {
    /// Reads a line; `None` if it is about something else.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let words = line.strip_prefix("result interrupts ")?;
        let value = |key: &str| {
            let mut pairs = words.split_ascii_whitespace().filter_map(|word| word.split_once('='));
            pairs.find(|(found, _)| *found == key).map(|(_, value)| value)
        };
        let (number, function) = value("device")?.strip_prefix("00:")?.split_once('.')?;
        let number = u8::from_str_radix(number, 16).ok().filter(|number| *number < 32)?;
        let function = function.parse().ok().filter(|function: &u8| *function < 8)?;
        Some(Self {
            devfn: number << 3 | function,
            entry: value("entry")?.parse().ok()?,
            cpu: value("cpu")?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Claim;

    #[test]
    fn a_line_about_interrupts_is_understood() {
        let claim = Claim::parse("result interrupts device=00:1f.2 entry=3 cpu=1 count=17");
        assert_eq!(claim, Some(Claim { devfn: 0xfa, entry: 3, cpu: 1 }));
    }

    #[test]
    fn anything_else_is_left_alone() {
        for line in [
            "result nvme bytes=3",
            "result interrupts device=01:02.0 entry=0 cpu=0",
            "result interrupts device=00:20.0 entry=0 cpu=0",
            "result interrupts device=00:02.8 entry=0 cpu=0",
            "result interrupts device=00:02.0 entry=x cpu=0",
            "result interrupts device=00:02.0 entry=0",
        ] {
            assert_eq!(Claim::parse(line), None, "{line}");
        }
    }
}
