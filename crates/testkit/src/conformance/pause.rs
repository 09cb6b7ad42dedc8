//! Paused queues.

use std::time::Duration;

use longshore_core::port::attempt::{Beaten, Claimed, Finished, Hint, Over};
use longshore_core::{JobStatus, QueueName, WorkerId};

use super::rig::{Rig, completed};

cases! { Pause:
    a_paused_queue_starts_nothing ["claim: refused while paused"],
    a_resumed_queue_starts_again ["claim: refused while paused"],
    a_pause_lets_running_jobs_end ["claim: refused while paused"],
    a_pause_is_for_its_queue_alone ["claim: refused while paused"],
    a_pause_holds_in_every_shard ["claim: refused while paused"],
    an_ended_job_of_a_paused_queue_is_over,
    a_takeover_in_a_paused_queue_cancels_and_starts_nothing ["delivery: running, lease over"],
    paused_queues_are_listed_and_told_to_workers,
    workers_are_told_that_queues_changed,
}

async fn pause(rig: &Rig, queue: &str, paused: bool) {
    rig.ports
        .inspect
        .set_paused(QueueName::new(queue).unwrap(), paused)
        .await
        .unwrap();
}

async fn a_paused_queue_starts_nothing(rig: Rig) {
    let job = rig.published(|_| {}).await;
    pause(&rig, "default", true).await;
    pause(&rig, "default", true).await;
    let before = rig.view(job.id).await;
    assert_eq!(rig.deliver(job.id, 1).await, Claimed::Paused);
    assert_eq!(rig.view(job.id).await, before);
}

async fn a_resumed_queue_starts_again(rig: Rig) {
    let job = rig.published(|_| {}).await;
    pause(&rig, "default", true).await;
    assert_eq!(rig.deliver(job.id, 1).await, Claimed::Paused);
    pause(&rig, "default", false).await;
    rig.start(&job, 1).await;
}

async fn a_pause_lets_running_jobs_end(rig: Rig) {
    let held = rig.running(|_| {}).await;
    pause(&rig, "default", true).await;
    assert_eq!(
        rig.claim(held.id, 1, held.nonce).await,
        Claimed::Run(held.grant.clone())
    );
    assert!(matches!(
        rig.beat(held.id, held.nonce).await,
        Beaten::Alive { .. }
    ));
    assert_eq!(
        rig.finish(&held, completed()).await,
        Finished::Accepted(JobStatus::Completed)
    );
}

async fn a_pause_is_for_its_queue_alone(rig: Rig) {
    pause(&rig, "reports", true).await;
    rig.running(|_| {}).await;
    let other = rig
        .published(|spec| spec.queue = QueueName::new("reports").unwrap())
        .await;
    assert_eq!(rig.deliver(other.id, 1).await, Claimed::Paused);
}

async fn a_pause_holds_in_every_shard(rig: Rig) {
    pause(&rig, "default", true).await;
    for shard in rig.ports.enqueue.shards().all() {
        let job = rig.job_in(shard, |_| {});
        rig.enqueue(&job).await;
        assert_eq!(rig.deliver(job.id, 1).await, Claimed::Paused, "shard {shard}");
    }
}

async fn an_ended_job_of_a_paused_queue_is_over(rig: Rig) {
    let held = rig.ended(completed()).await;
    pause(&rig, "default", true).await;
    assert_eq!(
        rig.deliver(held.id, 1).await,
        Claimed::Over(Over::Ended(JobStatus::Completed))
    );
}

async fn a_takeover_in_a_paused_queue_cancels_and_starts_nothing(rig: Rig) {
    rig.calm_sweep().await;
    let (going, cancelled) = (rig.running(|_| {}).await, rig.running(|_| {}).await);
    rig.cancel(cancelled.id).await;
    pause(&rig, "default", true).await;
    rig.pass_swept(25).await;
    rig.pass_secs(6).await;
    assert_eq!(
        rig.deliver(cancelled.id, 1).await,
        Claimed::Over(Over::Ended(JobStatus::Cancelled))
    );
    assert_eq!(rig.deliver(going.id, 1).await, Claimed::Paused);
    assert_eq!(rig.view(going.id).await.losts, 0);
}

async fn paused_queues_are_listed_and_told_to_workers(rig: Rig) {
    pause(&rig, "idle", true).await;
    let queues = rig.ports.inspect.queues().await.unwrap();
    assert!(
        queues[&QueueName::new("idle").unwrap()].paused,
        "a paused queue without jobs is listed"
    );
    let worker = rig.worker("tester-1", &["work"]);
    let told = rig.ports.attempt.worker_beat(worker.clone()).await.unwrap();
    assert_eq!(told, [QueueName::new("idle").unwrap()]);
    pause(&rig, "idle", false).await;
    assert_eq!(rig.ports.attempt.worker_beat(worker).await.unwrap(), []);
    rig.ports
        .attempt
        .worker_gone(WorkerId("tester-1".to_owned()))
        .await
        .unwrap();
    let queues = rig.ports.inspect.queues().await.unwrap();
    assert!(queues.values().all(|queue| !queue.paused), "{queues:?}");
}

async fn workers_are_told_that_queues_changed(rig: Rig) {
    let mut hints = rig.ports.attempt.hints().await.unwrap();
    pause(&rig, "default", true).await;
    let told = async { while hints.next().await.expect("hints that go on") != Hint::QueuesChanged {} };
    tokio::time::timeout(Duration::from_secs(5), told)
        .await
        .expect("a hint within 5 s");
}
