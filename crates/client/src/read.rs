//! Looking at jobs: concurrent looks at one shard share round trips.

use std::sync::Arc;

use longshore_core::JobId;
use longshore_core::gather::{Carrier, Carry, Gather, Trip, TripLimits};
use longshore_core::port::{self, InspectPort, Reply};
use longshore_core::shard::Shards;
use longshore_core::view::{Detail, JobView};

use crate::error::ClientError;

type Seen = Result<Option<JobView>, port::Error>;
type Looks = Vec<Gather<JobId, Seen, Look>>;

/// Starts carriers on the runtime that runs here; `None` when there is none.
pub(crate) fn spawner() -> Option<impl FnOnce(Carrier)> {
    let runtime = tokio::runtime::Handle::try_current().ok()?;
    Some(move |carrier| drop(runtime.spawn(carrier)))
}

pub(crate) struct Reader {
    shards: Shards,
    summaries: Looks,
    full: Looks,
}

pub(crate) struct Look {
    shard: u16,
    detail: Detail,
    port: Arc<dyn InspectPort>,
}

impl Carry<JobId, Seen> for Look {
    fn carry(&self, batch: Vec<JobId>) -> Trip<'_, Seen> {
        Box::pin(apart(batch, move |ids| {
            self.port.jobs(self.shard, ids, self.detail)
        }))
    }
}

/// Asks for many jobs at once, and for both halves where one of them cannot be read: the error is for that one alone. Its
/// neighbours may be looked at by callers who know nothing of it.
pub(crate) async fn apart<'a, T>(
    ids: Vec<JobId>,
    mut ask: impl FnMut(Vec<JobId>) -> Reply<'a, Vec<T>>,
) -> Vec<Result<T, port::Error>> {
    let mut answers = Vec::with_capacity(ids.len());
    let mut open = vec![ids];
    while let Some(mut ids) = open.pop() {
        match ask(ids.clone()).await {
            Ok(told) => answers.extend(told.into_iter().map(Ok)),
            Err(port::Error::Corrupt(_)) if ids.len() > 1 => {
                let second = ids.split_off(ids.len() / 2);
                // The first half comes off first, so that the answers keep the order of the ids.
                open.push(second);
                open.push(ids);
            }
            Err(error) => answers.extend(ids.iter().map(|_| Err(error.clone()))),
        }
    }
    answers
}

impl Reader {
    pub(crate) fn new(shards: Shards, port: &Arc<dyn InspectPort>) -> Self {
        Self {
            shards,
            summaries: looks(shards, port, Detail::Summary, 256),
            // An envelope and a result may have a megabyte and a quarter.
            full: looks(shards, port, Detail::Full, 32),
        }
    }

    pub(crate) async fn view(&self, id: JobId, detail: Detail) -> Result<Option<JobView>, ClientError> {
        let spawn = spawner().ok_or(ClientError::NoRuntime)?;
        let looks = match detail {
            Detail::Summary => &self.summaries,
            Detail::Full => &self.full,
        };
        let shard = usize::from(self.shards.of(&id));
        let look = looks.get(shard).ok_or(ClientError::Interrupted)?;
        let seen = look.call(id, spawn).await.map_err(|_| ClientError::Interrupted)?;
        Ok(seen?)
    }
}

fn looks(shards: Shards, port: &Arc<dyn InspectPort>, detail: Detail, batch_max: usize) -> Looks {
    let limits = TripLimits {
        batch_max,
        weight_max: usize::MAX,
        trips_max: 2,
    };
    let look = |shard| {
        let port = Arc::clone(port);
        Gather::new(Look { shard, detail, port }, limits)
    };
    shards.all().map(look).collect()
}
