//! The daemons over the embedded store, whose clock stands still unless a test moves it.

mod children;
mod cron;
mod dead_letters;
mod dispatch;
mod ends;
mod indexes;
mod leases;
mod notifications;
mod replicas;
mod shardless;
mod sick;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longshore_backend::embedded::{Options, Store};
use longshore_core::message::{Gen, Message};
use longshore_core::outcome::{ErrorInfo, Outcome};
use longshore_core::port::Ports;
use longshore_core::port::attempt::{Claim, Claimed, Finish, Finished};
use longshore_core::port::broker::{Delivery, Payload, Source, Subscription};
use longshore_core::port::enqueue::{Enqueued, NewJob};
use longshore_core::view::{Detail, JobView};
use longshore_core::{JobId, JobSpec, JobStatus, Nonce, QueueName, WorkerId};
use longshore_testkit::clock::ManualClock;
use longshore_testkit::factory::Factory;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::context::Context;
use crate::shards::Held;
use crate::{Builder, Daemon, Done, Error, Scheduler, drive};

/// An empty store and a scheduler's context over it, which owns every shard.
struct Rig {
    ports: Ports,
    store: Store,
    clock: ManualClock,
    factory: Factory,
    scheduler: Scheduler,
    _folder: TempDir,
}

/// A running job.
struct Running {
    id: JobId,
    nonce: Nonce,
}

fn rig() -> Rig {
    rig_with(|builder| builder)
}

fn rig_with(shape: impl FnOnce(Builder) -> Builder) -> Rig {
    rig_over(shape, |_| {})
}

/// An empty store, and its clock, which stands still.
fn empty() -> (TempDir, ManualClock, Store) {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::default();
    let options = Options {
        clock: Arc::new(clock.clone()),
        ..Options::default()
    };
    let store = Store::open(folder.path(), options).unwrap();
    (folder, clock, store)
}

/// A rig whose ports a test has changed.
fn rig_over(shape: impl FnOnce(Builder) -> Builder, change: impl FnOnce(&mut Ports)) -> Rig {
    let (folder, clock, store) = empty();
    let mut ports = store.ports();
    change(&mut ports);
    let builder = Scheduler::builder(ports.clone())
        .holder("tester")
        .clock(Arc::new(clock.clone()));
    let scheduler = shape(builder).build();
    let shards = ports.enqueue.shards().all().collect();
    scheduler.held.send_replace(Held {
        shards,
        is_first: true,
    });
    let factory = Factory::new(Arc::new(clock.clone()), 7);
    Rig {
        ports,
        store,
        clock,
        factory,
        scheduler,
        _folder: folder,
    }
}

fn completed() -> Outcome {
    Outcome::Completed {
        result: Bytes::from_static(&[0xc0]),
    }
}

fn failed() -> Outcome {
    Outcome::Failed {
        error: ErrorInfo::new("test", "it broke"),
    }
}

impl Rig {
    fn cx(&self) -> &Context {
        &self.scheduler.context
    }

    fn pass_secs(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn shard(&self, id: JobId) -> u16 {
        self.ports.enqueue.shards().of(&id)
    }

    /// One pass of one daemon over every shard.
    async fn try_run(&self, daemon: Daemon) -> Result<Done, Error> {
        let shards: Vec<_> = self.ports.enqueue.shards().all().collect();
        drive::pass(daemon, self.cx(), &shards).await
    }

    /// One pass that must succeed: how many rows it moved.
    async fn run(&self, daemon: Daemon) -> u64 {
        self.try_run(daemon).await.unwrap().rows
    }

    async fn enqueue(&self, job: &NewJob) {
        let reply = self
            .ports
            .enqueue
            .enqueue(self.shard(job.id), vec![job.clone()])
            .await
            .unwrap();
        assert!(matches!(reply.jobs[0], Enqueued::Created { .. }), "{reply:?}");
    }

    async fn enqueued_in(&self, shard: u16, shape: impl FnOnce(&mut JobSpec)) -> NewJob {
        let job = self.factory.job(shard, shape);
        self.enqueue(&job).await;
        job
    }

    async fn enqueued(&self, shape: impl FnOnce(&mut JobSpec)) -> NewJob {
        self.enqueued_in(0, shape).await
    }

    async fn claim(&self, id: JobId, gen_: Gen) -> Running {
        let nonce = self.factory.nonce();
        let claim = Claim {
            id,
            gen_,
            nonce,
            worker: WorkerId("worker-1".to_owned()),
        };
        let (_, claimed) = self
            .ports
            .attempt
            .step(self.shard(id), Vec::new(), vec![claim])
            .await
            .unwrap();
        assert!(matches!(claimed[0], Claimed::Run(_)), "{claimed:?}");
        Running { id, nonce }
    }

    async fn finish(&self, running: &Running, outcome: Outcome) {
        finish(&self.ports, running, outcome).await;
    }

    /// A job that ended so.
    async fn ended(&self, outcome: Outcome) -> NewJob {
        let job = self.enqueued(|_| {}).await;
        let running = self.claim(job.id, 1).await;
        self.finish(&running, outcome).await;
        job
    }

    async fn find(&self, id: JobId) -> Option<JobView> {
        self.ports
            .inspect
            .jobs(self.shard(id), vec![id], Detail::Summary)
            .await
            .unwrap()
            .remove(0)
    }

    async fn view(&self, id: JobId) -> JobView {
        self.find(id).await.expect("a record")
    }

    /// As producers see it: tombstones count.
    async fn status(&self, id: JobId) -> JobStatus {
        status(&self.ports, id).await
    }

    /// Takes every message of the default queue away.
    async fn take_messages(&self) -> Vec<Message> {
        let mut jobs = self
            .ports
            .consume
            .subscribe(Source::Jobs(QueueName::default()), 10_000)
            .await
            .unwrap();
        let mut messages = Vec::new();
        while let Some(delivery) = quick(jobs.as_mut()).await {
            let Payload::Jobs(message) = delivery.payload else {
                panic!("{:?}", delivery.payload)
            };
            delivery.receipt.ack();
            messages.push(message);
        }
        messages
    }

    /// The jobs of every message of the default queue, with their gens.
    async fn delivered(&self) -> Vec<(JobId, Gen)> {
        let messages = self.take_messages().await;
        messages
            .iter()
            .flat_map(|message| &message.jobs)
            .map(|job| (job.id, job.gen_))
            .collect()
    }
}

async fn finish(ports: &Ports, running: &Running, outcome: Outcome) {
    let finish = Finish {
        id: running.id,
        nonce: running.nonce,
        outcome,
        progress: None,
    };
    let shard = ports.enqueue.shards().of(&running.id);
    let (finished, _) = ports.attempt.step(shard, vec![finish], Vec::new()).await.unwrap();
    assert!(matches!(finished[0], Finished::Accepted(_)), "{finished:?}");
}

async fn status(ports: &Ports, id: JobId) -> JobStatus {
    let shard = ports.enqueue.shards().of(&id);
    let statuses = ports.enqueue.statuses(shard, vec![id]).await.unwrap();
    statuses[0].expect("a known job")
}

/// A delivery that is there already.
async fn quick(subscription: &mut dyn Subscription) -> Option<Delivery> {
    timeout(Duration::from_millis(200), subscription.next())
        .await
        .ok()
        .flatten()
}
