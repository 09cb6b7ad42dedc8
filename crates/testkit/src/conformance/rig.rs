//! What a case holds in its hands: the ports of an empty backend, its time, and short ways to the common states.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use longshore_core::clock::Timestamp;
use longshore_core::limits::BUNDLE_BYTES_MAX;
use longshore_core::message::{Gen, Message, MessageJob};
use longshore_core::outcome::{ErrorInfo, Outcome};
use longshore_core::port::Ports;
use longshore_core::port::attempt::{
    Beaten, Claim, Claimed, Finish, Finished, GiveBack, GiveBackReason, GivenBack, Grant, Rebuild,
};
use longshore_core::port::broker::{Delivery, Source, Subscription};
use longshore_core::port::enqueue::{CancelReply, CancelRequest, Enqueued, NewJob};
use longshore_core::port::schedule::{LeasesExpired, Publishable};
use longshore_core::view::{Detail, JobFilter, JobView, RunTime, WorkerView};
use longshore_core::{FunctionName, JobId, JobSpec, JobStatus, Nonce, QueueName, WorkerId};

use crate::bundles::Company;
use crate::factory::Factory;

/// The trace context of a message.
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What stands behind the ports of one case.
pub trait Stage: Send + Sync {
    /// The time of the store. It stands still while nobody lets it pass.
    fn now(&self) -> Timestamp;
    /// Lets time pass for the store, at once.
    fn pass(&self, by: Duration) -> BoxFuture<'_, ()>;
    /// Ends what the backend does; the case is over.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// What a case does to a backend behind the ports' back. A backend that has no such thing says so in
/// [`super::Harness::cannot`].
pub trait Sabotage: Send + Sync {
    /// Deletes everything the store holds.
    fn wipe(&self) -> BoxFuture<'_, ()>;
    /// Puts bytes that nobody of ours wrote into a logical queue's broker queue.
    fn inject(&self, queue: &QueueName, body: &'static [u8]) -> BoxFuture<'_, ()>;
    /// From now on the broker gives up what comes into a logical queue.
    fn give_up(&self, queue: &QueueName) -> BoxFuture<'_, ()>;
    /// Deletes the broker's queues of a logical queue, with all messages.
    fn delete_queue(&self, queue: &QueueName) -> BoxFuture<'_, ()>;
    /// Takes the index rows of a job away, or gives it a row that it must not have.
    fn spoil_rows(&self, shard: u16, id: JobId, stray: bool) -> BoxFuture<'_, ()>;
}

/// An empty backend. Clones are the same one.
#[derive(Clone)]
pub struct Rig {
    /// The backend.
    pub ports: Ports,
    factory: Arc<Factory>,
    company: Arc<Company>,
    stage: Arc<dyn Stage>,
    sabotage: Option<Arc<dyn Sabotage>>,
}

impl std::fmt::Debug for Rig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rig").finish_non_exhaustive()
    }
}

/// A running job and its claim.
#[derive(Clone, Debug)]
pub struct Held {
    /// The job.
    pub job: NewJob,
    /// The job's id.
    pub id: JobId,
    /// The claim's nonce.
    pub nonce: Nonce,
    /// The claim's answer.
    pub grant: Grant,
}

impl Rig {
    /// The rig of an empty backend. `stage` lives as long as the rig, and so does what it owns.
    pub fn new(
        ports: Ports,
        factory: Factory,
        stage: Arc<dyn Stage>,
        sabotage: Option<Arc<dyn Sabotage>>,
    ) -> Self {
        Self {
            ports,
            factory: Arc::new(factory),
            company: Arc::new(Company::new()),
            stage,
            sabotage,
        }
    }

    /// Makes jobs and nonces.
    pub fn factory(&self) -> &Factory {
        &self.factory
    }

    /// Ends what the backend does.
    pub async fn close(&self) {
        self.stage.close().await;
    }

    pub(super) fn sabotage(&self) -> &dyn Sabotage {
        self.sabotage
            .as_deref()
            .expect("a backend that can be sabotaged; otherwise declare it in cannot()")
    }

    // Time.

    /// The store's time.
    pub fn now(&self) -> Timestamp {
        self.stage.now()
    }

