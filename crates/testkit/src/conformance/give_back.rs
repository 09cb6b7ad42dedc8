//! Unstarted jobs that go back, functions that nobody has, and messages put aside.

use std::time::Duration;

use bytes::Bytes;
use longshore_core::message::Gen;
use longshore_core::port::attempt::{GiveBack, GiveBackReason, GivenBack, Quarantined};
use longshore_core::port::enqueue::CancelReply;
use longshore_core::spec::Start;
use longshore_core::{FunctionName, JobId, JobStatus, QueueName, WorkerId};

use super::rig::{Rig, completed, retry};

cases! { GiveBack:
    an_unstarted_job_goes_back_to_the_outbox_with_a_new_gen ["give_back: queued, same gen"],
    a_give_back_of_anything_else_is_stale_and_changes_nothing ["give_back: anything else"],
    a_give_back_of_an_unknown_job_says_so ["give_back: missing"],
    a_give_back_newer_than_the_record_adopts_its_gen ["give_back: newer gen"],
    a_repeated_give_back_is_done_once ["give_back: anything else"],
    a_job_that_a_worker_cannot_run_comes_back_later_and_later ["delivery: function not registered"],
    a_job_that_a_worker_cannot_run_comes_back_within_a_minute ["delivery: function not registered"],
    a_start_forgets_how_often_a_job_was_given_back,
    a_job_that_another_worker_can_run_comes_back_within_a_second ["delivery: function not registered"],
    a_parked_job_waits_for_a_worker_with_its_function ["delivery: function not registered"],
    a_parked_job_is_released_by_the_sweep_when_its_worker_came_first ["delivery: function not registered"],
    a_parked_job_waits_for_a_worker_of_its_own_queue ["delivery: function not registered"],
    a_parked_job_is_not_released_for_a_worker_that_drains ["delivery: function not registered"],
    a_parked_job_can_be_cancelled,
    a_queued_job_in_quarantine_is_failed ["delivery: undecodable"],
    a_copy_of_another_dispatch_in_quarantine_fails_nothing ["delivery: undecodable"],
    quarantine_leaves_other_jobs_alone ["delivery: undecodable"],
    what_is_in_quarantine_is_listed_page_by_page_and_dropped,
}

async fn an_unstarted_job_goes_back_to_the_outbox_with_a_new_gen(rig: Rig) {
    let job = rig.published(|_| {}).await;
    let answer = rig.give_back(job.id, 1, GiveBackReason::Unstarted).await;
    assert_eq!(answer, GivenBack::Back);
    let view = rig.view(job.id).await;
    assert_eq!((view.status, view.gen_, view.attempts), (JobStatus::Queued, 2, 0));
    assert_eq!((view.published_at, view.full.unwrap().history), (None, vec![]));
    assert_eq!(rig.outbox_ids().await, [(job.id, 2)], "due now");
}

async fn a_give_back_of_anything_else_is_stale_and_changes_nothing(rig: Rig) {
    let older = rig.published(|_| {}).await;
    rig.give_back(older.id, 1, GiveBackReason::Unstarted).await;
    let running = rig.running(|_| {}).await;
    let ended = rig.ended(completed()).await;
    let reasons = [
        GiveBackReason::Unstarted,
        GiveBackReason::NotRunnable,
        GiveBackReason::Elsewhere,
        GiveBackReason::Park(FunctionName::new("work").unwrap()),
    ];
    for id in [older.id, running.id, ended.id] {
        let before = rig.view(id).await;
        for reason in &reasons {
            let answer = rig.give_back(id, 1, reason.clone()).await;
            assert_eq!(answer, GivenBack::Stale);
            assert_eq!(rig.view(id).await, before, "{reason:?}");
        }
    }
    let pruned = super::retention::pruned(&rig, completed()).await;
    for reason in reasons {
        assert_eq!(rig.give_back(pruned.id, 1, reason).await, GivenBack::Stale);
    }
    assert_eq!(rig.find(pruned.id).await, None);
}

async fn a_give_back_of_an_unknown_job_says_so(rig: Rig) {
    let known = rig.published(|_| {}).await;
    let stray = rig.job(|_| {}).id;
    let jobs = [known.id, stray].map(|id| GiveBack {
        id,
        gen_: 1,
        reason: GiveBackReason::Unstarted,
    });
    let answers = rig.ports.attempt.give_back(0, jobs.into()).await.unwrap();
    let epoch = rig.ports.schedule.lease_outbox(0, 1).await.unwrap().epoch;
    assert_eq!(answers, [GivenBack::Back, GivenBack::Missing { epoch }]);
    assert_eq!(rig.find(stray).await, None);
}

