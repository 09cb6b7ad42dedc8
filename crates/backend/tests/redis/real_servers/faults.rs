//! What a store on Redis does when Redis misbehaves, or is not what it must be.

use std::time::Duration;

use longshore_backend::redis::{ConnectError, Store};
use longshore_core::clock::{Clock as _, SystemClock};
use longshore_core::limits::{
    CHILDREN_MAX, ENVELOPE_BYTES_MAX, QUARANTINE_BYTES_MAX, QUARANTINE_MESSAGES_MAX,
};
use longshore_core::port::attempt::{Claimed, Finished, Hint, Quarantined};
use longshore_core::port::enqueue::{CancelRequest, Enqueued, NewJob, ParentState, Registration};
use longshore_core::port::{AttemptPort as _, EnqueuePort as _, Error, InspectPort as _, SchedulePort as _};
use longshore_core::shard::Shards;
use longshore_core::spec::EdgePolicy;
use longshore_core::{JobStatus, QueueName};
use longshore_testkit::factory::Factory;
use longshore_testkit::servers::{Redis, RedisCluster, RedisOptions, Sentinel};
use longshore_testkit::wait::eventually;

use super::records::change_record;
use super::rig::{claim, complete, config, store};
use super::twin::worker;

const SOON: Duration = Duration::from_secs(30);

fn job() -> NewJob {
    Factory::new(std::sync::Arc::new(SystemClock), rand::random()).job(0, |_| {})
}

/// The URL of a user who may do everything but what these rules forbid.
async fn as_user(redis: &Redis, rules: &[&str]) -> String {
    let may = ["ACL", "SETUSER", "app", "on", ">s3cret", "~*", "&*", "+@all"];
    redis.cli(&[&may, rules].concat()).await.unwrap();
    redis.url().replace("redis://", "redis://app:s3cret@")
}

/// One job from its enqueue to its end.
async fn whole_life(store: &Store) -> Result<(), Error> {
    let job = job();
    let shard = store.shards().of(&job.id);
    store.enqueue(shard, vec![job.clone()]).await?;
    store.mark_published(shard, vec![(job.id, 1)]).await?;
    let claim = claim(&job);
    let (_, claimed) = store.step(shard, Vec::new(), vec![claim.clone()]).await?;
    assert!(matches!(claimed[..], [Claimed::Run(_)]), "{claimed:?}");
    store.beat(shard, vec![(claim.id, claim.nonce)]).await?;
    let (finished, _) = store.step(shard, vec![complete(&claim)], Vec::new()).await?;
    assert_eq!(finished, [Finished::Accepted(JobStatus::Completed)]);
    Ok(())
}

/// Makes nodes forget their scripts, as fast as they take it, until it is dropped.
struct Storm(Vec<tokio::task::JoinHandle<()>>);

