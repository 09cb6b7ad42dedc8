//! Charts, drawn here as SVG: readable without a script, without colour (shapes and dashes differ) and without eyes (a
//! table says the same).

use std::fmt::Write as _;
use std::time::Duration;

use askama::Template;
use askama::filters::HtmlSafe;
use longshore_core::Timestamp;

use super::text;

/// Labels below a chart.
const X_LABELS: usize = 5;
/// Steps of the scale at the side.
const Y_STEPS: u32 = 4;

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Columns on top of each other.
    Columns,
    /// Lines, with the area below the first.
    Lines,
}

/// What the numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A number of things.
    Count,
    /// Milliseconds.
    Millis,
}

/// One series, a value per point; no value where nothing was measured.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) values: Vec<Option<f64>>,
}

/// What is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Data {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// What it says now, in words.
    pub(crate) summary: String,
    pub(crate) shape: Shape,
    pub(crate) unit: Unit,
    /// When each point begins.
    pub(crate) times: Vec<Timestamp>,
    pub(crate) series: Vec<Series>,
}

/// A drawn chart.
#[derive(Clone, Debug, Template)]
#[template(path = "part/chart.html")]
pub(crate) struct Chart {
    id: &'static str,
    title: &'static str,
    summary: String,
    lines: bool,
    empty: bool,
    ys: Vec<String>,
    xs: Vec<String>,
    rules: Vec<String>,
    legend: Vec<Key>,
    columns: Vec<Column>,
    paths: Vec<Path>,
    hits: Vec<Hit>,
    rows: Vec<Row>,
}

impl HtmlSafe for Chart {}

#[derive(Clone, Debug)]
struct Key {
    class: String,
    name: &'static str,
    latest: String,
}

#[derive(Clone, Debug)]
struct Column {
    class: String,
    crossed: bool,
    x: String,
    y: String,
    width: String,
    height: String,
}

#[derive(Clone, Debug)]
struct Path {
    class: String,
    line: String,
    /// Points that stand alone.
    dots: String,
    area: String,
}

#[derive(Clone, Debug)]
struct Hit {
    x: String,
    width: String,
    text: String,
}

#[derive(Clone, Debug)]
struct Row {
    time: String,
    values: Vec<String>,
}

impl Chart {
    pub(crate) fn draw(data: &Data) -> Self {
        let top = scale(highest(data));
        let many = data.times.len().max(1);
        let label = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| show(data.unit, value));
        Self {
            id: data.id,
            title: data.title,
            summary: data.summary.clone(),
            lines: data.shape == Shape::Lines,
            empty: data
                .series
                .iter()
                .all(|series| series.values.iter().all(Option::is_none)),
            ys: (0..=Y_STEPS)
                .rev()
                .map(|step| show(data.unit, top * f64::from(step) / f64::from(Y_STEPS)))
                .collect(),
            xs: x_labels(&data.times),
            rules: (0..Y_STEPS)
                .map(|step| percent(f64::from(step) / f64::from(Y_STEPS)))
                .collect(),
            legend: legend(data),
            columns: if data.shape == Shape::Columns {
                columns(data, top)
            } else {
                Vec::new()
            },
            paths: if data.shape == Shape::Lines {
                paths(data, top)
            } else {
                Vec::new()
            },
            hits: data
                .times
                .iter()
                .enumerate()
                .map(|(at, time)| Hit {
                    x: percent(ratio(at, many)),
                    width: percent(ratio(1, many)),
                    text: tip(data, at, *time),
                })
                .collect(),
            rows: data
                .times
                .iter()
                .enumerate()
                .rev()
                .map(|(at, time)| Row {
                    time: text::stamp(*time),
                    values: data
                        .series
                        .iter()
                        .map(|series| label(value(series, at)))
                        .collect(),
                })
                .collect(),
        }
    }
}

fn value(series: &Series, at: usize) -> Option<f64> {
    series.values.get(at).copied().flatten()
}

/// The highest point: of columns, of what stands on top of each other.
fn highest(data: &Data) -> f64 {
    let points = 0..data.times.len();
    let height = |at: usize| {
        let values = data.series.iter().filter_map(|series| value(series, at));
        match data.shape {
            Shape::Columns => values.sum(),
            Shape::Lines => values.fold(0.0, f64::max),
        }
    };
    points.map(height).fold(0.0, f64::max)
}

/// The end of the scale: the next of 4, 8, 20, 40, 80, … above the highest value, so that its quarters are whole.
fn scale(highest: f64) -> f64 {
    let mut decade = 1.0;
    while decade < 1e15 {
        for step in [4.0, 8.0, 20.0] {
            if highest <= step * decade {
                return step * decade;
            }
        }
        decade *= 10.0;
    }
    highest
}

#[expect(clippy::cast_precision_loss, reason = "positions of a drawing")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

fn percent(fraction: f64) -> String {
    format!("{:.2}%", fraction * 100.0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and rounded for people"
)]
fn show(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Count if value < 10.0 && value.fract() > 0.01 => format!("{value:.1}"),
        Unit::Count => text::count(value.round() as u64),
        Unit::Millis => text::span(Duration::from_millis(value.round() as u64)).replace(".0 s", " s"),
    }
}

