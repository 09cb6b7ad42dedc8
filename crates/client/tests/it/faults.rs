//! Faults of the store and of the broker on the way in.

use std::future::{Future, IntoFuture};
use std::sync::atomic::Ordering;
use std::time::Duration;

use longshore::{Acceptance, Batch, EnqueueError, JobId, JobStatus, RedisAway, secs};
use longshore_core::port::Error;
use longshore_core::port::broker::message_id;
use longshore_core::random::SystemRandom;
use longshore_core::{Clock, SystemClock};
use tokio::task::JoinSet;

use crate::ports::Fault;
use crate::rig::{Join, PATIENCE, Rig, echo};

#[tokio::test]
async fn a_broker_that_refuses_makes_a_deferred_job_and_a_retry_publishes_it() {
    let mut rig = Rig::new();
    rig.broker.set_refuses(true);
    let send = || rig.client.enqueue(echo("a")).idempotency_key("k");
    let deferred = send().await.unwrap();
    assert!(deferred.is_deferred() && !deferred.was_existing());
    assert_eq!(deferred.acceptance(), Some(Acceptance::Deferred));
    let view = rig.client.view(deferred.id()).await.unwrap().unwrap();
    assert_eq!((view.status, view.published_at), (JobStatus::Queued, None));
    rig.broker.set_refuses(false);
    let again = send().await.unwrap();
    assert!(again.was_existing() && !again.is_deferred());
    rig.client.flush().await;
    let view = rig.client.view(again.id()).await.unwrap().unwrap();
    assert!(view.published_at.is_some());
    rig.run_fleet();
    assert_eq!(deferred.wait_timeout(PATIENCE).await.unwrap(), "a");
}

#[tokio::test]
async fn a_deferred_job_is_published_by_the_scheduler() {
    let mut rig = Rig::new();
    rig.broker.set_refuses(true);
    let handle = rig.client.enqueue(echo("a")).await.unwrap();
    assert!(handle.is_deferred());
    rig.run_fleet();
    assert_eq!(handle.wait_timeout(PATIENCE).await.unwrap(), "a");
}

#[tokio::test]
async fn a_broker_that_does_not_answer_makes_a_deferred_job_in_time() {
    let rig = Rig::with(|client| client.publish_timeout(Duration::from_millis(100)));
    rig.broker.set_hangs(true);
    let began = tokio::time::Instant::now();
    let handle = rig.client.enqueue(echo("a")).await.unwrap();
    assert!(handle.is_deferred());
    assert!(began.elapsed() < secs(5));
}

#[tokio::test]
async fn a_lost_reply_costs_nothing() {
    let rig = Rig::new();
    rig.faults.next([Fault::ReplyLost]);
    let handle = rig.client.enqueue(echo("a")).await.unwrap();
    assert_eq!(handle.acceptance(), Some(Acceptance::Published));
    assert_eq!(rig.faults.enqueues.load(Ordering::SeqCst), 2);
    assert_eq!(
        (rig.count().await, rig.broker.jobs.load(Ordering::SeqCst)),
        (1, 1)
    );
}

#[tokio::test]
async fn a_lost_reply_of_every_step_of_a_child_costs_nothing() {
    let mut rig = Rig::new();
    let parent = rig.client.enqueue(echo("a")).await.unwrap();
    // The record, the registration, the verification: each is done, told nobody, and done again.
    rig.faults.next([
        Fault::ReplyLost,
        Fault::Nothing,
        Fault::ReplyLost,
        Fault::Nothing,
        Fault::ReplyLost,
    ]);
    let child = rig.client.enqueue(Join).depends_on([&parent]).await.unwrap();
    assert_eq!(child.acceptance(), Some(Acceptance::Waiting));
    rig.run_fleet();
    assert_eq!(child.wait_timeout(PATIENCE).await.unwrap(), ["a"]);
}

