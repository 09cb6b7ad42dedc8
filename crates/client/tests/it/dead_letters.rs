//! Dead letters on a store whose answers get lost.

use longshore::{DeadLetterChange, JobId, JobStatus};
use longshore_core::random::SystemRandom;
use longshore_core::{Clock, SystemClock};

use crate::ports::Fault;
use crate::rig::{Fail, Rig, echo};

/// One shard, so that letters share a request.
fn id() -> JobId {
    JobId::generate(SystemClock.now(), 0, &SystemRandom)
}

/// A dead letter.
async fn letter(rig: &Rig) -> JobId {
    let failing = rig.client.enqueue(Fail { for_good: true }).id(id());
    let letter = failing.await.unwrap().id();
    rig.until(letter, JobStatus::Failed).await;
    letter
}

#[tokio::test]
async fn a_requeue_whose_answer_is_lost_is_told_as_done_and_done_once() {
    let mut rig = Rig::new();
    rig.run_fleet();
    let letter = letter(&rig).await;
    let fine = rig.client.enqueue(echo("a")).id(id()).await.unwrap();
    rig.until(fine.id(), JobStatus::Completed).await;
    let died = rig.client.view(letter).await.unwrap().unwrap();

    rig.letters.set_dies_again();
    rig.letters.next([Fault::ReplyLost]);
    let ids = [letter, fine.id(), id()];
    let changes = rig.client.dead_letters().requeue(&ids).await.unwrap();
    assert_eq!(
        changes,
        [
            DeadLetterChange::Done,
            DeadLetterChange::NotDead,
            DeadLetterChange::NotDead
        ]
    );
    let again = rig.client.view(letter).await.unwrap().unwrap();
    assert_eq!((again.status, again.gen_), (JobStatus::Failed, died.gen_ + 1));
    // The letter that it is now may be requeued as well.
    assert_eq!(rig.client.requeue(letter).await.unwrap(), DeadLetterChange::Done);
}

#[tokio::test]
async fn a_requeue_whose_answer_is_lost_is_told_as_done_while_the_job_waits() {
    let mut rig = Rig::new();
    rig.run_fleet();
    let letter = letter(&rig).await;
    rig.client.pause("default").await.unwrap();
    rig.letters.next([Fault::ReplyLost]);
    assert_eq!(rig.client.requeue(letter).await.unwrap(), DeadLetterChange::Done);
    // Once it is none any more, nothing is done, whatever is lost.
    rig.letters.next([Fault::ReplyLost]);
    assert_eq!(
        rig.client.requeue(letter).await.unwrap(),
        DeadLetterChange::NotDead
    );
}

#[tokio::test]
async fn a_discard_whose_answer_is_lost_is_told_as_done() {
    let mut rig = Rig::new();
    rig.run_fleet();
    let letter = letter(&rig).await;
    let fine = rig.client.enqueue(echo("a")).id(id()).await.unwrap();
    rig.until(fine.id(), JobStatus::Completed).await;
    for expected in [DeadLetterChange::Done, DeadLetterChange::NotDead] {
        rig.letters.next([Fault::ReplyLost]);
        let ids = [fine.id(), letter];
        let changes = rig.client.dead_letters().discard(&ids).await.unwrap();
        assert_eq!(changes, [DeadLetterChange::NotDead, expected]);
    }
    assert_eq!(rig.status(letter).await, None);
    assert_eq!(rig.status(fine.id()).await, Some(JobStatus::Completed));
}

#[tokio::test]
async fn a_letter_that_cannot_be_looked_at_is_requeued_all_the_same() {
    let mut rig = Rig::new();
    rig.run_fleet();
    let (torn, whole) = (letter(&rig).await, letter(&rig).await);
    rig.looks.tear(torn);
    let changes = rig.client.dead_letters().requeue(&[torn, whole]).await.unwrap();
    assert_eq!(changes, [DeadLetterChange::Done; 2]);
}
