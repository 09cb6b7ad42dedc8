//! What concurrent enqueues share: one script call for all that gathered, in one shard.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use longshore_core::gather::{Carry, Gather, Trip, TripLimits};
use longshore_core::limits::SCRIPT_JOBS_MAX;
use longshore_core::port::enqueue::NewJob;
use longshore_core::{JobId, JobSpec, JobStatus};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, timeout_at};

use super::bundle::Dispatch;
use super::prepare;
use super::retry::Limit;
use super::stages::{Accepted, Entry, Fate, Stages};
use super::way::Way;
use crate::error::EnqueueError;

/// Bytes of one script call; a larger job travels alone.
pub(crate) const SCRIPT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Script calls under way for jobs that may go to any shard.
const FRESH_TRIPS_MAX: u16 = 4;

/// The way to a job's fate, once its record is on the way.
pub(crate) type Ticket = Result<(JobId, oneshot::Receiver<Fate>), EnqueueError>;

/// Jobs without an id of their own: a trip chooses the shard.
pub(crate) type Fresh = Gather<Request<JobSpec>, Ticket, FreshTrip>;
/// Jobs whose id says the shard.
pub(crate) type Fixed = Gather<Request<NewJob>, Ticket, FixedTrip>;

/// What is asked for, and the way of who asks.
pub(crate) type Request<Q> = (Q, Arc<Way>);

/// Who is told of a job's fate.
struct Caller {
    fate: oneshot::Sender<Fate>,
    way: Arc<Way>,
}

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

impl Carry<Request<JobSpec>, Ticket> for FreshTrip {
    fn carry(&self, batch: Vec<Request<JobSpec>>) -> Trip<'_, Ticket> {
        let shard = self.shard();
        Box::pin(trip(&self.stages, shard, batch, move |spec| {
            let now = self.stages.clock.now();
            let id = JobId::generate(now, shard, &*self.stages.random);
            let job = prepare(&spec, id, now)?;
            Ok(Entry { job, fresh: true })
        }))
    }

    fn weight(&self, (spec, _): &Request<JobSpec>) -> usize {
        spec.args.len()
    }
}

pub(crate) struct FixedTrip {
    stages: Arc<Stages>,
    shard: u16,
}

impl Carry<Request<NewJob>, Ticket> for FixedTrip {
    fn carry(&self, batch: Vec<Request<NewJob>>) -> Trip<'_, Ticket> {
        Box::pin(trip(&self.stages, self.shard, batch, |job| {
            Ok(Entry { job, fresh: false })
        }))
    }

    fn weight(&self, (job, _): &Request<NewJob>) -> usize {
        job.envelope.len()
    }
}

/// Records what gathered, until the last of its callers gives up, and hands everyone a ticket. Those who have given up
/// already were told that nothing was sent, and nothing is.
async fn trip<Q>(
    stages: &Arc<Stages>,
    shard: u16,
    batch: Vec<Request<Q>>,
    entry: impl Fn(Q) -> Result<Entry, EnqueueError>,
) -> Vec<Ticket> {
    let by = batch
        .iter()
        .map(|(_, way)| way.by)
        .max()
        .unwrap_or_else(Instant::now);
    let room = timeout_at(by, stages.room(batch.len())).await.ok().flatten();
    let (mut tickets, mut jobs) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
    for (request, way) in batch {
        tickets.push(entry(request).and_then(|entry| {
            let id = entry.job.id;
            if room.is_none() || !way.send(id) {
                return Err(way.not_sent());
            }
            let (fate, told) = oneshot::channel();
            jobs.push((Caller { fate, way }, entry));
            Ok((id, told))
        }));
    }
    if let Some(room) = room.filter(|_| !jobs.is_empty()) {
        carry(stages, shard, jobs, Limit::Until(by), room).await;
    }
    tickets
}

/// Records the jobs, and leaves the rest to tasks: the next script goes out while these are published and tied.
async fn carry(
    stages: &Arc<Stages>,
    shard: u16,
    jobs: Vec<(Caller, Entry)>,
    limit: Limit,
    room: OwnedSemaphorePermit,
) {
    let room = Arc::new(room);
    let recorded = stages.record(shard, jobs, limit).await;
    tell(recorded.done);
    let address = recorded.address;
    if !recorded.to_publish.is_empty() {
        if !address.norecord {
            note_recorded(&recorded.to_publish);
        }
        let (stages, room) = (Arc::clone(stages), Arc::clone(&room));
        drop(tokio::spawn(async move {
            tell(stages.publish(address, recorded.to_publish, limit).await);
            drop(room);
        }));
    }
    if !recorded.to_tie.is_empty() {
        let stages = Arc::clone(stages);
        drop(tokio::spawn(async move {
            tell(stages.tie(address, recorded.to_tie, limit).await);
            drop(room);
        }));
    }
}

/// These are as good as accepted: whoever does not wait for the broker's confirm has a deferred job.
fn note_recorded(jobs: &[(Caller, Dispatch)]) {
    for (caller, dispatch) in jobs {
        let accepted = Accepted {
            deferred: true,
            ..Accepted::new(dispatch.existing, JobStatus::Queued)
        };
        caller.way.recorded(dispatch.job.id, accepted);
    }
}

fn tell(fates: Vec<(Caller, Fate)>) {
    for (caller, fate) in fates {
        // A caller that gave up does not want it.
        drop(caller.fate.send(fate));
    }
}
