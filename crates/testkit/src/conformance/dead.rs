//! Dead letters: the record, its twin in the archive, requeue and discard.

use std::time::Duration;

use longshore_core::clock::Timestamp;
use longshore_core::dead::{CancelWhich, DeadFilter, Fingerprint, Operation, OperationId, OperationKind};
use longshore_core::message::{Epoch, Gen};
use longshore_core::port::attempt::{Beaten, Claimed, Finished, GiveBackReason, Over};
use longshore_core::port::broker::{Payload, Source};
use longshore_core::port::enqueue::{Enqueued, NewJob};
use longshore_core::port::schedule::{DeadLetter, DeadLetterChange, EditedLetter, TwinState};
use longshore_core::view::JobFilter;
use longshore_core::{Envelope, FunctionName, JobId, JobStatus};

use super::retention::copy_dead;
use super::rig::{Rig, completed, delivery, error, failed, no_delivery, retry};

cases! { DeadLetters:
    a_failed_job_asks_for_its_twin_until_it_is_copied,
    a_dead_letter_travels_through_the_archive,
    a_twin_of_a_failed_job_is_kept,
    a_twin_of_a_requeued_job_is_stale,
    a_twin_of_a_discarded_job_is_dropped,
    a_twin_after_a_wipe_is_rebuilt_as_failed,
    a_dead_letter_is_requeued_with_fresh_counts,
    a_requeue_touches_only_what_died_before,
    a_resumed_requeue_requeues_none_twice,
    a_requeued_dead_letter_has_no_expiry,
    a_dead_letter_past_its_deadline_is_not_requeued,
    a_discarded_dead_letter_leaves_a_tombstone,
    a_discard_touches_only_what_died_before,
    requeue_and_discard_leave_other_jobs_alone,
    removals_are_counted_for_the_keeper,
    a_removal_that_comes_during_a_lap_waits_for_the_next,
    a_twin_that_comes_after_its_letter_was_requeued_or_discarded_is_a_removal,
    the_error_of_a_dead_letter_that_never_ran_stays_visible_when_it_does,
    a_message_that_the_broker_gave_up_counts_a_lost_for_a_running_job,
    a_message_that_the_broker_gave_up_twice_counts_once,
    a_message_that_the_broker_gave_up_goes_to_the_outbox_for_a_queued_job,
    a_message_that_the_broker_gave_up_leaves_a_parked_job_where_it_is,
    unknown_jobs_among_what_the_broker_gave_up_are_named,
    an_edited_dead_letter_runs_with_its_new_arguments,
    an_edit_of_a_letter_that_was_requeued_meanwhile_changes_nothing,
    an_edited_dead_letter_past_its_deadline_stays_as_it_is,
    an_operation_begins_once_at_the_time_of_the_store,
    an_operation_is_remembered_as_it_was_saved,
    a_cancel_of_many_is_remembered_with_what_it_cancels,
    the_oldest_ended_operation_makes_room,
    a_requeue_from_the_start_of_an_operation_spares_what_dies_later,
}

async fn requeue(rig: &Rig, id: JobId) -> DeadLetterChange {
    rig.ports
        .schedule
        .requeue(0, vec![id], rig.now().after(Duration::from_secs(1)))
        .await
        .unwrap()[0]
}

async fn discard(rig: &Rig, id: JobId) -> DeadLetterChange {
    rig.ports
        .schedule
        .discard(0, vec![id], rig.now().after(Duration::from_secs(1)))
        .await
        .unwrap()[0]
}

async fn letters(rig: &Rig) -> Vec<DeadLetter> {
    rig.ports.schedule.dead_uncopied(0, 100).await.unwrap()
}

async fn twin(rig: &Rig, letter: &DeadLetter) -> TwinState {
    rig.ports
        .schedule
        .dead_twins(0, vec![letter.clone()])
        .await
        .unwrap()[0]
}

async fn epoch(rig: &Rig) -> Epoch {
    rig.ports.schedule.lease_outbox(0, 1).await.unwrap().epoch
}

