//! W3C trace contexts, and the ids of spans that others can work out.
//!
//! The span of a run has an id that is made of the job, its dispatch and its losts. So a retry can name the first run,
//! and a child the last run of its parent, without anything being stored. A job without a trace of its own has one
//! that is made of its id, so that all of its runs are in one trace.

use std::fmt::Write as _;

use serde::Deserialize;

use crate::id::JobId;
use crate::message::Gen;

/// Where a span belongs, when it begins.
#[derive(Clone, Debug, Default)]
pub struct Begin<'a> {
    /// Its parent, as a W3C `traceparent`; a new trace when `None`.
    pub parent: Option<&'a str>,
    /// The trace that is begun without a parent; drawn when `None`.
    pub trace_id: Option<[u8; 16]>,
    /// The span's own id; drawn when `None`.
    pub span_id: Option<[u8; 8]>,
    /// Spans that it is tied to without being their child, as W3C `traceparent`s.
    pub links: Vec<String>,
}

/// The value of an attribute.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// A number of things.
    Count(u64),
    /// A time.
    Seconds(f64),
}

/// The trace of a job that has none of its own.
pub fn trace_id(id: JobId) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"longshore trace");
    hasher.update(id.as_bytes());
    let mut first = [0_u8; 16];
    hasher.finalize_xof().fill(&mut first);
    // All zeros means "none".
    first[0] |= 1;
    first
}

/// The id of the span of a run: of a job, in a dispatch, after so many lost workers.
pub fn run_span_id(id: JobId, gen_: Gen, losts: u32) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"longshore run");
    hasher.update(id.as_bytes());
    hasher.update(&gen_.to_le_bytes());
    hasher.update(&losts.to_le_bytes());
    let mut first = [0_u8; 8];
    hasher.finalize_xof().fill(&mut first);
    first[0] |= 1;
    first
}

/// The context of a run of a job, for a link: in the trace of the job's `traceparent`, or in the one that is made of its id.
pub fn run(traceparent: Option<&str>, id: JobId, gen_: Gen, losts: u32) -> String {
    let span = hex(&run_span_id(id, gen_, losts));
    let flags = traceparent.and_then(parts).map_or("01", |(_, flags)| flags);
    format!("00-{}-{span}-{flags}", trace_of(traceparent, id))
}

/// The id of the trace that holds a job's runs, as hexadecimal digits: that of its `traceparent`, or the one that is made of its
/// id.
pub fn trace_of(traceparent: Option<&str>, id: JobId) -> String {
    match traceparent.and_then(parts) {
        Some((trace, _)) => trace.to_owned(),
        None => hex(&trace_id(id)),
    }
}

/// Trace id and flags of a `traceparent`.
fn parts(traceparent: &str) -> Option<(&str, &str)> {
    let mut parts = traceparent.split('-');
    let (_version, trace, _span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    (trace.len() == 32 && flags.len() == 2).then_some((trace, flags))
}

/// The `traceparent` of an encoded envelope, without reading the rest of it.
pub fn of_envelope(envelope: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Trace {
        #[serde(rename = "tp", default)]
        traceparent: Option<String>,
    }
    let mut decoder = rmp_serde::Deserializer::new(envelope);
    decoder.set_max_depth(crate::limits::DEPTH_MAX);
    Trace::deserialize(&mut decoder).ok()?.traceparent
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::random::SystemRandom;
    use crate::{Envelope, FunctionName, JobSpec};

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn id() -> JobId {
        JobId::generate(Timestamp(1), 0, &SystemRandom)
    }

    #[test]
    fn a_run_is_named_alike_by_all_and_no_two_runs_are() {
        let id = id();
        assert_eq!(run(Some(PARENT), id, 1, 0), run(Some(PARENT), id, 1, 0));
        let runs: std::collections::BTreeSet<_> = [(1, 0), (2, 0), (1, 1)]
            .map(|(gen_, losts)| run(Some(PARENT), id, gen_, losts))
            .into();
        assert_eq!(runs.len(), 3);
        assert!(
            runs.iter()
                .all(|run| run.contains("0af7651916cd43dd8448eb211c80319c"))
        );
    }

    #[test]
    fn a_job_without_a_trace_has_one_of_its_own() {
        let id = id();
        let (first, second) = (run(None, id, 1, 0), run(None, id, 2, 0));
        assert_eq!(parts(&first), parts(&second));
        assert_eq!(parts(&first), Some((trace_of(None, id).as_str(), "01")));
        assert_eq!(first.len(), PARENT.len());
        assert_ne!(parts(&first), parts(&run(None, self::id(), 1, 0)));
    }

    #[test]
    fn an_envelope_tells_its_trace() {
        let args = crate::value::encode("args", &serde_json::json!({"deep": [1, {"a": "b"}]})).unwrap();
        let mut spec = JobSpec::new(FunctionName::new("f").unwrap(), args);
        let encoded = |spec: &JobSpec| Envelope::from_spec(spec, id(), Timestamp(1)).encode().unwrap();
        assert_eq!(of_envelope(&encoded(&spec)), None);
        spec.traceparent = Some(PARENT.to_owned());
        assert_eq!(of_envelope(&encoded(&spec)).as_deref(), Some(PARENT));
        assert_eq!(of_envelope(b"\xff"), None);
    }
}