#[tokio::test]
async fn a_store_that_stays_away_is_an_error_with_the_id_to_try_again_with() {
    let rig = Rig::new();
    rig.faults.set_away(true);
    let error = rig.client.enqueue(echo("a")).await.unwrap_err();
    let EnqueueError::Store { id, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(error.is_retryable() && error.to_string().contains(&id.to_string()));
    rig.faults.set_away(false);
    let handle = rig.client.enqueue(echo("a")).id(*id).await.unwrap();
    assert_eq!((handle.id(), rig.count().await), (*id, 1));
}

/// What an enqueue is told whose first answer is lost, and that finds the store away from then on.
async fn after_a_lost_answer(rig: &Rig) -> (JobId, Error) {
    rig.faults
        .next([Fault::ReplyLost, Fault::Away, Fault::Away, Fault::Away]);
    store_error(rig).await
}

async fn store_error(rig: &Rig) -> (JobId, Error) {
    match rig.client.enqueue(echo("a")).await {
        Err(EnqueueError::Store { id, source }) => (id, source),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_may_have_been_recorded_is_never_told_as_not_done() {
    let rig = Rig::new();
    let (id, error) = after_a_lost_answer(&rig).await;
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
    assert_eq!(rig.status(id).await, Some(JobStatus::Queued));
}

#[tokio::test]
async fn by_policy_what_may_have_been_recorded_or_published_is_never_told_as_not_done() {
    let rig = Rig::with(|client| {
        client
            .redis_away(RedisAway::PublishWithoutRecord)
            .publish_timeout(Duration::from_millis(100))
    });
    rig.broker.set_refuses(true);
    let (id, error) = after_a_lost_answer(&rig).await;
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
    assert_eq!(rig.status(id).await, Some(JobStatus::Queued));
    rig.faults.set_away(true);
    let (_, error) = store_error(&rig).await;
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    rig.broker.set_hangs(true);
    let (_, error) = store_error(&rig).await;
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
}

#[tokio::test]
async fn a_known_blocked_job_is_tied_again() {
    let mut rig = Rig::new();
    let parent = rig.client.enqueue(echo("a")).await.unwrap();
    let id = JobId::from_uuid(message_id());
    let send = || rig.client.enqueue(Join).id(id).depends_on([&parent]);
    // The first try records it and its answer is lost; then the store is away for the other three.
    rig.faults
        .next([Fault::ReplyLost, Fault::Away, Fault::Away, Fault::Away]);
    let error = send().await.unwrap_err();
    assert!(matches!(error, EnqueueError::Store { .. }), "{error:?}");
    assert_eq!(rig.status(id).await, Some(JobStatus::Blocked));
    let child = send().await.unwrap();
    assert!(child.was_existing());
    assert!(rig.faults.registers.load(Ordering::SeqCst) > 0);
    rig.run_fleet();
    assert_eq!(child.wait_timeout(PATIENCE).await.unwrap(), ["a"]);
}

#[tokio::test]
async fn by_policy_a_job_goes_out_without_a_record_and_is_done() {
    let mut rig = Rig::with(|client| client.redis_away(RedisAway::PublishWithoutRecord));
    let parent = rig.client.enqueue(echo("parent")).await.unwrap();
    rig.faults.set_away(true);
    let handle = rig.client.enqueue(echo("a")).await.unwrap();
    assert_eq!(handle.acceptance(), Some(Acceptance::Unrecorded));
    assert!(!handle.is_deferred());
    let later = rig.client.enqueue(echo("b")).delay(secs(60)).await;
    assert!(matches!(later, Err(EnqueueError::Store { .. })), "{later:?}");
    let child = rig.client.enqueue(Join).depends_on([&parent]).await;
    assert!(matches!(child, Err(EnqueueError::Store { .. })), "{child:?}");
    rig.faults.set_away(false);
    rig.run_fleet();
    assert_eq!(handle.wait_timeout(PATIENCE).await.unwrap(), "a");
}

#[tokio::test]
async fn by_policy_a_job_with_an_id_of_its_own_waits_for_the_store() {
    let mut rig = Rig::with(|client| client.redis_away(RedisAway::PublishWithoutRecord));
    let first = rig.client.enqueue(echo("a")).idempotency_key("k").await.unwrap();
    rig.client.flush().await;
    let published = rig.broker.jobs.load(Ordering::SeqCst);
    rig.faults.set_away(true);
    let other = rig.client.enqueue(echo("b")).idempotency_key("k").await;
    let error = other.unwrap_err();
    let EnqueueError::Store { id, source } = &error else {
        panic!("{error:?}");
    };
    assert!(*id == first.id() && error.is_retryable(), "{error:?}");
    let why = source.to_string();
    assert!(
        why.contains("idempotency_key") && why.contains("again when the store answers"),
        "{why}"
    );
    let chosen = rig
        .client
        .enqueue(echo("c"))
        .id(JobId::from_uuid(message_id()))
        .await;
    assert!(matches!(chosen, Err(EnqueueError::Store { .. })), "{chosen:?}");
    let mut batch = Batch::new();
    batch.add(echo("d"));
    batch.add(echo("e"));
    let accepted = rig.client.enqueue_many(batch).await.unwrap();
    assert_eq!(accepted.len(), 2, "ids that are made for it are nobody else's");
    assert_eq!(rig.broker.jobs.load(Ordering::SeqCst), published + 2);
    rig.faults.set_away(false);
    let other = rig.client.enqueue(echo("b")).idempotency_key("k").await;
    assert!(matches!(other, Err(EnqueueError::Conflict { .. })), "{other:?}");
    rig.run_fleet();
    assert_eq!(first.wait_timeout(PATIENCE).await.unwrap(), "a");
}

#[tokio::test]
async fn a_parent_that_vanishes_after_the_lookup_takes_the_child_back() {
    let rig = Rig::new();
    rig.faults.claim_to_know_all();
    let nobody = JobId::from_uuid(message_id());
    let error = rig.client.enqueue(Join).depends_on([nobody]).await.unwrap_err();
    assert!(
        matches!(error, EnqueueError::UnknownParent { parent, .. } if parent == nobody),
        "{error:?}"
    );
    assert_eq!(rig.faults.registers.load(Ordering::SeqCst), 1);
    assert_eq!(rig.count().await, 0);
}

#[tokio::test]
async fn a_parent_that_cannot_be_read_stops_none_but_its_own_child() {
    let rig = Rig::new();
    // One shard, so that the lookups share a trip.
    let id = || JobId::generate(SystemClock.now(), 0, &SystemRandom);
    let (parent, torn) = (id(), id());
    for id in [parent, torn] {
        rig.client.enqueue(echo("a")).id(id).await.unwrap();
    }
    rig.faults.tear(torn);
    let child = rig.client.enqueue(Join).depends_on([parent]);
    let other = rig.client.enqueue(Join).depends_on([torn]);
    let (child, other) = futures_util::join!(child.into_future(), other.into_future());
    assert_eq!(child.unwrap().acceptance(), Some(Acceptance::Waiting));
    assert!(
        matches!(
            other,
            Err(EnqueueError::Lookup {
                source: Error::Corrupt(_),
                ..
            })
        ),
        "{other:?}"
    );
}

#[tokio::test]
async fn a_child_whose_record_was_made_by_a_try_without_an_answer_is_taken_back_as_well() {
    let rig = Rig::new();
    rig.faults.claim_to_know_all();
    rig.faults.next([Fault::ReplyLost]);
    let nobody = JobId::from_uuid(message_id());
    let child = rig.client.enqueue(Join).id(JobId::from_uuid(message_id()));
    let error = child.depends_on([nobody]).await.unwrap_err();
    assert!(
        matches!(error, EnqueueError::UnknownParent { parent, .. } if parent == nobody),
        "{error:?}"
    );
    assert_eq!(rig.faults.enqueues.load(Ordering::SeqCst), 2);
    assert_eq!(rig.count().await, 0);
}

/// A client that gives an enqueue a fifth of a second.
fn hasty() -> Rig {
    Rig::with(|client| client.enqueue_timeout(Duration::from_millis(200)))
}

/// Runs it and checks that it kept its time, on a slow machine too.
async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(secs(3), work).await.unwrap()
}

#[tokio::test]
async fn a_store_that_does_not_answer_leaves_the_outcome_unknown_in_time() {
    let rig = hasty();
    rig.faults.set_hangs(true);
    let error = in_time(rig.client.enqueue(echo("a")).into_future())
        .await
        .unwrap_err();
    let EnqueueError::Store { id, source } = &error else {
        panic!("{error:?}");
    };
    assert!(
        matches!(source, Error::OutcomeUnknown { .. }) && error.is_retryable(),
        "{error:?}"
    );
    rig.faults.set_hangs(false);
    let handle = rig.client.enqueue(echo("a")).id(*id).await.unwrap();
    assert_eq!((handle.id(), rig.count().await), (*id, 1));
}

#[tokio::test]
async fn those_who_wait_behind_a_trip_keep_their_own_time() {
    let rig = hasty();
    rig.faults.set_hangs(true);
    // One shard, so that each waits for the trip of the one before.
    let id = || JobId::generate(SystemClock.now(), 0, &SystemRandom);
    let mut callers = JoinSet::new();
    for number in 0..20 {
        callers.spawn(rig.client.enqueue(echo("a")).id(id()).into_future());
        let gathered = Duration::from_millis(5 * number % 20);
        tokio::time::sleep(gathered).await;
    }
    while let Some(ended) = in_time(callers.join_next()).await {
        let error = ended.unwrap().unwrap_err();
        assert!(
            matches!(error, EnqueueError::Store { .. } | EnqueueError::TimedOut { .. }),
            "{error:?}"
        );
    }
    rig.faults.set_hangs(false);
    in_time(rig.client.enqueue(echo("a")).id(id()).into_future())
        .await
        .unwrap();
    assert_eq!(
        rig.count().await,
        1,
        "nobody who was told of a failure is recorded later"
    );
}

#[tokio::test]
async fn a_broker_that_does_not_answer_makes_a_deferred_job_by_the_deadline() {
    let rig = hasty();
    rig.broker.set_hangs(true);
    let handle = in_time(rig.client.enqueue(echo("a")).into_future())
        .await
        .unwrap();
    assert!(handle.is_deferred() && !handle.was_existing());
}

#[tokio::test]
async fn parents_that_cannot_be_looked_up_in_time_leave_nothing() {
    let rig = hasty();
    let parent = rig.client.enqueue(echo("a")).await.unwrap();
    rig.faults.set_hangs(true);
    let child = rig.client.enqueue(Join).depends_on([&parent]);
    let error = in_time(child.into_future()).await.unwrap_err();
    assert!(matches!(error, EnqueueError::TimedOut { .. }), "{error:?}");
    rig.faults.set_hangs(false);
    assert_eq!(rig.count().await, 1);
}

#[tokio::test]
async fn by_policy_a_store_that_does_not_answer_leaves_time_to_publish() {
    let rig = Rig::with(|client| {
        client
            .redis_away(RedisAway::PublishWithoutRecord)
            .enqueue_timeout(secs(1))
    });
    rig.faults.set_hangs(true);
    let handle = in_time(rig.client.enqueue(echo("a")).into_future())
        .await
        .unwrap();
    assert_eq!(handle.acceptance(), Some(Acceptance::Unrecorded));
}

#[tokio::test]
async fn a_child_that_another_enqueue_took_back_is_not_acknowledged() {
    let rig = Rig::new();
    let parent = rig.client.enqueue(echo("a")).await.unwrap();
    rig.faults.abort_first();
    let error = rig.client.enqueue(Join).depends_on([&parent]).await.unwrap_err();
    assert!(matches!(error, EnqueueError::Store { .. }), "{error:?}");
    assert_eq!(rig.count().await, 1);
}