async fn a_give_back_newer_than_the_record_adopts_its_gen(rig: Rig) {
    let queued = rig.published(|_| {}).await;
    let waiting = rig.running(|_| {}).await;
    rig.finish(&waiting, retry(3600)).await;
    let scheduled = rig.job(|spec| spec.start = Start::After(Duration::from_secs(3600)));
    rig.enqueue(&scheduled).await;
    let running = rig.running(|_| {}).await;
    for id in [queued.id, waiting.id, scheduled.id] {
        let answer = rig.give_back(id, 5, GiveBackReason::Unstarted).await;
        assert_eq!(answer, GivenBack::Back);
        let view = rig.view(id).await;
        assert_eq!((view.status, view.gen_), (JobStatus::Queued, 6));
    }
    let mut due = rig.outbox_ids().await;
    due.sort_unstable();
    let mut all = [queued.id, waiting.id, scheduled.id].map(|id| (id, 6));
    all.sort_unstable();
    assert_eq!(due, all);
    // Its owner holds a running job, whatever a message says.
    let answer = rig.give_back(running.id, 5, GiveBackReason::Unstarted).await;
    assert_eq!(answer, GivenBack::Stale);
}

async fn a_repeated_give_back_is_done_once(rig: Rig) {
    let job = rig.published(|_| {}).await;
    for _ in 0..3 {
        rig.give_back(job.id, 1, GiveBackReason::Unstarted).await;
    }
    assert_eq!(rig.view(job.id).await.gen_, 2);
}

async fn a_job_that_a_worker_cannot_run_comes_back_later_and_later(rig: Rig) {
    let job = rig.published(|_| {}).await;
    for gen_ in 1..=6 {
        rig.give_back(job.id, gen_, GiveBackReason::NotRunnable).await;
    }
    // 0.2 s × 2⁶ for the seventh time.
    rig.give_back(job.id, 7, GiveBackReason::NotRunnable).await;
    rig.pass_secs(6).await;
    assert_eq!(rig.outbox_ids().await, []);
    rig.pass_secs(8).await;
    assert_eq!(rig.outbox_ids().await, [(job.id, 8)]);
    let view = rig.view(job.id).await;
    assert_eq!(
        (view.status, view.attempts, view.retries),
        (JobStatus::Queued, 0, 0)
    );
    assert_eq!(view.full.unwrap().history, []);
    rig.start(&job, 8).await;
}

async fn a_job_that_a_worker_cannot_run_comes_back_within_a_minute(rig: Rig) {
    let job = rig.published(|_| {}).await;
    for gen_ in 1..=40 {
        rig.give_back(job.id, gen_, GiveBackReason::NotRunnable).await;
    }
    rig.pass_secs(50).await;
    assert_eq!(rig.outbox_ids().await, []);
    rig.pass_secs(11).await;
    assert_eq!(rig.outbox_ids().await, [(job.id, 41)]);
}

async fn a_start_forgets_how_often_a_job_was_given_back(rig: Rig) {
    let job = rig.published(|_| {}).await;
    for gen_ in 1..=8 {
        rig.give_back(job.id, gen_, GiveBackReason::NotRunnable).await;
    }
    rig.pass_secs(60).await;
    let held = rig.start(&job, 9).await;
    rig.finish(&held, retry(0)).await;
    rig.pass_secs(1).await;
    rig.promoted().await;
    rig.give_back(job.id, 10, GiveBackReason::NotRunnable).await;
    rig.pass_secs(1).await;
    assert_eq!(rig.outbox_ids().await, [(job.id, 11)], "as after the first time");
}

async fn a_job_that_another_worker_can_run_comes_back_within_a_second(rig: Rig) {
    let job = rig.published(|_| {}).await;
    for gen_ in 1..=20 {
        rig.give_back(job.id, gen_, GiveBackReason::Elsewhere).await;
    }
    assert_eq!(rig.outbox_ids().await, []);
    rig.pass(Duration::from_millis(1_100)).await;
    assert_eq!(rig.outbox_ids().await, [(job.id, 21)]);
}

async fn parked(rig: &Rig, function: &str) -> JobId {
    parked_in(rig, function, &QueueName::default()).await
}

