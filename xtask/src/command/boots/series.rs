// SPDX-License-Identifier: MIT OR Apache-2.0
//! The times of many boots of one kernel: how many failed, medians, and how they compare.

use core::time::Duration;

/// How many times as long as directly a boot may take.
pub(super) const LIMIT: f64 = 3.0;

const HEADINGS: [&str; 9] =
    ["kernel", "CPUs", "boots", "failed", "median", "least", "most", "directly", "ratio"];

/// The boots of one kernel with one number of CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    kernel: String,
    smp: u32,
    /// How many were made.
    pub(super) boots: u32,
    /// Of these, those that failed, with the paravisor or without.
    pub(super) failed: u32,
    /// The times of the others: ours, and its companion's.
    pairs: Vec<(Duration, Duration)>,
}

impl Row {
    pub(super) fn new(kernel: &str, smp: u32) -> Self {
        let kernel = kernel.to_owned();
        Self { kernel, smp, boots: 0, failed: 0, pairs: Vec::new() }
    }

    /// Adds one boot and its companion, each with its time if it was good.
    pub(super) fn add(&mut self, ours: Option<Duration>, direct: Option<Duration>) {
        self.boots += 1;
        match ours.zip(direct) {
            Some(pair) => self.pairs.push(pair),
            None => self.failed += 1,
        }
    }

    /// Whether every boot was good and they did not take too long.
    pub(super) fn good(&self) -> bool {
        self.failed == 0 && self.ratio().is_some_and(|ratio| ratio <= LIMIT)
    }

    /// How many times as long as directly it took.
    fn ratio(&self) -> Option<f64> {
        let ratio = |(ours, direct): &(Duration, Duration)| {
            ours.as_secs_f64() / direct.as_secs_f64().max(f64::MIN_POSITIVE)
        };
        median(self.pairs.iter().map(ratio).collect())
    }

    fn cells(&self) -> [String; HEADINGS.len()] {
        let (ours, direct): (Vec<_>, Vec<_>) = self
            .pairs
            .iter()
            .map(|(ours, direct)| (ours.as_secs_f64(), direct.as_secs_f64()))
            .unzip();
        let shown = |seconds: Option<f64>| {
            seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.2} s"))
        };
        let (least, most) =
            (ours.iter().copied().reduce(f64::min), ours.iter().copied().reduce(f64::max));
        [
            self.kernel.clone(),
            self.smp.to_string(),
            self.boots.to_string(),
            self.failed.to_string(),
            shown(median(ours)),
            shown(least),
            shown(most),
            shown(median(direct)),
            self.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
        ]
    }
}

/// Returns the middle one, or the mean of the middle two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// Returns the rows for a person.
pub(super) fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEADINGS.map(str::to_owned)];
    lines.extend(rows.iter().map(Row::cells));
    let widths: [usize; HEADINGS.len()] = core::array::from_fn(|column| {
        lines.iter().map(|line| line[column].len()).max().unwrap_or(0)
    });
    let align = |line: &[String; HEADINGS.len()]| {
        let cells: Vec<_> =
            line.iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
        format!("{}\n", cells.join("  "))
    };
    lines.iter().map(align).collect()
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{Row, table};

    fn row(boots: &[(Option<u64>, Option<u64>)]) -> Row {
        let mut row = Row::new("6.1", 2);
        let time = |time: Option<u64>| time.map(Duration::from_secs);
        boots.iter().for_each(|(ours, direct)| row.add(time(*ours), time(*direct)));
        row
    }

    #[test]
    fn each_boot_is_compared_with_its_companion() {
        let good = row(&[(Some(6), Some(2)), (Some(5), Some(2)), (Some(90), Some(3))]);
        assert!(good.good(), "{good:?}");
        assert!(!row(&[(Some(7), Some(2))]).good());
        assert!(!row(&[]).good(), "nothing was measured");
    }

    #[test]
    fn one_failure_spoils_all() {
        let failed = row(&[(Some(2), Some(2)), (None, Some(2)), (Some(2), Some(2))]);
        assert_eq!((failed.boots, failed.failed, failed.good()), (3, 1, false));
        assert!(!row(&[(Some(2), None)]).good());
    }

    #[test]
    fn columns_line_up() {
        let text = table(&[row(&[(Some(3), Some(2)), (Some(4), Some(2))]), row(&[(None, None)])]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.len() == lines[0].len()), "\n{text}");
        assert!(lines[1].ends_with("3.50 s  3.00 s  4.00 s    2.00 s   1.75"), "\n{text}");
    }
}