impl Storm {
    async fn over(urls: &[String]) -> Self {
        let mut tasks = Vec::new();
        for url in urls {
            let client = redis::Client::open(url.as_str()).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            tasks.push(tokio::spawn(async move {
                loop {
                    let flushed = redis::cmd("SCRIPT")
                        .arg("FLUSH")
                        .exec_async(&mut connection)
                        .await;
                    flushed.unwrap();
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }));
        }
        Self(tasks)
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.0.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[tokio::test]
async fn scripts_that_are_forgotten_all_the_time_are_sent_again() {
    let (redis, store) = store().await;
    let _storm = Storm::over(&[redis.url()]).await;
    for _ in 0..200 {
        whole_life(&store).await.unwrap();
    }
}

#[tokio::test]
async fn scripts_that_a_clusters_nodes_forget_are_sent_to_the_right_node() {
    let cluster = RedisCluster::start().await.unwrap();
    let store = Store::connect(&config(&cluster.url())).await.unwrap();
    assert_eq!(store.shards(), Shards::CLUSTER);
    let urls: Vec<_> = cluster.nodes().iter().map(Redis::url).collect();
    let _storm = Storm::over(&urls).await;
    let factory = Factory::new(std::sync::Arc::new(SystemClock), rand::random());
    for shard in store.shards().all() {
        let job = factory.job(shard, |_| {});
        let reply = store.enqueue(shard, vec![job.clone()]).await.unwrap();
        assert!(matches!(reply.jobs[..], [Enqueued::Created { .. }]));
        let statuses = store.statuses(shard, vec![job.id]).await.unwrap();
        assert_eq!(statuses, [Some(JobStatus::Queued)]);
    }
}

#[tokio::test]
async fn jobs_survive_a_killed_server_and_the_next_call_finds_it_again() {
    let (redis, store) = store().await;
    // With `everysec` Redis holds writes back while an fsync is under way, for up to two seconds.
    redis.config_set("appendfsync", "always").await.unwrap();
    let job = job();
    store.enqueue(0, vec![job.clone()]).await.unwrap();
    redis.restart().await.unwrap();
    // Nothing was under way: no outcome is unknown.
    let statuses = eventually(SOON, "the store to answer", || async {
        match store.statuses(0, vec![job.id]).await {
            Err(Error::OutcomeUnknown { .. }) => panic!("nothing was sent"),
            other => other,
        }
    });
    assert_eq!(statuses.await.unwrap(), [Some(JobStatus::Queued)]);
    whole_life(&store).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_away_is_told_by_its_address_and_never_by_its_password() {
    let redis = Redis::start(RedisOptions::default().password("s3cret"))
        .await
        .unwrap();
    let store = Store::connect(&config(&redis.url())).await.unwrap();
    redis.kill9();
    let away = eventually(SOON, "the store to notice", || async {
        match store.ping().await {
            Err(error @ Error::Unavailable { .. }) => Ok(error),
            other => Err(format!("{other:?}")),
        }
    });
    let told = away.await.unwrap().to_string();
    assert!(
        told.contains(&redis.addr().to_string()) && !told.contains("s3cret"),
        "{told}"
    );
    let again = Store::connect(&config(&redis.url())).await.unwrap_err();
    assert!(!format!("{again} {again:?}").contains("s3cret"), "{again:?}");
    redis.restart().await.unwrap();
    eventually(SOON, "the store to come back", || whole_life(&store))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_answer_that_does_not_come_leaves_the_outcome_unknown() {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let mut config = config(&redis.url());
    config.response_timeout = Duration::from_millis(300);
    let store = Store::connect(&config).await.unwrap();
    let job = job();
    redis.freeze();
    let error = store.enqueue(0, vec![job.clone()]).await.unwrap_err();
    assert_eq!(error, Error::OutcomeUnknown { server: "Redis" });
    redis.thaw();
    // The frozen server did it when it woke.
    let known = eventually(SOON, "the enqueue to be known", || async {
        let reply = store
            .enqueue(0, vec![job.clone()])
            .await
            .map_err(|error| error.to_string())?;
        match reply.jobs[..] {
            [
                Enqueued::Existing {
                    unpublished: true, ..
                },
            ] => Ok(()),
            ref other => Err(format!("{other:?}")),
        }
    });
    known.await.unwrap();
}

#[tokio::test]
async fn a_redis_that_may_lose_jobs_is_refused_with_every_finding_and_its_mend() {
    let options = RedisOptions::default()
        .line("maxmemory-policy allkeys-lru")
        .line("appendonly no");
    let redis = Redis::start(options).await.unwrap();
    let mut config = config(&redis.url());
    let error = Store::connect(&config).await.unwrap_err();
    let ConnectError::Unsafe { ref findings, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(findings.len(), 2, "{error}");
    let told = error.to_string();
    for mend in [
        "CONFIG SET maxmemory-policy noeviction",
        "CONFIG SET appendonly yes",
    ] {
        assert!(told.contains(mend), "{told}");
    }
    config.allow_degraded = true;
    let degraded = Store::connect(&config).await.unwrap();
    whole_life(&degraded).await.unwrap();
    redis.config_set("maxmemory-policy", "noeviction").await.unwrap();
    redis.config_set("appendonly", "yes").await.unwrap();
    config.allow_degraded = false;
    Store::connect(&config).await.unwrap();
    config.strict = true;
    let told = Store::connect(&config).await.unwrap_err().to_string();
    assert!(told.contains("CONFIG SET appendfsync always"), "{told}");
    redis.config_set("appendfsync", "always").await.unwrap();
    whole_life(&Store::connect(&config).await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_user_who_may_not_ask_for_the_configuration_is_let_in() {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let url = as_user(&redis, &["-info", "-config"]).await;
    whole_life(&Store::connect(&config(&url)).await.unwrap())
        .await
        .unwrap();
    let wrong = redis.url().replace("redis://", "redis://app:wr0ng@");
    let error = Store::connect(&config(&wrong)).await.unwrap_err();
    let told = format!("{error} {error:?}");
    assert!(
        told.contains("password is wrong") && !told.contains("wr0ng"),
        "{told}"
    );
}

#[tokio::test]
async fn a_replica_is_refused_even_when_a_degraded_start_is_allowed() {
    let (redis, store) = store().await;
    store.close();
    redis.cli(&["REPLICAOF", "127.0.0.1", "1"]).await.unwrap();
    let mut config = config(&redis.url());
    config.allow_degraded = true;
    let told = Store::connect(&config).await.unwrap_err().to_string();
    assert!(told.contains("not master"), "{told}");
}

#[tokio::test]
async fn another_number_of_shards_is_an_error_that_names_both() {
    let (redis, store) = store().await;
    assert_eq!(store.shards(), Shards::STANDALONE);
    let mut config = config(&redis.url());
    config.shards = Some(Shards::new(16).unwrap());
    let told = Store::connect(&config).await.unwrap_err().to_string();
    assert!(told.contains("has 4") && told.contains("asks for 16"), "{told}");
    config.shards = None;
    assert_eq!(
        Store::connect(&config).await.unwrap().shards(),
        Shards::STANDALONE
    );
}

#[tokio::test]
async fn a_full_redis_takes_no_new_jobs_and_ends_those_it_has() {
    let (redis, store) = store().await;
    let jobs: Vec<_> = (0..20).map(|_| job()).collect();
    store.enqueue(0, jobs.clone()).await.unwrap();
    redis.config_set("maxmemory", "1").await.unwrap();
    let refused = store.enqueue(0, vec![job()]).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Refused { reason, .. } if reason.contains("OOM")),
        "{refused:?}"
    );
    for job in &jobs {
        store.mark_published(0, vec![(job.id, 1)]).await.unwrap();
        let claim = claim(job);
        store.step(0, Vec::new(), vec![claim.clone()]).await.unwrap();
        let (finished, _) = store.step(0, vec![complete(&claim)], Vec::new()).await.unwrap();
        assert_eq!(finished, [Finished::Accepted(JobStatus::Completed)]);
    }
    redis.config_set("maxmemory", "0").await.unwrap();
    whole_life(&store).await.unwrap();
}

#[tokio::test]
async fn a_full_redis_wakes_whoever_watches() {
    let (redis, store) = store().await;
    let job = job();
    store.enqueue(0, vec![job.clone()]).await.unwrap();
    redis.config_set("maxmemory", "1").await.unwrap();
    let mut wakes = store.watch(vec![job.id]).await.unwrap();
    store.step(0, Vec::new(), vec![claim(&job)]).await.unwrap();
    assert_eq!(wakes.next().await, Some(job.id));
}

/// It learns what becomes of its jobs by looking.
#[tokio::test]
async fn a_user_who_may_not_say_that_jobs_are_watched_watches_all_the_same() {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let store = Store::connect(&config(&as_user(&redis, &["-set"]).await))
        .await
        .unwrap();
    let job = job();
    store.watch(vec![job.id]).await.unwrap();
}

#[tokio::test]
async fn a_user_who_may_write_no_payload_writes_no_record() {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let store = Store::connect(&config(&as_user(&redis, &["-mset"]).await))
        .await
        .unwrap();
    let job = job();
    let error = store.enqueue(0, vec![job.clone()]).await.unwrap_err();
    let told = error.to_string();
    assert!(matches!(error, Error::Forbidden { .. }), "{error:?}");
    assert!(told.contains("a part of it may have been done"), "{told}");
    assert_eq!(store.statuses(0, vec![job.id]).await.unwrap(), [None]);
    redis.cli(&["ACL", "SETUSER", "app", "+mset"]).await.unwrap();
    let reply = store.enqueue(0, vec![job]).await.unwrap();
    assert!(
        matches!(reply.jobs[..], [Enqueued::Created { gen_: 1, .. }]),
        "{reply:?}"
    );
}

/// Whoever drains a full Redis connects to it first.
#[tokio::test]
async fn a_full_redis_lets_a_worker_and_a_scheduler_in() {
    let (redis, store) = store().await;
    let job = job();
    store.enqueue(0, vec![job.clone()]).await.unwrap();
    store.close();
    redis.config_set("maxmemory", "1").await.unwrap();
    let store = Store::connect(&config(&redis.url())).await.unwrap();
    let leased = store.lease_shards("s-1".to_owned(), 4, SOON).await.unwrap();
    assert_eq!(leased, [0, 1, 2, 3]);
    let worker = worker(SystemClock.now());
    assert_eq!(store.worker_beat(worker.clone()).await.unwrap(), []);
    store.set_paused(QueueName::default(), true).await.unwrap();
    assert_eq!(store.worker_beat(worker).await.unwrap(), [QueueName::default()]);
    store.set_paused(QueueName::default(), false).await.unwrap();
    store.quarantine(vec![strange("m-1", 10)]).await.unwrap();
    let claim = claim(&job);
    store.step(0, Vec::new(), vec![claim.clone()]).await.unwrap();
    let (finished, _) = store.step(0, vec![complete(&claim)], Vec::new()).await.unwrap();
    assert_eq!(finished, [Finished::Accepted(JobStatus::Completed)]);
}

fn strange(message_id: &str, bytes: usize) -> Quarantined {
    Quarantined {
        message_id: message_id.to_owned(),
        queue: QueueName::default(),
        reason: "garbage".to_owned(),
        body: vec![b'?'; bytes].into(),
        headers: Vec::new(),
        jobs: Vec::new(),
        dispatches: Vec::new(),
    }
}

#[tokio::test]
async fn a_full_quarantine_refuses_and_says_what_to_do() {
    let (redis, store) = store().await;
    let whole = ENVELOPE_BYTES_MAX;
    let count = QUARANTINE_BYTES_MAX / whole;
    for number in 0..count - 1 {
        store
            .quarantine(vec![strange(&format!("m-{number}"), whole)])
            .await
            .unwrap();
    }
    let refused = store.quarantine(vec![strange("late", whole)]).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Refused { reason, .. } if reason.contains("longshore quarantine drop")),
        "{refused:?}"
    );
    store
        .quarantine(vec![strange("m-0", whole)])
        .await
        .expect("it is there already");
    redis.cli(&["HDEL", "longshore:quarantine", "m-0"]).await.unwrap();
    store.quarantine(vec![strange("late", whole)]).await.unwrap();
    // Many small ones are as bounded as few large ones.
    redis.cli(&["DEL", "longshore:quarantine"]).await.unwrap();
    let small: Vec<_> = (0..QUARANTINE_MESSAGES_MAX)
        .map(|number| strange(&format!("s-{number}"), 1))
        .collect();
    store.quarantine(small).await.unwrap();
    assert!(store.quarantine(vec![strange("s-late", 1)]).await.is_err());
}

#[tokio::test]
async fn a_tls_server_is_reached_with_its_authority_and_not_without() {
    let redis = Redis::start(RedisOptions::default().tls().password("s3cret"))
        .await
        .unwrap();
    let mut config = config(&redis.tls_url().unwrap());
    let told = format!("{:?}", Store::connect(&config).await.unwrap_err());
    assert!(told.contains("Unavailable") && !told.contains("s3cret"), "{told}");
    config.ca_file = redis.ca_file().map(Into::into);
    let store = Store::connect(&config).await.unwrap();
    whole_life(&store).await.unwrap();
    let watch = store.watch(vec![job().id]).await;
    assert!(watch.is_ok());
    config.ca_file = Some("/nowhere/ca.pem".into());
    assert!(matches!(
        Store::connect(&config).await,
        Err(ConnectError::CaFile { .. })
    ));
}

#[tokio::test]
async fn a_sentinels_new_master_is_found_after_a_failover() {
    let sentinel = Sentinel::start().await.unwrap();
    let store = Store::connect(&config(&sentinel.url())).await.unwrap();
    whole_life(&store).await.unwrap();
    sentinel.master().await.unwrap().kill9();
    eventually(SOON, "the new master to take jobs", || whole_life(&store))
        .await
        .unwrap();
}

#[tokio::test]
async fn watches_and_hints_wake_and_end_with_the_connection() {
    let (redis, store) = store().await;
    let job = job();
    store.enqueue(0, vec![job.clone()]).await.unwrap();
    let mut wakes = store.watch(vec![job.id]).await.unwrap();
    let mut same = store.watch(vec![job.id]).await.unwrap();
    let mut hints = store.hints().await.unwrap();
    store.step(0, Vec::new(), vec![claim(&job)]).await.unwrap();
    assert_eq!(wakes.next().await, Some(job.id));
    drop(wakes);
    assert_eq!(same.next().await, Some(job.id));
    let request = CancelRequest {
        id: job.id,
        reason: "enough".to_owned(),
    };
    store.cancel(0, vec![request]).await.unwrap();
    assert_eq!(hints.next().await, Some(Hint::Cancel(job.id)));
    assert_eq!(
        same.next().await,
        Some(job.id),
        "one watcher that goes leaves the other its wakes"
    );
    store.set_paused(QueueName::default(), true).await.unwrap();
    assert_eq!(hints.next().await, Some(Hint::QueuesChanged));
    redis.restart().await.unwrap();
    assert_eq!((same.next().await, hints.next().await), (None, None));
    let again = eventually(SOON, "a new watch", || async {
        store.watch(vec![job.id]).await.map_err(|error| error.to_string())
    });
    again.await.unwrap();
}

#[tokio::test]
async fn an_index_row_without_its_record_is_taken_away() {
    let (redis, store) = store().await;
    redis
        .cli(&["ZADD", "{s00}:outbox:1", "5", "0193f0a17c5e800193130242ac120002"])
        .await
        .unwrap();
    let leased = store.lease_outbox(0, 10).await.unwrap();
    assert_eq!((leased.looked_at, leased.jobs.len()), (1, 0));
    assert_eq!(store.lease_outbox(0, 10).await.unwrap().looked_at, 0);
}

#[tokio::test]
async fn a_job_that_is_taken_away_leaves_nothing_but_its_tombstone() {
    let (redis, store) = store().await;
    let job = job();
    store.enqueue(0, vec![job.clone()]).await.unwrap();
    let claim = claim(&job);
    store.step(0, Vec::new(), vec![claim.clone()]).await.unwrap();
    store.step(0, vec![complete(&claim)], Vec::new()).await.unwrap();
    let retention = [(JobStatus::Completed, Duration::ZERO)].into();
    assert_eq!(store.prune(0, retention, 10).await.unwrap().jobs, 1);
    let keys = redis.cli(&["KEYS", "{s00}*"]).await.unwrap();
    // Statistics tell of all jobs together, and end by themselves.
    let is_of_the_job = |key: &&str| !key.contains(":t:") && !key.contains(":st:");
    let mut left: Vec<_> = keys.lines().filter(is_of_the_job).collect();
    left.sort_unstable();
    assert_eq!(left, ["{s00}:meta"], "{keys}");
}

#[tokio::test]
async fn a_parent_takes_a_bounded_number_of_children() {
    let (redis, store) = store().await;
    let (parent, child) = (job(), job());
    store.enqueue(0, vec![parent.clone()]).await.unwrap();
    let edge = Registration {
        parent: parent.id,
        child: child.id,
        policy: EdgePolicy::default(),
    };
    assert_eq!(store.register(0, vec![edge]).await.unwrap(), [ParentState::Open]);
    change_record(&redis, parent.id, &format!("r.K = {CHILDREN_MAX}")).await;
    let other = Registration {
        child: job().id,
        ..edge
    };
    let states = store.register(0, vec![edge, other]).await.unwrap();
    assert_eq!(states, [ParentState::Open, ParentState::Full]);
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let (_redis, store) = store().await;
    store.close();
    assert_eq!(store.ping().await, Err(Error::Closed));
    assert!(matches!(store.watch(vec![job().id]).await, Err(Error::Closed)));
}
