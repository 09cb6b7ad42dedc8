//! What happened is counted, once, where it happened.

use std::time::Duration;

use longshore_core::limits::STATISTICS_ROWS_MAX;
use longshore_core::outcome::Outcome;
use longshore_core::port::attempt::{Finished, GiveBackReason};
use longshore_core::port::enqueue::CancelReply;
use longshore_core::port::{Error, attempt::Claimed};
use longshore_core::spec::{EdgePolicy, Start};
use longshore_core::stats::{FunctionRow, QueueRow, Statistics, StatisticsQuery, Tally};
use longshore_core::{FunctionName, JobSpec, JobStatus, QueueName};

use super::edges::{done, family, settle};
use super::rig::{Rig, completed, failed, retry};

cases! { Statistics:
    nothing_has_happened_in_an_empty_store,
    attempts_are_counted_by_function_and_queue_with_their_times,
    a_finish_that_is_told_twice_is_counted_once,
    a_job_waits_from_the_moment_at_which_it_can_run,
    a_give_back_does_not_end_the_wait,
    a_child_waits_from_its_release,
    jobs_that_end_without_an_attempt_are_counted_without_a_time,
    a_lost_worker_is_counted_and_its_attempt_has_no_time,
    what_was_put_off_or_handed_back_has_no_time,
    a_window_ends_and_its_series_has_no_gaps,
    minutes_become_hours_and_nothing_is_lost,
    every_shard_is_counted,
    a_query_for_one_function_or_queue_leaves_the_others_out,
    jobs_are_counted_by_status_function_and_queue,
    a_queue_tells_its_length_and_the_age_of_its_oldest_job,
    a_dead_letter_that_is_queued_again_is_counted_as_requeued,
    functions_that_find_no_room_share_a_row,
    a_query_out_of_its_bounds_is_refused,
}

async fn ask(rig: &Rig, query: StatisticsQuery) -> Statistics {
    rig.ports.inspect.statistics(query).await.unwrap()
}

/// The last hour.
async fn hour(rig: &Rig) -> Statistics {
    ask(rig, StatisticsQuery::default()).await
}

async fn total(rig: &Rig) -> Tally {
    hour(rig).await.total
}

fn function<'a>(statistics: &'a Statistics, name: &str) -> &'a FunctionRow {
    let named = |row: &&FunctionRow| row.function.as_ref().is_some_and(|of| of.as_str() == name);
    statistics
        .functions
        .iter()
        .find(named)
        .expect("a row of the function")
}

fn queue<'a>(statistics: &'a Statistics, name: &str) -> &'a QueueRow {
    let named = |row: &&QueueRow| row.queue.as_ref().is_some_and(|of| of.as_str() == name);
    statistics.queues.iter().find(named).expect("a row of the queue")
}

/// Whether the one time that was counted is this one, as exactly as a histogram tells.
#[track_caller]
fn assert_one(times: &longshore_core::stats::Histogram, seconds: f64) {
    assert_eq!(times.count(), 1, "{times:?}");
    let told = times.quantile(0.5).unwrap().as_secs_f64();
    // A clock of a real server moves a little between two calls.
    assert!(
        (told - seconds).abs() <= seconds / 16.0 + 0.05,
        "{told} for {seconds}"
    );
}

fn of(name: &'static str, queue: &'static str) -> impl FnOnce(&mut JobSpec) {
    move |spec| {
        spec.function_name = FunctionName::new(name).unwrap();
        spec.queue = QueueName::new(queue).unwrap();
    }
}

async fn nothing_has_happened_in_an_empty_store(rig: Rig) {
    let statistics = hour(&rig).await;
    assert_eq!(statistics.total, Tally::default());
    assert_eq!((statistics.functions, statistics.queues), (vec![], vec![]));
    assert!((60..=61).contains(&statistics.series.len()));
}

