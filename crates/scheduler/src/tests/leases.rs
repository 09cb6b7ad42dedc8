//! The leases over shards, round by round: the clock stands still between the rounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use longshore_core::message::Message;
use longshore_core::port::broker::Published;
use longshore_core::port::schedule::DeadLetter;
use longshore_core::port::{Ports, PublishPort};
use longshore_testkit::clock::ManualClock;

use crate::shards::{Held, Leases};

const ROUND: Duration = Duration::from_secs(1);

/// The way to a broker that can be cut.
pub(super) struct Cut {
    inner: Arc<dyn PublishPort>,
    is_cut: AtomicBool,
}

impl Cut {
    /// Into these ports, and whole at first.
    pub(super) fn into(ports: &mut Ports) -> Arc<Self> {
        let cut = Arc::new(Self {
            inner: Arc::clone(&ports.publish),
            is_cut: AtomicBool::new(false),
        });
        ports.publish = cut.clone();
        cut
    }

    pub(super) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
    }
}

impl PublishPort for Cut {
    fn publish(&self, messages: Vec<Message>) -> BoxFuture<'_, Vec<Published>> {
        self.inner.publish(messages)
    }

    fn is_ready(&self) -> bool {
        !self.is_cut.load(Ordering::SeqCst) && self.inner.is_ready()
    }

    fn archive(&self, letters: Vec<DeadLetter>) -> BoxFuture<'_, Vec<Published>> {
        self.inner.archive(letters)
    }
}

/// A round of each, half a round apart: what they work on after it.
async fn round(clock: &ManualClock, first: &mut Leases, second: &mut Leases) -> (Held, Held) {
    clock.advance(ROUND / 2);
    let of_first = first.turn().await.unwrap();
    clock.advance(ROUND / 2);
    (of_first, second.turn().await.unwrap())
}

/// Two replicas that started together stay in step for as long as both run: where in their rounds the broker is lost must
/// not decide who has the shards.
#[tokio::test]
async fn a_scheduler_without_a_broker_has_no_shards_most_of_the_time_however_the_two_are_in_step() {
    for apart in 0..60 {
        let (_folder, clock, store) = super::empty();
        let mut ports = store.ports();
        let cut = Cut::into(&mut ports);
        let mut first = Leases::new(ports, "first".to_owned(), ROUND);
        let mut second = Leases::new(store.ports(), "second".to_owned(), ROUND);
        for _ in 0..apart {
            clock.advance(ROUND);
            first.turn().await.unwrap();
        }
        cut.cut();
        for _ in 0..20 {
            round(&clock, &mut first, &mut second).await;
        }
        let mut whole = 0;
        for _ in 0..100 {
            let (of_first, of_second) = round(&clock, &mut first, &mut second).await;
            let is_worked_on =
                |shard: &u16| of_first.shards.contains(shard) || of_second.shards.contains(shard);
            assert!(
                (0..4).all(|shard| is_worked_on(&shard)),
                "{apart} rounds apart: nobody has a shard"
            );
            whole += u32::from(of_first.shards.is_empty() && of_second.shards.len() == 4);
        }
        assert!(
            whole > 50,
            "{apart} rounds apart: the second has all in {whole} of 100 rounds"
        );
    }
}
