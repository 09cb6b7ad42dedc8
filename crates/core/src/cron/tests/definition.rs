//! What an entry says and what its ticks make.

use std::time::Duration;

use super::*;
use crate::envelope::Envelope;
use crate::id::JobId;
use crate::name::{CronName, FunctionName};
use crate::spec::{Dependency, JobSpec, Start};

const TICK: Timestamp = Timestamp(1_767_229_200_000);

fn spec() -> JobSpec {
    let args = crate::value::encode("args", &("eu", 3)).unwrap();
    JobSpec::new(FunctionName::new("report").unwrap(), args)
}

fn name() -> CronName {
    CronName::new("nightly").unwrap()
}

fn definition(spec: &JobSpec) -> Definition {
    Definition::new(schedule("0 1 * * *", "UTC"), spec).unwrap()
}

fn envelope_at(definition: &Definition, now: Timestamp) -> Envelope {
    let job = definition.job_of_tick(&name(), TICK, now, 3).unwrap();
    Envelope::decode(&job.envelope).unwrap()
}

#[test]
fn a_definition_is_read_as_it_was_written() {
    let mut definition = definition(&spec());
    definition.misfire = Misfire::All(7);
    definition.overlap = Overlap::CancelPrevious;
    definition.jitter = Duration::from_secs(90);
    definition.source = Source::File;
    let bytes = definition.encode().unwrap();
    assert_eq!(Definition::decode(&bytes), Ok(definition));
}

#[test]
fn a_tick_makes_one_job_wherever_it_is_fired() {
    let definition = definition(&spec());
    let one = definition.job_of_tick(&name(), TICK, TICK, 3).unwrap();
    let two = definition
        .job_of_tick(&name(), TICK, TICK.after(Duration::from_secs(9)), 3)
        .unwrap();
    assert_eq!((one.id, one.fingerprint), (two.id, two.fingerprint));
    assert_eq!(one.id, JobId::from_cron_tick("nightly", TICK, 3));
    assert_eq!(one.run_at, None);
    assert_eq!(one.tags, ["cron:nightly"]);
    let envelope = Envelope::decode(&one.envelope).unwrap();
    assert_eq!(
        envelope.metadata["cron"],
        serde_json::json!({"entry": "nightly", "tick": TICK.millis()})
    );
}

#[test]
fn a_job_that_is_run_now_has_no_tick() {
    let id = JobId::from_idempotency_key("now");
    let job = definition(&spec()).job_now(&name(), id, TICK).unwrap();
    let envelope = Envelope::decode(&job.envelope).unwrap();
    assert_eq!((job.id, job.run_at, job.created_at), (id, None, TICK));
    assert_eq!(envelope.metadata["cron"], serde_json::json!({"entry": "nightly"}));
}

#[test]
fn relative_times_count_from_when_the_job_is_due() {
    let mut relative = spec();
    relative.start = Start::After(Duration::from_secs(10));
    relative.expires_in = Some(Duration::from_secs(60));
    let envelope = envelope_at(&definition(&relative), TICK);
    assert_eq!(envelope.created_at, TICK);
    assert_eq!(envelope.run_at, Some(TICK.after(Duration::from_secs(10))));
    assert_eq!(envelope.expires_at, Some(TICK.after(Duration::from_secs(70))));
    // A tick that is made up for days later is not born expired.
    let late = TICK.after(Duration::from_secs(200_000));
    let envelope = envelope_at(&definition(&relative), late);
    assert_eq!(envelope.expires_at, Some(late.after(Duration::from_secs(70))));
}

#[test]
fn jitter_spreads_entries_and_ticks_but_not_schedulers() {
    let mut definition = definition(&spec());
    assert_eq!(definition.jitter_of(&name(), TICK), Duration::ZERO);
    definition.jitter = Duration::from_secs(60);
    let mut seen = BTreeSet::new();
    for entry in 0..100 {
        let name = CronName::new(format!("entry-{entry}")).unwrap();
        for tick in 0..10 {
            let tick = TICK.after(Duration::from_secs(tick));
            let jitter = definition.jitter_of(&name, tick);
            assert!(jitter <= definition.jitter);
            assert_eq!(jitter, definition.jitter_of(&name, tick));
            seen.insert(jitter.as_secs());
        }
    }
    assert!(seen.len() > 55, "only {} of 60 seconds are used", seen.len());
    let envelope = envelope_at(&definition, TICK);
    let due = TICK.after(definition.jitter_of(&name(), TICK));
    assert_eq!(envelope.run_at, Some(due).filter(|due| *due > TICK));
}

#[test]
fn what_only_one_job_can_have_is_refused_all_at_once() {
    let mut bad = spec();
    bad.id = Some(JobId::from_idempotency_key("a"));
    bad.depends_on = vec![Dependency::from(JobId::from_idempotency_key("b"))];
    bad.start = Start::At(TICK);
    bad.deadline = Some(TICK.after(Duration::from_secs(1)));
    bad.metadata.insert("cron".to_owned(), serde_json::Value::Null);
    bad.timeout = Some(Duration::ZERO);
    let problems = Template::new(&bad).unwrap_err().problems;
    let fields: Vec<&str> = problems
        .iter()
        .map(|one| one.split(':').next().unwrap())
        .collect();
    assert_eq!(
        fields,
        [
            "timeout",
            "id",
            "depends_on",
            "scheduled_at",
            "deadline",
            "metadata"
        ]
    );
}

#[test]
fn an_entry_keeps_its_bounds() {
    let mut spacious = definition(&spec());
    spacious.jitter = Duration::from_secs(86_401);
    assert_eq!(
        spacious.encode().unwrap_err().to_string(),
        "jitter: longer than a day; use at most 24h"
    );
    let mut large = spec();
    large.args = crate::value::encode("args", &"x".repeat(70_000)).unwrap();
    let error = definition(&large).encode().unwrap_err().to_string();
    assert!(error.contains("over the limit of 65536 (64 KiB)"), "{error}");
}

#[test]
fn bytes_that_are_no_definition_are_refused() {
    for bytes in [&b""[..], b"0 3 * * *", &[0xc1], &[0x80]] {
        Definition::decode(bytes).unwrap_err();
    }
}
