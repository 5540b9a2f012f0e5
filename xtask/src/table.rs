// SPDX-License-Identifier: MIT OR Apache-2.0
//! A run's figures for a person: one line for each way that interrupts took.

use crate::report::{Report, Row};

const HEADINGS: [&str; 13] = [
    "device",
    "int",
    "L2 vector",
    "reserved",
    "CPU",
    "mode",
    "messages",
    "relayed",
    "merged",
    "lost",
    "host exits",
    "TDVMCALLs",
    "kicks",
];

/// How many columns, from the left, are words rather than numbers.
const WORDS: usize = 1;

/// More ways than these are put together by device, interrupt and CPU.
const MOST_LINES: usize = 48;

/// Returns the table, with a line of sums if there is more than one line.
pub(crate) fn table(report: &Report) -> String {
    let mut lines = vec![HEADINGS.map(str::to_owned)];
    if report.rows.len() > MOST_LINES {
        lines.extend(grouped(report).iter().map(|(row, ways)| group_cells(row, *ways)));
    } else {
        lines.extend(report.rows.iter().map(cells));
    }
    if report.rows.len() > 1 {
        let mut total = cells(&report.total());
        for cell in &mut total[..6] {
            cell.clear();
        }
        "total".clone_into(&mut total[0]);
        lines.push(total);
    }
    aligned(&lines)
}

/// Returns lines whose columns begin and end where those of the others do.
pub(crate) fn aligned<const COLUMNS: usize>(lines: &[[String; COLUMNS]]) -> String {
    let widths: [usize; COLUMNS] = core::array::from_fn(|column| {
        lines.iter().map(|line| line[column].len()).max().unwrap_or(0)
    });
    lines.iter().map(|line| align(line, &widths)).collect()
}

fn cells(row: &Row) -> [String; HEADINGS.len()] {
    [
        format!("{} {}", row.bdf, row.device),
        row.entry.to_string(),
        format!("{:#04x}", row.vector),
        format!("{:#04x}", row.reserved),
        row.cpu.to_string(),
        mode(row),
        row.messages.to_string(),
        row.relayed.to_string(),
        row.merged.to_string(),
        row.lost.to_string(),
        row.host_exits.to_string(),
        row.tdvmcalls.to_string(),
        row.kicks.to_string(),
    ]
}

/// The mode, and of an interrupt that another CPU takes, which one.
fn mode(row: &Row) -> String {
    if row.mode == "remote" { format!("remote by {}", row.taker) } else { row.mode.clone() }
}

/// Returns the sums of the ways of each interrupt to each CPU, and how many they are.
fn grouped(report: &Report) -> Vec<(Row, usize)> {
    let mut groups: Vec<(Row, usize)> = Vec::new();
    for row in &report.rows {
        let place = |row: &Row| (row.bdf.clone(), row.entry, row.cpu);
        match groups.iter_mut().find(|(group, _)| place(group) == place(row)) {
            Some((group, ways)) => {
                group.add(row);
                *ways += 1;
            }
            None => groups.push((row.clone(), 1)),
        }
    }
    groups
}

fn group_cells(row: &Row, ways: usize) -> [String; HEADINGS.len()] {
    let mut cells = cells(row);
    if ways > 1 {
        cells[2] = format!("{ways} ways");
        cells[3].clear();
    }
    cells
}

fn align<const COLUMNS: usize>(line: &[String; COLUMNS], widths: &[usize; COLUMNS]) -> String {
    let cells = line.iter().zip(widths).enumerate().map(|(column, (cell, &width))| {
        if column < WORDS { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
    });
    let line = cells.collect::<Vec<_>>().join("  ");
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::table;
    use crate::report::{Report, Row};

    #[test]
    fn too_many_ways_are_put_together() {
        let row = |entry, cpu, vector| Row { entry, cpu, vector, relayed: 2, ..Row::default() };
        let mut rows: Vec<_> = (0..60).map(|vector| row(0, vector % 2, vector)).collect();
        rows.push(row(1, 0, 7));
        let text = table(&Report { rows, ..Report::default() });
        assert_eq!(text.lines().count(), 1 + 3 + 1, "\n{text}");
        assert!(text.contains("30 ways") && text.contains("60"), "\n{text}");
        assert!(text.contains("0x07") && text.contains("122"), "\n{text}");
    }

    #[test]
    fn an_interrupt_that_another_cpu_takes_says_which() {
        let (mode, taker) = ("remote".to_owned(), 3);
        let row = Row { mode, taker, cpu: 1, kicks: 77, ..Row::default() };
        let text = table(&Report { rows: vec![row], ..Report::default() });
        assert!(text.contains("1  remote by 3") && text.contains("77"), "\n{text}");
    }

    #[test]
    fn columns_line_up_and_sums_come_last() {
        let row = Row {
            device: "1234:11e8".to_owned(),
            bdf: "00:02.0".to_owned(),
            vector: 0x51,
            reserved: 0x40,
            mode: "posted".to_owned(),
            messages: 1000,
            relayed: 990,
            merged: 10,
            ..Row::default()
        };
        let report = Report { rows: vec![row.clone(), row], ..Report::default() };
        let text = table(&report);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines.iter().all(|line| line.len() == lines[0].len()), "\n{text}");
        assert!(lines[1].contains("0x51") && lines[1].contains("0x40"), "\n{text}");
        assert!(lines[3].starts_with("total") && lines[3].contains("2000"), "\n{text}");
    }
}
