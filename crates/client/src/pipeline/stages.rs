//! The stages of an enqueue, each for jobs of one shard: record, tie to parents, publish, mark.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::limits::{BUNDLE_JOBS_MAX, SCRIPT_JOBS_MAX};
use longshore_core::message::{Epoch, Message};
use longshore_core::pace::Paces;
use longshore_core::port::broker::Published;
use longshore_core::port::enqueue::{EnqueueReply, Enqueued, NewJob};
use longshore_core::port::{self, EnqueuePort, PublishPort};
use longshore_core::random::Random;
use longshore_core::telemetry::Telemetry;
use longshore_core::{Clock, JobStatus};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::bundle::{Address, Dispatch, bundle};
use super::marks::Marks;
use super::retry::{Limit, may_pass, retrying_with_doubt, unanswered};
use crate::builder::RedisAway;
use crate::error::EnqueueError;

/// Jobs between the start of their record and the end of their publish. Records must not run far ahead: what waits
/// longer than the outbox's grace for its publish is published twice.
const UNDER_WAY_MAX: usize = 8 * SCRIPT_JOBS_MAX;

/// What was accepted, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The job was known before this enqueue.
    pub(crate) existing: bool,
    /// Recorded, not confirmed by the broker: the scheduler publishes it.
    pub(crate) deferred: bool,
    /// Published without a record.
    pub(crate) unrecorded: bool,
    /// Where it stood.
    pub(crate) status: JobStatus,
}

impl Accepted {
    pub(crate) const fn new(existing: bool, status: JobStatus) -> Self {
        Self {
            existing,
            deferred: false,
            unrecorded: false,
            status,
        }
    }
}

/// What became of one job.
pub(crate) type Fate = Result<Accepted, EnqueueError>;

/// A job that is to be recorded.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) job: NewJob,
    /// Its id was made for this very enqueue: if the store knows it, an earlier try of this enqueue made the record, and
    /// no other job has it.
    pub(crate) fresh: bool,
}

/// A Blocked job that is to be tied to its parents.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) job: NewJob,
    /// This call made the record.
    pub(crate) created: bool,
    /// This call may have made the record: the answer of an earlier try was lost.
    pub(crate) in_doubt: bool,
}

/// Recorded jobs by what comes next; `K` says whose each is.
pub(crate) struct Recorded<K> {
    pub(crate) address: Address,
    pub(crate) to_publish: Vec<(K, Dispatch)>,
    pub(crate) to_tie: Vec<(K, Child)>,
    pub(crate) done: Vec<(K, Fate)>,
}

/// What the stages work with.
pub(crate) struct Stages {
    pub(crate) enqueue: Arc<dyn EnqueuePort>,
    pub(crate) publish: Arc<dyn PublishPort>,
    pub(crate) marks: Arc<Marks>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) redis_away: RedisAway,
    pub(crate) enqueue_timeout: Duration,
    pub(crate) publish_timeout: Duration,
    /// Most jobs of a message; as many as their run times allow when nothing is said.
    pub(crate) bundle_max: Option<usize>,
    pub(crate) paces: Arc<Paces>,
    pub(crate) telemetry: Telemetry,
    under_way: Arc<Semaphore>,
}

impl Stages {
    pub(crate) fn new(ports: &port::Ports, settings: &crate::builder::Settings) -> Self {
        Self {
            enqueue: Arc::clone(&ports.enqueue),
            publish: Arc::clone(&ports.publish),
            marks: Arc::new(Marks::new(&ports.enqueue, &settings.random)),
            clock: Arc::clone(&settings.clock),
            random: Arc::clone(&settings.random),
            redis_away: settings.redis_away,
            enqueue_timeout: settings.enqueue_timeout,
            publish_timeout: settings.publish_timeout,
            bundle_max: settings.bundle_max,
            paces: Arc::new(Paces::new(&ports.inspect, &settings.clock)),
            telemetry: ports.telemetry.clone(),
            under_way: Arc::new(Semaphore::new(UNDER_WAY_MAX)),
        }
    }

    /// The limit of a call for a batch, which as a whole may take longer.
    pub(crate) const fn each(&self) -> Limit {
        Limit::Each(self.enqueue_timeout)
    }

