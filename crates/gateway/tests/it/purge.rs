//! What a purge did is told, also when it does not come to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use longshore_core::message::Gen;
use longshore_core::outcome::ErrorInfo;
use longshore_core::port::enqueue::{
    CancelReply, CancelRequest, EdgeSettled, EdgeSettlement, EnqueuePort, EnqueueReply, NewJob, ParentState,
    Registration,
};
use longshore_core::port::{Error, Ports, Reply};
use longshore_core::shard::Shards;
use longshore_core::{JobId, JobStatus};
use longshore_gateway::Role;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::rig::{LONG, Rig};

/// A store that cancels no more than so many jobs, and none before it is let.
struct Cancels {
    store: Arc<dyn EnqueuePort>,
    left: AtomicUsize,
    asked: AtomicUsize,
    lets: Semaphore,
}

impl Cancels {
    async fn through(left: usize, lets: usize) -> (Rig, Arc<Self>) {
        let mut kept = None;
        let rig = Rig::through(|ports| {
            let cancels = Arc::new(Self {
                store: Arc::clone(&ports.enqueue),
                left: left.into(),
                asked: AtomicUsize::new(0),
                lets: Semaphore::new(lets),
            });
            kept = Some(Arc::clone(&cancels));
            Ports {
                enqueue: cancels,
                ..ports
            }
        });
        (rig.await, kept.unwrap())
    }
}

macro_rules! as_the_store_does {
    ($($name:ident($($arg:ident: $type:ty),*) -> $reply:ty;)*) => {
        $(fn $name(&self, $($arg: $type),*) -> Reply<'_, $reply> {
            self.store.$name($($arg),*)
        })*
    };
}

impl EnqueuePort for Cancels {
    fn shards(&self) -> Shards {
        self.store.shards()
    }

    as_the_store_does! {
        enqueue(shard: u16, jobs: Vec<NewJob>) -> EnqueueReply;
        mark_published(shard: u16, jobs: Vec<(JobId, Gen)>) -> ();
        statuses(shard: u16, ids: Vec<JobId>) -> Vec<Option<JobStatus>>;
        register(shard: u16, edges: Vec<Registration>) -> Vec<ParentState>;
        settle_edges(shard: u16, edges: Vec<EdgeSettlement>, within: Duration) -> Vec<EdgeSettled>;
        edges_verified(shard: u16, children: Vec<JobId>) -> Vec<bool>;
        fail_blocked(shard: u16, children: Vec<(JobId, ErrorInfo)>) -> ();
        abort(shard: u16, children: Vec<JobId>) -> ();
    }

    fn cancel(&self, shard: u16, jobs: Vec<CancelRequest>) -> Reply<'_, Vec<CancelReply>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            drop(self.lets.acquire().await.unwrap());
            let count = jobs.len();
            let has_left = |left: usize| left.checked_sub(count);
            let taken = self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, has_left);
            if taken.is_err() {
                return Err(Error::Unavailable {
                    server: "embedded store",
                    reason: "a test".to_owned(),
                });
            }
            self.store.cancel(shard, jobs).await
        })
    }
}

async fn enqueue(rig: &Rig, token: &str, jobs: usize) {
    let job = json!({"function_name": "nobodys", "queue": "mail", "delay_ms": 3_600_000});
    let (status, answer) = rig
        .post(token, "/jobs/batch", json!({"jobs": vec![job; jobs]}))
        .await;
    assert!(status.is_success(), "{answer}");
}

/// The lines of the audit log about purges.
async fn told(rig: &Rig) -> Vec<String> {
    let admin = rig.token(Role::Admin).await;
    let (_, log) = rig.get(&admin, "/audit?limit=10").await;
    let lines = log["lines"].as_array().unwrap().iter();
    let lines = lines.filter(|line| line["action"] == "queue.purge");
    lines
        .map(|line| line["detail"].as_str().unwrap().to_owned())
        .collect()
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let waits = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, waits).await.expect(what);
}

#[tokio::test]
async fn a_purge_that_fails_in_the_middle_tells_what_it_did() {
    let (rig, _) = Cancels::through(1_000, 100).await;
    let operator = rig.token(Role::Operator).await;
    enqueue(&rig, &operator, 1_000).await;
    enqueue(&rig, &operator, 5).await;
    let purge = json!({"reason": "a slip", "until_ms": 4_000_000_000_000_u64});
    let (status, answer) = rig.post(&operator, "/queues/mail/purge", purge).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    let waiting = "queued, scheduled, retrying, blocked";
    assert_eq!(
        told(&rig).await,
        [format!(
            "at least 1000 jobs ({waiting}), then the store failed: a slip"
        )]
    );
}

#[tokio::test]
async fn a_purge_whose_caller_hangs_up_tells_what_it_did() {
    let (rig, cancels) = Cancels::through(usize::MAX, 0).await;
    let operator = rig.token(Role::Operator).await;
    enqueue(&rig, &operator, 3).await;
    let purge = json!({"reason": "a slip", "until_ms": 4_000_000_000_000_u64});
    let asks = rig
        .request(Method::POST, "/queues/mail/purge")
        .bearer_auth(&operator)
        .json(&purge)
        .send();
    let caller = tokio::spawn(asks);
    until("the step cancels", async || {
        cancels.asked.load(Ordering::SeqCst) > 0
    })
    .await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    // The gateway sees the end of the connection before it answers anybody else.
    assert!(told(&rig).await.is_empty());
    cancels.lets.add_permits(100);
    until("the purge is told", async || !told(&rig).await.is_empty()).await;
    let told = told(&rig).await;
    assert!(told.len() == 1 && told[0].starts_with("3 jobs ("), "{told:?}");
}
