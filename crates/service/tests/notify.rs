//! `[notify]` of the configuration.
#![cfg(test)]

use std::collections::BTreeSet;
use std::time::Duration;

use longshore_core::QueueName;
use longshore_core::notice::Kind;
use longshore_service::Config;
use longshore_service::config::{MailTls, Problems, Sources};

fn load(toml: &str) -> Result<Config, Problems> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("longshore.toml");
    std::fs::write(&path, toml).unwrap();
    Config::load(&Sources::default().file(&path), &|_, _, _| Ok(()))
}

#[test]
fn without_a_section_there_is_no_channel_and_no_limit() {
    let notify = load("").unwrap().notify;
    assert!(notify.email.is_empty() && notify.webhook.is_empty() && notify.queues.is_empty());
    assert_eq!((notify.queue_length, notify.queue_age), (None, None));
    assert_eq!(notify.group_interval, Duration::from_secs(900));
}

#[test]
fn a_whole_section_is_read() {
    let config = load(
        r#"
        [notify]
        queue_length = 1000
        queue_age = "10m"
        [notify.queues.mail]
        length = 50
        [notify.email.ops]
        host = "smtp.example.com"
        tls = "implicit"
        user = "jobs"
        password = "s3cret"
        from = "jobs@example.com"
        to = "a@example.com, b@example.com"
        events = ["dead_letter", "cron_missed"]
        [notify.webhook."slack-1"]
        url = "https://hooks.slack.com/services/s3cret"
        body = "slack"
        allow_addresses = ["10.0.0.0/8"]
        "#,
    );
    let config = config.unwrap();
    let notify = &config.notify;
    assert_eq!(
        (notify.queue_length, notify.queue_age),
        (Some(1_000), Some(Duration::from_secs(600)))
    );
    let mail = &notify.queues[&QueueName::new("mail").unwrap()];
    assert_eq!((mail.length, mail.age), (Some(50), None));
    let email = &notify.email["ops"];
    assert_eq!((email.tls, email.port), (MailTls::Implicit, None));
    assert_eq!(email.to, ["a@example.com", "b@example.com"]);
    assert_eq!(email.events, BTreeSet::from([Kind::DeadLetter, Kind::CronMissed]));
    let hook = &notify.webhook["slack-1"];
    assert!(hook.slack && hook.secret.is_none());
    assert_eq!(hook.events.len(), 4);
    let shown = format!("{config:?}{}", config.dump());
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn every_problem_of_a_channel_is_told_at_once() {
    let Problems(problems) =
        load("[notify.email.ops]\nuser = \"jobs\"\nevents = [\"worker_lots\"]\n").unwrap_err();
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    let at = |field: &str| format!("notify.email.ops.{field}");
    let expected = ["events", "from", "host", "password", "to"].map(at);
    assert_eq!(keys, expected);
    assert!(
        problems[0].message.contains("did you mean worker_lost?"),
        "{}",
        problems[0]
    );
}