    /// Lets time pass.
    pub async fn pass(&self, by: Duration) {
        self.stage.pass(by).await;
    }

    pub(super) async fn pass_secs(&self, seconds: u64) {
        self.pass(Duration::from_secs(seconds)).await;
    }

    /// Lets time pass while the sweep over leases of shard 0 does its rounds, as it does in a live fleet; sums up
    /// what it did.
    pub(super) async fn pass_swept(&self, seconds: u64) -> LeasesExpired {
        let mut total = self.sweep(100).await;
        let mut left = seconds;
        while left > 0 {
            let step = left.min(5);
            self.pass_secs(step).await;
            left -= step;
            let done = self.sweep(100).await;
            total.requeued += done.requeued;
            total.failed += done.failed;
            total.cancelled += done.cancelled;
            total.paused_for = done.paused_for;
        }
        total
    }

    /// The sweep is a minute old and calm: a lease that ends now is not held up by a pause.
    pub(super) async fn calm_sweep(&self) {
        let done = self.pass_swept(60).await;
        assert_eq!(
            done.paused_for,
            Duration::ZERO,
            "the sweep pauses after a minute of regular rounds"
        );
    }

    pub(super) async fn sweep(&self, limit: usize) -> LeasesExpired {
        self.ports.schedule.expire_leases(0, limit).await.unwrap()
    }

    /// A time that the store wrote: it stands while nobody lets it pass.
    pub(super) fn assert_at(actual: Option<Timestamp>, expected: Timestamp) {
        assert_eq!(actual, Some(expected), "times in milliseconds");
    }

    // Jobs.

    pub(super) fn shard_of(&self, id: JobId) -> u16 {
        self.ports.enqueue.shards().of(&id)
    }

    /// A job of shard 0, not yet enqueued.
    pub(super) fn job(&self, shape: impl FnOnce(&mut JobSpec)) -> NewJob {
        self.factory.job(0, shape)
    }

    pub(super) fn job_in(&self, shard: u16, shape: impl FnOnce(&mut JobSpec)) -> NewJob {
        self.factory.job(shard, shape)
    }

    pub(super) fn job_of(&self, spec: &JobSpec, id: JobId) -> NewJob {
        self.factory.job_of(spec, id)
    }

    pub(super) fn nonce(&self) -> Nonce {
        self.factory.nonce()
    }

    pub(super) async fn enqueue(&self, job: &NewJob) -> Enqueued {
        let shard = self.shard_of(job.id);
        let reply = self
            .ports
            .enqueue
            .enqueue(shard, vec![job.clone()])
            .await
            .unwrap();
        assert_eq!(reply.jobs.len(), 1);
        reply.jobs[0]
    }

    /// A job of shard 0 that was enqueued, with the status it got.
    pub(super) async fn enqueued(&self, shape: impl FnOnce(&mut JobSpec)) -> NewJob {
        let job = self.job(shape);
        let reply = self.enqueue(&job).await;
        assert!(matches!(reply, Enqueued::Created { .. }), "{reply:?}");
        job
    }

    /// A Queued job that the broker has.
    pub(super) async fn published(&self, shape: impl FnOnce(&mut JobSpec)) -> NewJob {
        let job = self.enqueued(shape).await;
        self.mark_published(job.id, 1).await;
        job
    }

    pub(super) async fn mark_published(&self, id: JobId, gen_: Gen) {
        let (marks, _) = self.in_company(id, (id, gen_), |stranger| (stranger, 1));
        self.ports
            .enqueue
            .mark_published(self.shard_of(id), marks)
            .await
            .unwrap();
    }

    pub(super) async fn claim(&self, id: JobId, gen_: Gen, nonce: Nonce) -> Claimed {
        let claim = |id, gen_, nonce| Claim {
            id,
            gen_,
            nonce,
            worker: WorkerId("tester-1".to_owned()),
        };
        let (claims, at) = self.in_company(id, claim(id, gen_, nonce), |id| claim(id, 1, self.nonce()));
        let count = claims.len();
        let (_, claimed) = self
            .ports
            .attempt
            .step(self.shard_of(id), Vec::new(), claims)
            .await
            .unwrap();
        own_of(claimed, at, count, |answer| {
            matches!(answer, Claimed::Missing { .. })
        })
    }

