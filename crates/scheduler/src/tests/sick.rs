//! Queues of the broker that are not well.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use longshore_core::limits::{OUTBOX_GRACE, OUTBOX_LEASE};
use longshore_core::message::Message;
use longshore_core::port::PublishPort;
use longshore_core::port::broker::Published;
use longshore_core::port::schedule::DeadLetter;
use longshore_core::{Priority, QueueName};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Rig, rig_over};
use crate::{Daemon, Error};

/// How the queue "sick" takes messages.
#[derive(Clone, Copy)]
enum Sickness {
    /// It never confirms.
    Silent,
    /// It refuses.
    Refusing,
    /// It is well again.
    Well,
}

struct Sick {
    inner: Arc<dyn PublishPort>,
    sickness: std::sync::Mutex<Sickness>,
    /// Messages that the sick queue was given.
    given: AtomicU64,
    /// Publishes that it has neither answered nor lost.
    open: watch::Sender<u64>,
}

/// A publish that waits for its answer.
struct Open<'a>(&'a watch::Sender<u64>);

impl<'a> Open<'a> {
    fn begin(open: &'a watch::Sender<u64>) -> Self {
        open.send_modify(|count| *count += 1);
        Self(open)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl PublishPort for Sick {
    fn publish(&self, messages: Vec<Message>) -> Pin<Box<dyn Future<Output = Vec<Published>> + Send + '_>> {
        let ill = messages.iter().any(|message| message.queue == sick_queue());
        if !ill {
            return self.inner.publish(messages);
        }
        let count = messages.len();
        self.given.fetch_add(count as u64, Ordering::SeqCst);
        let sickness = *self.sickness.lock().unwrap();
        Box::pin(async move {
            let _open = Open::begin(&self.open);
            match sickness {
                Sickness::Silent => std::future::pending().await,
                Sickness::Refusing => vec![Published::Refused("no room".to_owned()); count],
                Sickness::Well => self.inner.publish(messages).await,
            }
        })
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn archive(&self, letters: Vec<DeadLetter>) -> Pin<Box<dyn Future<Output = Vec<Published>> + Send + '_>> {
        self.inner.archive(letters)
    }
}

fn sick_queue() -> QueueName {
    QueueName::new("sick").unwrap()
}

fn rig(sickness: Sickness) -> (Rig, Arc<Sick>) {
    let mut sick = None;
    let rig = rig_over(
        |builder| builder,
        |ports| {
            let port = Arc::new(Sick {
                inner: Arc::clone(&ports.publish),
                sickness: std::sync::Mutex::new(sickness),
                given: AtomicU64::new(0),
                open: watch::Sender::new(0),
            });
            ports.publish = port.clone();
            sick = Some(port);
        },
    );
    (rig, sick.unwrap())
}

impl Rig {
    /// Jobs of the sick queue in every shard: more than the permits for confirms, and more urgent than all others.
    async fn sick_crowd(&self) {
        for shard in self.ports.enqueue.shards().all() {
            let jobs = (0..300).map(|_| {
                self.factory.job(shard, |spec| {
                    spec.queue = sick_queue();
                    spec.priority = Priority::Critical;
                })
            });
            self.ports.enqueue.enqueue(shard, jobs.collect()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_queue_that_never_confirms_does_not_hold_the_others_up() {
    let (rig, sick) = rig(Sickness::Silent);
    rig.sick_crowd().await;
    rig.clock.advance(OUTBOX_GRACE);
    let first = rig.try_run(Daemon::DispatchOutbox).await;
    // More wait behind them, so that the next pass follows at once.
    assert!(
        matches!(first, Ok(done) if done.more && done.unconfirmed > 0 && done.rows == 0),
        "{first:?}"
    );
    let given = sick.given.load(Ordering::SeqCst);
    let began = Instant::now();
    for _ in 0..20 {
        for shard in 0..4 {
            rig.enqueued_in(shard, |spec| spec.priority = Priority::Low).await;
        }
        rig.clock.advance(OUTBOX_GRACE);
        let mut rows = 0;
        // What is left of the crowd is more urgent and comes first.
        for _ in 0..3 {
            match rig.try_run(Daemon::DispatchOutbox).await {
                Ok(done) => rows += done.rows,
                Err(Error::Unconfirmed { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(rows, 4);
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(
        sick.given.load(Ordering::SeqCst),
        given,
        "it gets nothing before it has answered"
    );
}

#[tokio::test]
async fn refused_messages_fail_no_pass_that_published_others() {
    let (rig, _) = rig(Sickness::Refusing);
    rig.enqueued(|spec| spec.queue = sick_queue()).await;
    rig.enqueued(|_| {}).await;
    rig.clock.advance(OUTBOX_GRACE);
    let done = rig.try_run(Daemon::DispatchOutbox).await.unwrap();
    assert_eq!((done.rows, done.unconfirmed), (1, 1));
}

#[tokio::test]
async fn a_refused_message_comes_again_in_a_second_and_then_later_and_later() {
    let (rig, sick) = rig(Sickness::Refusing);
    let job = rig.enqueued(|spec| spec.queue = sick_queue()).await;
    rig.clock.advance(OUTBOX_GRACE);
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        let given = sick.given.load(Ordering::SeqCst);
        rig.try_run(Daemon::DispatchOutbox).await.unwrap_err();
        assert_eq!(sick.given.load(Ordering::SeqCst), given + 1);
        rig.clock.advance(Duration::from_millis(pause * 1_000 - 1));
        assert_eq!(rig.run(Daemon::DispatchOutbox).await, 0, "not before {pause} s");
        rig.clock.advance(Duration::from_millis(1));
    }
    *sick.sickness.lock().unwrap() = Sickness::Well;
    assert_eq!(rig.run(Daemon::DispatchOutbox).await, 1);
    assert!(rig.view(job.id).await.published_at.is_some());
    rig.clock.advance(OUTBOX_LEASE * 2);
    assert_eq!(rig.run(Daemon::DispatchOutbox).await, 0);
}

/// As a crash does, although somebody still looks at it.
#[tokio::test]
async fn a_run_that_is_dropped_drops_what_it_was_publishing() {
    let (rig, sick) = rig(Sickness::Silent);
    rig.enqueued(|spec| spec.queue = sick_queue()).await;
    rig.clock.advance(OUTBOX_GRACE);
    let Rig {
        scheduler,
        store: _store,
        _folder,
        ..
    } = rig;
    let handle = scheduler.handle();
    let mut open = sick.open.subscribe();
    let run = tokio::spawn(scheduler.run());
    let mut reaches = async |wanted| {
        let reached = tokio::time::timeout(Duration::from_secs(20), open.wait_for(|count| *count == wanted));
        reached.await.expect("within 20 s").unwrap();
    };
    reaches(1).await;
    run.abort();
    reaches(0).await;
    drop(handle);
}
