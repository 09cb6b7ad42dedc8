//! Runs a sequence on a backend and on the model, and compares what they answer and what they remember.

use std::time::Duration;

use longshore_core::message::Gen;
use longshore_core::outcome::{Outcome, Progress};
use longshore_core::port::attempt::{
    Beaten, Claim, Claimed, Finish, Finished, GiveBack, GiveBackReason, GivenBack, Quarantined, Rebuild, Then,
};
use longshore_core::port::enqueue::{
    CancelReply, CancelRequest, EdgeSettled, EdgeSettlement, Enqueued, NewJob, ParentOutcome, ParentState,
    Registration,
};
use longshore_core::port::schedule::{DeadLetterChange, Leased, LeasesExpired, Watermark};
use longshore_core::spec::{Dependency, EdgePolicy, Start};
use longshore_core::view::{Detail, FullView};
use longshore_core::{JobId, JobSpec, Nonce, WorkerId};
use longshore_testkit::conformance::Rig;
use longshore_testkit::factory::Factory;

use crate::action::{Action, End, GenPick, JOBS, NONCES};
use crate::model::{Dispatch, Model, RETENTION, error};

const SHARD: u16 = 0;
const REASON: &str = "not needed any more";

/// What a call answered. Lists are sorted: their order is the conformance suite's business.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Nothing,
    Enqueued(Enqueued),
    Claimed(Claimed),
    Beaten(Beaten),
    Finished(Finished),
    GivenBack(GivenBack),
    Cancel(CancelReply),
    Expired(LeasesExpired),
    Count(u32),
    Dispatches(Vec<Dispatch>),
    Known(bool),
    DeadLetter(DeadLetterChange),
    Pruned(u32, u32),
    Parent(ParentState),
    Edge(EdgeSettled),
    Relations(Vec<(JobId, ParentOutcome, Vec<JobId>, bool)>),
}

struct Pair<'a> {
    rig: &'a Rig,
    model: Model,
    ids: [JobId; JOBS],
    nonces: [Nonce; NONCES],
}

