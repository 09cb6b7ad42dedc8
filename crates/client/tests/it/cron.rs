//! Recurring jobs.

use longshore::cron::{CronError, Misfire, Over, Overlap, Source};
use longshore::{JobFilter, JobStatus, Priority, secs};

use crate::rig::{Join, PATIENCE, Rig, echo};

#[tokio::test]
async fn an_entry_is_what_was_asked_for() {
    let rig = Rig::new();
    let cron = rig.client.cron();
    let entry = cron
        .add("nightly", "30 2 * * *", echo("a"))
        .zone("Europe/Berlin")
        .misfire(Misfire::All(5))
        .overlap(Overlap::Skip)
        .jitter(secs(90))
        .priority(Priority::High)
        .tag("report")
        .await
        .unwrap();
    let definition = entry.definition.clone().unwrap();
    assert_eq!(definition.schedule.to_string(), "30 2 * * * Europe/Berlin");
    assert_eq!(
        (definition.misfire, definition.overlap),
        (Misfire::All(5), Overlap::Skip)
    );
    assert_eq!((definition.jitter, definition.source), (secs(90), Source::Call));
    let job = definition.job.envelope();
    assert_eq!(
        (job.function_name.as_str(), job.priority),
        ("echo", Priority::High)
    );
    assert!(!entry.paused && entry.last.is_none());
    assert_eq!(cron.get("nightly").await.unwrap(), Some(entry.clone()));
    assert_eq!(cron.list().await.unwrap(), [entry]);
}

#[tokio::test]
async fn an_entry_is_made_once_and_written_over_only_when_asked() {
    let rig = Rig::new();
    let cron = rig.client.cron();
    let first = cron.add("a", "@daily", echo("a")).await.unwrap();
    let again = cron.add("a", "@daily", echo("a")).await.unwrap();
    assert_eq!(first, again);
    let refused = cron.add("a", "@hourly", echo("a")).await.unwrap_err();
    assert!(matches!(refused, CronError::Exists(_)), "{refused}");
    let over = cron
        .add("a", "@hourly", echo("a"))
        .over(Over::Version(first.version))
        .await
        .unwrap();
    assert!(over.version > first.version && over.next_at <= first.next_at);
    let stale = cron
        .add("a", "@weekly", echo("a"))
        .over(Over::Version(first.version));
    let stale = stale.await.unwrap_err();
    assert!(matches!(stale, CronError::Changed { found, .. } if found == over.version));
    cron.add("a", "@weekly", echo("a"))
        .over(Over::Anything)
        .await
        .unwrap();
    assert!(cron.remove("a").await.unwrap());
    assert!(!cron.remove("a").await.unwrap());
    assert_eq!(cron.list().await.unwrap(), []);
}

#[tokio::test]
async fn every_problem_of_an_entry_is_told_at_once() {
    let rig = Rig::new();
    let bad = rig
        .client
        .cron()
        .add("no good", "0 0 31 2 *", echo("a"))
        .zone("Europe/Berln")
        .scheduled_at(longshore::Timestamp(5))
        .queue("no good")
        .await
        .unwrap_err();
    let CronError::Invalid(invalid) = bad else {
        panic!("{bad}")
    };
    let fields: Vec<_> = invalid
        .problems
        .iter()
        .map(|problem| problem.split(':').next().unwrap())
        .collect();
    assert_eq!(fields, ["name", "expression", "zone", "queue"]);
    let at = rig
        .client
        .cron()
        .add("b", "@daily", Join)
        .scheduled_at(longshore::Timestamp(5));
    let said = at.await.unwrap_err().to_string();
    assert!(
        said.starts_with("scheduled_at: the expression says when"),
        "{said}"
    );
}

#[tokio::test]
async fn a_paused_entry_waits_and_can_be_run_by_hand() {
    let mut rig = Rig::new();
    rig.run_fleet();
    let cron = rig.client.cron();
    cron.add("busy", "* * * * * *", echo("tick")).await.unwrap();
    cron.pause("busy").await.unwrap();
    let paused = cron.get("busy").await.unwrap().unwrap();
    assert!(paused.paused);
    let handle = cron.run_now("busy").await.unwrap();
    let result = tokio::time::timeout(PATIENCE, handle.wait())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(result, serde_json::json!("tick"));
    let last = cron.get("busy").await.unwrap().unwrap().last.unwrap();
    assert_eq!(last.id, handle.id());
    let resumed_at = cron.resume("busy").await.unwrap();
    assert!(resumed_at > last.fired_at);
    let filter = JobFilter {
        tags: vec!["cron:busy".to_owned()],
        statuses: vec![JobStatus::Completed],
        ..JobFilter::default()
    };
    let began = tokio::time::Instant::now();
    while rig.client.list(&filter).await.unwrap().jobs.len() < 3 {
        assert!(began.elapsed() < PATIENCE, "the resumed entry ticks");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for error in [
        cron.pause("nobody").await.unwrap_err(),
        cron.resume("nobody").await.unwrap_err(),
        cron.run_now("nobody").await.unwrap_err(),
    ] {
        assert!(matches!(error, CronError::NotFound(_)), "{error}");
    }
}