async fn parked_in(rig: &Rig, function: &str, queue: &QueueName) -> JobId {
    let name = FunctionName::new(function).unwrap();
    let job = rig
        .published(|spec| {
            spec.function_name = name.clone();
            spec.queue = queue.clone();
        })
        .await;
    rig.give_back(job.id, 1, GiveBackReason::Park(name)).await;
    job.id
}

async fn a_parked_job_waits_for_a_worker_with_its_function(rig: Rig) {
    let id = parked(&rig, "rare").await;
    let view = rig.view(id).await;
    assert_eq!(view.status, JobStatus::Queued);
    assert_eq!(view.parked, Some(FunctionName::new("rare").unwrap()));
    assert_eq!((view.outbox_at, view.published_at), (None, None));
    rig.pass_secs(3600).await;
    assert_eq!(rig.outbox_ids().await, []);
    let other = rig.worker("other", &["common"]);
    rig.ports.attempt.worker_beat(other).await.unwrap();
    assert_eq!(rig.ports.schedule.unpark(0).await.unwrap(), 0);
    assert_eq!(rig.outbox_ids().await, []);
    let capable = rig.worker("capable", &["common", "rare"]);
    rig.ports.attempt.worker_beat(capable).await.unwrap();
    rig.pass_secs(1).await;
    assert_eq!(rig.outbox_ids().await, [(id, 2)]);
    let view = rig.view(id).await;
    assert_eq!((view.attempts, view.parked), (0, None));
    assert!(view.outbox_at.is_some());
}

async fn a_parked_job_is_released_by_the_sweep_when_its_worker_came_first(rig: Rig) {
    let worker = rig.worker("capable", &["rare"]);
    rig.ports.attempt.worker_beat(worker).await.unwrap();
    let id = parked(&rig, "rare").await;
    rig.ports.schedule.unpark(0).await.unwrap();
    rig.pass_secs(1).await;
    assert_eq!(rig.outbox_ids().await, [(id, 2)]);
    rig.ports
        .attempt
        .worker_gone(WorkerId("capable".to_owned()))
        .await
        .unwrap();
    let late = parked(&rig, "rare").await;
    assert_eq!(rig.ports.schedule.unpark(0).await.unwrap(), 0);
    assert_eq!(rig.status(late).await, Some(JobStatus::Queued));
}

async fn a_parked_job_waits_for_a_worker_of_its_own_queue(rig: Rig) {
    let [here, there] = ["here", "there"].map(|name| QueueName::new(name).unwrap());
    let stays = parked_in(&rig, "rare", &here).await;
    let goes = parked_in(&rig, "rare", &there).await;
    let mut worker = rig.worker("capable", &["rare"]);
    worker.queues = vec![there.clone()];
    let mut published = Vec::new();
    for _ in 0..3 {
        rig.ports.attempt.worker_beat(worker.clone()).await.unwrap();
        rig.ports.schedule.unpark(0).await.unwrap();
        rig.pass_secs(5).await;
        published.extend(rig.outbox_ids().await);
    }
    assert_eq!(published, [(goes, 2)]);
    let view = rig.view(stays).await;
    assert_eq!(
        (view.gen_, view.parked),
        (2, Some(FunctionName::new("rare").unwrap()))
    );
    // It waits for that worker, not for a publish.
    rig.mark_published(goes, 2).await;
    worker.queues.push(here);
    rig.ports.attempt.worker_beat(worker).await.unwrap();
    rig.pass_secs(1).await;
    assert_eq!(rig.outbox_ids().await, [(stays, 2)]);
}

async fn a_parked_job_is_not_released_for_a_worker_that_drains(rig: Rig) {
    let id = parked(&rig, "rare").await;
    let mut worker = rig.worker("capable", &["rare"]);
    worker.draining = true;
    rig.ports.attempt.worker_beat(worker.clone()).await.unwrap();
    assert_eq!(rig.ports.schedule.unpark(0).await.unwrap(), 0);
    assert!(rig.view(id).await.parked.is_some());
    worker.draining = false;
    rig.ports.attempt.worker_beat(worker).await.unwrap();
    assert_eq!(rig.view(id).await.parked, None);
}

async fn a_parked_job_can_be_cancelled(rig: Rig) {
    let id = parked(&rig, "rare").await;
    assert_eq!(rig.cancel(id).await, CancelReply::Cancelled);
    let capable = rig.worker("capable", &["rare"]);
    rig.ports.attempt.worker_beat(capable).await.unwrap();
    rig.ports.schedule.unpark(0).await.unwrap();
    rig.pass_secs(60).await;
    assert_eq!(rig.outbox_ids().await, []);
    assert_eq!(rig.status(id).await, Some(JobStatus::Cancelled));
}