async fn a_failed_job_asks_for_its_twin_until_it_is_copied(rig: Rig) {
    let held = rig.running(|_| {}).await;
    rig.finish(&held, retry(0)).await;
    rig.pass_secs(1).await;
    rig.promoted().await;
    let second = rig.start(&held.job, 2).await;
    rig.finish(&second, failed()).await;
    let dead = letters(&rig).await;
    assert_eq!(dead.len(), 1);
    let letter = &dead[0];
    assert_eq!((letter.id, letter.gen_, letter.attempts), (held.id, 2, 2));
    assert_eq!(
        (&letter.envelope, &letter.queue, &letter.error),
        (&held.job.envelope, &held.job.queue, &error())
    );
    assert_eq!((letter.epoch, letter.history.len()), (epoch(&rig).await, 2));
    Rig::assert_at(Some(letter.dead_at), rig.now());
    rig.pass_secs(600).await;
    assert_eq!(letters(&rig).await, dead, "the keeper that took it died");
    let earlier = vec![(held.id, 1)];
    rig.ports.schedule.dead_copied(0, earlier).await.unwrap();
    rig.pass_secs(600).await;
    assert_eq!(letters(&rig).await, dead, "that was the copy of another death");
    rig.ports
        .schedule
        .dead_copied(0, vec![(held.id, 2)])
        .await
        .unwrap();
    rig.pass_secs(600).await;
    assert_eq!(letters(&rig).await, []);
    assert_eq!(rig.status(held.id).await, Some(JobStatus::Failed));
}

async fn a_dead_letter_travels_through_the_archive(rig: Rig) {
    rig.ended(failed()).await;
    let letter = letters(&rig).await.remove(0);
    let published = rig.ports.publish.archive(vec![letter.clone()]).await;
    assert!(published[0].is_confirmed(), "{published:?}");
    let mut archive = rig.ports.consume.subscribe(Source::Archive, 10).await.unwrap();
    let found = delivery(archive.as_mut()).await;
    let Payload::Dead(dead) = found.payload else {
        panic!("{:?}", found.payload)
    };
    assert_eq!(dead, letter);
    found.receipt.ack();
    no_delivery(archive.as_mut()).await;
}

async fn a_twin_of_a_failed_job_is_kept(rig: Rig) {
    rig.ended(failed()).await;
    let letter = letters(&rig).await.remove(0);
    for _ in 0..2 {
        assert_eq!(twin(&rig, &letter).await, TwinState::Keep);
    }
}

async fn a_twin_of_a_requeued_job_is_stale(rig: Rig) {
    let held = rig.ended(failed()).await;
    let letter = letters(&rig).await.remove(0);
    assert_eq!(requeue(&rig, held.id).await, DeadLetterChange::Done);
    assert_eq!(twin(&rig, &letter).await, TwinState::Stale);
    let again = rig.start(&held.job, 2).await;
    rig.finish(&again, failed()).await;
    assert_eq!(
        twin(&rig, &letter).await,
        TwinState::Stale,
        "it died again, with another gen"
    );
    let second = letters(&rig).await.remove(0);
    assert_eq!(twin(&rig, &second).await, TwinState::Keep);
}

async fn a_twin_of_a_discarded_job_is_dropped(rig: Rig) {
    let held = rig.ended(failed()).await;
    let letter = letters(&rig).await.remove(0);
    discard(&rig, held.id).await;
    assert!(matches!(
        twin(&rig, &letter).await,
        TwinState::Dropped | TwinState::Stale
    ));
    let of_another_history = DeadLetter {
        epoch: letter.epoch.wrapping_add(1),
        ..letter
    };
    assert_eq!(twin(&rig, &of_another_history).await, TwinState::Stale);
    assert_eq!(rig.find(held.id).await, None);
}

async fn a_twin_after_a_wipe_is_rebuilt_as_failed(rig: Rig) {
    let held = rig.ended(failed()).await;
    let mut letter = letters(&rig).await.remove(0);
    // As after a wipe: no record, no tombstone, and the twin is of another epoch.
    let lost = rig.job(|_| {});
    letter.id = lost.id;
    letter.envelope = lost.envelope.clone();
    assert_eq!(twin(&rig, &letter).await, TwinState::Dropped, "of this history");
    assert_eq!(rig.find(lost.id).await, None);
    letter.epoch = epoch(&rig).await.wrapping_add(1);
    assert_eq!(twin(&rig, &letter).await, TwinState::Rebuilt);
    let view = rig.view(lost.id).await;
    assert_eq!(
        (view.status, view.gen_, view.error),
        (JobStatus::Failed, letter.gen_, Some(error()))
    );
    assert_eq!(view.full.unwrap().envelope, lost.envelope);
    assert_eq!(twin(&rig, &letter).await, TwinState::Keep);
    rig.pass_secs(600).await;
    let uncopied: Vec<_> = letters(&rig).await.into_iter().map(|letter| letter.id).collect();
    assert_eq!(uncopied, [held.id], "what was rebuilt from its twin has one");
    assert_eq!(requeue(&rig, lost.id).await, DeadLetterChange::Done);
    rig.start(&lost, letter.gen_ + 1).await;
}

