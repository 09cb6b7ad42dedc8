//! Cron entries as the store has them.

use std::time::Duration;

use longshore_core::cron::{Definition, Expression, Misfire, Overlap, Schedule, Source, Template, Zone};
use longshore_core::spec::JobSpec;
use longshore_core::{FunctionName, Timestamp, value};

/// Reads an entry, and lets it tick.
pub(crate) fn check(bytes: &[u8]) {
    if let Ok(definition) = Definition::decode(bytes) {
        definition.schedule.next(Timestamp(1_700_000_000_000));
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let args = value::encode("args", &serde_json::json!({"user": 7})).unwrap();
    let mut job = JobSpec::new(FunctionName::new("calculate_report").unwrap(), args);
    job.tags.insert("user:123".to_owned());
    let definition = Definition {
        schedule: Schedule {
            expression: Expression::parse("*/15 9-17 * * MON-FRI").unwrap(),
            zone: Zone::parse("Europe/Berlin").unwrap(),
        },
        job: Template::new(&job).unwrap(),
        misfire: Misfire::Once,
        overlap: Overlap::Allow,
        jitter: Duration::ZERO,
        source: Source::Call,
    };
    vec![definition.encode().unwrap().to_vec()]
}
