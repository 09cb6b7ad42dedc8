//! Notices become letters, and letters are sent once unless somebody crashes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use longshore_core::Timestamp;
use longshore_core::name::QueueName;
use longshore_core::notice::post::{Addressee, Policy, Post};
use longshore_core::notice::{Kind, Letter};
use longshore_core::port::notify::{ChannelPort, NotSent, Retry, Sent};
use longshore_core::random::SystemRandom;

use super::{Rig, failed, rig_with};
use crate::{Daemon, Notifications};

/// A channel that keeps what it gets.
#[derive(Debug, Default)]
struct Shelf {
    name: Option<&'static str>,
    letters: Mutex<Vec<Letter>>,
    is_away: AtomicBool,
    hangs: AtomicBool,
}

impl ChannelPort for Shelf {
    fn addressee(&self) -> Addressee {
        Addressee {
            name: self.name.unwrap_or("shelf").to_owned(),
            kinds: Kind::ALL.into(),
        }
    }

    fn send(&self, letter: Letter) -> BoxFuture<'_, Result<Sent, NotSent>> {
        Box::pin(async move {
            if self.is_away.load(Ordering::SeqCst) {
                return Err(NotSent {
                    reason: "away".to_owned(),
                    retry: Retry::Later,
                });
            }
            self.letters.lock().unwrap().push(letter);
            if self.hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            Ok(Sent::default())
        })
    }
}

impl Shelf {
    fn ids(&self) -> Vec<String> {
        self.letters
            .lock()
            .unwrap()
            .iter()
            .map(|letter| letter.id.clone())
            .collect()
    }

    fn counts(&self) -> Vec<u64> {
        self.letters
            .lock()
            .unwrap()
            .iter()
            .map(|letter| letter.count)
            .collect()
    }
}

fn told(policy: Policy) -> (Rig, Arc<Shelf>) {
    let shelf = Arc::new(Shelf::default());
    let channels: Vec<Arc<dyn ChannelPort>> = vec![shelf.clone()];
    let rig = rig_with(|builder| builder.notifications(Notifications { channels, policy }));
    (rig, shelf)
}

/// Sends at once.
pub(super) fn prompt() -> Policy {
    Policy {
        group_wait: Duration::ZERO,
        group_interval: Duration::ZERO,
        ..Policy::default()
    }
}

async fn die(rig: &Rig) {
    rig.ended(failed()).await;
}

#[tokio::test]
async fn deaths_of_every_shard_become_one_letter() {
    let (rig, shelf) = told(Policy::default());
    rig.run(Daemon::SendNotifications).await;
    for shard in rig.ports.enqueue.shards().all() {
        for _ in 0..5 {
            let job = rig.enqueued_in(shard, |_| {}).await;
            let running = rig.claim(job.id, 1).await;
            rig.finish(&running, failed()).await;
        }
    }
    assert_eq!(rig.run(Daemon::SendNotifications).await, 0);
    rig.pass_secs(11);
    assert_eq!(rig.run(Daemon::SendNotifications).await, 1);
    assert_eq!(shelf.counts(), [20]);
    rig.pass_secs(3_600);
    assert_eq!(rig.run(Daemon::SendNotifications).await, 0, "once");
}

#[tokio::test]
async fn without_a_channel_nothing_piles_up() {
    let rig = rig_with(|builder| builder);
    rig.run(Daemon::SendNotifications).await;
    die(&rig).await;
    for shard in rig.ports.enqueue.shards().all() {
        assert_eq!(rig.ports.notify.notices(shard, 10).await.unwrap().rows, []);
    }
    assert_eq!(rig.ports.notify.mailbox().await.unwrap().entries.len(), 0);
}

#[tokio::test]
async fn a_letter_that_is_not_taken_is_tried_again_with_its_id_after_a_pause() {
    let (rig, shelf) = told(prompt());
    rig.run(Daemon::SendNotifications).await;
    shelf.is_away.store(true, Ordering::SeqCst);
    die(&rig).await;
    assert_eq!(rig.run(Daemon::SendNotifications).await, 0);
    let mailbox = rig.ports.notify.mailbox().await.unwrap();
    let id = Post::read(mailbox, &SystemRandom)
        .letters()
        .next()
        .unwrap()
        .id
        .clone();
    shelf.is_away.store(false, Ordering::SeqCst);
    assert_eq!(rig.run(Daemon::SendNotifications).await, 0, "after five seconds");
    rig.pass_secs(6);
    assert_eq!(rig.run(Daemon::SendNotifications).await, 1);
    assert_eq!(shelf.ids(), [id]);
}

#[tokio::test]
async fn a_crash_between_acceptance_and_mark_sends_the_same_letter_again_later() {
    let (rig, shelf) = told(prompt());
    rig.run(Daemon::SendNotifications).await;
    die(&rig).await;
    shelf.hangs.store(true, Ordering::SeqCst);
    {
        // Dropped in the middle of the send, as a kill does.
        let pass = rig.try_run(Daemon::SendNotifications);
        let cut = async {
            while shelf.ids().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = pass => panic!("it hangs"),
            () = cut => {}
        }
    }
    shelf.hangs.store(false, Ordering::SeqCst);
    assert_eq!(
        rig.run(Daemon::SendNotifications).await,
        0,
        "the first try may still be under way"
    );
    rig.pass_secs(34);
    assert_eq!(rig.run(Daemon::SendNotifications).await, 1);
    let letters = shelf.letters.lock().unwrap().clone();
    assert_eq!(letters.len(), 2);
    assert_eq!(
        (&letters[0].id, letters[0].count),
        (&letters[1].id, letters[1].count)
    );
    assert_eq!(letters[0].samples, letters[1].samples);
}