async fn a_dead_letter_is_requeued_with_fresh_counts(rig: Rig) {
    let held = rig.running(|_| {}).await;
    rig.finish(&held, retry(0)).await;
    rig.pass_secs(1).await;
    rig.promoted().await;
    let second = rig.start(&held.job, 2).await;
    let lost = vec![(held.id, 2)];
    rig.ports.schedule.broker_gave_up(0, lost).await.unwrap();
    rig.finish(&second, failed()).await;
    assert_eq!(requeue(&rig, held.id).await, DeadLetterChange::Done);
    let view = rig.view(held.id).await;
    assert_eq!((view.status, view.gen_), (JobStatus::Queued, 3));
    assert_eq!((view.attempts, view.retries, view.losts), (0, 0, 0));
    assert_eq!(view.finished_at, None);
    rig.pass_secs(6).await;
    assert_eq!(rig.outbox_ids().await, [(held.id, 3)]);
    assert_eq!(rig.deliver(held.id, 2).await, Claimed::Over(Over::Stale));
    let third = rig.start(&held.job, 3).await;
    assert_eq!((third.grant.attempt, third.grant.retries), (1, 0));
    assert_eq!(
        rig.finish(&third, completed()).await,
        Finished::Accepted(JobStatus::Completed)
    );
    assert_eq!(rig.finish(&second, failed()).await, Finished::Lost);
    rig.pass_secs(600).await;
    assert_eq!(letters(&rig).await, [], "it is no dead letter any more");
}

async fn a_requeue_touches_only_what_died_before(rig: Rig) {
    let early = rig.ended(failed()).await;
    rig.pass_secs(10).await;
    let before = rig.now();
    rig.pass_secs(10).await;
    let late = rig.ended(failed()).await;
    let changes = rig
        .ports
        .schedule
        .requeue(0, vec![early.id, late.id], before)
        .await
        .unwrap();
    assert_eq!(changes, [DeadLetterChange::Done, DeadLetterChange::NotDead]);
    assert_eq!(rig.status(late.id).await, Some(JobStatus::Failed));
}

async fn a_resumed_requeue_requeues_none_twice(rig: Rig) {
    let held = rig.ended(failed()).await;
    rig.pass_secs(10).await;
    let before = rig.now();
    let requeue = || rig.ports.schedule.requeue(0, vec![held.id], before);
    assert_eq!(requeue().await.unwrap(), [DeadLetterChange::Done]);
    assert_eq!(requeue().await.unwrap(), [DeadLetterChange::NotDead]);
    rig.pass_secs(1).await;
    let again = rig.start(&held.job, 2).await;
    rig.finish(&again, failed()).await;
    assert_eq!(
        requeue().await.unwrap(),
        [DeadLetterChange::NotDead],
        "it died after the run began"
    );
    assert_eq!(rig.view(held.id).await.gen_, 2);
}

async fn a_requeued_dead_letter_has_no_expiry(rig: Rig) {
    let expiry = Some(Duration::from_secs(50));
    let job = rig.published(|spec| spec.expires_in = expiry).await;
    super::give_back::quarantine(&rig, vec![job.id]).await;
    rig.pass_secs(40).await;
    assert_eq!(requeue(&rig, job.id).await, DeadLetterChange::Done);
    rig.pass_secs(20).await;
    assert_eq!(rig.ports.schedule.expire_waiting(0, 100).await.unwrap(), 0);
    rig.start(&job, 2).await;
}

