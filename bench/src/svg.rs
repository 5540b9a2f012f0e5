// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plots as SVG: bars, spans and lines on a linear or logarithmic axis, in the page's own colours.

use core::fmt::Write as _;

/// Width of a plot in its own units.
const WIDTH: f64 = 860.0;

/// Where the names end and the values begin.
const LEFT: f64 = 210.0;

/// Room for the last figure.
const RIGHT: f64 = 90.0;

/// Height of a row.
const ROW: f64 = 22.0;

/// Room for the axis.
const AXIS: f64 = 34.0;

/// How values become places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// From zero to this value.
    Linear(f64),
    /// Between these two values.
    Logarithmic(f64, f64),
}

impl Scale {
    /// Returns a logarithmic scale that has room for all of `values`.
    #[must_use]
    pub fn around(values: impl Iterator<Item = f64>) -> Self {
        let positive = values.filter(|value| *value > 0.0);
        let (low, high) = positive.fold((f64::MAX, 0.0), |(low, high): (f64, f64), value| {
            (low.min(value), high.max(value))
        });
        if high == 0.0 {
            return Self::Logarithmic(1.0, 10.0);
        }
        Self::Logarithmic(10_f64.powf(low.log10().floor()), 10_f64.powf(high.log10().ceil()))
    }

    /// Returns where between 0 and 1 `value` lies.
    fn part(self, value: f64) -> f64 {
        let part = match self {
            Self::Linear(high) => value / high,
            Self::Logarithmic(low, high) => (value.max(low) / low).log10() / (high / low).log10(),
        };
        part.clamp(0.0, 1.0)
    }

    fn place(self, value: f64) -> f64 {
        LEFT + self.part(value) * (WIDTH - LEFT - RIGHT)
    }

    fn marks(self) -> Vec<f64> {
        match self {
            Self::Linear(high) => (0..=4).map(|part| high * f64::from(part) / 4.0).collect(),
            Self::Logarithmic(low, high) => {
                let decades = core::iter::successors(Some(low), |value| Some(value * 10.0));
                decades.take_while(|value| *value <= high * 1.001).collect()
            }
        }
    }
}

/// A row of a plot.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Whether it is ours.
    pub is_ours: bool,
    /// Its values, each with the class that colours it and what is said of it.
    pub values: Vec<Value>,
}

/// A value of a row.
#[derive(Clone, Debug)]
pub struct Value {
    /// Where it begins, for a span; else nothing.
    pub from: Option<f64>,
    /// The value, or where a span ends.
    pub to: f64,
    /// Places marked within a span.
    pub marks: Vec<f64>,
    /// `a`, `b`, …: the colour.
    pub class: char,
    /// What is said of it.
    pub title: String,
}

/// Draws rows of bars or spans.
#[must_use]
pub fn rows(label: &str, unit: &str, scale: Scale, rows: &[Row]) -> String {
    let heights = rows.iter().map(|row| ROW.max(12.0 * row.values.len() as f64 + 8.0));
    let height = heights.clone().sum::<f64>() + AXIS;
    let mut svg = open(label, height);
    axis(&mut svg, unit, scale, height);
    let mut top = 0.0;
    for (row, height) in rows.iter().zip(heights) {
        let class = if row.is_ours { "name ours" } else { "name" };
        let (middle, name) = (top + height / 2.0 + 4.0, escaped(&row.name));
        let _infallible = writeln!(
            svg,
            r#"<text class="{class}" x="{}" y="{middle:.1}" text-anchor="end">{name}</text>"#,
            LEFT - 8.0
        );
        let each = (height - 6.0) / row.values.len().max(1) as f64;
        for (index, value) in row.values.iter().enumerate() {
            bar(&mut svg, scale, value, (top + 3.0 + index as f64 * each, each - 1.5));
        }
        top += height;
    }
    svg.push_str("</svg>\n");
    svg
}

