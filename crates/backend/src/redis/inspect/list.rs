//! A page of a listing, merged from all shards.

use std::cmp::Reverse;

use futures_util::future::try_join_all;
use longshore_core::clock::Timestamp;
use longshore_core::id::JobId;
use longshore_core::limits::LIST_PAGE_MAX;
use longshore_core::name::{FunctionName, QueueName};
use longshore_core::port::Error;
use longshore_core::view::{Cursor, Detail, JobFilter, JobPage, JobView};

use crate::redis::Store;
use crate::redis::reply::parse_number;
use crate::redis::script;

/// Records that one call looks at, as a multiple of its limit, over all shards.
const LOOK_FACTOR: usize = 5;
/// The fewest that are looked at in a shard.
const LOOK_MIN: usize = 50;

/// Listings go from the newest to the oldest.
type Place = Reverse<(Timestamp, JobId)>;

/// What one shard found.
struct Found {
    matching: Vec<Place>,
    /// The last job looked at, when there may be more after it.
    until: Option<Place>,
}

impl Store {
    pub(super) async fn page(
        &self,
        filter: &JobFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<JobPage, Error> {
        let limit = limit.clamp(1, LIST_PAGE_MAX);
        let shards = usize::from(self.shard_count().count());
        let budget = (limit * LOOK_FACTOR / shards).max(LOOK_MIN);
        let searches = self
            .shard_count()
            .all()
            .map(|shard| self.search(shard, filter, after, limit, budget));
        let found = try_join_all(searches).await?;
        // Beyond the first shard that stopped early nothing is known for sure.
        let until = found.iter().filter_map(|found| found.until).min();
        let mut matching: Vec<Place> = found.into_iter().flat_map(|found| found.matching).collect();
        matching.sort_unstable();
        matching.retain(|place| until.is_none_or(|until| *place <= until));
        let next = match matching.get(limit - 1) {
            Some(last) if matching.len() > limit || until.is_some() => Some(*last),
            _ => until,
        };
        matching.truncate(limit);
        Ok(JobPage {
            jobs: self.views(filter, &matching).await?,
            next: next.map(|Reverse((created_at, id))| Cursor { created_at, id }),
        })
    }

    async fn search(
        &self,
        shard: u16,
        filter: &JobFilter,
        after: Option<Cursor>,
        limit: usize,
        budget: usize,
    ) -> Result<Found, Error> {
        let mut call = Self::script(&script::LIST, shard);
        call.arg(limit).arg(budget);
        match after {
            Some(cursor) => call.time(cursor.created_at).id(cursor.id),
            None => call.arg("").arg(""),
        };
        let statuses: String = filter
            .statuses
            .iter()
            .map(|status| status.code().to_string())
            .collect();
        call.opt(filter.created_from.map(Timestamp::millis))
            .opt(filter.created_until.map(Timestamp::millis))
            .arg(statuses)
            .opt(filter.function_name.as_ref().map(FunctionName::as_str))
            .opt(filter.queue.as_ref().map(QueueName::as_str));
        for tag in &filter.tags {
            call.arg(tag);
        }
        let mut answer = self.run(&call).await?;
        let more = answer.number()? == 1;
        let looked = match (answer.bytes_or_none()?, answer.bytes_or_none()?) {
            (Some(time), Some(id)) => Some(place(&time, &id)?),
            _ => None,
        };
        let mut matching = Vec::new();
        while !answer.is_empty() {
            matching.push(place(&answer.bytes()?, &answer.bytes()?)?);
        }
        Ok(Found {
            matching,
            until: looked.filter(|_| more),
        })
    }

    /// The jobs at these places, in this order; those that have changed meanwhile and match no more are left out.
    async fn views(&self, filter: &JobFilter, places: &[Place]) -> Result<Vec<JobView>, Error> {
        let shards = self.shard_count();
        let looks = shards.all().map(|shard| async move {
            let ids = places.iter().map(|Reverse((_, id))| *id);
            let ids: Vec<_> = ids.filter(|id| shards.of(id) == shard).collect();
            if ids.is_empty() {
                return Ok(Vec::new());
            }
            self.look_up(shard, &ids, Detail::Summary).await
        });
        let views = try_join_all(looks).await?.into_iter().flatten().flatten();
        let mut views: Vec<_> = views.filter(|view| filter.matches(view)).collect();
        views.sort_unstable_by_key(|view| Reverse((view.created_at, view.id)));
        Ok(views)
    }
}

fn place(time: &[u8], id: &[u8]) -> Result<Place, Error> {
    let time = parse_number(time)?;
    Ok(Reverse((Timestamp(time), crate::redis::reply::parse_id(id)?)))
}