    /// Claims with a fresh nonce.
    pub(super) async fn deliver(&self, id: JobId, gen_: Gen) -> Claimed {
        self.claim(id, gen_, self.nonce()).await
    }

    /// Claims a job that must run now.
    pub(super) async fn start(&self, job: &NewJob, gen_: Gen) -> Held {
        let nonce = self.nonce();
        match self.claim(job.id, gen_, nonce).await {
            Claimed::Run(grant) => Held {
                job: job.clone(),
                id: job.id,
                nonce,
                grant,
            },
            other => panic!("the claim of gen {gen_} was not granted: {other:?}"),
        }
    }

    pub(super) async fn running(&self, shape: impl FnOnce(&mut JobSpec)) -> Held {
        let job = self.published(shape).await;
        self.start(&job, 1).await
    }

    pub(super) async fn finish(&self, held: &Held, outcome: Outcome) -> Finished {
        self.finish_as(held.id, held.nonce, outcome).await
    }

    pub(super) async fn finish_as(&self, id: JobId, nonce: Nonce, outcome: Outcome) -> Finished {
        let finish = |id, nonce, outcome| Finish {
            id,
            nonce,
            outcome,
            progress: None,
        };
        let (finishes, at) = self.in_company(id, finish(id, nonce, outcome), |id| {
            finish(id, self.nonce(), completed())
        });
        let count = finishes.len();
        let (finished, _) = self
            .ports
            .attempt
            .step(self.shard_of(id), finishes, Vec::new())
            .await
            .unwrap();
        own_of(finished, at, count, |answer| *answer == Finished::Missing)
    }

    /// A job that ended with `outcome`, which must be terminal.
    pub(super) async fn ended(&self, outcome: Outcome) -> Held {
        let held = self.running(|_| {}).await;
        let reply = self.finish(&held, outcome).await;
        assert!(
            matches!(reply, Finished::Accepted(status) if status.is_terminal()),
            "{reply:?}"
        );
        held
    }

    pub(super) async fn rebuild(&self, rebuild: Rebuild) -> Claimed {
        let shard = self.shard_of(rebuild.job.id);
        let mut claimed = self.ports.attempt.rebuild(shard, vec![rebuild]).await.unwrap();
        assert_eq!(claimed.len(), 1);
        claimed.remove(0)
    }

    pub(super) async fn beat(&self, id: JobId, nonce: Nonce) -> Beaten {
        let (beats, at) = self.in_company(id, (id, nonce), |id| (id, self.nonce()));
        let count = beats.len();
        let beaten = self.ports.attempt.beat(self.shard_of(id), beats).await.unwrap();
        own_of(beaten, at, count, |answer| *answer == Beaten::Missing)
    }

    pub(super) async fn give_back(&self, id: JobId, gen_: Gen, reason: GiveBackReason) -> GivenBack {
        let own = GiveBack { id, gen_, reason };
        let (jobs, at) = self.in_company(id, own, |id| GiveBack {
            id,
            gen_: 1,
            reason: GiveBackReason::Unstarted,
        });
        let count = jobs.len();
        let given = self
            .ports
            .attempt
            .give_back(self.shard_of(id), jobs)
            .await
            .unwrap();
        own_of(given, at, count, |answer| {
            matches!(answer, GivenBack::Missing { .. })
        })
    }

    pub(super) async fn cancel(&self, id: JobId) -> CancelReply {
        let request = |id| CancelRequest {
            id,
            reason: "not needed any more".to_owned(),
        };
        let (requests, at) = self.in_company(id, request(id), request);
        let count = requests.len();
        let replies = self
            .ports
            .enqueue
            .cancel(self.shard_of(id), requests)
            .await
            .unwrap();
        own_of(replies, at, count, |answer| *answer == CancelReply::Unknown)
    }

