//! Short ways to the common states.

use std::path::Path;
use std::sync::Arc;

use longshore_backend::embedded::{Options, Store};
use longshore_core::clock::SystemClock;
use longshore_core::message::{Message, MessageJob};
use longshore_core::outcome::Outcome;
use longshore_core::port::Ports;
use longshore_core::port::attempt::{Claim, Claimed, Finish, Finished, Grant};
use longshore_core::port::broker::{Delivery, Payload, Source, Subscription, message_id};
use longshore_core::port::enqueue::{Enqueued, NewJob};
use longshore_core::view::{Detail, JobView};
use longshore_core::{JobId, JobSpec, Nonce, QueueName, WorkerId};
use longshore_testkit::factory::Factory;

pub(crate) fn factory() -> Factory {
    Factory::new(Arc::new(SystemClock), rand_seed())
}

fn rand_seed() -> u64 {
    use longshore_core::random::{Random, SystemRandom};
    SystemRandom.next_u64()
}

pub(crate) fn open(folder: &Path) -> Store {
    Store::open(folder, Options::default()).unwrap()
}

pub(crate) fn shard(ports: &Ports, id: JobId) -> u16 {
    ports.enqueue.shards().of(&id)
}

pub(crate) async fn enqueue(ports: &Ports, job: &NewJob) {
    let reply = ports
        .enqueue
        .enqueue(shard(ports, job.id), vec![job.clone()])
        .await
        .unwrap();
    assert!(matches!(reply.jobs[0], Enqueued::Created { .. }), "{reply:?}");
}

pub(crate) async fn enqueued(ports: &Ports, shape: impl FnOnce(&mut JobSpec)) -> NewJob {
    let job = factory().job(0, shape);
    enqueue(ports, &job).await;
    job
}

pub(crate) fn message(job: &NewJob) -> Message {
    Message {
        traceparent: None,
        id: message_id(),
        queue: job.queue.clone(),
        priority: job.priority,
        shard: 0,
        epoch: 1,
        published_at: job.created_at,
        norecord: false,
        jobs: vec![MessageJob {
            id: job.id,
            gen_: 1,
            attempts: 0,
            retries: 0,
            losts: 0,
            envelope: job.envelope.clone(),
        }],
    }
}

/// As a producer does: record, publish, mark.
pub(crate) async fn published(ports: &Ports, shape: impl FnOnce(&mut JobSpec)) -> NewJob {
    let job = enqueued(ports, shape).await;
    assert!(ports.publish.publish(vec![message(&job)]).await[0].is_confirmed());
    ports
        .enqueue
        .mark_published(shard(ports, job.id), vec![(job.id, 1)])
        .await
        .unwrap();
    job
}

pub(crate) async fn claim(ports: &Ports, id: JobId, gen_: u32, nonce: u128) -> Claimed {
    let claim = Claim {
        id,
        gen_,
        nonce: Nonce(nonce),
        worker: WorkerId("w".to_owned()),
    };
    let (_, mut claimed) = ports
        .attempt
        .step(shard(ports, id), vec![], vec![claim])
        .await
        .unwrap();
    claimed.remove(0)
}

pub(crate) async fn start(ports: &Ports, id: JobId, gen_: u32, nonce: u128) -> Grant {
    match claim(ports, id, gen_, nonce).await {
        Claimed::Run(grant) => grant,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn finish(ports: &Ports, id: JobId, nonce: u128, outcome: Outcome) -> Finished {
    let finish = Finish {
        id,
        nonce: Nonce(nonce),
        outcome,
        progress: None,
    };
    ports
        .attempt
        .step(shard(ports, id), vec![finish], vec![])
        .await
        .unwrap()
        .0[0]
}

pub(crate) async fn view(ports: &Ports, id: JobId) -> Option<JobView> {
    ports
        .inspect
        .jobs(shard(ports, id), vec![id], Detail::Full)
        .await
        .unwrap()
        .remove(0)
}

pub(crate) async fn subscribe(ports: &Ports, source: Source) -> Box<dyn Subscription> {
    ports.consume.subscribe(source, 100).await.unwrap()
}

pub(crate) fn default_queue() -> Source {
    Source::Jobs(QueueName::default())
}

pub(crate) async fn delivery(subscription: &mut dyn Subscription) -> Delivery {
    let next = tokio::time::timeout(std::time::Duration::from_secs(5), subscription.next()).await;
    next.expect("a delivery within 5 s")
        .expect("a subscription that goes on")
}

pub(crate) fn jobs(delivery: &Delivery) -> &Message {
    match &delivery.payload {
        Payload::Jobs(message) => message,
        other => panic!("{other:?}"),
    }
}
