//! Envelopes: jobs as they are stored and sent.

use std::time::Duration;

use longshore_core::spec::{Dependency, JobSpec, Start};
use longshore_core::{Envelope, FunctionName, JobId, Timestamp, value};

/// Reads an envelope; what was read can be written, and is the same then.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(envelope) = Envelope::decode(bytes) else {
        return;
    };
    let again = envelope.encode().expect("what was read can be written");
    let same = Envelope::decode(&again).expect("what was written can be read");
    // A number that is none is unlike itself.
    assert!(same == envelope || envelope.retry_backoff.is_nan() || format!("{envelope:?}").contains("NaN"));
    envelope.fingerprint();
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let args = serde_json::json!({"user": "müller", "list": [1, -2, 3.5, null, {"deep": [[[]]]}]});
    let args = value::encode("args", &args).unwrap();
    let small = JobSpec::new(FunctionName::new("f").unwrap(), args.clone());
    let mut large = JobSpec::new(FunctionName::new("calculate_report").unwrap(), args);
    large.start = Start::After(Duration::from_secs(60));
    large.tags.insert("user:123".to_owned());
    large
        .metadata
        .insert("k".to_owned(), serde_json::json!({"deep": [1, 2]}));
    large.depends_on = vec![Dependency::from(JobId::from_idempotency_key("parent"))];
    let envelope = |spec: &JobSpec| {
        let envelope = Envelope::from_spec(spec, JobId::from_idempotency_key("a"), Timestamp(1));
        envelope.encode().unwrap().to_vec()
    };
    vec![envelope(&small), envelope(&large)]
}