async fn a_dead_letter_past_its_deadline_is_not_requeued(rig: Rig) {
    let deadline = rig.now().after(Duration::from_secs(50));
    let held = rig.running(|spec| spec.deadline = Some(deadline)).await;
    rig.finish(&held, failed()).await;
    rig.pass_secs(51).await;
    assert_eq!(requeue(&rig, held.id).await, DeadLetterChange::PastDeadline);
    assert_eq!(rig.status(held.id).await, Some(JobStatus::Failed));
    assert_eq!(removals(&rig, 0).await, (0, 0));
    assert_eq!(discard(&rig, held.id).await, DeadLetterChange::Done);
}

async fn a_discarded_dead_letter_leaves_a_tombstone(rig: Rig) {
    let held = rig.ended(failed()).await;
    assert_eq!(discard(&rig, held.id).await, DeadLetterChange::Done);
    assert_eq!(rig.find(held.id).await, None);
    assert_eq!(rig.status(held.id).await, Some(JobStatus::Failed));
    assert_eq!(
        rig.deliver(held.id, 1).await,
        Claimed::Over(Over::Ended(JobStatus::Failed))
    );
    let again = rig.enqueue(&held.job).await;
    assert!(
        matches!(
            again,
            Enqueued::Existing {
                status: JobStatus::Failed,
                ..
            }
        ),
        "{again:?}"
    );
    assert_eq!(discard(&rig, held.id).await, DeadLetterChange::NotDead);
    rig.pass_secs(600).await;
    assert_eq!(letters(&rig).await, []);
}

async fn a_discard_touches_only_what_died_before(rig: Rig) {
    let before = rig.now();
    rig.pass_secs(10).await;
    let late = rig.ended(failed()).await;
    let changes = rig
        .ports
        .schedule
        .discard(0, vec![late.id], before)
        .await
        .unwrap();
    assert_eq!(changes, [DeadLetterChange::NotDead]);
    assert!(rig.find(late.id).await.is_some());
}

async fn requeue_and_discard_leave_other_jobs_alone(rig: Rig) {
    let running = rig.running(|_| {}).await;
    let ended = rig.ended(completed()).await;
    for id in [running.id, ended.id, rig.job(|_| {}).id] {
        let before = rig.find(id).await;
        assert_eq!(requeue(&rig, id).await, DeadLetterChange::NotDead);
        assert_eq!(discard(&rig, id).await, DeadLetterChange::NotDead);
        assert_eq!(rig.find(id).await, before);
    }
}

async fn the_error_of_a_dead_letter_that_never_ran_stays_visible_when_it_does(rig: Rig) {
    let job = rig
        .enqueued(|spec| spec.depends_on = vec![rig.job(|_| {}).id.into()])
        .await;
    rig.ports
        .enqueue
        .fail_blocked(0, vec![(job.id, error())])
        .await
        .unwrap();
    requeue(&rig, job.id).await;
    rig.start(&job, 1).await;
    assert_eq!(rig.view(job.id).await.error, Some(error()));
}

async fn removals_are_counted_for_the_keeper(rig: Rig) {
    let (one, two) = (rig.ended(failed()).await, rig.ended(failed()).await);
    copy_dead(&rig).await;
    assert_eq!(removals(&rig, 0).await, (0, 0));
    requeue(&rig, one.id).await;
    discard(&rig, two.id).await;
    assert_eq!(removals(&rig, 0).await, (2, 2));
    assert_eq!(removals(&rig, 2).await, (2, 0));
    assert_eq!(removals(&rig, 0).await, (2, 0));
    super::retention::pruned(&rig, completed()).await;
    assert_eq!(removals(&rig, 0).await, (2, 0), "it had no twin");
    super::retention::pruned(&rig, failed()).await;
    assert_eq!(
        removals(&rig, 0).await,
        (3, 1),
        "retention makes a twin stale too"
    );
}

/// How many twins are stale and how many of them wait for a lap, after a lap that began when so many were.
async fn removals(rig: &Rig, swept: u64) -> (u64, u64) {
    let removals = rig.ports.schedule.removals_pending(0, swept).await.unwrap();
    (removals.counted, removals.pending)
}

async fn a_removal_that_comes_during_a_lap_waits_for_the_next(rig: Rig) {
    let (one, two) = (rig.ended(failed()).await, rig.ended(failed()).await);
    copy_dead(&rig).await;
    requeue(&rig, one.id).await;
    let (began, _) = removals(&rig, 0).await;
    requeue(&rig, two.id).await;
    assert_eq!(removals(&rig, began).await, (2, 1));
    assert_eq!(
        removals(&rig, began).await,
        (2, 1),
        "told again, or by another whose lap began at the same moment"
    );
    assert_eq!(
        removals(&rig, 3).await,
        (2, 1),
        "a number from before a wipe says nothing"
    );
    assert_eq!(removals(&rig, 2).await, (2, 0));
    assert_eq!(
        removals(&rig, began).await,
        (2, 0),
        "a lap that began earlier ends later"
    );
}

