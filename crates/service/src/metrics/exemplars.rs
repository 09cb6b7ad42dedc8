//! Which trace a bucket of a histogram may be looked up in: the last sampled one that fell into it.
//!
//! Neither OpenTelemetry's SDK nor the crate `prometheus` keeps any. They are kept here, beside the instruments, and put
//! into the page by [`super::openmetrics`].

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use longshore_core::Clock as _;
use longshore_core::clock::{SystemClock, Timestamp};
use opentelemetry::KeyValue;

use super::names::{Kind, Metric};

/// Most buckets that have one. What comes after them has none.
const EXEMPLARS_MAX: usize = 4_096;

/// A trace to look at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exemplar {
    pub(super) trace_id: String,
    pub(super) span_id: String,
    /// What was measured, in seconds.
    pub(super) value: f64,
    pub(super) at: Timestamp,
}

/// A bucket: the histogram and its attributes, and which of its bounds is the first that is not below the value.
type Bucket = (String, usize);

/// The last sampled trace of each bucket.
#[derive(Debug, Default)]
pub(crate) struct Exemplars(Mutex<HashMap<Bucket, Exemplar>>);

impl Exemplars {
    /// A histogram has counted this; `traceparent` is the span that it happened in. Nothing is kept of what is not
    /// sampled: nobody could look it up.
    pub(super) fn keep(
        &self,
        metric: &Metric,
        attributes: &[KeyValue],
        value: Duration,
        traceparent: Option<&str>,
    ) {
        let Some((trace_id, span_id)) = traceparent.and_then(sampled) else {
            return;
        };
        let Kind::Histogram(bounds) = metric.kind else {
            return;
        };
        let value = value.as_secs_f64();
        let labels = attributes.iter().map(|attribute| {
            let name = attribute.key.as_str().replace('.', "_");
            (name, attribute.value.as_str().into_owned())
        });
        let place = (
            series(&metric.prometheus(), labels),
            bounds.partition_point(|bound| *bound < value),
        );
        let exemplar = Exemplar {
            trace_id: trace_id.to_owned(),
            span_id: span_id.to_owned(),
            value,
            at: SystemClock.now(),
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < EXEMPLARS_MAX || kept.contains_key(&place) {
            kept.insert(place, exemplar);
        }
    }

    /// The exemplar of a bucket: of this series, and the bound with this number.
    pub(super) fn of(&self, series: &str, bound: usize) -> Option<Exemplar> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&(series.to_owned(), bound)).cloned()
    }
}

/// A name with its labels, in the order of their names.
pub(super) fn series(name: &str, labels: impl Iterator<Item = (String, String)>) -> String {
    let mut labels: Vec<_> = labels.collect();
    labels.sort();
    labels.iter().fold(name.to_owned(), |mut text, (name, value)| {
        // Writing to a string cannot fail. The separators stand in no name.
        write!(text, "\u{1f}{name}\u{1e}{value}").ok();
        text
    })
}

/// Trace and span of a `traceparent` that is sampled.
fn sampled(traceparent: &str) -> Option<(&str, &str)> {
    let mut parts = traceparent.split('-').skip(1);
    let (trace_id, span_id, flags) = (parts.next()?, parts.next()?, parts.next()?);
    let is_sampled = u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1);
    (is_sampled && trace_id.len() == 32 && span_id.len() == 16).then_some((trace_id, span_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::names;

    const KEPT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn place() -> String {
        let labels = [("queue".to_owned(), "default".to_owned())];
        series("longshore_job_wait_duration_seconds", labels.into_iter())
    }

    fn keep(exemplars: &Exemplars, millis: u64, traceparent: Option<&str>) {
        let attributes = [KeyValue::new(names::QUEUE, "default")];
        exemplars.keep(
            &names::JOB_WAIT,
            &attributes,
            Duration::from_millis(millis),
            traceparent,
        );
    }

    #[test]
    fn a_bucket_has_the_last_sampled_trace_that_fell_into_it() {
        let exemplars = Exemplars::default();
        keep(&exemplars, 6, Some(KEPT));
        keep(&exemplars, 7, Some(KEPT));
        // 5 ms is the first bound, 10 ms the second.
        let found = exemplars.of(&place(), 1).unwrap();
        assert_eq!(found.trace_id, "0af7651916cd43dd8448eb211c80319c");
        assert!((found.value - 0.007).abs() < 1e-9, "{found:?}");
        assert!(exemplars.of(&place(), 0).is_none());
        keep(&exemplars, 100_000_000, Some(KEPT));
        assert!(
            exemplars.of(&place(), 17).is_some(),
            "above every bound is a bucket as well"
        );
    }

    #[test]
    fn what_is_not_sampled_is_not_pointed_to() {
        let exemplars = Exemplars::default();
        keep(&exemplars, 6, None);
        keep(&exemplars, 6, Some(&KEPT.replace("-01", "-00")));
        keep(&exemplars, 6, Some("nonsense"));
        assert!(exemplars.of(&place(), 1).is_none());
    }

    #[test]
    fn there_are_so_many_and_no_more() {
        let exemplars = Exemplars::default();
        for number in 0..EXEMPLARS_MAX + 5 {
            let attributes = [KeyValue::new(names::QUEUE, number.to_string())];
            exemplars.keep(&names::JOB_WAIT, &attributes, Duration::ZERO, Some(KEPT));
        }
        assert_eq!(exemplars.0.lock().unwrap().len(), EXEMPLARS_MAX);
    }
}
