// SPDX-License-Identifier: MIT OR Apache-2.0
//! A run as one page: plots and tables, nothing to load, nothing that runs.

use core::fmt::Write as _;

use crate::{
    results::{Bound, PATTERNS, Post, Results, Tail},
    svg::{self, Line, Row, Scale, Value, escaped, short},
    variant::Family,
};

const STYLE: &str = include_str!("page.css");

/// Returns the page.
#[must_use]
pub fn page(results: &Results) -> String {
    let sections = [
        ("One interrupt: from its slot to a pending bit", COST, cost(results)),
        ("The same, while somebody writes", TAIL, tails(results)),
        ("Before an entry into L2: the drain", DRAIN, drains(results)),
        ("A drain while another CPU posts", STORM, storms(results)),
        ("Changing a mapping among many", REMAP, remaps(results)),
        ("Goals", GOALS, goals(results)),
        ("All figures of posts", TABLE, table(results)),
    ];
    let mut body = head(results);
    for (title, text, content) in sections {
        let _infallible =
            write!(body, "<section>\n<h2>{title}</h2>\n<p>{text}</p>\n{content}</section>\n");
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>Lychgate: the relay beside the alternatives</title>\n<style>\n{STYLE}</style>\n\
         </head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

const COST: &str = "Nanoseconds a post, back to back. Upper bar: one CPU. Lower bar: both CPUs at once, \
    each with its own table where the design has one per CPU. Half of a bar's length is no half: the \
    axis is logarithmic.";
const TAIL: &str = "Each bar spans the median to the 99.9 % of single posts, with a mark at 99 %, in ticks \
    of the time-stamp counter, the reading of which is included everywhere. Upper bar: nobody writes. \
    Lower bar: the other CPU maps and unmaps in the same table without a pause.";
const DRAIN: &str = "Cycles to move what pends into L2’s virtual APIC, by how many vectors pend; what \
    reading the clock costs is taken off.";
const STORM: &str =
    "The same without taking anything off, in ticks: median to 99.9 %, mark at 99 %.";
const REMAP: &str =
    "Nanoseconds for one mapping more and for taking one away, by how many there are.";
const GOALS: &str =
    "The bounds were set on a processor of another make; they are applied as they are.";
const TABLE: &str = "Times as long as ours in brackets. Ticks: median / 99 % / 99.9 %.";

fn head(results: &Results) -> String {
    let (machine, run) = (&results.machine, &results.run);
    let met = results.goals.iter().filter(|goal| goal.met == Some(true)).count();
    let kind = if run.quick { "short run: for a glance" } else { "full run" };
    let counted = if run.instructions_counted { "counted by callgrind" } else { "not counted" };
    format!(
        "<header>\n<h1>The relay beside the alternatives</h1>\n<p>{}, {} CPUs, Linux {}, load {:.1}; \
         {}, {}; {kind}, {} rounds, {:.0} s; instructions {counted}. One tick is {:.3} ns or {:.2} \
         cycles, and the clock moves in steps of {} ticks. A cache line that another CPU has written \
         costs {} ticks.</p>\n<p>Only ratios within this run mean something. {met} of {} goals are \
         met.</p>\n</header>\n",
        escaped(&machine.cpu),
        machine.cpus,
        escaped(&machine.kernel),
        machine.load,
        escaped(&run.compiler),
        escaped(&run.profile),
        run.rounds,
        run.seconds,
        machine.clock.ns_per_tick,
        machine.clock.cycles_per_tick,
        machine.clock.step,
        figure(results.line.miss_ticks),
        results.goals.len(),
    )
}

fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), short)
}

fn row(name: &str, family: Family, values: Vec<Value>) -> Row {
    Row { name: name.to_owned(), is_ours: family == Family::Ours, values }
}

fn plain(class: char, unit: &str, what: &str, value: f64) -> Value {
    let title = format!("{what}: {} {unit}", short(value));
    Value { from: None, to: value, marks: Vec::new(), class, title }
}