async fn attempts_are_counted_by_function_and_queue_with_their_times(rig: Rig) {
    for (outcome, seconds) in [
        (completed(), 3),
        (completed(), 3),
        (failed(), 20),
        (retry(60), 100),
    ] {
        let held = rig.running(of("resize", "images")).await;
        rig.pass_secs(seconds).await;
        assert!(matches!(rig.finish(&held, outcome).await, Finished::Accepted(_)));
    }
    let other = rig.running(of("send", "mails")).await;
    rig.finish(&other, completed()).await;
    let statistics = hour(&rig).await;
    let resize = &function(&statistics, "resize").tally;
    assert_eq!(
        (
            resize.enqueued,
            resize.started,
            resize.completed,
            resize.failed,
            resize.retried
        ),
        (4, 4, 2, 1, 1)
    );
    assert_eq!(resize.ended(), 3);
    assert_eq!((resize.run.count(), resize.wait.count()), (4, 4));
    let quantile = |q| resize.run.quantile(q).unwrap().as_secs_f64();
    assert!((quantile(0.5) - 3.0).abs() < 0.25, "{}", quantile(0.5));
    assert!((quantile(0.99) - 100.0).abs() < 7.0, "{}", quantile(0.99));
    assert_eq!(*resize, queue(&statistics, "images").tally);
    assert_eq!(function(&statistics, "send").tally.completed, 1);
    assert_eq!(queue(&statistics, "mails").tally.failed, 0);
    assert_eq!(statistics.total.enqueued, 5);
}

async fn a_finish_that_is_told_twice_is_counted_once(rig: Rig) {
    let job = rig.enqueued(|_| {}).await;
    rig.enqueue(&job).await;
    rig.mark_published(job.id, 1).await;
    let held = rig.start(&job, 1).await;
    assert!(matches!(rig.claim(job.id, 1, held.nonce).await, Claimed::Run(_)));
    for _ in 0..3 {
        assert_eq!(
            rig.finish(&held, completed()).await,
            Finished::Accepted(JobStatus::Completed)
        );
    }
    let total = total(&rig).await;
    assert_eq!((total.enqueued, total.started, total.completed), (1, 1, 1));
    assert_eq!((total.wait.count(), total.run.count()), (1, 1));
}

async fn a_job_waits_from_the_moment_at_which_it_can_run(rig: Rig) {
    let at_once = rig.published(of("at_once", "default")).await;
    rig.pass_secs(7).await;
    rig.start(&at_once, 1).await;
    let later = rig
        .enqueued(|spec| {
            of("later", "default")(spec);
            spec.start = Start::After(Duration::from_secs(60));
        })
        .await;
    rig.pass_secs(75).await;
    assert_eq!(rig.promoted().await, [(later.id, 1)]);
    rig.pass_secs(5).await;
    rig.start(&later, 1).await;
    let statistics = hour(&rig).await;
    assert_one(&function(&statistics, "at_once").tally.wait, 7.0);
    // Due 60 s after the enqueue: 15 s until it was promoted, and 5 s after that.
    assert_one(&function(&statistics, "later").tally.wait, 20.0);
}

async fn a_give_back_does_not_end_the_wait(rig: Rig) {
    let job = rig.published(|_| {}).await;
    rig.pass_secs(100).await;
    rig.give_back(job.id, 1, GiveBackReason::Unstarted).await;
    rig.mark_published(job.id, 2).await;
    rig.pass_secs(20).await;
    rig.start(&job, 2).await;
    assert_one(&total(&rig).await.wait, 120.0);
}

async fn a_child_waits_from_its_release(rig: Rig) {
    let (parents, child) = family(&rig, 1, EdgePolicy::default()).await;
    rig.pass_secs(500).await;
    settle(&rig, child.id, parents[0].id, done()).await;
    rig.pass_secs(10).await;
    rig.start(&child, 1).await;
    assert_one(&total(&rig).await.wait, 10.0);
}

async fn jobs_that_end_without_an_attempt_are_counted_without_a_time(rig: Rig) {
    let cancelled = rig.enqueued(|_| {}).await;
    assert_eq!(rig.cancel(cancelled.id).await, CancelReply::Cancelled);
    assert_eq!(
        rig.cancel(cancelled.id).await,
        CancelReply::AlreadyFinished(JobStatus::Cancelled)
    );
    rig.enqueued(|spec| spec.expires_in = Some(Duration::from_secs(10)))
        .await;
    rig.pass_secs(11).await;
    assert_eq!(rig.ports.schedule.expire_waiting(0, 10).await.unwrap(), 1);
    let total = total(&rig).await;
    assert_eq!((total.cancelled, total.expired, total.started), (1, 1, 0));
    assert!(total.run.is_empty() && total.wait.is_empty());
}

async fn a_lost_worker_is_counted_and_its_attempt_has_no_time(rig: Rig) {
    rig.calm_sweep().await;
    rig.running(|_| {}).await;
    let swept = rig.pass_swept(35).await;
    assert_eq!(swept.requeued, 1);
    let total = total(&rig).await;
    assert_eq!((total.started, total.lost, total.ended()), (1, 1, 0));
    assert!(total.run.is_empty());
}