fn bar(svg: &mut String, scale: Scale, value: &Value, (top, height): (f64, f64)) {
    let begin = value.from.map_or(LEFT, |from| scale.place(from));
    let end = scale.place(value.to);
    let (width, title) = ((end - begin).max(1.5), escaped(&value.title));
    let _infallible = writeln!(
        svg,
        r#"<rect class="{}" x="{begin:.1}" y="{top:.1}" width="{width:.1}" height="{height:.1}" rx="2"><title>{title}</title></rect>"#,
        value.class
    );
    for mark in &value.marks {
        let x = scale.place(*mark);
        let (low, high) = (top - 0.5, top + height + 0.5);
        let _infallible = writeln!(
            svg,
            r#"<line class="mark" x1="{x:.1}" x2="{x:.1}" y1="{low:.1}" y2="{high:.1}"/>"#
        );
    }
    let (x, y) = (end + 5.0, top + height / 2.0 + 3.5);
    let _infallible =
        writeln!(svg, r#"<text class="figure" x="{x:.1}" y="{y:.1}">{}</text>"#, short(value.to));
}

/// A line through points.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// The colour.
    pub class: char,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

/// Draws lines, both axes logarithmic.
#[must_use]
pub fn lines(label: &str, (across, up): (&str, &str), lines: &[Line]) -> String {
    const HEIGHT: f64 = 300.0;
    let horizontal = Scale::around(lines.iter().flat_map(|line| &line.points).map(|point| point.0));
    let vertical = Scale::around(lines.iter().flat_map(|line| &line.points).map(|point| point.1));
    let y_of = |value: f64| 12.0 + (1.0 - vertical.part(value)) * (HEIGHT - AXIS - 12.0);
    let mut svg = open(label, HEIGHT);
    axis(&mut svg, across, horizontal, HEIGHT);
    for mark in vertical.marks() {
        let (y, x, text) = (y_of(mark), LEFT - 8.0, short(mark));
        let _infallible = writeln!(
            svg,
            r#"<line class="grid" x1="{LEFT}" x2="{:.1}" y1="{y:.1}" y2="{y:.1}"/><text class="tick" x="{x}" y="{:.1}" text-anchor="end">{text} {up}</text>"#,
            WIDTH - RIGHT,
            y + 4.0
        );
    }
    for line in lines {
        let place = |point: &(f64, f64)| (horizontal.place(point.0), y_of(point.1));
        let path: Vec<String> =
            line.points.iter().map(place).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _infallible =
            writeln!(svg, r#"<polyline class="line {}" points="{}"/>"#, line.class, path.join(" "));
        for point in &line.points {
            let ((x, y), class) = (place(point), line.class);
            let title = escaped(&format!("{}: {} at {}", line.name, short(point.1), point.0));
            let _infallible = writeln!(
                svg,
                r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="4"><title>{title}</title></circle>"#
            );
        }
        if let Some((x, y)) = line.points.last().map(place) {
            let name = escaped(&line.name);
            let _infallible = writeln!(
                svg,
                r#"<text class="figure" x="{:.1}" y="{:.1}">{name}</text>"#,
                x + 8.0,
                y + 4.0
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn open(label: &str, height: f64) -> String {
    let label = escaped(label);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{label}\">\n"
    )
}

fn axis(svg: &mut String, unit: &str, scale: Scale, height: f64) {
    let bottom = height - AXIS + 4.0;
    for mark in scale.marks() {
        let (x, y, text) = (scale.place(mark), bottom + 15.0, short(mark));
        let _infallible = writeln!(
            svg,
            r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="0" y2="{bottom:.1}"/><text class="tick" x="{x:.1}" y="{y:.1}" text-anchor="middle">{text}</text>"#
        );
    }
    let (x, y, unit) = (WIDTH - RIGHT + 40.0, bottom + 15.0, escaped(unit));
    let _infallible = writeln!(svg, r#"<text class="tick" x="{x}" y="{y:.1}">{unit}</text>"#);
}

/// Returns a figure with as many digits as mean something.
#[must_use]
pub fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 1e6 => format!("{:.1} M", value / 1e6),
        large if large >= 1e4 => format!("{:.1} k", value / 1e3),
        large if large >= 100.0 => format!("{value:.0}"),
        large if large >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Returns `text` as HTML and SVG have it.
#[must_use]
pub fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_has_room_for_its_values() {
        let scale = Scale::around([3.0, 450.0, 0.0].into_iter());
        assert_eq!(scale, Scale::Logarithmic(1.0, 1000.0));
        assert_eq!(scale.marks().len(), 4);
        assert!((scale.part(10.0) - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!((scale.part(0.1), scale.part(1e6)), (0.0, 1.0));
        assert_eq!(Scale::Linear(8.0).part(4.0), 0.5);
        assert_eq!(Scale::around(core::iter::empty()), Scale::Logarithmic(1.0, 10.0));
    }

    #[test]
    fn figures_are_short() {
        let texts = [0.5, 12.34, 345.6, 12_345.0, 2.5e6].map(short);
        assert_eq!(texts, ["0.50", "12.3", "346", "12.3 k", "2.5 M"]);
    }

    #[test]
    fn what_means_something_in_html_is_escaped() {
        assert_eq!(escaped("<a & \"b\">"), "&lt;a &amp; &quot;b&quot;&gt;");
    }
}