async fn a_twin_that_comes_after_its_letter_was_requeued_or_discarded_is_a_removal(rig: Rig) {
    let (one, two) = (rig.ended(failed()).await, rig.ended(failed()).await);
    let kept = rig.ended(failed()).await;
    requeue(&rig, one.id).await;
    discard(&rig, two.id).await;
    assert_eq!(removals(&rig, 2).await, (2, 0), "a lap has found no twin");
    let copied = vec![(one.id, 1), (kept.id, 1), (two.id, 1)];
    for _ in 0..2 {
        let before = removals(&rig, 0).await.0;
        rig.ports.schedule.dead_copied(0, copied.clone()).await.unwrap();
        let (counted, _) = removals(&rig, 0).await;
        assert_eq!(counted - before, 2, "one letter is dead still");
    }
    assert_eq!(removals(&rig, 0).await, (6, 4));
    assert_eq!(letters(&rig).await, []);
}

async fn a_message_that_the_broker_gave_up_counts_a_lost_for_a_running_job(rig: Rig) {
    let held = rig.running(|_| {}).await;
    let unknown = rig
        .ports
        .schedule
        .broker_gave_up(0, vec![(held.id, 1)])
        .await
        .unwrap();
    assert_eq!(unknown, []);
    assert_eq!(rig.view(held.id).await.losts, 1);
    let beaten = rig.beat(held.id, held.nonce).await;
    assert!(
        matches!(beaten, Beaten::Alive { .. } | Beaten::Lost),
        "{beaten:?}"
    );
}

async fn a_message_that_the_broker_gave_up_twice_counts_once(rig: Rig) {
    let held = rig.running(|_| {}).await;
    for _ in 0..5 {
        let jobs = vec![(held.id, 1)];
        assert_eq!(rig.ports.schedule.broker_gave_up(0, jobs).await.unwrap(), []);
    }
    let view = rig.view(held.id).await;
    assert_eq!((view.status, view.losts), (JobStatus::Running, 1));
    let history = view.full.unwrap().history;
    assert_eq!(history.len(), 1, "{history:?}");
    assert_eq!(history[0].outcome, "lost");
    rig.finish(&held, retry(0)).await;
    rig.promoted().await;
    rig.start(&held.job, 2).await;
    rig.ports
        .schedule
        .broker_gave_up(0, vec![(held.id, 2)])
        .await
        .unwrap();
    assert_eq!(rig.view(held.id).await.losts, 2, "another dispatch");
}

async fn a_message_that_the_broker_gave_up_goes_to_the_outbox_for_a_queued_job(rig: Rig) {
    let job = rig.published(|_| {}).await;
    rig.ports
        .schedule
        .broker_gave_up(0, vec![(job.id, 1)])
        .await
        .unwrap();
    rig.pass_secs(6).await;
    let due = rig.outbox_ids().await;
    assert_eq!(due.len(), 1);
    let (id, gen_) = due[0];
    assert_eq!(id, job.id);
    assert_eq!(rig.start(&job, gen_).await.grant.losts, 0);
}

async fn a_message_that_the_broker_gave_up_leaves_a_parked_job_where_it_is(rig: Rig) {
    let name = FunctionName::new("rare").unwrap();
    let job = rig.published(|spec| spec.function_name = name.clone()).await;
    let park = GiveBackReason::Park(name.clone());
    rig.give_back(job.id, 1, park).await;
    let gen_ = rig.view(job.id).await.gen_;
    rig.ports
        .schedule
        .broker_gave_up(0, vec![(job.id, gen_)])
        .await
        .unwrap();
    rig.pass_secs(6).await;
    assert_eq!(rig.outbox_ids().await, []);
    assert_eq!(rig.view(job.id).await.parked, Some(name));
}