async fn what_was_put_off_or_handed_back_has_no_time(rig: Rig) {
    let snoozed = rig.running(|_| {}).await;
    let delay = Duration::from_secs(60);
    rig.finish(&snoozed, Outcome::Snooze { delay }).await;
    let released = rig.running(|_| {}).await;
    rig.finish(&released, Outcome::Released).await;
    let total = total(&rig).await;
    assert_eq!((total.started, total.snoozed, total.released), (2, 1, 1));
    assert!(total.run.is_empty());
}

async fn a_window_ends_and_its_series_has_no_gaps(rig: Rig) {
    rig.ended(completed()).await;
    rig.pass_secs(600).await;
    rig.ended(failed()).await;
    let ten = ask(&rig, StatisticsQuery::over(Duration::from_secs(300))).await;
    assert_eq!((ten.total.completed, ten.total.failed), (0, 1));
    let hour = hour(&rig).await;
    assert_eq!((hour.total.completed, hour.total.failed), (1, 1));
    let steps = hour.series.windows(2);
    assert!(
        steps
            .clone()
            .all(|pair| pair[1].at.since(pair[0].at) == hour.step)
    );
    let mut summed = Tally::default();
    for point in &hour.series {
        summed.merge(&point.tally);
    }
    assert_eq!(summed, hour.total);
    rig.pass_secs(3_700).await;
    assert_eq!(total(&rig).await, Tally::default());
}

async fn minutes_become_hours_and_nothing_is_lost(rig: Rig) {
    let day = StatisticsQuery::over(Duration::from_secs(86_400));
    // Longer apart than minutes are kept.
    for ended in 1..=5 {
        rig.ended(completed()).await;
        rig.pass_secs(60).await;
        rig.ended(failed()).await;
        let seen = ask(&rig, day.clone()).await;
        assert_eq!((seen.total.completed, seen.total.failed), (ended, ended));
        assert_eq!(seen.total.run.count(), 2 * ended);
        rig.pass_secs(4 * 3_600).await;
    }
    assert_eq!(total(&rig).await, Tally::default());
    rig.pass_secs(9 * 86_400).await;
    rig.ended(completed()).await;
    let week = ask(&rig, StatisticsQuery::over(Duration::from_secs(7 * 86_400))).await;
    assert_eq!((week.total.completed, week.total.failed), (1, 0));
}

async fn every_shard_is_counted(rig: Rig) {
    let mut jobs = 0;
    for shard in rig.ports.enqueue.shards().all() {
        rig.enqueue(&rig.job_in(shard, |_| {})).await;
        jobs += 1;
    }
    let statistics = hour(&rig).await;
    assert_eq!(statistics.total.enqueued, jobs);
    assert_eq!(queue(&statistics, "default").length(), jobs);
}

async fn a_query_for_one_function_or_queue_leaves_the_others_out(rig: Rig) {
    rig.running(of("resize", "images")).await;
    rig.running(of("resize", "mails")).await;
    rig.running(of("send", "mails")).await;
    let resize = StatisticsQuery {
        function: Some(FunctionName::new("resize").unwrap()),
        ..StatisticsQuery::default()
    };
    let mails = StatisticsQuery {
        queue: Some(QueueName::new("mails").unwrap()),
        ..resize.clone()
    };
    let seen = ask(&rig, resize).await;
    assert_eq!((seen.total.started, seen.queues.len()), (2, 2));
    let seen = ask(&rig, mails).await;
    assert_eq!((seen.total.started, seen.queues.len()), (1, 1));
    assert_eq!(seen.jobs().get(&JobStatus::Running), Some(&1));
}

async fn jobs_are_counted_by_status_function_and_queue(rig: Rig) {
    rig.running(of("resize", "images")).await;
    rig.published(of("resize", "images")).await;
    rig.published(of("resize", "mails")).await;
    let ended = rig.running(of("send", "mails")).await;
    rig.finish(&ended, completed()).await;
    let seen = hour(&rig).await;
    let count = |jobs: &std::collections::BTreeMap<JobStatus, u64>, status| jobs.get(&status).copied();
    let resize = &function(&seen, "resize").jobs;
    assert_eq!(count(resize, JobStatus::Queued), Some(2));
    assert_eq!(count(resize, JobStatus::Running), Some(1));
    assert_eq!(count(resize, JobStatus::Completed), None);
    let mails = &queue(&seen, "mails").jobs;
    assert_eq!(count(mails, JobStatus::Queued), Some(1));
    assert_eq!(count(mails, JobStatus::Completed), Some(1));
    assert_eq!(count(&seen.jobs(), JobStatus::Queued), Some(2));
}

