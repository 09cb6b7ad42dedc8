//! Dead letters and their archive.

mod during_a_lap;
mod second_copies;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_core::message::{Message, MessageJob};
use longshore_core::port::broker::{
    AckSink, Delivery, Depth, Payload, Receipt, Source, Subscription, Undecodable, message_id,
};
use longshore_core::port::enqueue::NewJob;
use longshore_core::port::schedule::{DeadLetter, DeadLetterChange};
use longshore_core::port::{ConsumePort, Reply};
use longshore_core::{Clock, JobId, JobStatus, QueueName};

use super::{Rig, failed, quick, rig, rig_over};
use crate::daemon::take_given_up;
use crate::{Daemon, Error};

impl Rig {
    /// What is in the archive; it stays there.
    async fn archive(&self) -> Vec<DeadLetter> {
        let mut archive = self
            .ports
            .consume
            .subscribe(Source::Archive, 10_000)
            .await
            .unwrap();
        let mut held = Vec::new();
        while let Some(delivery) = quick(archive.as_mut()).await {
            held.push(delivery);
        }
        let letter = |delivery: &Delivery| match &delivery.payload {
            Payload::Dead(letter) => letter.clone(),
            other => panic!("{other:?}"),
        };
        held.iter().map(letter).collect()
    }

    async fn archived(&self) -> Vec<JobId> {
        self.archive().await.into_iter().map(|letter| letter.id).collect()
    }

    async fn requeue(&self, id: JobId) {
        self.pass_secs(1);
        let changes = self
            .ports
            .schedule
            .requeue(0, vec![id], self.clock.now())
            .await
            .unwrap();
        assert_eq!(changes, [DeadLetterChange::Done]);
    }

    /// Twins that wait for a lap.
    async fn removals(&self) -> u64 {
        self.ports.schedule.removals_pending(0, 0).await.unwrap().pending
    }

    async fn keep(&self) -> u64 {
        self.run(Daemon::KeepDeadLetters).await
    }

    /// As a keeper that starts anew.
    async fn keep_anew(&self) {
        let next = super::Scheduler::builder(self.ports.clone())
            .clock(Arc::new(self.clock.clone()))
            .build();
        next.held.send_replace(crate::shards::Held {
            shards: vec![0],
            is_first: true,
        });
        crate::drive::pass(Daemon::KeepDeadLetters, &next.context, &[0])
            .await
            .unwrap();
    }

    /// As a wipe leaves it: a twin of another epoch, of a job that nobody knows.
    fn outlived(&self, like: &DeadLetter) -> DeadLetter {
        let lost = self.factory.job(0, |_| {});
        DeadLetter {
            id: lost.id,
            envelope: lost.envelope,
            epoch: like.epoch.wrapping_add(1),
            ..like.clone()
        }
    }
}

#[tokio::test]
async fn a_dead_letter_gets_one_twin() {
    let rig = rig();
    let dead = rig.ended(failed()).await;
    assert_eq!(rig.keep().await, 1);
    assert_eq!(rig.keep().await, 0);
    let archive = rig.archive().await;
    assert_eq!(archive.len(), 1);
    assert_eq!((archive[0].id, &archive[0].envelope), (dead.id, &dead.envelope));
}

#[tokio::test]
async fn twins_that_the_archive_lost_are_made_anew_and_no_others() {
    let rig = rig();
    rig.ended(failed()).await;
    rig.ended(failed()).await;
    rig.keep().await;
    let before = rig.archive().await;
    let mut archive = rig.ports.consume.subscribe(Source::Archive, 1).await.unwrap();
    quick(archive.as_mut()).await.unwrap().receipt.ack();
    drop(archive);
    let left = rig.archive().await;
    assert_eq!(left, before[1..], "the first is gone");
    // One count may have met another replica that held some of them.
    rig.pass_secs(61);
    assert_eq!(rig.keep().await, 0);
    rig.pass_secs(61);
    assert_eq!(rig.keep().await, 1);
    let mut archive = rig.archive().await;
    archive.sort_by_key(|letter| letter.id != before[0].id);
    assert_eq!(archive, before, "as they were");
    for _ in 0..3 {
        rig.pass_secs(61);
        assert_eq!(rig.keep().await, 0, "nothing is missing");
    }
}

#[tokio::test]
async fn twins_of_requeued_jobs_go_and_the_others_stay() {
    let rig = rig();
    let (kept, requeued) = (rig.ended(failed()).await, rig.ended(failed()).await);
    rig.keep().await;
    assert_eq!(rig.archived().await.len(), 2);
    rig.requeue(requeued.id).await;
    assert_eq!(rig.keep().await, 1);
    assert_eq!(rig.archived().await, [kept.id]);
    assert_eq!(rig.removals().await, 0);
    assert_eq!(rig.keep().await, 0, "no lap without a reason");
}

