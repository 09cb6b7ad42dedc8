//! Leases over shards: they save duplicate work, and nothing depends on them.

use std::time::Duration;

use futures_util::future::try_join_all;
use longshore_core::port::Error;

use crate::redis::Store;
use crate::redis::{script, shards};

impl Store {
    /// Renews what the holder has, then takes what is free, up to `want`; gives back what is over it.
    pub(super) async fn take_leases(
        &self,
        holder: &str,
        want: usize,
        ttl: Duration,
    ) -> Result<Vec<u16>, Error> {
        shards::keep(&self.0.link, self.shard_count()).await?;
        let renewals = self.shard_count().all().map(|shard| async move {
            let held = self.lease(shard, "renew", holder, ttl).await?;
            Ok::<_, Error>((shard, held))
        });
        let (held, others): (Vec<_>, Vec<_>) = try_join_all(renewals)
            .await?
            .into_iter()
            .partition(|(_, held)| *held);
        let mut leased: Vec<u16> = held.into_iter().map(|(shard, _)| shard).collect();
        for over in leased.split_off(want.min(leased.len())) {
            self.lease(over, "drop", holder, ttl).await?;
        }
        for (shard, _) in others {
            if leased.len() >= want {
                break;
            }
            if self.lease(shard, "take", holder, ttl).await? {
                leased.push(shard);
            }
        }
        leased.sort_unstable();
        Ok(leased)
    }

    pub(super) async fn drop_leases(&self, holder: &str) -> Result<(), Error> {
        let drops = self
            .shard_count()
            .all()
            .map(|shard| self.lease(shard, "drop", holder, Duration::ZERO));
        try_join_all(drops).await.map(drop)
    }

    async fn lease(&self, shard: u16, what: &str, holder: &str, ttl: Duration) -> Result<bool, Error> {
        let mut call = Self::script(&script::LEASE_SHARD, shard);
        call.arg(what)
            .arg(holder)
            .duration(ttl.max(Duration::from_millis(1)));
        Ok(self.number(&call).await? == 1)
    }
}