/// The first dispatches of these jobs are put aside.
pub(super) async fn quarantine(rig: &Rig, jobs: Vec<JobId>) {
    quarantine_dispatches(rig, jobs.into_iter().map(|id| (id, 1)).collect()).await;
}

async fn quarantine_dispatches(rig: &Rig, dispatches: Vec<(JobId, Gen)>) {
    let message = Quarantined {
        message_id: "m-1".to_owned(),
        queue: QueueName::default(),
        reason: "not MessagePack".to_owned(),
        body: Bytes::from_static(b"\xc1 garbage"),
        headers: vec![("x".to_owned(), "y".to_owned())],
        jobs: dispatches.iter().map(|(id, _)| *id).collect(),
        dispatches,
    };
    rig.ports.attempt.quarantine(vec![message.clone()]).await.unwrap();
    rig.ports.attempt.quarantine(vec![message]).await.unwrap();
}

async fn a_queued_job_in_quarantine_is_failed(rig: Rig) {
    let job = rig.published(|_| {}).await;
    let elsewhere = rig.job_in(1, |_| {});
    rig.enqueue(&elsewhere).await;
    quarantine(&rig, vec![job.id, elsewhere.id, rig.job(|_| {}).id]).await;
    for id in [job.id, elsewhere.id] {
        let view = rig.view(id).await;
        assert_eq!((view.status, view.error.is_some()), (JobStatus::Failed, true));
    }
}

async fn a_copy_of_another_dispatch_in_quarantine_fails_nothing(rig: Rig) {
    let job = rig.published(|_| {}).await;
    rig.give_back(job.id, 1, GiveBackReason::Unstarted).await;
    // A corrupt copy that is older, and one that the record does not know of.
    for gen_ in [1, 3] {
        let before = rig.view(job.id).await;
        quarantine_dispatches(&rig, vec![(job.id, gen_)]).await;
        assert_eq!(rig.view(job.id).await, before, "gen {gen_}");
    }
    assert_eq!(rig.outbox_ids().await, [(job.id, 2)]);
    quarantine_dispatches(&rig, vec![(job.id, 2)]).await;
    assert_eq!(rig.status(job.id).await, Some(JobStatus::Failed));
}

async fn quarantine_leaves_other_jobs_alone(rig: Rig) {
    let running = rig.running(|_| {}).await;
    let ended = rig.ended(completed()).await;
    quarantine(&rig, vec![running.id, ended.id]).await;
    assert_eq!(rig.status(running.id).await, Some(JobStatus::Running));
    assert_eq!(rig.status(ended.id).await, Some(JobStatus::Completed));
}

async fn what_is_in_quarantine_is_listed_page_by_page_and_dropped(rig: Rig) {
    let look = |after: Option<&str>, limit| {
        let after = after.map(str::to_owned);
        let page = rig.ports.inspect.quarantined(after, limit);
        async { page.await.unwrap() }
    };
    assert_eq!(look(None, 8).await, []);
    let message = |number: u8| Quarantined {
        message_id: format!("m-{number}"),
        queue: QueueName::new("mail").unwrap(),
        reason: "not MessagePack".to_owned(),
        body: Bytes::from(vec![0xc1, 0, 0xff, number]),
        headers: vec![("x".to_owned(), "y".to_owned())],
        jobs: vec![rig.job(|_| {}).id],
        dispatches: Vec::new(),
    };
    let messages: Vec<_> = (0..3).map(message).collect();
    rig.ports.attempt.quarantine(messages.clone()).await.unwrap();
    let first = look(None, 2).await;
    let rest = look(Some(&first[1].message.message_id), 8).await;
    let found: Vec<_> = first.iter().chain(&rest).collect();
    for entry in &found {
        Rig::assert_at(entry.at, rig.now());
    }
    let found: Vec<_> = found.into_iter().map(|entry| entry.message.clone()).collect();
    assert_eq!(found, messages);
    let drop = || {
        let ids = vec!["m-1".to_owned(), "m-9".to_owned()];
        rig.ports.inspect.drop_quarantined(ids)
    };
    assert_eq!(drop().await.unwrap(), [true, false]);
    assert_eq!(drop().await.unwrap(), [false, false]);
    let left: Vec<_> = look(None, 8)
        .await
        .into_iter()
        .map(|entry| entry.message.message_id)
        .collect();
    assert_eq!(left, ["m-0", "m-2"]);
}