#[tokio::test]
async fn a_twin_that_comes_after_the_lap_for_its_requeue_goes_with_the_next() {
    let rig = rig();
    let dead = rig.ended(failed()).await;
    // Its copy is slow.
    let letters = rig.ports.schedule.dead_uncopied(0, 10).await.unwrap();
    rig.requeue(dead.id).await;
    assert_eq!(rig.keep().await, 0, "the lap finds no twin");
    assert_eq!(rig.removals().await, 0);
    rig.ports.publish.archive(letters).await;
    let copied = vec![(dead.id, 1)];
    rig.ports.schedule.dead_copied(0, copied).await.unwrap();
    assert_eq!(rig.keep().await, 1);
    assert_eq!((rig.archived().await, rig.removals().await), (Vec::new(), 0));
}

#[tokio::test]
async fn an_archive_larger_than_a_lap_may_hold_is_kept_whole() {
    let rig = rig();
    let jobs: Vec<NewJob> = (0..1_300).map(|_| rig.factory.job(0, |_| {})).collect();
    rig.ports.enqueue.enqueue(0, jobs.clone()).await.unwrap();
    for job in &jobs {
        let running = rig.claim(job.id, 1).await;
        rig.finish(&running, failed()).await;
    }
    assert_eq!(rig.keep().await, 1_300);
    for job in jobs.iter().step_by(13) {
        rig.requeue(job.id).await;
    }
    rig.keep().await;
    let mut left = rig.archived().await;
    left.sort_unstable();
    let mut expected: Vec<_> = jobs
        .iter()
        .enumerate()
        .filter(|(at, _)| at % 13 != 0)
        .map(|(_, job)| job.id)
        .collect();
    expected.sort_unstable();
    assert_eq!(left, expected);
}

#[tokio::test]
async fn a_second_copy_of_a_twin_goes_with_the_next_lap() {
    let rig = rig();
    let (twice, requeued) = (rig.ended(failed()).await, rig.ended(failed()).await);
    rig.keep().await;
    let letter = rig
        .archive()
        .await
        .into_iter()
        .find(|letter| letter.id == twice.id)
        .unwrap();
    rig.ports.publish.archive(vec![letter]).await;
    rig.requeue(requeued.id).await;
    rig.keep().await;
    assert_eq!(rig.archived().await, [twice.id]);
}

#[tokio::test]
async fn twins_that_outlived_a_wipe_bring_their_jobs_back() {
    let rig = rig();
    rig.ended(failed()).await;
    rig.keep().await;
    let kept = rig.archive().await.remove(0);
    let lost = rig.outlived(&kept);
    rig.ports.publish.archive(vec![lost.clone()]).await;
    rig.keep_anew().await;
    assert_eq!(rig.status(lost.id).await, JobStatus::Failed);
    let twins = rig.archive().await;
    assert_eq!(twins.len(), 2);
    assert!(
        twins.iter().all(|twin| twin.epoch == kept.epoch),
        "it belongs to the new life of the store"
    );
}

#[tokio::test]
async fn only_the_holder_of_the_first_shard_keeps_the_archive() {
    let rig = rig();
    let (dead, requeued) = (rig.ended(failed()).await, rig.ended(failed()).await);
    rig.scheduler.held.send_modify(|held| held.is_first = false);
    assert_eq!(rig.keep().await, 2, "copies are everybody's");
    rig.requeue(requeued.id).await;
    assert_eq!(rig.keep().await, 0);
    assert_eq!(rig.archived().await.len(), 2);
    rig.scheduler.held.send_modify(|held| held.is_first = true);
    assert_eq!(rig.keep().await, 1);
    assert_eq!(rig.archived().await, [dead.id]);
}

/// What befalls the next subscription to the archive after two deliveries.
#[derive(Clone, Copy, PartialEq)]
enum Mishap {
    Nothing,
    /// It is silent for longer than a quiet archive is waited for.
    Silence,
    /// It ends.
    Loss,
}

struct Mishaps(Arc<dyn ConsumePort>, Mutex<Mishap>);

struct Unlucky(Box<dyn Subscription>, Mishap, usize);

impl ConsumePort for Mishaps {
    fn subscribe(&self, source: Source, prefetch: u16) -> Reply<'_, Box<dyn Subscription>> {
        let to_archive = source == Source::Archive;
        Box::pin(async move {
            let subscription = self.0.subscribe(source, prefetch).await?;
            let mishap = std::mem::replace(&mut *self.1.lock().unwrap(), Mishap::Nothing);
            Ok(if to_archive {
                Box::new(Unlucky(subscription, mishap, 0))
            } else {
                subscription
            })
        })
    }

    fn depths(&self, queues: Vec<QueueName>) -> Reply<'_, Vec<Depth>> {
        self.0.depths(queues)
    }

    fn archived(&self) -> Reply<'_, u64> {
        self.0.archived()
    }

    fn consumer_timeout(&self) -> Duration {
        self.0.consumer_timeout()
    }
}

