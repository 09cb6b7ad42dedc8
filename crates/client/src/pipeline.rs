//! From a validated spec to an acknowledged job.
//!
//! One job: look up its parents, gather with other callers' jobs into one script call, then tie it to its parents or
//! publish it, and answer. A batch takes the same stages with more at once ([`crate::batch`]).

mod bundle;
mod edges;
mod marks;
pub(crate) mod retry;
pub(crate) mod stages;
pub(crate) mod trips;
mod way;

use std::collections::BTreeSet;
use std::sync::Arc;

use longshore_core::gather::{Carry, Dropped, Gather, Trip, TripLimits};
use longshore_core::limits::SCRIPT_JOBS_MAX;
use longshore_core::port::enqueue::NewJob;
use longshore_core::port::{self, EnqueuePort, Ports};
use longshore_core::random::Random;
use longshore_core::{Envelope, JobId, JobSpec, JobStatus, Timestamp};
use tracing::{Instrument as _, Span};

use self::retry::{Limit, retrying};
use self::stages::{Accepted, Stages};
use self::trips::{Fixed, Fresh, Request, Ticket};
use self::way::Way;
use crate::builder::Settings;
use crate::error::EnqueueError;
use crate::options::{Draft, chosen_id};
use crate::read::{apart, spawner};
use crate::trace::Seen;

type Status = Result<Option<JobStatus>, port::Error>;

/// The client's way in.
pub(crate) struct Pipeline {
    pub(crate) stages: Arc<Stages>,
    fresh: Fresh,
    fixed: Vec<Fixed>,
    statuses: Vec<Gather<JobId, Status, StatusTrip>>,
}

impl Pipeline {
    pub(crate) fn new(ports: &Ports, settings: &Settings) -> Self {
        let stages = Arc::new(Stages::new(ports, settings));
        Self {
            fresh: trips::fresh(&stages),
            fixed: trips::fixed(&stages),
            statuses: status_gathers(&ports.enqueue, settings),
            stages,
        }
    }

