//! Logs of jobs.

use longshore_core::limits::{LOG_LINE_BYTES_MAX, LOG_LINES_MAX};
use longshore_core::log::LogLine;
use longshore_core::outcome::{ErrorInfo, Outcome, Progress};
use longshore_core::port::attempt::{Finish, ProgressWrite};
use longshore_core::{JobId, Nonce, Timestamp};

use super::rig::{Held, Rig, completed, retry};

cases! { Progress:
    lines_of_a_log_are_kept_in_their_order,
    a_line_that_is_written_twice_is_kept_once,
    a_log_is_read_from_a_line_on,
    a_finish_brings_the_last_lines,
    lines_of_another_owner_are_dropped,
    a_log_goes_on_over_attempts_and_ends,
    a_log_keeps_its_last_lines,
    a_log_is_deleted_with_its_job,
}

fn lines(attempt: u32, numbers: std::ops::RangeInclusive<u64>) -> Vec<LogLine> {
    let line = |number| {
        LogLine::new(
            number,
            Timestamp(1_000 + number),
            attempt,
            &format!("line {number}"),
        )
    };
    numbers.map(line).collect()
}

fn progress(log: Vec<LogLine>) -> Progress {
    Progress {
        message: "step".to_owned(),
        log,
        ..Progress::default()
    }
}

async fn say(rig: &Rig, id: JobId, nonce: Nonce, log: Vec<LogLine>) {
    let write = ProgressWrite {
        id,
        nonce,
        progress: progress(log),
    };
    rig.ports.attempt.progress(0, vec![write]).await.unwrap();
}

async fn seen(rig: &Rig, id: JobId) -> Vec<(u64, String)> {
    let log = rig.ports.inspect.log(0, id, 0).await.unwrap();
    log.into_iter().map(|line| (line.number, line.text)).collect()
}

fn told(texts: &[&str]) -> Vec<(u64, String)> {
    let texts = texts.iter().map(|text| (*text).to_owned());
    (1..).zip(texts).collect()
}

async fn finish(rig: &Rig, held: &Held, log: Vec<LogLine>, outcome: Outcome) {
    let finish = Finish {
        id: held.id,
        nonce: held.nonce,
        outcome,
        progress: Some(progress(log)),
    };
    rig.ports.attempt.step(0, vec![finish], Vec::new()).await.unwrap();
}

async fn lines_of_a_log_are_kept_in_their_order(rig: Rig) {
    let held = rig.running(|_| {}).await;
    assert_eq!(seen(&rig, held.id).await, []);
    let unknown = rig.job(|_| {}).id;
    assert_eq!(seen(&rig, unknown).await, []);
    say(&rig, held.id, held.nonce, lines(1, 1..=2)).await;
    say(&rig, held.id, held.nonce, lines(1, 3..=3)).await;
    let log = rig.ports.inspect.log(0, held.id, 0).await.unwrap();
    assert_eq!(log, lines(1, 1..=3));
    let view = rig.view(held.id).await;
    assert_eq!(
        (view.progress.message.as_str(), view.progress.log.len()),
        ("step", 0)
    );
}

async fn a_line_that_is_written_twice_is_kept_once(rig: Rig) {
    let held = rig.running(|_| {}).await;
    say(&rig, held.id, held.nonce, lines(1, 1..=2)).await;
    say(&rig, held.id, held.nonce, lines(1, 1..=3)).await;
    finish(&rig, &held, lines(1, 2..=4), completed()).await;
    finish(&rig, &held, lines(1, 2..=4), completed()).await;
    assert_eq!(
        seen(&rig, held.id).await,
        told(&["line 1", "line 2", "line 3", "line 4"])
    );
}

async fn a_log_is_read_from_a_line_on(rig: Rig) {
    let held = rig.running(|_| {}).await;
    say(&rig, held.id, held.nonce, lines(1, 1..=5)).await;
    let after = |number| rig.ports.inspect.log(0, held.id, number);
    assert_eq!(after(3).await.unwrap(), lines(1, 4..=5));
    assert_eq!(after(5).await.unwrap(), []);
    assert_eq!(after(u64::MAX).await.unwrap(), []);
}

async fn a_finish_brings_the_last_lines(rig: Rig) {
    let held = rig.running(|_| {}).await;
    finish(&rig, &held, lines(1, 1..=2), completed()).await;
    assert_eq!(seen(&rig, held.id).await, told(&["line 1", "line 2"]));
}

async fn lines_of_another_owner_are_dropped(rig: Rig) {
    let held = rig.running(|_| {}).await;
    say(&rig, held.id, rig.nonce(), lines(1, 1..=1)).await;
    assert_eq!(seen(&rig, held.id).await, []);
    rig.finish(&held, completed()).await;
    say(&rig, held.id, held.nonce, lines(1, 1..=1)).await;
    assert_eq!(seen(&rig, held.id).await, []);
}

async fn a_log_goes_on_over_attempts_and_ends(rig: Rig) {
    let held = rig.running(|_| {}).await;
    say(&rig, held.id, held.nonce, lines(1, 1..=1)).await;
    finish(&rig, &held, lines(1, 2..=2), retry(0)).await;
    rig.pass_secs(1).await;
    rig.promoted().await;
    let second = rig.start(&held.job, 2).await;
    say(&rig, second.id, second.nonce, lines(2, 1..=1)).await;
    let error = ErrorInfo::new("test", "for good");
    finish(&rig, &second, lines(2, 2..=2), Outcome::Failed { error }).await;
    let log = rig.ports.inspect.log(0, held.id, 0).await.unwrap();
    let places: Vec<_> = log.iter().map(|line| (line.number, line.attempt)).collect();
    assert_eq!(places, [(1, 1), (2, 1), (3, 2), (4, 2)]);
    assert_eq!(log[2].text, "line 1", "each attempt counts its own");
}

async fn a_log_keeps_its_last_lines(rig: Rig) {
    let held = rig.running(|_| {}).await;
    let max = LOG_LINES_MAX as u64;
    let long = |number| LogLine::new(number, Timestamp(1), 1, &"x".repeat(2 * LOG_LINE_BYTES_MAX));
    for first in (1..=max + 10).step_by(50) {
        let some = (first..(first + 50).min(max + 11)).map(long).collect();
        say(&rig, held.id, held.nonce, some).await;
    }
    let log = rig.ports.inspect.log(0, held.id, 0).await.unwrap();
    assert_eq!(log.len(), LOG_LINES_MAX);
    assert_eq!((log[0].number, log[LOG_LINES_MAX - 1].number), (11, max + 10));
    assert!(log.iter().all(|line| line.text.len() <= LOG_LINE_BYTES_MAX));
}

async fn a_log_is_deleted_with_its_job(rig: Rig) {
    let held = rig.running(|_| {}).await;
    finish(&rig, &held, lines(1, 1..=3), completed()).await;
    rig.pass_secs(3_600).await;
    let pruned = super::retention::prune(&rig, std::time::Duration::from_secs(60)).await;
    assert_eq!(pruned.jobs, 1);
    assert_eq!(seen(&rig, held.id).await, []);
    say(&rig, held.id, held.nonce, lines(1, 4..=4)).await;
    assert_eq!(seen(&rig, held.id).await, [], "a late line revives nothing");
}
