// SPDX-License-Identifier: MIT OR Apache-2.0
//! A run as tables for a terminal.

use crate::{
    results::{Bound, PATTERNS, Results, Tail},
    svg::short,
    variant::Family,
};

/// Returns all tables.
#[must_use]
pub fn tables(results: &Results) -> String {
    [head(results), posts(results), drains(results), remaps(results), goals(results)].join("\n")
}

fn head(results: &Results) -> String {
    let (machine, run) = (&results.machine, &results.run);
    format!(
        "{}, Linux {}, load {:.1}; {}, {}; {} rounds, {:.0} s\ntick {:.3} ns = {:.2} cycles, in steps of \
         {}; reading the clock {} ticks, a line that another CPU wrote {} ticks\n",
        machine.cpu,
        machine.kernel,
        machine.load,
        run.compiler,
        run.profile,
        run.rounds,
        run.seconds,
        machine.clock.ns_per_tick,
        machine.clock.cycles_per_tick,
        machine.clock.step,
        some(results.line.clock_ticks),
        some(results.line.miss_ticks),
    )
}

fn posts(results: &Results) -> String {
    let head = [
        "POST",
        "instr",
        "1 CPU ns",
        "x ours",
        "2 CPUs ns",
        "2/1",
        "quiet p50/p99/p99.9",
        "same table written",
        "other table written",
    ];
    let ours = results.post("ours").and_then(|ours| ours.alone_ns);
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    for post in &results.posts {
        lines.push(vec![
            post.about.name.to_owned(),
            whole(post.instructions),
            some(post.alone_ns),
            times(post.alone_ns, ours),
            some(post.together_ns),
            times(post.together_ns, post.alone_ns),
            tail(post.quiet.as_ref()),
            tail(post.storm.as_ref()),
            tail(post.other_table.as_ref()),
        ]);
    }
    aligned(&lines)
}

fn drains(results: &Results) -> String {
    let mut head = vec!["DRAIN, cycles (instr)".to_owned()];
    head.extend(PATTERNS.iter().map(|pattern| pattern.name.to_owned()));
    head.push("beside a poster, ticks".to_owned());
    let mut lines = vec![head];
    for drain in results.drains.iter().filter(|drain| drain.family != Family::Yardstick) {
        let mut line = vec![drain.name.to_owned()];
        let cell = |cell: &crate::results::AtRest| {
            format!("{} ({})", whole(cell.cycles), whole(cell.instructions))
        };
        line.extend(drain.at_rest.iter().map(cell));
        line.push(tail(drain.storm.as_ref()));
        lines.push(line);
    }
    aligned(&lines)
}

fn remaps(results: &Results) -> String {
    let head = ["MAPPINGS", "list map ns", "list unmap ns", "our map ns", "our unmap ns", "map x"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    for remap in &results.remaps {
        lines.push(vec![
            remap.mappings.to_string(),
            some(remap.list_map_ns),
            some(remap.list_unmap_ns),
            some(remap.ours_map_ns),
            some(remap.ours_unmap_ns),
            times(remap.list_map_ns, remap.ours_map_ns),
        ]);
    }
    aligned(&lines)
}

fn goals(results: &Results) -> String {
    let mut lines = vec![["GOAL", "measured", "bound", ""].map(str::to_owned).to_vec()];
    for goal in &results.goals {
        let sign = if goal.must_be == Bound::AtMost { "<=" } else { ">=" };
        let word = match goal.met {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "not measured",
        };
        lines.push(vec![
            format!("{}  {}", goal.id, goal.what),
            some(goal.measured),
            format!("{sign} {}", short(goal.bound)),
            word.to_owned(),
        ]);
    }
    aligned(&lines)
}

fn some(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), short)
}

fn whole(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"))
}

fn times(this: Option<f64>, one: Option<f64>) -> String {
    let both = this.zip(one).filter(|(_, one)| *one > 0.0);
    both.map_or_else(|| "-".to_owned(), |(this, one)| format!("{:.1}", this / one))
}

fn tail(tail: Option<&Tail>) -> String {
    tail.map_or_else(
        || "-".to_owned(),
        |tail| format!("{:.0}/{:.0}/{:.0}", tail.p50_ticks, tail.p99_ticks, tail.p999_ticks),
    )
}

/// Returns lines whose columns begin and end where those of the others do; the first is words.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let length = |line: &Vec<String>, column| {
        line.get(column).map_or(0, |cell: &String| cell.chars().count())
    };
    let widths: Vec<usize> = (0..columns)
        .map(|column| lines.iter().map(|line| length(line, column)).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in lines {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let space = " ".repeat(width - cell.chars().count());
            text +=
                &if column == 0 { format!("{cell}{space}") } else { format!("  {space}{cell}") };
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{example::example, goals::judge};

    #[test]
    fn columns_line_up() {
        let mut results = example();
        results.goals = judge(&results);
        let text = tables(&results);
        let posts: Vec<&str> = text.lines().skip(3).take(3).collect();
        let ends = |line: &str| line.chars().count();
        assert!(posts.iter().all(|line| ends(line) == ends(posts[0])), "\n{text}");
        assert!(text.contains("Lychgate, own CPU") && text.contains("NOT MET"), "\n{text}");
        assert!(text.contains("parking_lot RwLock") && text.contains("32768"), "\n{text}");
    }

    #[test]
    fn what_was_not_measured_is_a_dash() {
        let mut results = example();
        results.posts[3].alone_ns = None;
        let text = tables(&results);
        assert!(text.lines().nth(7).is_some_and(|line| line.contains(" - ")), "\n{text}");
    }
}