    /// Waits until there is room for so many jobs more under way; `None` never comes.
    pub(crate) async fn room(&self, jobs: usize) -> Option<OwnedSemaphorePermit> {
        let count = u32::try_from(jobs.min(UNDER_WAY_MAX)).unwrap_or(u32::MAX);
        Arc::clone(&self.under_way).acquire_many_owned(count).await.ok()
    }

    /// Records jobs of one shard, at most [`SCRIPT_JOBS_MAX`]. When the store is away, policy may let those through
    /// that need no record.
    pub(crate) async fn record<K>(&self, shard: u16, jobs: Vec<(K, Entry)>, limit: Limit) -> Recorded<K> {
        let batch: Vec<NewJob> = jobs.iter().map(|(_, entry)| entry.job.clone()).collect();
        let limit = self.record_limit(limit);
        let call = || self.enqueue.enqueue(shard, batch.clone());
        let reply = retrying_with_doubt(&*self.random, limit, call).await;
        match reply {
            Ok((reply, in_doubt)) => sort(shard, jobs, reply, in_doubt),
            Err(error) => self.unrecorded(shard, jobs, &error),
        }
    }

    /// Where a job may be published without a record, half of the time is left for that.
    fn record_limit(&self, limit: Limit) -> Limit {
        match self.redis_away {
            RedisAway::Error => limit,
            RedisAway::PublishWithoutRecord => {
                let left = limit.by().saturating_duration_since(Instant::now());
                Limit::Each(left / 2)
            }
        }
    }

    fn unrecorded<K>(&self, shard: u16, jobs: Vec<(K, Entry)>, error: &port::Error) -> Recorded<K> {
        let mut recorded = Recorded::empty(shard, 0, true);
        recorded.address.in_doubt = matches!(error, port::Error::OutcomeUnknown { .. });
        let allowed = self.redis_away == RedisAway::PublishWithoutRecord && may_pass(error);
        let now = self.clock.now();
        for (key, Entry { job, fresh }) in jobs {
            let due = job.run_at.is_none_or(|at| at <= now);
            let may_go = allowed && due && job.parents.is_empty();
            if may_go && fresh {
                let dispatch = Dispatch {
                    job,
                    gen_: 1,
                    existing: false,
                };
                recorded.to_publish.push((key, dispatch));
            } else {
                let (id, source) = (job.id, error.clone());
                let source = if may_go { unchecked(source) } else { source };
                recorded.done.push((key, Err(EnqueueError::Store { id, source })));
            }
        }
        recorded
    }

    /// Publishes and marks. A job that the broker does not confirm is deferred, or an error when it has no record.
    pub(crate) async fn publish<K>(
        &self,
        address: Address,
        jobs: Vec<(K, Dispatch)>,
        limit: Limit,
    ) -> Vec<(K, Fate)> {
        let (keys, dispatches): (Vec<K>, Vec<Dispatch>) = jobs.into_iter().unzip();
        let ids: Vec<_> = dispatches
            .iter()
            .map(|dispatch| (dispatch.job.id, dispatch.existing))
            .collect();
        let published = self.published(address, &dispatches, limit).await;
        let fates = ids.into_iter().zip(published).map(|((id, existing), published)| {
            let confirmed = published.is_confirmed();
            if address.norecord && !confirmed {
                let source = if address.in_doubt || published == Published::Unknown {
                    unanswered()
                } else {
                    port::Error::Unavailable {
                        server: "Redis",
                        reason: "and the broker did not take the job without a record".to_owned(),
                    }
                };
                return Err(EnqueueError::Store { id, source });
            }
            Ok(Accepted {
                deferred: !confirmed,
                unrecorded: address.norecord,
                ..Accepted::new(existing, JobStatus::Queued)
            })
        });
        keys.into_iter().zip(fates).collect()
    }