#[tokio::test]
async fn two_schedulers_at_once_send_each_letter_once() {
    let (rig, shelf) = told(prompt());
    rig.run(Daemon::SendNotifications).await;
    for _ in 0..10 {
        die(&rig).await;
        let (one, other) = tokio::join!(
            rig.try_run(Daemon::SendNotifications),
            rig.try_run(Daemon::SendNotifications)
        );
        one.unwrap();
        other.unwrap();
    }
    rig.run(Daemon::SendNotifications).await;
    assert_eq!(shelf.counts().iter().sum::<u64>(), 10);
    let mut ids = shelf.ids();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), shelf.ids().len(), "no id twice");
}

#[tokio::test]
async fn a_replica_that_does_not_have_the_first_shard_sends_nothing() {
    let (rig, shelf) = told(prompt());
    rig.run(Daemon::SendNotifications).await;
    die(&rig).await;
    rig.scheduler.held.send_modify(|held| held.is_first = false);
    assert_eq!(rig.run(Daemon::SendNotifications).await, 0);
    rig.scheduler.held.send_modify(|held| held.is_first = true);
    assert_eq!(rig.run(Daemon::SendNotifications).await, 1);
    assert_eq!(shelf.counts(), [1]);
}

#[tokio::test]
async fn a_long_and_an_old_queue_are_told_of() {
    let (rig, shelf) = told(Policy {
        queue_length_max: Some(2),
        queue_age_max: Some(Duration::from_secs(60)),
        ..prompt()
    });
    rig.run(Daemon::SendNotifications).await;
    for _ in 0..3 {
        let job = rig.enqueued(|_| {}).await;
        let published = vec![(job.id, 1)];
        rig.ports
            .enqueue
            .mark_published(rig.shard(job.id), published)
            .await
            .unwrap();
    }
    rig.pass_secs(30);
    rig.run(Daemon::SendNotifications).await;
    rig.pass_secs(40);
    rig.run(Daemon::SendNotifications).await;
    let groups: Vec<_> = shelf
        .letters
        .lock()
        .unwrap()
        .iter()
        .map(|letter| letter.subject.key())
        .collect();
    assert_eq!(groups, ["long/default", "old/default"]);
    // A queue that somebody paused waits on purpose.
    let queue = QueueName::default();
    rig.ports.inspect.set_paused(queue, true).await.unwrap();
    rig.pass_secs(7_200);
    rig.run(Daemon::SendNotifications).await;
    let groups: Vec<_> = shelf
        .letters
        .lock()
        .unwrap()
        .iter()
        .skip(2)
        .map(|letter| letter.subject.key())
        .collect();
    assert_eq!(groups, ["long/default"]);
}

#[tokio::test]
async fn what_cannot_be_sent_for_a_day_is_given_up() {
    let (rig, shelf) = told(prompt());
    rig.run(Daemon::SendNotifications).await;
    shelf.is_away.store(true, Ordering::SeqCst);
    die(&rig).await;
    for _ in 0..200 {
        rig.pass_secs(601);
        rig.run(Daemon::SendNotifications).await;
    }
    let mailbox = rig.ports.notify.mailbox().await.unwrap();
    let post = Post::read(mailbox, &SystemRandom);
    let state = post.channel("shelf");
    assert_eq!((state.sent, state.given_up), (0, 1));
    let (at, reason) = state.failed.unwrap();
    assert!(at > Timestamp::ZERO && reason == "away");
    assert_eq!(shelf.ids(), Vec::<String>::new());
}

#[tokio::test]
async fn a_channel_that_hangs_holds_up_no_other() {
    let (stuck, well) = (Arc::new(Shelf::default()), Shelf::default());
    let well = Arc::new(Shelf {
        name: Some("well"),
        ..well
    });
    stuck.hangs.store(true, Ordering::SeqCst);
    let channels: Vec<Arc<dyn ChannelPort>> = vec![stuck.clone(), well.clone()];
    let policy = prompt();
    let rig = rig_with(|builder| builder.notifications(Notifications { channels, policy }));
    rig.run(Daemon::SendNotifications).await;
    // More letters than a channel sends at once, each due for both.
    for number in 1..=10_usize {
        die(&rig).await;
        rig.run(Daemon::SendNotifications).await;
        assert_eq!(well.ids().len(), number, "sent with the pass that found it");
    }
    // What hangs holds its own room, and is not begun a second time meanwhile.
    let tried = stuck.ids();
    assert_eq!(tried.len(), 4);
    let mut ids = tried.clone();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), tried.len(), "no id twice");
    let mailbox = rig.ports.notify.mailbox().await.unwrap();
    let post = Post::read(mailbox, &SystemRandom);
    assert_eq!((post.channel("well").sent, post.channel("shelf").sent), (10, 0));
    assert_eq!(post.letters().count(), 10, "those of the other wait");
}