impl Subscription for Unlucky {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Delivery>> + Send + '_>> {
        Box::pin(async move {
            if self.2 == 2 {
                match self.1 {
                    Mishap::Nothing => {}
                    Mishap::Loss => return None,
                    Mishap::Silence => {
                        tokio::time::sleep(Duration::from_millis(800)).await;
                        self.1 = Mishap::Nothing;
                    }
                }
            }
            self.2 += 1;
            self.0.next().await
        })
    }

    fn quiet(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.0.quiet()
    }
}

async fn five_twins(mishap: Mishap) -> (Rig, Arc<Mishaps>, JobId) {
    let mut mishaps = None;
    let rig = rig_over(
        |builder| builder,
        |ports| {
            let port = Arc::new(Mishaps(Arc::clone(&ports.consume), Mutex::new(Mishap::Nothing)));
            ports.consume = port.clone();
            mishaps = Some(port);
        },
    );
    let mishaps = mishaps.unwrap();
    let mut last = None;
    for _ in 0..5 {
        last = Some(rig.ended(failed()).await.id);
    }
    rig.keep().await;
    rig.requeue(last.unwrap()).await;
    // The subscription to what the broker gave up is there already: the next one is the lap's.
    *mishaps.1.lock().unwrap() = mishap;
    (rig, mishaps, last.unwrap())
}

#[tokio::test]
async fn a_lap_that_lost_its_subscription_is_begun_anew() {
    let (rig, _, requeued) = five_twins(Mishap::Loss).await;
    let cut = rig.try_run(Daemon::KeepDeadLetters).await;
    assert_eq!(cut, Err(Error::LapCutShort { seen: 2, of: 5 }));
    assert_eq!(rig.removals().await, 1);
    assert_eq!(rig.keep().await, 1);
    assert!(!rig.archived().await.contains(&requeued));
    assert_eq!(rig.removals().await, 0);
}

#[tokio::test]
async fn a_lap_waits_for_letters_that_are_late() {
    let (rig, _, requeued) = five_twins(Mishap::Silence).await;
    assert_eq!(rig.keep().await, 1);
    let archived = rig.archived().await;
    assert_eq!((archived.len(), archived.contains(&requeued)), (4, false));
}

#[tokio::test]
async fn the_twin_of_a_pruned_dead_letter_goes() {
    let rig = rig();
    rig.ended(failed()).await;
    rig.keep().await;
    rig.pass_secs(8 * 86_400);
    assert_eq!(rig.run(Daemon::PruneFinished).await, 1);
    assert_eq!(rig.keep().await, 1);
    assert_eq!(rig.archived().await, []);
}

/// Counts acknowledgements.
#[derive(Default)]
struct Acks(AtomicU64);

impl AckSink for Acks {
    fn ack(&self, _: u64) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn what_the_broker_gave_up_goes_to_the_outbox_or_to_quarantine() {
    let rig = rig();
    let acks = Arc::new(Acks::default());
    let delivery = |payload| Delivery {
        redelivered: true,
        payload,
        receipt: Receipt::new(acks.clone(), 1),
    };
    let (known, unknown) = (rig.enqueued(|_| {}).await, rig.factory.job(0, |_| {}));
    rig.ports
        .enqueue
        .mark_published(0, vec![(known.id, 1)])
        .await
        .unwrap();
    let travelling = |job: &NewJob| MessageJob {
        id: job.id,
        gen_: 1,
        attempts: 0,
        retries: 0,
        losts: 0,
        envelope: job.envelope.clone(),
    };
    let message = Message {
        traceparent: None,
        id: message_id(),
        queue: known.queue.clone(),
        priority: known.priority,
        shard: 0,
        epoch: 1,
        published_at: rig.clock.now(),
        norecord: false,
        jobs: vec![travelling(&known), travelling(&unknown)],
    };
    take_given_up(rig.cx(), delivery(Payload::Jobs(message)))
        .await
        .unwrap();
    assert_eq!(rig.run(Daemon::DispatchOutbox).await, 1);
    assert_eq!(rig.delivered().await, [(known.id, 1)]);
    let garbage = Undecodable {
        message_id: "m-1".to_owned(),
        reason: "not MessagePack".to_owned(),
        body: bytes::Bytes::from_static(b"?"),
        headers: Vec::new(),
        jobs: Vec::new(),
        newer_schema: false,
    };
    take_given_up(rig.cx(), delivery(Payload::Undecodable(garbage)))
        .await
        .unwrap();
    let entries = rig.store.ports().inspect.quarantined(None, 8).await.unwrap();
    let aside: Vec<_> = entries.into_iter().map(|entry| entry.message).collect();
    assert_eq!(aside.len(), 2, "{aside:?}");
    assert!(
        aside
            .iter()
            .any(|entry| entry.jobs == [unknown.id] && entry.body == unknown.envelope)
    );
    assert!(
        aside
            .iter()
            .any(|entry| entry.message_id == "m-1" && entry.reason.contains("not MessagePack"))
    );
    assert_eq!(acks.0.load(Ordering::SeqCst), 2);
}
