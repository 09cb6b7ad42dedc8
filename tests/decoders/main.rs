//! Bytes and texts from outside, damaged at random: every decoder answers, none panics, and what it takes it can write
//! again. `LONGSHORE_DECODER_CASES` sets how many are tried (2,000 for each decoder).
#![cfg(test)]

mod damage;

use std::time::Duration;

use damage::{check, check_text};
use longshore_core::cron::{Definition, Expression, Schedule, Template, Zone};
use longshore_core::spec::{Dependency, JobSpec, Start};
use longshore_core::{Envelope, FunctionName, JobId, Timestamp, value};
use longshore_service::Config;
use longshore_service::config::Sources;

fn args() -> bytes::Bytes {
    let args = serde_json::json!({"user": "müller", "list": [1, -2, 3.5, null, {"deep": [[[]]]}]});
    value::encode("args", &args).unwrap()
}

fn spec() -> JobSpec {
    let mut spec = JobSpec::new(FunctionName::new("calculate_report").unwrap(), args());
    spec.start = Start::After(Duration::from_secs(60));
    spec.tags.insert("user:123".to_owned());
    spec.metadata
        .insert("k".to_owned(), serde_json::json!({"deep": [1, 2]}));
    spec.depends_on = vec![Dependency::from(JobId::from_idempotency_key("parent"))];
    spec
}

#[test]
fn a_damaged_envelope_is_refused_or_reads_back() {
    let small = JobSpec::new(FunctionName::new("f").unwrap(), args());
    let corpus = [small, spec()].map(|spec| {
        let envelope = Envelope::from_spec(&spec, JobId::from_idempotency_key("a"), Timestamp(1));
        envelope.encode().unwrap().to_vec()
    });
    check("envelope", &corpus, |bytes| {
        let Ok(envelope) = Envelope::decode(bytes) else {
            return;
        };
        let again = envelope.encode().expect("what was read can be written");
        let same = Envelope::decode(&again).expect("what was written can be read");
        // A number that is none is unlike itself.
        assert!(
            same == envelope || envelope.retry_backoff.is_nan() || format!("{envelope:?}").contains("NaN")
        );
        envelope.fingerprint();
    });
}

#[test]
fn damaged_arguments_are_refused_or_shown() {
    check("args", &[args().to_vec(), vec![0x91; 300]], |bytes| {
        if value::check_depth("args", bytes).is_ok() {
            value::to_json("args", bytes).ok();
        }
        value::decode::<Vec<String>>("args", bytes).ok();
    });
}

#[test]
fn a_damaged_cron_definition_is_refused_or_ticks() {
    let schedule = Schedule {
        expression: Expression::parse("*/15 9-17 * * MON-FRI").unwrap(),
        zone: Zone::parse("Europe/Berlin").unwrap(),
    };
    let mut plain = spec();
    (plain.depends_on, plain.start) = (Vec::new(), Start::Now);
    let definition = Definition {
        schedule,
        job: Template::new(&plain).unwrap(),
        misfire: longshore_core::cron::Misfire::Once,
        overlap: longshore_core::cron::Overlap::Allow,
        jitter: Duration::ZERO,
        source: longshore_core::cron::Source::Call,
    };
    check(
        "cron definition",
        &[definition.encode().unwrap().to_vec()],
        |bytes| {
            if let Ok(definition) = Definition::decode(bytes) {
                definition.schedule.next(Timestamp(1_700_000_000_000));
            }
        },
    );
}

#[test]
fn a_damaged_cron_expression_is_refused_or_ticks_later() {
    let corpus = [
        "*/5 * * * *",
        "30 2 * * *",
        "0 0 9 LW * MON#2",
        "0 0 29 2 *",
        "59 59 23 31 12 *",
        "@daily",
    ];
    check_text("cron expression", &corpus, |text| {
        let Ok(expression) = Expression::parse(text) else {
            return;
        };
        let schedule = Schedule {
            expression,
            zone: Zone::parse("America/New_York").unwrap(),
        };
        let from = Timestamp(1_700_000_000_000);
        assert!(schedule.next(from).is_none_or(|tick| tick > from), "{text}");
    });
}

#[test]
fn a_damaged_configuration_is_told_and_keeps_its_secrets() {
    let corpus = [r#"
amqp_url = "amqp://user:pl4nted@127.0.0.1"
redis_url = "redis://:pl4nted@127.0.0.1"

[worker]
max_workers = 8
job_timeout = "1h"

[worker.http.send]
url = "https://billing.internal/jobs"
secret = "whsec_cGw0bnRlZA=="

[cron.nightly]
expression = "30 2 * * *"
function = "f"
"#];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("longshore.toml");
    check_text("configuration", &corpus, |text| {
        std::fs::write(&file, text).unwrap();
        let sources = Sources {
            file: Some(file.clone()),
            search: Vec::new(),
            ..Sources::default()
        };
        let told = match Config::load(&sources, &|_, _, _| Ok(())) {
            Ok(config) => format!("{config:?}\n{}", config.dump()),
            Err(problems) => format!("{problems}\n{problems:?}"),
        };
        assert!(!told.contains("whsec_cGw0bnRlZA"), "{text}\n{told}");
        // A password that lost its sign is a part of the host.
        if text.matches(":pl4nted@127").count() == text.matches("pl4nted").count() {
            assert!(!told.contains("pl4nted"), "{text}\n{told}");
        }
    });
}
