//! Outbox, promotion, audit, parked jobs.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore_core::limits::{OUTBOX_GRACE, OUTBOX_LEASE};
use longshore_core::outcome::Outcome;
use longshore_core::port::attempt::{GiveBack, GiveBackReason};
use longshore_core::spec::Start;
use longshore_core::view::WorkerView;
use longshore_core::{Clock, FunctionName, JobStatus, Priority, QueueName, WorkerId};

use super::{completed, failed, rig, rig_with};
use crate::Daemon;

#[tokio::test]
async fn what_the_producer_did_not_publish_is_published_after_the_grace() {
    let rig = rig();
    let job = rig.enqueued(|_| {}).await;
    assert_eq!(
        rig.run(Daemon::DispatchOutbox).await,
        0,
        "the producer has its time"
    );
    rig.clock.advance(OUTBOX_GRACE);
    assert_eq!(rig.run(Daemon::DispatchOutbox).await, 1);
    assert_eq!(rig.view(job.id).await.published_at, Some(rig.clock.now()));
    assert_eq!(rig.delivered().await, [(job.id, 1)]);
    rig.clock.advance(OUTBOX_LEASE * 2);
    assert_eq!(rig.run(Daemon::DispatchOutbox).await, 0);
    assert_eq!(rig.delivered().await, []);
}

#[tokio::test]
async fn a_message_carries_what_a_worker_needs_to_rebuild_the_record() {
    let rig = rig();
    let job = rig.enqueued(|spec| spec.priority = Priority::High).await;
    let running = rig.claim(job.id, 1).await;
    let error = longshore_core::outcome::ErrorInfo::new("test", "later");
    rig.finish(
        &running,
        Outcome::Retry {
            delay: Duration::ZERO,
            error,
        },
    )
    .await;
    rig.pass_secs(1);
    assert_eq!(rig.run(Daemon::PromoteDue).await, 1);
    let message = rig.take_messages().await.remove(0);
    assert_eq!(
        (message.priority, message.shard, message.norecord),
        (Priority::High, 0, false)
    );
    assert_eq!(
        message.epoch,
        rig.ports.schedule.lease_outbox(0, 0).await.unwrap().epoch
    );
    let travelling = &message.jobs[0];
    assert_eq!(
        (
            travelling.gen_,
            travelling.attempts,
            travelling.retries,
            travelling.losts
        ),
        (2, 1, 1, 0)
    );
    assert_eq!(travelling.envelope, job.envelope);
}

#[tokio::test]
async fn a_backlog_over_all_shards_is_drained_by_a_bite_a_shard_and_pass() {
    let rig = rig_with(|builder| builder.bundle_max(40));
    for shard in rig.ports.enqueue.shards().all() {
        let jobs = (0..700).map(|_| rig.factory.job(shard, |_| {})).collect();
        rig.ports.enqueue.enqueue(shard, jobs).await.unwrap();
    }
    rig.clock.advance(OUTBOX_GRACE);
    let mut rows = 0;
    loop {
        let done = rig.try_run(Daemon::DispatchOutbox).await.unwrap();
        assert!(done.rows <= 4 * 250, "one bite a shard and pass");
        rows += done.rows;
        if !done.more {
            break;
        }
    }
    assert_eq!(rows, 2_800);
    let messages = rig.take_messages().await;
    assert!(messages.iter().all(|message| message.jobs.len() <= 40));
    assert!(messages.len() < 100, "{} messages", messages.len());
    let jobs: BTreeSet<_> = messages
        .iter()
        .flat_map(|message| &message.jobs)
        .map(|job| job.id)
        .collect();
    assert_eq!(jobs.len(), 2_800);
}

#[tokio::test]
async fn a_job_that_failed_before_travels_alone_although_its_function_is_short() {
    let rig = rig();
    for _ in 0..20 {
        rig.ended(completed()).await;
    }
    for _ in 0..3 {
        let job = rig.enqueued(|_| {}).await;
        let running = rig.claim(job.id, 1).await;
        let Outcome::Failed { error } = failed() else {
            panic!("it failed")
        };
        let delay = Duration::from_secs(5);
        rig.finish(&running, Outcome::Retry { delay, error }).await;
    }
    // How long jobs take is read beside the first pass.
    let together = async {
        loop {
            let pair = [(); 2].map(|()| rig.factory.job(0, |_| {}));
            rig.ports.enqueue.enqueue(0, pair.to_vec()).await.unwrap();
            rig.clock.advance(OUTBOX_GRACE);
            assert_eq!(rig.run(Daemon::DispatchOutbox).await, 2);
            if rig.take_messages().await.len() == 1 {
                return;
            }
        }
    };
    let together = tokio::time::timeout(Duration::from_secs(20), together);
    together.await.expect("new jobs travel together within 20 s");
    assert_eq!(rig.run(Daemon::PromoteDue).await, 3);
    assert_eq!(rig.take_messages().await.len(), 3);
}