/// Runs the sequence.
///
/// # Errors
///
/// The first difference.
pub(crate) async fn run(rig: &Rig, actions: &[Action]) -> Result<(), String> {
    let mut pair = Pair {
        rig,
        model: Model::default(),
        ids: std::array::from_fn(|_| rig.factory().job(SHARD, |_| {}).id),
        nonces: std::array::from_fn(|_| rig.factory().nonce()),
    };
    for (number, action) in actions.iter().enumerate() {
        let at = |problem: String| format!("call {number}, {action:?}: {problem}");
        pair.step(action).await.map_err(at)?;
        pair.same_jobs().await.map_err(at)?;
        pair.same_counts().await.map_err(at)?;
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, backend: &T, model: &T) -> Result<(), String> {
    if backend == model {
        return Ok(());
    }
    Err(format!("{what}\n  backend: {backend:?}\n  model:   {model:?}"))
}

fn outcome(end: End) -> Outcome {
    let delay = Duration::from_secs(20);
    match end {
        End::Completed => Outcome::Completed {
            result: bytes::Bytes::from_static(&[42]),
        },
        End::Failed => Outcome::Failed { error: error() },
        End::Retry => Outcome::Retry {
            delay,
            error: error(),
        },
        End::Snooze => Outcome::Snooze { delay },
        End::Released => Outcome::Released,
        End::Cancelled => Outcome::Cancelled,
        End::Expired => Outcome::Expired,
    }
}

fn dispatches(leased: Leased) -> Vec<Dispatch> {
    let dispatch = |job: longshore_core::port::schedule::Publishable| {
        (job.id, job.gen_, job.attempts, job.retries, job.losts)
    };
    let mut all: Vec<_> = leased.jobs.into_iter().map(dispatch).collect();
    all.sort_unstable();
    all
}

impl Pair<'_> {
    fn gen_(&self, job: usize, pick: GenPick) -> Gen {
        let now = self.model.gen_of(self.ids[job]);
        match pick {
            GenPick::Older => now.saturating_sub(1),
            GenPick::Same => now,
            GenPick::Newer => now + 1,
        }
    }

    /// A message that nobody can read, of a dispatch of the job.
    fn unreadable(&self, id: JobId, gen_: Gen) -> Quarantined {
        Quarantined {
            message_id: self.rig.factory().nonce().to_hex(),
            queue: Factory::spec().queue,
            reason: "not MessagePack".to_owned(),
            body: bytes::Bytes::from_static(b"\xc1"),
            headers: Vec::new(),
            jobs: vec![id],
            dispatches: vec![(id, gen_)],
        }
    }

    fn new_job(&self, job: usize, shape: impl FnOnce(&mut JobSpec)) -> NewJob {
        let mut spec = Factory::spec();
        if job == JOBS - 1 {
            spec.depends_on = vec![Dependency::from(self.ids[0])];
        }
        shape(&mut spec);
        self.rig.factory().job_of(&spec, self.ids[job])
    }

    async fn step(&mut self, action: &Action) -> Result<(), String> {
        let (backend, model) = match action {
            Action::Enqueue { .. }
            | Action::MarkPublished { .. }
            | Action::Cancel { .. }
            | Action::Register
            | Action::SettleEdge { .. } => self.producer(action).await,
            Action::Claim { .. }
            | Action::Rebuild { .. }
            | Action::Beat { .. }
            | Action::Finish { .. }
            | Action::GiveBack { .. }
            | Action::Quarantine { .. } => self.worker(action).await,
            Action::Requeue { .. }
            | Action::Discard { .. }
            | Action::DeadCopied { .. }
            | Action::BrokerGaveUp { .. }
            | Action::Prune
            | Action::Relations => self.keeper(action).await,
            Action::Pause { paused } => {
                let queue = Factory::spec().queue;
                self.rig
                    .ports
                    .inspect
                    .set_paused(queue, *paused)
                    .await
                    .map_err(|error| error.to_string())?;
                self.model.paused = *paused;
                return Ok(());
            }
            Action::Pass { seconds } => {
                self.rig.pass(Duration::from_secs(*seconds)).await;
                return Ok(());
            }
            _ => self.scheduler(action).await,
        }
        .map_err(|error| error.to_string())?;
        same("the answer", &backend, &model)
    }

    async fn producer(&mut self, action: &Action) -> Result<(Answer, Answer), longshore_core::port::Error> {
        let now = self.rig.now();
        let port = &self.rig.ports.enqueue;
        Ok(match *action {
            Action::Enqueue {
                job,
                other,
                later,
                expires,
            } => {
                let new = self.new_job(job, |spec| {
                    spec.max_retries = if other { 9 } else { 3 };
                    if later {
                        spec.start = Start::After(Duration::from_secs(22));
                    }
                    spec.expires_in = expires.then_some(Duration::from_secs(35));
                });
                let reply = port.enqueue(SHARD, vec![new.clone()]).await?;
                (
                    Answer::Enqueued(reply.jobs[0]),
                    Answer::Enqueued(self.model.enqueue(&new, now)),
                )
            }
            Action::MarkPublished { job, gen_ } => {
                let gen_ = self.gen_(job, gen_);
                port.mark_published(SHARD, vec![(self.ids[job], gen_)]).await?;
                self.model.mark_published(self.ids[job], gen_, now);
                (Answer::Nothing, Answer::Nothing)
            }
            Action::Cancel { job } => {
                let request = CancelRequest {
                    id: self.ids[job],
                    reason: REASON.to_owned(),
                };
                let reply = port.cancel(SHARD, vec![request]).await?;
                (
                    Answer::Cancel(reply[0]),
                    Answer::Cancel(self.model.cancel(self.ids[job], REASON, now)),
                )
            }
            Action::Register => {
                let (parent, child, policy) = (self.ids[0], self.ids[JOBS - 1], EdgePolicy::default());
                let states = port
                    .register(
                        SHARD,
                        vec![Registration {
                            parent,
                            child,
                            policy,
                        }],
                    )
                    .await?;
                let model = self.model.register(parent, child, policy);
                (Answer::Parent(states[0].clone()), Answer::Parent(model))
            }
            Action::SettleEdge { completed } => {
                let (parent, child) = (self.ids[0], self.ids[JOBS - 1]);
                let outcome = if completed {
                    ParentOutcome::Completed { result: None }
                } else {
                    ParentOutcome::Failed
                };
                let edge = EdgeSettlement {
                    child,
                    parent,
                    outcome: outcome.clone(),
                };
                let settled = port.settle_edges(SHARD, vec![edge], Duration::ZERO).await?;
                let model = self.model.settle_edge(child, parent, &outcome, now);
                (Answer::Edge(settled[0]), Answer::Edge(model))
            }
            _ => unreachable!("not a producer's"),
        })
    }

    async fn worker(&mut self, action: &Action) -> Result<(Answer, Answer), longshore_core::port::Error> {
        let now = self.rig.now();
        let port = &self.rig.ports.attempt;
        let worker = WorkerId("tester-1".to_owned());
        // The epoch is the backend's own affair.
        let without_epoch = |claimed| match claimed {
            Claimed::Missing { .. } => Claimed::Missing { epoch: 0 },
            other => other,
        };
        Ok(match *action {
            Action::Claim { job, gen_, nonce } => {
                let (id, nonce) = (self.ids[job], self.nonces[nonce]);
                let claim = Claim {
                    id,
                    gen_: self.gen_(job, gen_),
                    nonce,
                    worker,
                };
                let (_, claimed) = port.step(SHARD, Vec::new(), vec![claim.clone()]).await?;
                let backend = claimed.into_iter().map(without_epoch).next();
                (
                    Answer::Claimed(backend.expect("an answer")),
                    Answer::Claimed(self.model.claim(&claim, now)),
                )
            }
            Action::Rebuild {
                job,
                gen_,
                nonce,
                then,
            } => {
                let rebuild = Rebuild {
                    gen_: self.gen_(job, gen_).max(1),
                    job: self.new_job(job, |_| {}),
                    attempts: 2,
                    retries: 1,
                    losts: 1,
                    nonce: self.nonces[nonce],
                    worker,
                    then: [Then::Claim, Then::GoOn, Then::GiveBack][then],
                };
                let claimed = port.rebuild(SHARD, vec![rebuild.clone()]).await?;
                let backend = claimed.into_iter().map(without_epoch).next();
                let model = self.model.rebuild(&rebuild, now);
                (
                    Answer::Claimed(backend.expect("an answer")),
                    Answer::Claimed(model),
                )
            }
            Action::Beat { job, nonce } => {
                let (id, nonce) = (self.ids[job], self.nonces[nonce]);
                let beaten = port.beat(SHARD, vec![(id, nonce)]).await?;
                (
                    Answer::Beaten(beaten[0]),
                    Answer::Beaten(self.model.beat(id, nonce, now)),
                )
            }
            Action::Finish { job, nonce, end } => {
                let (id, nonce) = (self.ids[job], self.nonces[nonce]);
                let finish = Finish {
                    id,
                    nonce,
                    outcome: outcome(end),
                    progress: None,
                };
                let (finished, _) = port.step(SHARD, vec![finish], Vec::new()).await?;
                let model = self.model.finish(id, nonce, outcome(end), now);
                (Answer::Finished(finished[0]), Answer::Finished(model))
            }
            Action::GiveBack { job, gen_, reason } => {
                let (id, gen_) = (self.ids[job], self.gen_(job, gen_));
                let reason = [
                    GiveBackReason::Unstarted,
                    GiveBackReason::NotRunnable,
                    GiveBackReason::Elsewhere,
                ][reason]
                    .clone();
                let model = self.model.give_back(id, gen_, &reason, now);
                let given = port.give_back(SHARD, vec![GiveBack { id, gen_, reason }]).await?;
                let backend = match given[0] {
                    GivenBack::Missing { .. } => GivenBack::Missing { epoch: 0 },
                    other => other,
                };
                (Answer::GivenBack(backend), Answer::GivenBack(model))
            }
            Action::Quarantine { job, gen_ } => {
                let gen_ = self.gen_(job, gen_);
                let message = self.unreadable(self.ids[job], gen_);
                self.model.quarantine(self.ids[job], gen_, &message.reason, now);
                port.quarantine(vec![message]).await?;
                (Answer::Nothing, Answer::Nothing)
            }
            _ => unreachable!("not a worker's"),
        })
    }

    async fn scheduler(&mut self, action: &Action) -> Result<(Answer, Answer), longshore_core::port::Error> {
        let now = self.rig.now();
        let port = &self.rig.ports.schedule;
        Ok(match *action {
            Action::Sweep => {
                let done = port.expire_leases(SHARD, 100).await?;
                (Answer::Expired(done), Answer::Expired(self.model.sweep(now)))
            }
            Action::ExpireWaiting => {
                let count = port.expire_waiting(SHARD, 100).await?;
                (
                    Answer::Count(count),
                    Answer::Count(self.model.expire_waiting(now)),
                )
            }
            Action::Promote => {
                let leased = port.promote(SHARD, 100).await?;
                (
                    Answer::Dispatches(dispatches(leased)),
                    Answer::Dispatches(self.model.promote(now)),
                )
            }
            Action::LeaseOutbox => {
                let leased = port.lease_outbox(SHARD, 100).await?;
                (
                    Answer::Dispatches(dispatches(leased)),
                    Answer::Dispatches(self.model.lease_outbox(now)),
                )
            }
            Action::ExtendOutbox { job, gen_ } => {
                let gen_ = self.gen_(job, gen_);
                let by = longshore_core::limits::OUTBOX_LEASE;
                port.extend_outbox(SHARD, vec![(self.ids[job], gen_)], by).await?;
                self.model.extend_outbox(self.ids[job], gen_, by, now);
                (Answer::Nothing, Answer::Nothing)
            }
            Action::Audit => {
                let spec = Factory::spec();
                let published_before = now.before(Duration::from_secs(10));
                let mark = Watermark {
                    queue: spec.queue,
                    priority: spec.priority,
                    published_before,
                };
                let leased = port.audit(SHARD, vec![mark], 100).await?;
                let model = self.model.audit(published_before, now);
                (Answer::Dispatches(dispatches(leased)), Answer::Dispatches(model))
            }
            _ => unreachable!("not a scheduler's"),
        })
    }

    async fn keeper(&mut self, action: &Action) -> Result<(Answer, Answer), longshore_core::port::Error> {
        let now = self.rig.now();
        let port = &self.rig.ports.schedule;
        Ok(match *action {
            Action::BrokerGaveUp { job, gen_ } => {
                let (id, gen_) = (self.ids[job], self.gen_(job, gen_));
                let unknown = port.broker_gave_up(SHARD, vec![(id, gen_)]).await?;
                let known = self.model.broker_gave_up(id, gen_, now);
                (Answer::Known(unknown.is_empty()), Answer::Known(known))
            }
            Action::Requeue { job } => {
                let changes = port.requeue(SHARD, vec![self.ids[job]], now).await?;
                let model = self.model.requeue(self.ids[job], now, now);
                (Answer::DeadLetter(changes[0]), Answer::DeadLetter(model))
            }
            Action::Discard { job } => {
                let changes = port.discard(SHARD, vec![self.ids[job]], now).await?;
                let model = self.model.discard(self.ids[job], now, now);
                (Answer::DeadLetter(changes[0]), Answer::DeadLetter(model))
            }
            Action::DeadCopied { job, gen_ } => {
                let gen_ = self.gen_(job, gen_);
                port.dead_copied(SHARD, vec![(self.ids[job], gen_)]).await?;
                self.model.dead_copied(self.ids[job], gen_);
                (Answer::Nothing, Answer::Nothing)
            }
            Action::Prune => {
                let ended = longshore_core::JobStatus::ALL
                    .into_iter()
                    .filter(|status| status.is_terminal());
                let retention = ended.map(|status| (status, RETENTION)).collect();
                let pruned = port.prune(SHARD, retention, 100).await?;
                let (deleted, held) = self.model.prune(now);
                (
                    Answer::Pruned(pruned.jobs, pruned.held_by_children),
                    Answer::Pruned(deleted, held),
                )
            }
            Action::Relations => {
                let mut backend = Vec::new();
                for relation in port.relations(SHARD, 100).await? {
                    let (parent, mut children) = (relation.parent, relation.children);
                    let more = port.relations_told(SHARD, parent, children.clone()).await?;
                    children.sort_unstable();
                    backend.push((parent, relation.outcome, children, more));
                }
                backend.sort_unstable_by_key(|(parent, ..)| *parent);
                (
                    Answer::Relations(backend),
                    Answer::Relations(self.model.relations(now)),
                )
            }
            _ => unreachable!("not a keeper's"),
        })
    }

    async fn same_jobs(&self) -> Result<(), String> {
        let ids = self.ids.to_vec();
        let text = |error: longshore_core::port::Error| error.to_string();
        let statuses = self
            .rig
            .ports
            .enqueue
            .statuses(SHARD, ids.clone())
            .await
            .map_err(text)?;
        let views = self
            .rig
            .ports
            .inspect
            .jobs(SHARD, ids.clone(), Detail::Full)
            .await
            .map_err(text)?;
        for ((id, status), view) in ids.into_iter().zip(statuses).zip(views) {
            same("the status", &status, &self.model.status(id))?;
            // Envelope, result and error live in places of their own; the conformance suite looks at them.
            let seen = view.map(|mut view| {
                view.error = None;
                view.progress = Progress::default();
                view.full = view.full.map(|full| FullView {
                    history: full.history,
                    ..FullView::default()
                });
                view
            });
            let expected = self
                .model
                .record(id)
                .map(|record| record.view(id, Progress::default(), None, Some(FullView::default())));
            same("the job", &seen, &expected)?;
        }
        Ok(())
    }

    async fn same_counts(&self) -> Result<(), String> {
        let queues = self
            .rig
            .ports
            .inspect
            .queues()
            .await
            .map_err(|error| error.to_string())?;
        let mut counts = queues
            .get(&Factory::spec().queue)
            .cloned()
            .unwrap_or_default()
            .counts;
        counts.retain(|_, count| *count > 0);
        same("the counters", &counts, &self.model.counts())
    }
}
