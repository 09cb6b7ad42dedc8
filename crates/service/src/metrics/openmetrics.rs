//! The page in `OpenMetrics`' text format, which carries exemplars: Prometheus' own text format does not.

use std::fmt::Write as _;

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use super::exemplars::{Exemplar, Exemplars, series};

/// What the page is called in HTTP.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// How a counter's sample ends, and its family does not.
const TOTAL: &str = "_total";
/// How the sample of what never changes ends.
const INFO: &str = "_info";

/// Whether who asks with this header `Accept` wants `OpenMetrics`: it is named, and not with a weight of 0.
pub(crate) fn is_wanted(accept: &str) -> bool {
    accept.split(',').any(|wanted| {
        let mut parts = wanted.split(';').map(str::trim);
        let is_named = parts.next() == Some("application/openmetrics-text");
        let refused = |part: &str| {
            let weight = part.strip_prefix("q=").map(str::parse::<f32>);
            matches!(weight, Some(Ok(weight)) if weight <= 0.0)
        };
        is_named && !parts.any(refused)
    })
}

/// The page.
pub(super) fn write(families: &[MetricFamily], exemplars: &Exemplars) -> String {
    let mut page = String::new();
    for family in families {
        // Writing to a string cannot fail.
        write_family(&mut page, family, exemplars).ok();
    }
    page += "# EOF\n";
    page
}

fn write_family(page: &mut String, family: &MetricFamily, exemplars: &Exemplars) -> std::fmt::Result {
    let name = family.name();
    let (kind, of_family) = match family.get_field_type() {
        MetricType::COUNTER => ("counter", name.strip_suffix(TOTAL).unwrap_or(name)),
        MetricType::HISTOGRAM => ("histogram", name),
        MetricType::GAUGE if name.ends_with(INFO) => ("info", name.strip_suffix(INFO).unwrap_or(name)),
        MetricType::GAUGE => ("gauge", name),
        // There are none.
        _ => return Ok(()),
    };
    writeln!(page, "# TYPE {of_family} {kind}")?;
    if of_family.ends_with("_seconds") {
        writeln!(page, "# UNIT {of_family} seconds")?;
    }
    writeln!(page, "# HELP {of_family} {}", escaped(family.help()))?;
    for metric in family.get_metric() {
        match family.get_field_type() {
            MetricType::COUNTER => {
                let value = metric.get_counter().get_value();
                writeln!(
                    page,
                    "{of_family}{TOTAL}{} {value}",
                    labels(metric.get_label(), None)
                )?;
            }
            MetricType::HISTOGRAM => write_histogram(page, name, metric, exemplars)?,
            _ => {
                let value = metric.get_gauge().get_value();
                writeln!(page, "{name}{} {value}", labels(metric.get_label(), None))?;
            }
        }
    }
    Ok(())
}

fn write_histogram(
    page: &mut String,
    name: &str,
    metric: &Metric,
    exemplars: &Exemplars,
) -> std::fmt::Result {
    let histogram = metric.get_histogram();
    let pairs = metric.get_label().iter();
    let of = series(
        name,
        pairs.map(|pair| (pair.name().to_owned(), pair.value().to_owned())),
    );
    let finite = histogram
        .get_bucket()
        .iter()
        .filter(|bucket| bucket.upper_bound().is_finite())
        .map(|bucket| (bound(bucket.upper_bound()), bucket.cumulative_count()));
    let last = ("+Inf".to_owned(), histogram.get_sample_count());
    for (number, (le, count)) in finite.chain([last]).enumerate() {
        write!(
            page,
            "{name}_bucket{} {count}",
            labels(metric.get_label(), Some(&le))
        )?;
        if let Some(exemplar) = exemplars.of(&of, number) {
            write_exemplar(page, &exemplar)?;
        }
        page.push('\n');
    }
    let labels = labels(metric.get_label(), None);
    writeln!(page, "{name}_sum{labels} {}", histogram.get_sample_sum())?;
    writeln!(page, "{name}_count{labels} {}", histogram.get_sample_count())
}

/// A bound as `OpenMetrics` has it: always with a point.
fn bound(bound: f64) -> String {
    let text = bound.to_string();
    if text.contains(['.', 'e']) {
        text
    } else {
        format!("{text}.0")
    }
}

fn write_exemplar(page: &mut String, exemplar: &Exemplar) -> std::fmt::Result {
    let Exemplar {
        trace_id,
        span_id,
        value,
        at,
    } = exemplar;
    let (seconds, millis) = (at.millis() / 1_000, at.millis() % 1_000);
    write!(
        page,
        " # {{trace_id=\"{trace_id}\",span_id=\"{span_id}\"}} {value} {seconds}.{millis:03}"
    )
}

fn labels(pairs: &[LabelPair], le: Option<&str>) -> String {
    let pairs = pairs.iter().map(|pair| (pair.name(), pair.value()));
    let written: Vec<_> = pairs
        .chain(le.map(|le| ("le", le)))
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    if written.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", written.join(","))
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_who_names_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert!(is_wanted(prometheus));
        assert!(is_wanted(
            "text/plain, application/openmetrics-text; version=1.0.0; q=0.2"
        ));
        for other in ["", "*/*", "text/plain", "application/openmetrics-text;q=0"] {
            assert!(!is_wanted(other), "{other}");
        }
    }

    #[test]
    fn a_bound_has_a_point_and_a_label_no_line_break() {
        assert_eq!([bound(0.005), bound(60.0)], ["0.005", "60.0"]);
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
