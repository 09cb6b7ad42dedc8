//! A cluster whose slots are on their way from one node to another.

use longshore_backend::redis::Store;
use longshore_core::JobStatus;
use longshore_core::clock::SystemClock;
use longshore_core::port::attempt::Claimed;
use longshore_core::port::{AttemptPort as _, EnqueuePort as _, Error, InspectPort as _, SchedulePort as _};
use longshore_core::view::Detail;
use longshore_testkit::factory::Factory;
use longshore_testkit::servers::{Redis, RedisCluster};

use super::rig::{claim, complete, config};

/// A slot between two nodes.
struct Move<'a> {
    slot: String,
    from: (&'a Redis, String),
    to: (&'a Redis, String),
}

async fn id(node: &Redis) -> String {
    node.cli(&["CLUSTER", "MYID"]).await.unwrap().trim().to_owned()
}

impl<'a> Move<'a> {
    /// The slot of shard 0 goes from its node to another.
    async fn begin(cluster: &'a RedisCluster) -> Self {
        let nodes = cluster.nodes();
        let slot = nodes[0].cli(&["CLUSTER", "KEYSLOT", "{s00}:meta"]).await.unwrap();
        let slot = slot.trim().to_owned();
        let mut owner = None;
        for (at, node) in nodes.iter().enumerate() {
            // Only the owner knows keys of the slot.
            let known = node.cli(&["CLUSTER", "COUNTKEYSINSLOT", &slot]).await.unwrap();
            if known.trim() != "0" {
                owner = Some(at);
            }
        }
        let owner = owner.unwrap();
        let (from, to) = (&nodes[owner], &nodes[(owner + 1) % nodes.len()]);
        let this = Self {
            slot,
            from: (from, id(from).await),
            to: (to, id(to).await),
        };
        let set = ["CLUSTER", "SETSLOT", &this.slot];
        to.cli(&[&set[..], &["IMPORTING", &this.from.1]].concat())
            .await
            .unwrap();
        from.cli(&[&set[..], &["MIGRATING", &this.to.1]].concat())
            .await
            .unwrap();
        this
    }

    async fn migrate(&self, key: &str) {
        let addr = self.to.0.addr();
        let (host, port) = (addr.ip().to_string(), addr.port().to_string());
        let moved = self
            .from
            .0
            .cli(&["MIGRATE", &host, &port, key, "0", "5000"])
            .await;
        assert_eq!(moved.unwrap().trim(), "OK", "{key}");
    }

    async fn keys(&self) -> Vec<String> {
        let keys = self
            .from
            .0
            .cli(&["CLUSTER", "GETKEYSINSLOT", &self.slot, "1000"])
            .await;
        keys.unwrap()
            .lines()
            .map(|key| key.trim().to_owned())
            .filter(|key| !key.is_empty())
            .collect()
    }

    async fn end(&self) {
        for key in self.keys().await {
            self.migrate(&key).await;
        }
        for (node, _) in [&self.to, &self.from] {
            node.cli(&["CLUSTER", "SETSLOT", &self.slot, "NODE", &self.to.1])
                .await
                .unwrap();
        }
    }
}

#[tokio::test]
async fn a_slot_that_moves_refuses_everything_and_loses_no_row() {
    let cluster = RedisCluster::start().await.unwrap();
    let store = Store::connect(&config(&cluster.url())).await.unwrap();
    let factory = Factory::new(std::sync::Arc::new(SystemClock), rand::random());
    let (queued, running) = (factory.job(0, |_| {}), factory.job(0, |_| {}));
    store
        .enqueue(0, vec![queued.clone(), running.clone()])
        .await
        .unwrap();
    let held = claim(&running);
    store.step(0, Vec::new(), vec![held.clone()]).await.unwrap();
    let way = Move::begin(&cluster).await;
    let refuses = async |when: &str| {
        let ids = vec![queued.id, running.id];
        let answers = [
            store.jobs(0, ids.clone(), Detail::Full).await.map(drop),
            store.statuses(0, ids).await.map(drop),
            store.beat(0, vec![(held.id, held.nonce)]).await.map(drop),
            store.promote(0, 10).await.map(drop),
            store.lease_outbox(0, 10).await.map(drop),
            store.expire_leases(0, 10).await.map(drop),
            store.step(0, vec![complete(&held)], Vec::new()).await.map(drop),
        ];
        for (number, answer) in answers.iter().enumerate() {
            assert!(
                matches!(answer, Err(Error::Unavailable { .. })),
                "{when}, {number}: {answer:?}"
            );
        }
    };
    refuses("with all keys here").await;
    // The job goes, its index rows stay: the row must not be taken for one without its record.
    way.migrate(&format!("{{s00}}:j:{}", queued.id.to_hex())).await;
    refuses("with a record there").await;
    // Now the scripts go there as well, and the index rows are here.
    way.migrate("{s00}:meta").await;
    refuses("with the meta hash there").await;
    way.end().await;
    let beaten = store.beat(0, vec![(held.id, held.nonce)]).await.unwrap();
    assert!(
        matches!(beaten[..], [longshore_core::port::attempt::Beaten::Alive { .. }]),
        "{beaten:?}"
    );
    store.step(0, vec![complete(&held)], Vec::new()).await.unwrap();
    let (_, claimed) = store.step(0, Vec::new(), vec![claim(&queued)]).await.unwrap();
    assert!(matches!(claimed[..], [Claimed::Run(_)]), "{claimed:?}");
    let statuses = store.statuses(0, vec![queued.id, running.id]).await.unwrap();
    assert_eq!(statuses, [Some(JobStatus::Running), Some(JobStatus::Completed)]);
}