    /// What the broker said of each dispatch in time. One that it confirms later is marked all the same.
    async fn published(&self, address: Address, dispatches: &[Dispatch], limit: Limit) -> Vec<Published> {
        let mut told = vec![Published::Unknown; dispatches.len()];
        if dispatches.is_empty() {
            return told;
        }
        if !self.publish.is_ready() {
            told.fill(Published::Refused("the broker is away".to_owned()));
            return told;
        }
        let (messages, carried): (Vec<_>, Vec<_>) = self.bundles(address, dispatches).into_iter().unzip();
        let jobs: Vec<_> = dispatches
            .iter()
            .map(|dispatch| (dispatch.job.id, dispatch.gen_))
            .collect();
        let (port, marks) = (Arc::clone(&self.publish), Arc::clone(&self.marks));
        let publishing = tokio::spawn(async move {
            let published = port.publish(messages).await;
            let mut of_each = Vec::new();
            for (published, carried) in published.into_iter().zip(carried) {
                of_each.extend(carried.into_iter().map(|index| (index, published.clone())));
            }
            if !address.norecord {
                let taken = of_each.iter().filter(|(_, published)| published.is_confirmed());
                let done = taken.filter_map(|(index, _)| jobs.get(*index).copied());
                marks.published(address.shard, done);
            }
            of_each
        });
        let by = limit.by().min(Instant::now() + self.publish_timeout);
        let in_time = tokio::time::timeout_at(by, publishing).await;
        for (index, published) in in_time.ok().and_then(Result::ok).unwrap_or_default() {
            if let Some(place) = told.get_mut(index) {
                *place = published;
            }
        }
        told
    }
}

impl Stages {
    /// Dispatches put into messages: as many in one as was said, or as their measured run times allow.
    fn bundles(&self, address: Address, dispatches: &[Dispatch]) -> Vec<(Message, Vec<usize>)> {
        if let Some(jobs_max) = self.bundle_max {
            return bundle(dispatches, address, jobs_max, |_| Duration::ZERO, &*self.clock);
        }
        if dispatches.len() > 1 {
            self.paces.refresh(tokio::time::sleep).map(tokio::spawn);
        }
        let pace = |job: &NewJob| self.paces.of(&job.function_name);
        bundle(dispatches, address, BUNDLE_JOBS_MAX, pace, &*self.clock)
    }
}

impl<K> Recorded<K> {
    fn empty(shard: u16, epoch: Epoch, norecord: bool) -> Self {
        Self {
            address: Address {
                shard,
                epoch,
                norecord,
                in_doubt: false,
            },
            to_publish: Vec::new(),
            to_tie: Vec::new(),
            done: Vec::new(),
        }
    }
}

/// The error of a job that only its chosen id keeps from being published without a record. The id may be another job's,
/// whose record would be claimed with the arguments of this one: only the store can tell them apart.
fn unchecked(error: port::Error) -> port::Error {
    match error {
        port::Error::Unavailable { server, reason } => port::Error::Unavailable {
            server,
            reason: format!(
                "{reason}; a job with an id or idempotency_key of its own is not published without a record, because the \
                 store alone knows whether another job has it: enqueue it again when the store answers"
            ),
        },
        other => other,
    }
}

/// Sorts recorded jobs by what comes next. `in_doubt` says that an earlier try may have recorded them.
fn sort<K>(shard: u16, jobs: Vec<(K, Entry)>, reply: EnqueueReply, in_doubt: bool) -> Recorded<K> {
    let mut recorded = Recorded::empty(shard, reply.epoch, false);
    for ((key, Entry { job, fresh }), enqueued) in jobs.into_iter().zip(reply.jobs) {
        let created = fresh || matches!(enqueued, Enqueued::Created { .. });
        match enqueued {
            Enqueued::Conflict => {
                let name = job.name.unwrap_or_else(|| job.function_name.to_string());
                let conflict = EnqueueError::Conflict {
                    id: job.id,
                    job: name,
                };
                recorded.done.push((key, Err(conflict)));
            }
            Enqueued::Created {
                status: JobStatus::Blocked,
                ..
            }
            | Enqueued::Existing {
                status: JobStatus::Blocked,
                ..
            } => {
                let child = Child {
                    job,
                    created,
                    in_doubt,
                };
                recorded.to_tie.push((key, child));
            }
            Enqueued::Created {
                status: JobStatus::Queued,
                gen_,
            } => recorded.to_publish.push((
                key,
                Dispatch {
                    job,
                    gen_,
                    existing: false,
                },
            )),
            // Only the first dispatch is this call's to repeat: of a later one it does not know the counts that
            // travel in the message.
            Enqueued::Existing {
                gen_: gen_ @ 1,
                unpublished: true,
                ..
            } => recorded.to_publish.push((
                key,
                Dispatch {
                    job,
                    gen_,
                    existing: !created,
                },
            )),
            Enqueued::Created { status, .. } | Enqueued::Existing { status, .. } => {
                recorded.done.push((key, Ok(Accepted::new(!created, status))));
            }
        }
    }
    recorded
}