async fn unknown_jobs_among_what_the_broker_gave_up_are_named(rig: Rig) {
    let ended = rig.ended(completed()).await;
    let pruned = super::retention::pruned(&rig, completed()).await;
    let stray = rig.job(|_| {}).id;
    let jobs = vec![(ended.id, 1), (stray, 1), (pruned.id, 1)];
    assert_eq!(rig.ports.schedule.broker_gave_up(0, jobs).await.unwrap(), [stray]);
    assert_eq!(rig.status(ended.id).await, Some(JobStatus::Completed));
}

/// The letter as a person changed it: other arguments, everything else as it was.
fn edited(job: &NewJob, gen_: Gen, args: &serde_json::Value) -> EditedLetter {
    let mut envelope = Envelope::decode(&job.envelope).unwrap();
    envelope.args = longshore_core::value::encode("args", args).unwrap().to_vec();
    EditedLetter {
        id: job.id,
        gen_,
        envelope: envelope.encode().unwrap(),
    }
}

async fn edit(rig: &Rig, letter: &EditedLetter) -> DeadLetterChange {
    let letters = vec![letter.clone()];
    rig.ports.schedule.requeue_edited(0, letters).await.unwrap()[0]
}

async fn envelope(rig: &Rig, id: JobId) -> bytes::Bytes {
    rig.view(id).await.full.unwrap().envelope
}

async fn an_edited_dead_letter_runs_with_its_new_arguments(rig: Rig) {
    let held = rig.running(|_| {}).await;
    rig.finish(&held, retry(0)).await;
    rig.pass_secs(1).await;
    rig.promoted().await;
    let second = rig.start(&held.job, 2).await;
    rig.finish(&second, failed()).await;
    let old = letters(&rig).await.remove(0);
    let letter = edited(&held.job, 2, &serde_json::json!({"fixed": true}));
    assert_eq!(edit(&rig, &letter).await, DeadLetterChange::Done);
    assert_eq!(
        edit(&rig, &letter).await,
        DeadLetterChange::Done,
        "the answer was lost, and it is asked again"
    );
    let view = rig.view(held.id).await;
    assert_eq!((view.status, view.gen_), (JobStatus::Queued, 3));
    assert_eq!((view.attempts, view.retries, view.losts), (0, 0, 0));
    assert_eq!(envelope(&rig, held.id).await, letter.envelope);
    assert_eq!(twin(&rig, &old).await, TwinState::Stale);
    assert_eq!(removals(&rig, 0).await, (1, 1));
    rig.pass_secs(6).await;
    let due = rig.outbox().await;
    assert_eq!((due.len(), &due[0].envelope), (1, &letter.envelope));
    let again = rig.enqueue(&held.job).await;
    assert!(
        matches!(again, Enqueued::Existing { .. }),
        "what was asked for is still this job: {again:?}"
    );
    rig.start(&held.job, 3).await;
}

async fn an_edit_of_a_letter_that_was_requeued_meanwhile_changes_nothing(rig: Rig) {
    let held = rig.ended(failed()).await;
    let letter = edited(&held.job, 1, &serde_json::json!(1));
    assert_eq!(requeue(&rig, held.id).await, DeadLetterChange::Done);
    assert_eq!(edit(&rig, &letter).await, DeadLetterChange::NotDead);
    let again = rig.start(&held.job, 2).await;
    assert_eq!(edit(&rig, &letter).await, DeadLetterChange::NotDead);
    rig.finish(&again, failed()).await;
    assert_eq!(
        edit(&rig, &letter).await,
        DeadLetterChange::NotDead,
        "another death"
    );
    assert_eq!(envelope(&rig, held.id).await, held.job.envelope);
    let stray = edited(&rig.job(|_| {}), 0, &serde_json::json!(1));
    assert_eq!(edit(&rig, &stray).await, DeadLetterChange::NotDead);
}

async fn an_edited_dead_letter_past_its_deadline_stays_as_it_is(rig: Rig) {
    let deadline = rig.now().after(Duration::from_secs(50));
    let held = rig.running(|spec| spec.deadline = Some(deadline)).await;
    rig.finish(&held, failed()).await;
    rig.pass_secs(51).await;
    let letter = edited(&held.job, 1, &serde_json::json!(1));
    assert_eq!(edit(&rig, &letter).await, DeadLetterChange::PastDeadline);
    assert_eq!(envelope(&rig, held.id).await, held.job.envelope);
    assert_eq!(rig.status(held.id).await, Some(JobStatus::Failed));
}