fn span(class: char, what: &str, tail: &Tail) -> Value {
    let Tail { p50_ticks, p99_ticks, p999_ticks, samples, stalls } = *tail;
    let title = format!(
        "{what}: median {}, 99 % {}, 99.9 % {} ticks; {samples} samples, {stalls} stalls",
        short(p50_ticks),
        short(p99_ticks),
        short(p999_ticks)
    );
    Value { from: Some(p50_ticks), to: p999_ticks, marks: vec![p99_ticks], class, title }
}

fn legend(names: &[(char, &str)]) -> String {
    let one = |(class, name): &(char, &str)| format!("<span class=\"key {class}\"></span>{name}");
    format!("<p class=\"legend\">{}</p>\n", names.iter().map(one).collect::<Vec<_>>().join(" "))
}

fn cost(results: &Results) -> String {
    let values = |post: &Post| {
        let alone = post.alone_ns.map(|ns| plain('a', "ns", "one CPU", ns));
        let together = post.together_ns.map(|ns| plain('b', "ns", "two CPUs", ns));
        row(post.about.name, post.about.family, alone.into_iter().chain(together).collect())
    };
    let rows: Vec<Row> = results.posts.iter().map(values).collect();
    let legend = legend(&[('a', "one CPU"), ('b', "two CPUs")]);
    legend + &svg::rows("nanoseconds a post", "ns", around(&rows), &rows)
}

fn around(rows: &[Row]) -> Scale {
    let values = rows.iter().flat_map(|row| &row.values);
    Scale::around(values.flat_map(|value| [value.from.unwrap_or(value.to), value.to]))
}

fn tails(results: &Results) -> String {
    let values = |post: &Post| {
        let quiet = post.quiet.as_ref().map(|tail| span('a', "quiet", tail));
        let storm = post.storm.as_ref().map(|tail| span('c', "same table written", tail));
        let other = post.other_table.as_ref().map(|tail| span('b', "other table written", tail));
        let values = [quiet, storm, other].into_iter().flatten().collect();
        row(post.about.name, post.about.family, values)
    };
    let rows: Vec<Row> = results.posts.iter().map(values).collect();
    let names = [('a', "quiet"), ('c', "same table written"), ('b', "other CPU’s table written")];
    legend(&names) + &svg::rows("ticks of single posts", "ticks", around(&rows), &rows)
}

fn drains(results: &Results) -> String {
    const CLASSES: [char; 5] = ['a', 'b', 'c', 'd', 'e'];
    let mut rows = Vec::new();
    for drain in results.drains.iter().filter(|drain| drain.family != Family::Yardstick) {
        let cells = drain.at_rest.iter().zip(CLASSES);
        let cells = cells.filter_map(|(cell, class)| {
            cell.cycles.map(|cycles| plain(class, "cycles", cell.pattern, cycles.max(1.0)))
        });
        rows.push(row(drain.name, drain.family, cells.collect()));
    }
    let names: Vec<(char, &str)> =
        PATTERNS.iter().zip(CLASSES).map(|(pattern, class)| (class, pattern.name)).collect();
    legend(&names) + &svg::rows("cycles a drain", "cycles", around(&rows), &rows)
}

fn storms(results: &Results) -> String {
    let values = |drain: &crate::results::Drained| {
        let storm = drain.storm.as_ref().map(|tail| span('c', "beside a poster", tail));
        row(drain.name, drain.family, storm.into_iter().collect())
    };
    let rows: Vec<Row> = results.drains.iter().map(values).collect();
    svg::rows("ticks of single drains beside a poster", "ticks", around(&rows), &rows)
}

fn remaps(results: &Results) -> String {
    let line = |name: &str, class, value: fn(&crate::results::Remap) -> Option<f64>| Line {
        name: name.to_owned(),
        class,
        points: results
            .remaps
            .iter()
            .filter_map(|remap| Some((remap.mappings as f64, value(remap)?)))
            .collect(),
    };
    let all = [
        line("list, map", 'd', |remap| remap.list_map_ns),
        line("list, unmap", 'e', |remap| remap.list_unmap_ns),
        line("ours, map", 'a', |remap| remap.ours_map_ns),
        line("ours, unmap", 'b', |remap| remap.ours_unmap_ns),
    ];
    svg::lines("nanoseconds by mappings", ("mappings", "ns"), &all)
}