    /// Enqueues one job, by the deadline of its caller.
    pub(crate) async fn enqueue(
        &self,
        draft: &Draft,
        created_by: Option<&str>,
    ) -> Result<(JobId, Accepted), EnqueueError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(EnqueueError::NoRuntime);
        }
        let way = Arc::new(Way::new(self.stages.enqueue_timeout));
        let mut spec = draft.finish(created_by, [])?;
        let seen = Seen::begin(&self.stages.telemetry, &mut spec);
        let span = seen.as_ref().map_or_else(Span::none, |seen| seen.span.clone());
        let going = Box::pin(self.go(spec, draft.label(), &way).instrument(span));
        let gone = tokio::time::timeout_at(way.by, going).await;
        let ended = gone.unwrap_or_else(|_| way.give_up());
        if let Some(seen) = seen {
            seen.end(&ended);
        }
        ended
    }

    async fn go(
        &self,
        spec: JobSpec,
        label: &str,
        way: &Arc<Way>,
    ) -> Result<(JobId, Accepted), EnqueueError> {
        let chosen = chosen_id(&spec);
        if !spec.depends_on.is_empty() {
            self.check_parents(&spec, chosen, label).await?;
        }
        let ticket = if let Some(id) = chosen {
            let job = prepare(&spec, id, self.stages.clock.now())?;
            self.fix((job, Arc::clone(way))).await
        } else {
            let spawn = spawner().ok_or(EnqueueError::NoRuntime)?;
            self.fresh.call((spec, Arc::clone(way)), spawn).await
        };
        let (id, fate) = ticket.map_err(|_| EnqueueError::Interrupted)??;
        let accepted = fate.await.map_err(|_| EnqueueError::Interrupted)??;
        Ok((id, accepted))
    }

    async fn fix(&self, request: Request<NewJob>) -> Result<Ticket, Dropped> {
        let shard = usize::from(self.stages.enqueue.shards().of(&request.0.id));
        match (spawner(), self.fixed.get(shard)) {
            (Some(spawn), Some(gather)) => gather.call(request, spawn).await,
            (None, _) => Ok(Err(EnqueueError::NoRuntime)),
            (_, None) => Err(Dropped),
        }
    }

    async fn check_parents(
        &self,
        spec: &JobSpec,
        chosen: Option<JobId>,
        label: &str,
    ) -> Result<(), EnqueueError> {
        let parents: BTreeSet<JobId> = spec.depends_on.iter().map(|parent| parent.id).collect();
        if let Some(own) = chosen.filter(|own| parents.contains(own)) {
            let name = format!("{label} ({own})");
            return Err(EnqueueError::Cycle {
                jobs: vec![name.clone(), name],
            });
        }
        let lookup = |source| EnqueueError::Lookup {
            job: label.to_owned(),
            source,
        };
        let unknown = self.unknown(parents).await.map_err(lookup)?;
        let Some(parent) = unknown.first().copied() else {
            return Ok(());
        };
        // A known job may have outlived its parents: this enqueue is a repetition, and finds the job itself.
        if let Some(own) = chosen
            && self.unknown([own]).await.map_err(lookup)?.is_empty()
        {
            return Ok(());
        }
        Err(EnqueueError::UnknownParent {
            job: label.to_owned(),
            parent,
        })
    }

    /// Those of the jobs that the store does not know.
    pub(crate) async fn unknown(
        &self,
        ids: impl IntoIterator<Item = JobId>,
    ) -> Result<BTreeSet<JobId>, port::Error> {
        let lookups = ids
            .into_iter()
            .map(|id| async move { self.status(id).await.map(|status| (id, status)) });
        let found = futures_util::future::try_join_all(lookups).await?;
        Ok(found
            .into_iter()
            .filter(|(_, status)| status.is_none())
            .map(|(id, _)| id)
            .collect())
    }

    async fn status(&self, id: JobId) -> Status {
        let shard = usize::from(self.stages.enqueue.shards().of(&id));
        let (Some(spawn), Some(gather)) = (spawner(), self.statuses.get(shard)) else {
            return Err(port::Error::Closed);
        };
        gather.call(id, spawn).await.map_err(|_| port::Error::Closed)?
    }
}

/// The record of a spec, or why its fields do not fit.
pub(crate) fn prepare(spec: &JobSpec, id: JobId, now: Timestamp) -> Result<NewJob, EnqueueError> {
    let envelope = Envelope::from_spec(spec, id, now);
    let encoded = envelope
        .encode()
        .map_err(|error| EnqueueError::problem(error.to_string()))?;
    Ok(NewJob::from_envelope(&envelope, encoded))
}

struct StatusTrip {
    shard: u16,
    port: Arc<dyn EnqueuePort>,
    random: Arc<dyn Random>,
    limit: Limit,
}

impl Carry<JobId, Status> for StatusTrip {
    fn carry(&self, batch: Vec<JobId>) -> Trip<'_, Status> {
        Box::pin(apart(batch, move |ids| {
            Box::pin(async move {
                let call = || self.port.statuses(self.shard, ids.clone());
                retrying(&*self.random, self.limit, call).await
            })
        }))
    }
}

fn status_gathers(
    port: &Arc<dyn EnqueuePort>,
    settings: &Settings,
) -> Vec<Gather<JobId, Status, StatusTrip>> {
    let limits = TripLimits {
        batch_max: SCRIPT_JOBS_MAX,
        weight_max: usize::MAX,
        trips_max: 1,
    };
    let gather = |shard| {
        let trip = StatusTrip {
            shard,
            port: Arc::clone(port),
            random: Arc::clone(&settings.random),
            limit: Limit::Each(settings.enqueue_timeout),
        };
        Gather::new(trip, limits)
    };
    port.shards().all().map(gather).collect()
}