fn operation(id: u64) -> Operation {
    Operation {
        id: OperationId(id),
        kind: OperationKind::Requeue,
        filter: DeadFilter {
            fingerprint: Some(Fingerprint::of(Some(&error()))),
            tags: vec!["nightly".to_owned()],
            ..DeadFilter::default()
        },
        started_at: Timestamp::ZERO,
        total: None,
        done: 0,
        kept: 0,
        ended_at: None,
        cancels: None,
    }
}

async fn begin(rig: &Rig, operation: Operation) -> Operation {
    rig.ports.inspect.begin_operation(operation).await.unwrap()
}

async fn operations(rig: &Rig) -> Vec<Operation> {
    rig.ports.inspect.operations().await.unwrap()
}

async fn an_operation_begins_once_at_the_time_of_the_store(rig: Rig) {
    assert_eq!(operations(&rig).await, []);
    let begun = begin(&rig, operation(u64::MAX)).await;
    Rig::assert_at(Some(begun.started_at), rig.now());
    let started_at = begun.started_at;
    assert_eq!(
        begun,
        Operation {
            started_at,
            ..operation(u64::MAX)
        }
    );
    rig.pass_secs(100).await;
    let other = Operation {
        kind: OperationKind::Discard,
        ..operation(u64::MAX)
    };
    assert_eq!(begin(&rig, other).await, begun);
    assert_eq!(operations(&rig).await, [begun]);
}

async fn a_cancel_of_many_is_remembered_with_what_it_cancels(rig: Rig) {
    let asked = Operation {
        kind: OperationKind::Cancel,
        filter: DeadFilter::default(),
        cancels: Some(CancelWhich {
            jobs: JobFilter {
                statuses: vec![JobStatus::Queued, JobStatus::Running],
                tags: vec!["nightly".to_owned()],
                ..JobFilter::default()
            },
            reason: "wrong \"data\"".to_owned(),
        }),
        ..operation(7)
    };
    let begun = begin(&rig, asked.clone()).await;
    assert_eq!((&begun.cancels, begun.kind), (&asked.cancels, asked.kind));
    assert_eq!(operations(&rig).await, [begun]);
}

async fn an_operation_is_remembered_as_it_was_saved(rig: Rig) {
    let first = begin(&rig, operation(1)).await;
    rig.pass_secs(10).await;
    let second = begin(&rig, operation(2)).await;
    let done = Operation {
        total: Some(10_000),
        done: 9_999,
        kept: 1,
        ended_at: Some(rig.now()),
        ..first
    };
    rig.ports.inspect.save_operation(done.clone()).await.unwrap();
    assert_eq!(operations(&rig).await, [second, done.clone()]);
    assert_eq!(begin(&rig, operation(1)).await, done);
}

async fn the_oldest_ended_operation_makes_room(rig: Rig) {
    let most = longshore_core::limits::OPERATIONS_MAX as u64;
    for id in 0..most {
        let begun = begin(&rig, operation(id)).await;
        if id == 7 || id == 8 {
            let ended = Operation {
                started_at: begun.started_at.after(Duration::from_millis(id)),
                ended_at: Some(rig.now()),
                ..begun
            };
            rig.ports.inspect.save_operation(ended).await.unwrap();
        }
    }
    begin(&rig, operation(most)).await;
    let left: Vec<_> = operations(&rig).await.into_iter().map(|kept| kept.id.0).collect();
    assert_eq!(left.len() as u64, most);
    assert!(!left.contains(&7) && left.contains(&8) && left.contains(&most));
}

async fn a_requeue_from_the_start_of_an_operation_spares_what_dies_later(rig: Rig) {
    let held = rig.ended(failed()).await;
    rig.pass_secs(1).await;
    let before = begin(&rig, operation(1)).await.started_at;
    let requeue = || rig.ports.schedule.requeue(0, vec![held.id], before);
    assert_eq!(requeue().await.unwrap(), [DeadLetterChange::Done]);
    let again = rig.start(&held.job, 2).await;
    rig.finish(&again, failed()).await;
    let before = begin(&rig, operation(1)).await.started_at;
    let resumed = rig.ports.schedule.requeue(0, vec![held.id], before);
    assert_eq!(resumed.await.unwrap(), [DeadLetterChange::NotDead]);
}