fn goals(results: &Results) -> String {
    let mut rows = String::new();
    for goal in &results.goals {
        let (class, word) = match goal.met {
            Some(true) => ("met", "met"),
            Some(false) => ("missed", "not met"),
            None => ("unknown", "not measured"),
        };
        let sign = if goal.must_be == Bound::AtMost { "≤" } else { "≥" };
        let _infallible = writeln!(
            rows,
            "<tr class=\"{class}\"><td>{}</td><td>{}</td><td>{}</td><td>{sign} {}</td><td>{word}</td></tr>",
            goal.id,
            escaped(&goal.what),
            figure(goal.measured),
            short(goal.bound)
        );
    }
    let head = "<tr><th>goal</th><th>what</th><th>measured</th><th>bound</th><th></th></tr>";
    format!("<table>\n{head}\n{rows}</table>\n")
}

fn table(results: &Results) -> String {
    let ours = results.post("ours").and_then(|ours| ours.alone_ns);
    let mut rows = String::new();
    for post in &results.posts {
        let tail = |tail: &Option<Tail>| {
            tail.as_ref().map_or_else(String::new, |tail| {
                let Tail { p50_ticks, p99_ticks, p999_ticks, .. } = *tail;
                format!("{} / {} / {}", short(p50_ticks), short(p99_ticks), short(p999_ticks))
            })
        };
        let times = post.alone_ns.zip(ours).filter(|(_, ours)| *ours > 0.0);
        let times = times.map_or_else(String::new, |(this, ours)| format!(" ({:.1})", this / ours));
        let class = if post.about.family == Family::Ours { " class=\"ours\"" } else { "" };
        let _infallible = writeln!(
            rows,
            "<tr{class}><td>{}</td><td>{}</td><td>{}{times}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(post.about.name),
            post.instructions.map_or_else(|| "–".to_owned(), |count| format!("{count:.0}")),
            figure(post.alone_ns),
            figure(post.together_ns),
            tail(&post.quiet),
            tail(&post.storm),
            tail(&post.other_table)
        );
    }
    let head = "<tr><th>design</th><th>instructions</th><th>ns, one CPU</th><th>ns, two</th>\
                <th>quiet</th><th>same table written</th><th>other table written</th></tr>";
    format!("<table>\n{head}\n{rows}</table>\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{example::example, goals::judge};

    /// Checks that every element is closed in its turn; returns how many there are.
    fn elements(html: &str) -> usize {
        let (mut open, mut count, mut rest) = (Vec::new(), 0, html);
        while let Some(start) = rest.find('<') {
            let end = start + rest[start..].find('>').expect("a tag ends");
            let tag = &rest[start + 1..end];
            assert!(!tag.contains('<'), "{tag}");
            rest = &rest[end + 1..];
            if tag.starts_with('!') || tag.ends_with('/') {
                continue;
            }
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name), "{rest:.60}");
            } else {
                open.push(tag.split(' ').next().unwrap());
                count += 1;
            }
        }
        assert!(open.is_empty(), "{open:?}");
        count
    }

    fn full() -> Results {
        let mut results = example();
        results.goals = judge(&results);
        results
    }

    #[test]
    fn the_page_is_well_formed_and_has_its_plots() {
        let html = page(&full());
        assert!(elements(&html) > 200);
        assert_eq!(html.matches("<svg").count(), 5);
        assert!(html.contains("A processor &lt;of&gt; &quot;some&quot; kind &amp; make"));
        for post in full().posts {
            assert!(html.contains(&escaped(post.about.name)), "{}", post.about.name);
        }
    }

    #[test]
    fn the_page_loads_nothing_and_runs_nothing() {
        let html = page(&full()).replace("http://www.w3.org/2000/svg", "");
        for word in ["http", "<script", "src=", "href=", "url(", "@import", "NaN", "inf"] {
            assert!(!html.contains(word), "{word}");
        }
    }

    #[test]
    fn a_page_of_a_run_that_measured_nothing_is_well_formed() {
        let mut results = full();
        for post in &mut results.posts {
            (post.alone_ns, post.together_ns, post.instructions) = (None, None, None);
            (post.quiet, post.storm, post.other_table) = (None, None, None);
        }
        results.drains.clear();
        results.remaps.clear();
        results.goals = judge(&results);
        elements(&page(&results));
    }
}