fn x_labels(times: &[Timestamp]) -> Vec<String> {
    let last = times.len().saturating_sub(1);
    let long = times
        .first()
        .zip(times.last())
        .is_some_and(|(first, last)| last.since(*first).as_secs() >= 36 * 3_600);
    let picked = (0..X_LABELS).filter_map(|step| times.get(last * step / (X_LABELS - 1)));
    let label = |time: &Timestamp| {
        let stamp = text::stamp(*time);
        stamp
            .get(if long { 5..16 } else { 11..16 })
            .unwrap_or_default()
            .to_owned()
    };
    picked.map(label).collect()
}

fn legend(data: &Data) -> Vec<Key> {
    let latest = |series: &Series| series.values.iter().rev().find_map(|value| *value);
    data.series
        .iter()
        .enumerate()
        .map(|(at, series)| Key {
            class: format!("s{at}"),
            name: series.name,
            latest: if data.shape == Shape::Lines {
                latest(series).map_or_else(|| "–".to_owned(), |value| show(data.unit, value))
            } else {
                String::new()
            },
        })
        .collect()
}

fn columns(data: &Data, top: f64) -> Vec<Column> {
    let many = data.times.len().max(1);
    let gap = 0.14 / ratio(many, 1);
    let mut columns = Vec::new();
    for at in 0..data.times.len() {
        let mut below = 0.0;
        for (number, series) in data.series.iter().enumerate() {
            let height = value(series, at).unwrap_or(0.0) / top;
            if height > 0.0 {
                columns.push(Column {
                    class: format!("s{number}"),
                    crossed: number > 0,
                    x: percent(ratio(at, many) + gap),
                    y: percent(1.0 - below - height),
                    width: percent(ratio(1, many) - 2.0 * gap),
                    height: percent(height),
                });
            }
            below += height;
        }
    }
    columns
}

/// In a box of 1,000 by 1,000. Where nothing was measured, the line is interrupted; a point alone is a short line.
fn paths(data: &Data, top: f64) -> Vec<Path> {
    let many = data.times.len().max(1);
    let draw = |(number, series): (usize, &Series)| {
        let (mut line, mut area, mut dots) = (String::new(), String::new(), String::new());
        let mut run: Vec<(f64, f64)> = Vec::new();
        let mut flush = |run: &mut Vec<(f64, f64)>| {
            if let (Some(first), Some(last)) = (run.first().copied(), run.last().copied()) {
                let points: Vec<_> = run.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
                let joined = points.join("L");
                // Writing to a string does not fail.
                let place = if run.len() == 1 { &mut dots } else { &mut line };
                let _written = write!(place, "M{joined}h.1");
                let _written = write!(area, "M{:.1} 1000L{joined}L{:.1} 1000Z", first.0, last.0);
            }
            run.clear();
        };
        for at in 0..data.times.len() {
            match value(series, at) {
                Some(value) => run.push((
                    (ratio(at, many) + 0.5 * ratio(1, many)) * 1_000.0,
                    (1.0 - value / top) * 1_000.0,
                )),
                None => flush(&mut run),
            }
        }
        flush(&mut run);
        Path {
            class: format!("s{number}"),
            line,
            dots,
            area: if number == 0 { area } else { String::new() },
        }
    };
    // The first series last: it lies on top.
    data.series.iter().enumerate().map(draw).rev().collect()
}

fn tip(data: &Data, at: usize, time: Timestamp) -> String {
    let values = data.series.iter().map(|series| {
        let shown = value(series, at).map_or_else(|| "–".to_owned(), |value| show(data.unit, value));
        format!("{}: {shown}", series.name)
    });
    let stamp = text::stamp(time);
    format!(
        "{} UTC\n{}",
        stamp.get(..16).unwrap_or(&stamp),
        values.collect::<Vec<_>>().join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(shape: Shape) -> Data {
        Data {
            id: "throughput",
            title: "Throughput",
            summary: String::new(),
            shape,
            unit: Unit::Count,
            times: (0..4).map(|minute| Timestamp(minute * 60_000)).collect(),
            series: vec![
                Series {
                    name: "completed",
                    values: vec![Some(3.0), None, Some(4.0), Some(0.0)],
                },
                Series {
                    name: "failed",
                    values: vec![Some(1.0), None, None, None],
                },
            ],
        }
    }

    #[test]
    fn columns_stand_on_each_other_and_the_second_kind_is_crossed() {
        let html = Chart::draw(&data(Shape::Columns)).to_string();
        assert!(
            html.contains("y=\"25.00%\"") && html.contains("y=\"0.00%\""),
            "{html}"
        );
        assert!(html.contains("url(#cross)"), "{html}");
        assert!(html.contains("completed: 3"), "{html}");
    }

    #[test]
    fn a_line_is_interrupted_where_nothing_was_measured() {
        let chart = Chart::draw(&data(Shape::Lines));
        let first = chart.paths.last().unwrap();
        assert_eq!(first.line.matches('M').count(), 1);
        assert_eq!(first.dots.matches('M').count(), 1);
    }

    #[test]
    fn a_table_says_the_same_the_newest_first() {
        let chart = Chart::draw(&data(Shape::Columns));
        assert_eq!(chart.rows.len(), 4);
        assert_eq!(chart.rows[3].values, ["3", "1"]);
        assert_eq!(chart.rows[2].values, ["–", "–"]);
    }

    #[test]
    fn the_scale_ends_where_its_quarters_are_whole() {
        for (highest, top) in [(0.0, 4.0), (5.0, 8.0), (13.0, 20.0), (41.0, 80.0), (90.0, 200.0)] {
            assert!((scale(highest) - top).abs() < 1e-9, "{highest}");
        }
    }
}