#[tokio::test]
async fn a_scheduled_job_is_published_when_it_is_due() {
    let rig = rig();
    let job = rig
        .enqueued(|spec| spec.start = Start::After(Duration::from_secs(60)))
        .await;
    rig.pass_secs(59);
    assert_eq!(rig.run(Daemon::PromoteDue).await, 0);
    assert_eq!(rig.status(job.id).await, JobStatus::Scheduled);
    rig.pass_secs(1);
    assert_eq!(rig.run(Daemon::PromoteDue).await, 1);
    assert_eq!(rig.status(job.id).await, JobStatus::Queued);
    assert_eq!(rig.delivered().await, [(job.id, 1)]);
    assert_eq!(rig.run(Daemon::PromoteDue).await, 0);
}

#[tokio::test]
async fn a_scheduler_killed_between_promotion_and_publish_loses_nothing() {
    let rig = rig();
    let job = rig
        .enqueued(|spec| spec.start = Start::After(Duration::from_secs(60)))
        .await;
    rig.pass_secs(60);
    // The one that is killed: it promotes, and that is the last it does.
    assert_eq!(rig.ports.schedule.promote(0, 10).await.unwrap().jobs.len(), 1);
    assert_eq!(
        rig.run(Daemon::DispatchOutbox).await,
        0,
        "the row is leased to it"
    );
    rig.clock.advance(OUTBOX_LEASE);
    assert_eq!(rig.run(Daemon::DispatchOutbox).await, 1);
    assert_eq!(rig.delivered().await, [(job.id, 1)]);
}

#[tokio::test]
async fn a_published_job_without_a_message_is_published_again_with_its_gen() {
    let rig = rig();
    let job = rig.enqueued(|_| {}).await;
    rig.clock.advance(OUTBOX_GRACE);
    rig.run(Daemon::DispatchOutbox).await;
    rig.pass_secs(3_600);
    assert_eq!(
        rig.run(Daemon::AuditPublished).await,
        0,
        "its message is there, however old"
    );
    // As a purge would.
    assert_eq!(rig.delivered().await, [(job.id, 1)]);
    rig.ports
        .inspect
        .set_paused(QueueName::default(), true)
        .await
        .unwrap();
    assert_eq!(rig.run(Daemon::AuditPublished).await, 0, "never a paused queue");
    rig.ports
        .inspect
        .set_paused(QueueName::default(), false)
        .await
        .unwrap();
    assert_eq!(rig.run(Daemon::AuditPublished).await, 1);
    assert_eq!(rig.delivered().await, [(job.id, 1)]);
    assert_eq!(
        rig.run(Daemon::AuditPublished).await,
        0,
        "the second copy is young"
    );
}

#[tokio::test]
async fn a_message_that_a_worker_may_hold_is_not_taken_for_lost() {
    let rig = rig();
    rig.enqueued(|_| {}).await;
    rig.clock.advance(OUTBOX_GRACE);
    rig.run(Daemon::DispatchOutbox).await;
    assert_eq!(rig.delivered().await.len(), 1);
    rig.pass_secs(299);
    assert_eq!(rig.run(Daemon::AuditPublished).await, 0);
    rig.pass_secs(2);
    assert_eq!(rig.run(Daemon::AuditPublished).await, 1);
}

#[tokio::test]
async fn a_parked_job_is_released_for_a_worker_that_has_its_function() {
    let rig = rig();
    let job = rig.enqueued(|_| {}).await;
    let function = FunctionName::new("work").unwrap();
    let park = |gen_| GiveBack {
        id: job.id,
        gen_,
        reason: GiveBackReason::Park(function.clone()),
    };
    rig.ports.attempt.give_back(0, vec![park(1)]).await.unwrap();
    assert_eq!(rig.run(Daemon::ReleaseParked).await, 0, "no worker has it");
    let worker = WorkerView {
        run_times: Vec::new(),
        id: WorkerId("late".to_owned()),
        host: "here".to_owned(),
        pid: 1,
        version: "0.1.0".to_owned(),
        functions: vec![function.clone()],
        queues: vec![QueueName::default()],
        slots: 1,
        busy: 0,
        free: 0,
        unattached: Vec::new(),
        running: Vec::new(),
        draining: false,
        started_at: rig.clock.now(),
        seen_at: rig.clock.now(),
        watermarks: Vec::new(),
    };
    rig.ports.attempt.worker_beat(worker).await.unwrap();
    // Parked again by a slower worker, after that beat.
    let gen_ = rig.view(job.id).await.gen_;
    rig.ports.attempt.give_back(0, vec![park(gen_)]).await.unwrap();
    assert_eq!(rig.run(Daemon::ReleaseParked).await, 1);
    assert_eq!(rig.run(Daemon::DispatchOutbox).await, 1);
    assert_eq!(rig.delivered().await, [(job.id, gen_ + 1)]);
}