    /// A request among others of its kind about jobs of its shard that nobody knows, as many as the run is told; and
    /// its place.
    fn in_company<T>(&self, id: JobId, own: T, stranger: impl Fn(JobId) -> T) -> (Vec<T>, usize) {
        let (before, after) = self.company.strangers();
        let other = |_| stranger(self.factory.id(self.shard_of(id)));
        let mut requests: Vec<T> = (0..before).map(other).collect();
        requests.push(own);
        requests.extend((0..after).map(other));
        (requests, before)
    }

    // What is seen.

    pub(super) async fn find(&self, id: JobId) -> Option<JobView> {
        let mut views = self
            .ports
            .inspect
            .jobs(self.shard_of(id), vec![id], Detail::Full)
            .await
            .unwrap();
        assert_eq!(views.len(), 1);
        views.remove(0)
    }

    pub(super) async fn view(&self, id: JobId) -> JobView {
        self.find(id).await.expect("a record")
    }

    /// As producers see it: tombstones count.
    pub(super) async fn status(&self, id: JobId) -> Option<JobStatus> {
        let (ids, at) = self.in_company(id, id, |id| id);
        let count = ids.len();
        let statuses = self.ports.enqueue.statuses(self.shard_of(id), ids).await.unwrap();
        own_of(statuses, at, count, Option::is_none)
    }

    /// Leases what is due in the outbox of shard 0.
    pub(super) async fn outbox(&self) -> Vec<Publishable> {
        self.ports.schedule.lease_outbox(0, 100).await.unwrap().jobs
    }

    /// Leases what is due in the outbox of shard 0, as ids and gens.
    pub(super) async fn outbox_ids(&self) -> Vec<(JobId, Gen)> {
        self.outbox()
            .await
            .into_iter()
            .map(|job| (job.id, job.gen_))
            .collect()
    }

    pub(super) async fn promoted(&self) -> Vec<(JobId, Gen)> {
        let leased = self.ports.schedule.promote(0, 100).await.unwrap();
        leased.jobs.into_iter().map(|job| (job.id, job.gen_)).collect()
    }

    pub(super) async fn list(&self, filter: JobFilter) -> Vec<JobView> {
        let mut jobs = Vec::new();
        let mut after = None;
        loop {
            let page = self.ports.inspect.list(filter.clone(), after, 7).await.unwrap();
            assert!(page.jobs.len() <= 7, "a page is over its limit");
            jobs.extend(page.jobs);
            match page.next {
                Some(next) => after = Some(next),
                None => return jobs,
            }
        }
    }

    /// Invariant I4 as the ports show it: listing, filters by status, counters and records agree.
    pub(super) async fn index_equals_status(&self) {
        let all = self.list(JobFilter::default()).await;
        let mut counted: BTreeMap<(QueueName, JobStatus), u64> = BTreeMap::new();
        for job in &all {
            *counted.entry((job.queue.clone(), job.status)).or_default() += 1;
            let record = self.find(job.id).await.expect("a listed job has a record");
            assert_eq!(
                record.status, job.status,
                "the listing of {} is behind its record",
                job.id
            );
        }
        for status in JobStatus::ALL {
            let filter = JobFilter {
                statuses: vec![status],
                ..JobFilter::default()
            };
            let listed: Vec<_> = self.list(filter).await.into_iter().map(|job| job.id).collect();
            let expected: Vec<_> = all
                .iter()
                .filter(|job| job.status == status)
                .map(|job| job.id)
                .collect();
            assert_eq!(listed, expected, "the listing by status {status}");
        }
        let queues = self.ports.inspect.queues().await.unwrap();
        let counters: BTreeMap<_, _> = queues
            .into_iter()
            .flat_map(|(queue, view)| {
                view.counts
                    .into_iter()
                    .map(move |(status, count)| ((queue.clone(), status), count))
            })
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(counters, counted, "counters (left) and records (right)");
    }

    // Workers and messages.

    pub(super) fn worker(&self, name: &str, functions: &[&str]) -> WorkerView {
        WorkerView {
            run_times: vec![(
                QueueName::default(),
                RunTime {
                    seconds: 1.5,
                    count: 3,
                },
            )],
            id: WorkerId(name.to_owned()),
            host: "here".to_owned(),
            pid: 1,
            version: "0.1.0".to_owned(),
            functions: functions
                .iter()
                .map(|name| FunctionName::new(name).unwrap())
                .collect(),
            queues: vec![QueueName::default()],
            slots: 4,
            busy: 0,
            free: 0,
            unattached: Vec::new(),
            running: Vec::new(),
            draining: false,
            started_at: self.now(),
            seen_at: self.now(),
            watermarks: Vec::new(),
        }
    }

