// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests of devices that the IOMMU refused.
//!
//! What is counted are records: while the unit still holds one of a device it records no further
//! request of that device, and one of another device is an overflow.

use crate::iommu::dma::Fault;

/// Most kinds of refused request.
const ROWS: usize = 64;

/// What was refused so far.
#[derive(Debug)]
pub(crate) struct DmaFaults {
    rows: [Option<(Fault, u64)>; ROWS],
    /// All records.
    pub(crate) total: u64,
    /// Records of kinds that there was no row for.
    pub(crate) untold: u64,
    /// How often the unit had no room for a record.
    pub(crate) overflows: u64,
}

impl DmaFaults {
    /// Nothing was refused.
    pub(crate) const fn new() -> Self {
        Self { rows: [None; ROWS], total: 0, untold: 0, overflows: 0 }
    }

    /// Counts a record; tells whether it is the first one of its device.
    pub(crate) fn note(&mut self, fault: Fault) -> bool {
        self.total += 1;
        let is_first = !self.rows().any(|(known, _)| known.source == fault.source);
        let fits = |row: &&mut Option<(Fault, u64)>| row.is_none_or(|(known, _)| known == fault);
        match self.rows.iter_mut().find(fits) {
            Some(row) => {
                row.get_or_insert((fault, 0)).1 += 1;
                is_first
            }
            None => {
                self.untold += 1;
                false
            }
        }
    }

    /// Each kind of refused request, and how often it was recorded.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (Fault, u64)> {
        self.rows.iter().copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::{DmaFaults, Fault, ROWS};
    use crate::iommu::dma::SourceId;

    const FAULT: Fault = Fault { source: SourceId(0x10), address: 0x1000, reason: 5, write: true };

    #[test]
    fn the_same_request_is_one_row() {
        let mut faults = DmaFaults::new();
        assert!(faults.note(FAULT));
        assert!(!faults.note(FAULT));
        assert!(!faults.note(Fault { address: 0x2000, ..FAULT }));
        assert!(faults.note(Fault { source: SourceId(0x18), ..FAULT }));
        assert_eq!(faults.rows().map(|(_, count)| count).collect::<Vec<_>>(), [2, 1, 1]);
        assert_eq!((faults.total, faults.untold), (4, 0));
    }

    #[test]
    fn what_finds_no_row_is_still_counted() {
        let mut faults = DmaFaults::new();
        for page in 0..=ROWS as u64 {
            faults.note(Fault { address: page << 12, ..FAULT });
        }
        assert_eq!((faults.rows().count(), faults.total, faults.untold), (ROWS, 65, 1));
    }
}
