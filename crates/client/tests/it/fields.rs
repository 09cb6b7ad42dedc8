//! Fields, right and wrong.

use std::time::Duration;

use longshore::{EnqueueError, FunctionName, JobSpec, JobStatus, Priority, Timestamp, secs, value};
use longshore_core::Envelope;
use longshore_core::spec::{Fencing, OnLostRecord};

use crate::rig::{Rig, echo};

fn problems(error: EnqueueError) -> Vec<String> {
    match error {
        EnqueueError::Invalid(invalid) => invalid.problems,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_field_reaches_the_record() {
    let rig = Rig::with(|client| client.created_by("billing"));
    let due = std::time::UNIX_EPOCH + secs(4_000_000_000);
    let handle = rig
        .client
        .enqueue(echo("a"))
        .name("An echo")
        .priority(Priority::High)
        .queue("reports")
        .max_retries(5)
        .retry_delay(secs(2))
        .retry_backoff(1.5)
        .retry_jitter(false)
        .retry_delay_max(secs(60))
        .scheduled_at(due)
        .timeout(secs(30))
        .deadline(Timestamp(4_100_000_000_000))
        .expires_in(secs(90))
        .tag("user:123")
        .tags(["order", "payment"])
        .metadata("report_type", "monthly")
        .traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .fencing(Fencing::Strict)
        .on_lost_record(OnLostRecord::Quarantine)
        .await
        .unwrap();
    let view = rig.client.view(handle.id()).await.unwrap().unwrap();
    assert_eq!(view.status, JobStatus::Scheduled);
    let envelope = Envelope::decode(&view.full.unwrap().envelope).unwrap();
    assert_eq!(envelope.name.as_deref(), Some("An echo"));
    assert_eq!(
        (envelope.priority, envelope.queue.as_str()),
        (Priority::High, "reports")
    );
    assert_eq!((envelope.max_retries, envelope.retry_delay_ms), (5, 2_000));
    assert!((envelope.retry_backoff - 1.5).abs() < f64::EPSILON && !envelope.retry_jitter);
    assert_eq!(
        (envelope.retry_delay_max_ms, envelope.timeout_ms),
        (60_000, Some(30_000))
    );
    assert_eq!(envelope.run_at, Some(Timestamp(4_000_000_000_000)));
    assert_eq!(envelope.deadline, Some(Timestamp(4_100_000_000_000)));
    assert_eq!(envelope.expires_at, Some(envelope.created_at.after(secs(90))));
    assert_eq!(envelope.tags, ["order", "payment", "user:123"]);
    assert_eq!(envelope.metadata["report_type"], "monthly");
    assert_eq!(envelope.created_by.as_deref(), Some("billing"));
    assert!(envelope.traceparent.is_some());
    assert_eq!(
        (envelope.fencing, envelope.on_lost_record),
        (Fencing::Strict, OnLostRecord::Quarantine)
    );
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once_and_nothing_is_written() {
    let rig = Rig::new();
    let error = rig
        .client
        .enqueue(echo("a"))
        .queue("no spaces")
        .retry_backoff(-1.0)
        .timeout(Duration::ZERO)
        .max_retries(1_000_000)
        .delay(Duration::MAX)
        .scheduled_at(Timestamp(5))
        .tag("")
        .traceparent("nonsense")
        .name("n".repeat(300))
        .await
        .unwrap_err();
    let problems = problems(error);
    for field in [
        "queue:",
        "retry_backoff:",
        "timeout:",
        "max_retries:",
        "scheduled_at:",
        "tags:",
        "traceparent:",
        "name:",
    ] {
        assert!(
            problems.iter().any(|problem| problem.starts_with(field)),
            "{field} {problems:?}"
        );
    }
    assert_eq!(rig.count().await, 0);
}

#[tokio::test]
async fn arguments_that_are_too_large_or_too_deep_are_refused() {
    let rig = Rig::new();
    let large = rig
        .client
        .enqueue(echo(&"x".repeat(1024 * 1024)))
        .await
        .unwrap_err();
    assert!(problems(large)[0].starts_with("args: "));
    // Under the limit by itself, over it with the other fields.
    let snug = rig
        .client
        .enqueue(echo(&"x".repeat(1024 * 1024 - 40)))
        .await
        .unwrap_err();
    assert!(problems(snug)[0].contains("1 MiB"));

    let mut deep = serde_json::json!(1);
    for _ in 0..2_000 {
        deep = serde_json::Value::Array(vec![deep]);
    }
    assert!(value::encode("args", &deep).is_err());
    let mut bytes = vec![0x91; 2_000];
    bytes.push(0xc0);
    let spec = JobSpec::new(FunctionName::new("f").unwrap(), bytes.into());
    let error = rig.client.enqueue_spec(spec).await.unwrap_err();
    assert!(problems(error)[0].starts_with("args: nested deeper than 100"));
    assert_eq!(rig.count().await, 0);
    // Dropping it recurses; unwind it by hand.
    while let serde_json::Value::Array(mut inner) = deep {
        deep = inner.pop().unwrap();
    }
}

#[tokio::test]
async fn an_id_and_a_key_do_not_go_together() {
    let rig = Rig::new();
    let id = rig.client.enqueue(echo("a")).await.unwrap().id();
    let error = rig
        .client
        .enqueue(echo("a"))
        .id(id)
        .idempotency_key("k")
        .await
        .unwrap_err();
    assert!(problems(error)[0].starts_with("idempotency_key:"));
}