    pub(super) fn message(&self, jobs: &[&NewJob]) -> Message {
        let travelling = |job: &&NewJob| MessageJob {
            id: job.id,
            gen_: 1,
            attempts: 0,
            retries: 0,
            losts: 0,
            envelope: job.envelope.clone(),
        };
        let fill = self.fill(jobs);
        let fill: Vec<_> = fill.iter().collect();
        Message {
            traceparent: Some(TRACEPARENT.to_owned()),
            id: longshore_core::port::broker::message_id(),
            queue: jobs[0].queue.clone(),
            priority: jobs[0].priority,
            shard: self.shard_of(jobs[0].id),
            epoch: 11,
            published_at: self.now(),
            norecord: false,
            jobs: jobs.iter().chain(&fill).map(travelling).collect(),
        }
    }

    /// Jobs that fill a message of these to what the run is told.
    fn fill(&self, jobs: &[&NewJob]) -> Vec<NewJob> {
        let (before, after) = self.company.strangers();
        let bytes: usize = jobs.iter().map(|job| job.envelope.len()).sum();
        if bytes > BUNDLE_BYTES_MAX / 2 {
            return Vec::new();
        }
        let shard = self.shard_of(jobs[0].id);
        let like = |spec: &mut JobSpec| {
            spec.queue = jobs[0].queue.clone();
            spec.priority = jobs[0].priority;
        };
        (jobs.len()..=before + after)
            .map(|_| self.factory.job(shard, like))
            .collect()
    }

    /// Publishes a message that the broker must take.
    pub(super) async fn send(&self, message: Message) {
        let published = self.ports.publish.publish(vec![message]).await;
        assert!(
            published
                .iter()
                .all(longshore_core::port::broker::Published::is_confirmed),
            "{published:?}"
        );
    }

    pub(super) async fn subscribe(&self, queue: &str, prefetch: u16) -> Box<dyn Subscription> {
        let source = Source::Jobs(QueueName::new(queue).unwrap());
        self.ports.consume.subscribe(source, prefetch).await.unwrap()
    }
}

/// The answer at this place. All others are about jobs that nobody knows.
fn own_of<R: std::fmt::Debug>(
    answers: Vec<R>,
    at: usize,
    count: usize,
    is_unknown: impl Fn(&R) -> bool,
) -> R {
    assert_eq!(answers.len(), count, "one answer a request");
    let mut own = None;
    for (place, answer) in answers.into_iter().enumerate() {
        if place == at {
            own = Some(answer);
        } else {
            assert!(is_unknown(&answer), "nobody knows the job: {answer:?}");
        }
    }
    own.expect("a place among the requests")
}

/// The next delivery, which must come.
pub(super) async fn delivery(subscription: &mut dyn Subscription) -> Delivery {
    let next = tokio::time::timeout(Duration::from_secs(10), subscription.next()).await;
    next.expect("a delivery within 10 s")
        .expect("a subscription that goes on")
}

/// Asserts that no delivery comes for a while.
pub(super) async fn no_delivery(subscription: &mut dyn Subscription) {
    let next = tokio::time::timeout(Duration::from_millis(300), subscription.next()).await;
    assert!(next.is_err(), "unexpected: {:?}", next.unwrap());
}

/// `Completed` with the number 42.
pub(super) fn completed() -> Outcome {
    Outcome::Completed {
        result: Bytes::from_static(&[42]),
    }
}

/// `Failed` with an error.
pub(super) fn failed() -> Outcome {
    Outcome::Failed { error: error() }
}

/// `Retry` after `seconds`.
pub(super) fn retry(seconds: u64) -> Outcome {
    Outcome::Retry {
        delay: Duration::from_secs(seconds),
        error: error(),
    }
}

/// An error.
pub(super) fn error() -> ErrorInfo {
    ErrorInfo::new("io::Error", "the disk is on fire")
}
