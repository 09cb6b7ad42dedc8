//! A replica that others have left no shard to: what it held is theirs.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use longshore_core::QueueName;
use longshore_core::notice::post::{Addressee, Post};
use longshore_core::notice::{Kind, Letter};
use longshore_core::port::broker::{Delivery, Depth, Source, Subscription};
use longshore_core::port::notify::{ChannelPort, NotSent, Sent};
use longshore_core::port::{ConsumePort, Reply};
use longshore_core::random::SystemRandom;
use longshore_testkit::wait::eventually;
use tokio::sync::watch;

use super::notifications::prompt;
use super::{Rig, failed, rig_over, rig_with};
use crate::shards::Held;
use crate::{Daemon, Notifications, drive};

impl Rig {
    fn lose_every_shard(&self) {
        self.scheduler.held.send_replace(Held::default());
    }

    /// One pass as the driver makes it now: how many rows it moved.
    async fn run_over_held(&self, daemon: Daemon) -> u64 {
        let shards = self.scheduler.held.borrow().shards.clone();
        drive::pass(daemon, self.cx(), &shards).await.unwrap().rows
    }
}

/// Counts who is subscribed to what the broker gave up.
struct Counted {
    inner: Arc<dyn ConsumePort>,
    open: Arc<AtomicUsize>,
}

struct Open {
    inner: Box<dyn Subscription>,
    open: Arc<AtomicUsize>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Subscription for Open {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Delivery>> + Send + '_>> {
        self.inner.next()
    }

    fn quiet(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.inner.quiet()
    }
}

impl ConsumePort for Counted {
    fn subscribe(&self, source: Source, prefetch: u16) -> Reply<'_, Box<dyn Subscription>> {
        let is_counted = source == Source::GivenUp;
        Box::pin(async move {
            let inner = self.inner.subscribe(source, prefetch).await?;
            if !is_counted {
                return Ok(inner);
            }
            self.open.fetch_add(1, Ordering::SeqCst);
            let open = Arc::clone(&self.open);
            Ok(Box::new(Open { inner, open }) as Box<dyn Subscription>)
        })
    }

    fn depths(&self, queues: Vec<QueueName>) -> Reply<'_, Vec<Depth>> {
        self.inner.depths(queues)
    }

    fn archived(&self) -> Reply<'_, u64> {
        self.inner.archived()
    }

    fn consumer_timeout(&self) -> Duration {
        self.inner.consumer_timeout()
    }
}

#[tokio::test]
async fn a_keeper_without_shards_lets_go_of_what_the_broker_gave_up() {
    let open = Arc::new(AtomicUsize::new(0));
    let rig = rig_over(
        |builder| builder,
        |ports| {
            ports.consume = Arc::new(Counted {
                inner: Arc::clone(&ports.consume),
                open: Arc::clone(&open),
            });
        },
    );
    rig.run_over_held(Daemon::KeepDeadLetters).await;
    assert_eq!(
        open.load(Ordering::SeqCst),
        1,
        "the keeper holds it between its passes"
    );
    rig.lose_every_shard();
    rig.run_over_held(Daemon::KeepDeadLetters).await;
    assert_eq!(
        open.load(Ordering::SeqCst),
        0,
        "the next keeper gets what was delivered to this one"
    );
}

/// A channel that takes letters once it is open.
#[derive(Debug)]
struct Slow {
    ids: Mutex<Vec<String>>,
    is_open: watch::Sender<bool>,
}

impl ChannelPort for Slow {
    fn addressee(&self) -> Addressee {
        Addressee {
            name: "slow".to_owned(),
            kinds: Kind::ALL.into(),
        }
    }

    fn send(&self, letter: Letter) -> BoxFuture<'_, Result<Sent, NotSent>> {
        self.ids.lock().unwrap().push(letter.id);
        let mut is_open = self.is_open.subscribe();
        Box::pin(async move {
            is_open.wait_for(|is_open| *is_open).await.unwrap();
            Ok(Sent::default())
        })
    }
}

#[tokio::test]
async fn a_letter_that_is_taken_when_the_last_shard_is_gone_is_marked_and_not_sent_again() {
    let slow = Arc::new(Slow {
        ids: Mutex::default(),
        is_open: watch::Sender::new(false),
    });
    let channels: Vec<Arc<dyn ChannelPort>> = vec![slow.clone()];
    let policy = prompt();
    let rig = rig_with(|builder| builder.notifications(Notifications { channels, policy }));
    rig.run_over_held(Daemon::SendNotifications).await;
    rig.ended(failed()).await;
    assert_eq!(rig.run_over_held(Daemon::SendNotifications).await, 0, "under way");
    rig.lose_every_shard();
    slow.is_open.send_replace(true);
    eventually(Duration::from_secs(5), "a pass that marks it", async || {
        rig.run_over_held(Daemon::SendNotifications).await == 1
    })
    .await
    .unwrap();
    // Whoever has the first shard then finds nothing left to send, also when the lease of the try is over.
    rig.pass_secs(34);
    assert_eq!(rig.run(Daemon::SendNotifications).await, 0);
    rig.scheduler.held.send_modify(|held| held.is_first = true);
    assert_eq!(rig.run(Daemon::SendNotifications).await, 0);
    assert_eq!(slow.ids.lock().unwrap().len(), 1);
    let mailbox = rig.ports.notify.mailbox().await.unwrap();
    assert_eq!(Post::read(mailbox, &SystemRandom).channel("slow").sent, 1);
}
