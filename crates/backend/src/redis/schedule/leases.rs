//! Leases over shards: they save duplicate work, and nothing depends on them.

use std::time::Duration;

use futures_util::future::join_all;
use longshore_core::port::Error;

use crate::redis::Store;
use crate::redis::script;
use crate::redis::shards::{self, soon};

impl Store {
    /// Renews what the holder has, then takes what is free, up to `want`; gives back what is over it. A shard that does not
    /// answer is nobody's until it does, and fails the others only when none answers.
    pub(super) async fn take_leases(
        &self,
        holder: &str,
        want: usize,
        ttl: Duration,
    ) -> Result<Vec<u16>, Error> {
        let renewals = self.shard_count().all().map(|shard| async move {
            let held = soon(self.lease(shard, "renew", holder, ttl)).await;
            (shard, held)
        });
        let (kept, renewed) = tokio::join!(
            soon(shards::keep(&self.0.link, self.shard_count())),
            join_all(renewals)
        );
        let mut failed = kept.err();
        let (mut leased, mut others) = (Vec::new(), Vec::new());
        for (shard, held) in renewed {
            match held {
                Ok(true) => leased.push(shard),
                Ok(false) => others.push(shard),
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            if leased.is_empty() && others.is_empty() {
                return Err(error);
            }
            tracing::debug!(%error, "not all shards can be leased now");
        }
        for over in leased.split_off(want.min(leased.len())) {
            // One that cannot be told so ends by itself.
            soon(self.lease(over, "drop", holder, ttl)).await.ok();
        }
        for shard in others {
            if leased.len() >= want {
                break;
            }
            if matches!(soon(self.lease(shard, "take", holder, ttl)).await, Ok(true)) {
                leased.push(shard);
            }
        }
        leased.sort_unstable();
        Ok(leased)
    }

    /// Every shard is told, whatever the others answer.
    pub(super) async fn drop_leases(&self, holder: &str) -> Result<(), Error> {
        let drops = self
            .shard_count()
            .all()
            .map(|shard| soon(self.lease(shard, "drop", holder, Duration::ZERO)));
        let dropped: Result<Vec<_>, _> = join_all(drops).await.into_iter().collect();
        dropped.map(drop)
    }

    async fn lease(&self, shard: u16, what: &str, holder: &str, ttl: Duration) -> Result<bool, Error> {
        let mut call = Self::script(&script::LEASE_SHARD, shard);
        call.arg(what)
            .arg(holder)
            .duration(ttl.max(Duration::from_millis(1)));
        Ok(self.number(&call).await? == 1)
    }
}
