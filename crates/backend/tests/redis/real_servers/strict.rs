//! Strict durability with a real replica.

use std::time::Duration;

use longshore_backend::redis::{ConnectError, Store};
use longshore_core::clock::SystemClock;
use longshore_core::port::enqueue::{Enqueued, NewJob};
use longshore_core::port::{AttemptPort as _, EnqueuePort as _, Error};
use longshore_testkit::factory::Factory;
use longshore_testkit::servers::{Redis, RedisOptions};
use longshore_testkit::wait::eventually;

use super::rig::{claim, complete, config};

const SOON: Duration = Duration::from_secs(30);

async fn pair() -> (Redis, Redis) {
    let options = RedisOptions::default().line("appendfsync always");
    let master = Redis::start(options.clone()).await.unwrap();
    let replica = Redis::start(options.line(format!("replicaof 127.0.0.1 {}", master.port())))
        .await
        .unwrap();
    eventually(SOON, "the replica to follow", || async {
        let info = master
            .cli(&["INFO", "replication"])
            .await
            .map_err(|error| error.to_string())?;
        let follows = info.contains("connected_slaves:1") && info.contains("state=online");
        if follows { Ok(()) } else { Err(info) }
    })
    .await
    .unwrap();
    (master, replica)
}

fn strict(redis: &Redis, replicas: u16) -> longshore_backend::redis::Config {
    let mut config = config(&redis.url());
    config.strict = true;
    config.replicas = replicas;
    config
}

fn job() -> NewJob {
    Factory::new(std::sync::Arc::new(SystemClock), rand::random()).job(0, |_| {})
}

#[tokio::test]
async fn a_strict_write_is_acknowledged_when_the_replica_has_it() {
    let (master, replica) = pair().await;
    let store = Store::connect(&strict(&master, 1)).await.unwrap();
    let (first, second) = (job(), job());
    store
        .enqueue(0, vec![first.clone(), second.clone()])
        .await
        .unwrap();
    let known = replica
        .cli(&["EXISTS", &format!("{{s00}}:j:{}", first.id.to_hex())])
        .await
        .unwrap();
    assert_eq!(known.trim(), "1");
    let claim = claim(&first);
    store.step(0, Vec::new(), vec![claim.clone()]).await.unwrap();
    replica.freeze();
    let unknown = Error::OutcomeUnknown { server: "Redis" };
    let finished = store.step(0, vec![complete(&claim)], Vec::new()).await;
    assert_eq!(finished.unwrap_err(), unknown);
    // Asking again finds the work done and writes nothing; it is as little replicated as before.
    let again = store.enqueue(0, vec![first.clone()]).await;
    assert_eq!(again.unwrap_err(), unknown);
    // Beats and claims wait for nobody.
    let other = super::rig::claim(&second);
    let started = tokio::time::Instant::now();
    store.step(0, Vec::new(), vec![other.clone()]).await.unwrap();
    store.beat(0, vec![(other.id, other.nonce)]).await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
    replica.thaw();
    let again = eventually(SOON, "the replica to catch up", || async {
        store
            .enqueue(0, vec![first.clone()])
            .await
            .map_err(|error| error.to_string())
    });
    assert!(matches!(
        again.await.unwrap().jobs[..],
        [Enqueued::Existing { .. }]
    ));
}

#[tokio::test]
async fn a_retry_on_a_new_connection_is_no_more_acknowledged_than_the_first_try() {
    let (master, replica) = pair().await;
    let store = Store::connect(&strict(&master, 1)).await.unwrap();
    replica.freeze();
    let job = job();
    store.enqueue(0, vec![job.clone()]).await.unwrap_err();
    let fresh = Store::connect(&strict(&master, 1)).await.unwrap();
    let again = fresh.enqueue(0, vec![job]).await;
    assert_eq!(again.unwrap_err(), Error::OutcomeUnknown { server: "Redis" });
    replica.thaw();
}

#[tokio::test]
async fn fewer_replicas_than_configured_are_refused_at_the_start() {
    let (master, _replica) = pair().await;
    let error = Store::connect(&strict(&master, 2)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unsafe { .. }), "{error:?}");
    let told = error.to_string();
    assert!(
        told.contains("1 replicas are connected") && told.contains("wait for 2"),
        "{told}"
    );
}
