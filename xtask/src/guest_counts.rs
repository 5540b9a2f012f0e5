// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interrupts that the guest's kernel counted itself, held against what the emulator saw it take.
//!
//! The emulator notes its figure when the guest's line arrives, and counts from when the device's
//! interrupts were last switched on, as a kernel does. Each interrupt that L2 takes runs a handler, so
//! the figures are equal. One thing excuses a kernel that counted fewer: an interrupt that was moved
//! can find its handler still busy on the CPU that it came from, and Linux does not count it then.

use serde::Serialize;

use crate::{
    report::{Report, Row},
    table,
};

/// A figure of the guest's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GuestCount {
    /// PCI address, `00:02.0`.
    pub bdf: String,
    /// The device's interrupt, counted from 0.
    pub entry: u32,
    /// The CPU that took it.
    pub cpu: u32,
    /// How often, by the guest's count.
    pub count: u64,
    /// How often, by the emulator's count of that moment, if it has one.
    pub relayed: Option<u64>,
}

impl GuestCount {
    /// Reads `result interrupts device=… entry=… cpu=… count=…`; `None` if a line is no such.
    pub(crate) fn parse(line: &str, relayed: Option<u64>) -> Option<Self> {
        let words = line.strip_prefix("result interrupts ")?;
        let value = |key: &str| {
            let mut pairs = words.split_ascii_whitespace().filter_map(|word| word.split_once('='));
            pairs.find(|(found, _)| *found == key).map(|(_, value)| value)
        };
        Some(Self {
            bdf: value("device")?.to_owned(),
            entry: value("entry")?.parse().ok()?,
            cpu: value("cpu")?.parse().ok()?,
            count: value("count")?.parse().ok()?,
            relayed,
        })
    }

    fn is_of(&self, row: &Row) -> bool {
        (row.bdf.as_str(), row.entry) == (self.bdf.as_str(), self.entry)
    }
}

/// Returns how many interrupts the guest did not count for the reason that excuses it.
///
/// # Errors
///
/// The first figure that does not agree.
pub(crate) fn agree(report: &Report) -> Result<u64, String> {
    let mut excused = 0;
    for guest in &report.guest_counts {
        let GuestCount { bdf, entry, cpu, count, relayed } = guest;
        let Some(relayed) = relayed else { continue };
        let ways = report.rows.iter().filter(|row| guest.is_of(row));
        let mut ways = ways.map(|row| (row.cpu, row.vector));
        let first = ways.next();
        let moved = ways.any(|way| Some(way) != first);
        match relayed.checked_sub(*count) {
            Some(0) => {}
            Some(fewer) if moved => excused += fewer,
            _ => {
                return Err(format!(
                    "CPU {cpu} took {relayed} interrupts of {bdf} entry {entry}, but the guest \
                     counted {count}"
                ));
            }
        }
    }
    Ok(excused)
}

/// Returns both figures side by side, those that are not zero.
pub(crate) fn table(report: &Report) -> String {
    let headings = ["device", "int", "CPU", "L2 vectors", "relayed", "counted by the guest"];
    let mut lines = vec![headings.map(str::to_owned)];
    for guest in
        report.guest_counts.iter().filter(|guest| (guest.count, guest.relayed) != (0, Some(0)))
    {
        let rows = report.rows.iter().filter(|row| guest.is_of(row) && row.cpu == guest.cpu);
        let mut vectors: Vec<_> = rows.map(|row| row.vector).collect();
        vectors.sort_unstable();
        vectors.dedup();
        lines.push([
            guest.bdf.clone(),
            guest.entry.to_string(),
            guest.cpu.to_string(),
            match vectors.as_slice() {
                [] => "none".to_owned(),
                [one] => format!("{one:#04x}"),
                many => format!("{} of them", many.len()),
            },
            guest.relayed.map_or_else(|| "unknown".to_owned(), |relayed| relayed.to_string()),
            guest.count.to_string(),
        ]);
    }
    table::aligned(&lines)
}

#[cfg(test)]
mod tests {
    use super::{GuestCount, agree, table};
    use crate::report::{Report, Row};

    fn row(cpu: u32, vector: u32) -> Row {
        Row { bdf: "00:03.0".to_owned(), entry: 1, cpu, vector, ..Row::default() }
    }

    fn report(rows: &[Row], count: u64, relayed: u64) -> Report {
        let line = format!("result interrupts device=00:03.0 entry=1 cpu=0 count={count}");
        let count = GuestCount::parse(&line, Some(relayed)).unwrap();
        Report { rows: rows.to_vec(), guest_counts: vec![count], ..Report::default() }
    }

    #[test]
    fn only_whole_lines_about_interrupts_are_counts() {
        assert!(
            GuestCount::parse("result interrupts device=00:03.0 entry=1 cpu=0", None).is_none()
        );
        assert!(GuestCount::parse("result boot=ok cpus=1", None).is_none());
    }

    #[test]
    fn figures_must_be_equal() {
        let rows = [row(0, 0x31)];
        assert_eq!(agree(&report(&rows, 7, 7)), Ok(0));
        assert!(agree(&report(&rows, 6, 7)).is_err());
        let message = agree(&report(&rows, 8, 7)).unwrap_err();
        assert!(message.contains("took 7") && message.contains("counted 8"), "{message}");
        assert!(message.contains("00:03.0 entry 1"), "{message}");
    }

    #[test]
    fn an_interrupt_that_was_moved_may_find_its_handler_busy() {
        let rows = [row(0, 0x31), row(1, 0x32)];
        assert_eq!(agree(&report(&rows, 5, 7)), Ok(2));
        assert!(agree(&report(&rows, 8, 7)).is_err(), "but none is counted twice");
        let twice = [row(0, 0x31), row(0, 0x31)];
        assert!(agree(&report(&twice, 6, 7)).is_err());
    }

    #[test]
    fn both_figures_stand_side_by_side() {
        let text = table(&report(&[row(0, 0x31)], 6, 7));
        assert!(text.lines().nth(1).unwrap().contains("0x31        7"), "\n{text}");
        assert_eq!(table(&report(&[row(0, 0x31)], 0, 0)).lines().count(), 1);
        let moved = table(&report(&[row(0, 0x31), row(0, 0x32)], 6, 7));
        assert!(moved.contains("2 of them"), "\n{moved}");
    }
}
