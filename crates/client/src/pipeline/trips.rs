//! What concurrent enqueues share: one script call for all that gathered, in one shard.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use longshore_core::gather::{Carry, Gather, Trip, TripLimits};
use longshore_core::limits::SCRIPT_JOBS_MAX;
use longshore_core::port::enqueue::NewJob;
use longshore_core::{JobId, JobSpec};
use tokio::sync::oneshot;

use super::prepare;
use super::stages::{Entry, Fate, Stages};
use crate::error::EnqueueError;

/// Bytes of one script call; a larger job travels alone.
pub(crate) const SCRIPT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Script calls under way for jobs that may go to any shard.
const FRESH_TRIPS_MAX: u16 = 4;

/// The way to a job's fate, once its record is on the way.
pub(crate) type Ticket = Result<(JobId, oneshot::Receiver<Fate>), EnqueueError>;

/// Jobs without an id of their own: a trip chooses the shard.
pub(crate) type Fresh = Gather<JobSpec, Ticket, FreshTrip>;
/// Jobs whose id says the shard.
pub(crate) type Fixed = Gather<NewJob, Ticket, FixedTrip>;

pub(crate) fn fresh(stages: &Arc<Stages>) -> Fresh {
    let limits = TripLimits {
        batch_max: SCRIPT_JOBS_MAX,
        weight_max: SCRIPT_BYTES_MAX,
        trips_max: usize::from(stages.enqueue.shards().count().min(FRESH_TRIPS_MAX)),
    };
    let trip = FreshTrip {
        stages: Arc::clone(stages),
        next_shard: AtomicU16::new(0),
    };
    Gather::new(trip, limits)
}

pub(crate) fn fixed(stages: &Arc<Stages>) -> Vec<Fixed> {
    let limits = TripLimits {
        batch_max: SCRIPT_JOBS_MAX,
        weight_max: SCRIPT_BYTES_MAX,
        trips_max: 1,
    };
    let gather = |shard| {
        let stages = Arc::clone(stages);
        Gather::new(FixedTrip { stages, shard }, limits)
    };
    stages.enqueue.shards().all().map(gather).collect()
}

pub(crate) struct FreshTrip {
    stages: Arc<Stages>,
    next_shard: AtomicU16,
}

impl FreshTrip {
    /// Shards in turn, so that bundles share one and all are filled alike.
    fn shard(&self) -> u16 {
        self.next_shard.fetch_add(1, Ordering::Relaxed) % self.stages.enqueue.shards().count()
    }
}

impl Carry<JobSpec, Ticket> for FreshTrip {
    fn carry(&self, batch: Vec<JobSpec>) -> Trip<'_, Ticket> {
        let shard = self.shard();
        let now = self.stages.clock.now();
        Box::pin(async move {
            let (mut tickets, mut jobs) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
            for spec in batch {
                let id = JobId::generate(now, shard, &*self.stages.random);
                tickets.push(match prepare(&spec, id, now) {
                    Ok(job) => {
                        let (fate, told) = oneshot::channel();
                        jobs.push((fate, Entry { job, fresh: true }));
                        Ok((id, told))
                    }
                    Err(error) => Err(error),
                });
            }
            carry(&self.stages, shard, jobs).await;
            tickets
        })
    }

    fn weight(&self, spec: &JobSpec) -> usize {
        spec.args.len()
    }
}

pub(crate) struct FixedTrip {
    stages: Arc<Stages>,
    shard: u16,
}

impl Carry<NewJob, Ticket> for FixedTrip {
    fn carry(&self, batch: Vec<NewJob>) -> Trip<'_, Ticket> {
        Box::pin(async move {
            let (mut tickets, mut jobs) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
            for job in batch {
                let (fate, told) = oneshot::channel();
                tickets.push(Ok((job.id, told)));
                jobs.push((fate, Entry { job, fresh: false }));
            }
            carry(&self.stages, self.shard, jobs).await;
            tickets
        })
    }

    fn weight(&self, job: &NewJob) -> usize {
        job.envelope.len()
    }
}

/// Records the jobs, and leaves the rest to tasks: the next script goes out while these are published and tied.
async fn carry(stages: &Arc<Stages>, shard: u16, jobs: Vec<(oneshot::Sender<Fate>, Entry)>) {
    if jobs.is_empty() {
        return;
    }
    let room = Arc::new(stages.room(jobs.len()).await);
    let recorded = stages.record(shard, jobs).await;
    tell(recorded.done);
    let address = recorded.address;
    if !recorded.to_publish.is_empty() {
        let (stages, room) = (Arc::clone(stages), Arc::clone(&room));
        drop(tokio::spawn(async move {
            tell(stages.publish(address, recorded.to_publish).await);
            drop(room);
        }));
    }
    if !recorded.to_tie.is_empty() {
        let stages = Arc::clone(stages);
        drop(tokio::spawn(async move {
            tell(stages.tie(address, recorded.to_tie).await);
            drop(room);
        }));
    }
}

fn tell(fates: Vec<(oneshot::Sender<Fate>, Fate)>) {
    for (caller, fate) in fates {
        // A caller that gave up does not want it.
        drop(caller.send(fate));
    }
}
