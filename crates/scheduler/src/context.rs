//! What every daemon works with.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use longshore_core::clock::Clock;
use longshore_core::port::Ports;
use longshore_core::random::Random;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cron::{CronFile, Unread};
use crate::daemon::{Comparison, Keeper};
use crate::error::Error;
use crate::notifications::Notifier;
use crate::publisher::Publisher;
use crate::settings::Settings;
use crate::shards::Held;
use crate::status::Done;
use crate::wakes::Wakes;

/// Shards that one daemon works on at once.
const SHARDS_AT_ONCE: usize = 4;

/// What every daemon works with.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) ports: Ports,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    pub(crate) publisher: Publisher,
    pub(crate) wakes: Wakes,
    pub(crate) held: watch::Receiver<Held>,
    pub(crate) keeper: Keeper,
    pub(crate) comparison: Comparison,
    pub(crate) cron_file: CronFile,
    pub(crate) unread: Unread,
    pub(crate) notifier: Notifier,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) stop: CancellationToken,
}

impl Context {
    /// Runs one shard's work over several shards. A shard that fails does not hold the others up; the first error is
    /// told when all have ended.
    pub(crate) async fn each_shard<'a>(
        &'a self,
        shards: &[u16],
        work: impl Fn(u16) -> BoxFuture<'a, Result<Done, Error>>,
    ) -> Result<Done, Error> {
        let work: Vec<_> = shards.iter().map(|shard| work(*shard)).collect();
        let mut ends = stream::iter(work).buffer_unordered(SHARDS_AT_ONCE);
        let mut total = Done::default();
        let mut failed = None;
        while let Some(end) = ends.next().await {
            match end {
                Ok(done) => total = total.and(done),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(total), Err)
    }

    /// Whether the scheduler stops: a pass that drains ends after the bite in hand.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }
}