async fn a_queue_tells_its_length_and_the_age_of_its_oldest_job(rig: Rig) {
    let age = async |name: &str| {
        let seen = hour(&rig).await;
        let row = queue(&seen, name).clone();
        // What alarms and metrics ask is the same.
        let standing = rig.ports.inspect.standing().await.unwrap();
        let name = QueueName::new(name).unwrap();
        assert_eq!(standing.oldest.get(&name).copied(), row.oldest);
        assert_eq!(standing.lengths().get(&name).copied().unwrap_or(0), row.length());
        (row.length(), seen.age(&row).map(|age| age.as_secs()))
    };
    let first = rig.published(of("f", "busy")).await;
    rig.pass_secs(30).await;
    // In the outbox, and in the broker.
    let second = rig.enqueued(of("f", "busy")).await;
    rig.pass_secs(30).await;
    assert_eq!(age("busy").await, (2, Some(60)));
    let held = rig.start(&first, 1).await;
    assert_eq!(age("busy").await, (1, Some(30)));
    // Given back, the job is as old as it is; parked too.
    rig.finish(&held, completed()).await;
    rig.mark_published(second.id, 1).await;
    rig.give_back(
        second.id,
        1,
        GiveBackReason::Park(FunctionName::new("f").unwrap()),
    )
    .await;
    rig.pass_secs(30).await;
    assert_eq!(age("busy").await, (1, Some(60)));
    let parked = async || {
        let standing = rig.ports.inspect.standing().await.unwrap();
        let row = queue(&hour(&rig).await, "busy").parked;
        (standing.parked.values().sum::<u64>(), row)
    };
    assert_eq!(parked().await, (1, 1));
    rig.cancel(second.id).await;
    assert_eq!(age("busy").await, (0, None));
    assert_eq!(parked().await, (0, 0));
    let paused = QueueName::new("still").unwrap();
    rig.ports.inspect.set_paused(paused, true).await.unwrap();
    let seen = hour(&rig).await;
    assert!(queue(&seen, "still").paused && !queue(&seen, "busy").paused);
    let standing = rig.ports.inspect.standing().await.unwrap();
    assert_eq!(standing.paused, [QueueName::new("still").unwrap()]);
}

async fn a_dead_letter_that_is_queued_again_is_counted_as_requeued(rig: Rig) {
    let dead = rig.ended(failed()).await;
    rig.pass_secs(1).await;
    let before = rig.now();
    rig.ports
        .schedule
        .requeue(0, vec![dead.id], before.after(Duration::from_secs(60)))
        .await
        .unwrap();
    let total = hour(&rig).await.total;
    assert_eq!((total.enqueued, total.failed, total.requeued), (1, 1, 1));
    assert_eq!(rig.view(dead.id).await.status, JobStatus::Queued);
}

async fn functions_that_find_no_room_share_a_row(rig: Rig) {
    let jobs: Vec<_> = (0..STATISTICS_ROWS_MAX + 5)
        .map(|number| rig.job(|spec| spec.function_name = FunctionName::new(format!("f{number}")).unwrap()))
        .collect();
    rig.ports.enqueue.enqueue(0, jobs).await.unwrap();
    let seen = hour(&rig).await;
    assert_eq!(seen.total.enqueued, STATISTICS_ROWS_MAX as u64 + 5);
    let counted = seen.functions.iter().filter(|row| row.tally.enqueued > 0);
    assert_eq!(counted.count(), STATISTICS_ROWS_MAX + 1);
    let last = seen.functions.last().unwrap();
    assert_eq!((last.function.as_ref(), last.tally.enqueued), (None, 5));
    // How jobs stand is told of each.
    let standing = seen.functions.iter().filter(|row| !row.jobs.is_empty());
    assert_eq!(standing.count(), STATISTICS_ROWS_MAX + 5);
}

async fn a_query_out_of_its_bounds_is_refused(rig: Rig) {
    for seconds in [0, 59, 8 * 86_400] {
        let query = StatisticsQuery::over(Duration::from_secs(seconds));
        let refused = rig.ports.inspect.statistics(query).await.unwrap_err();
        assert!(
            matches!(&refused, Error::Refused { reason, .. } if reason.starts_with("window: ")),
            "{refused}"
        );
    }
}
