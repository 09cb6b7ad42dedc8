//! The scheduler's side of the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::message::Gen;
use longshore_core::port::attempt::Hints;
use longshore_core::port::schedule::{
    CronDue, CronFire, DeadLetter, DeadLetterChange, EditedLetter, Leased, LeasesExpired, OpenEdges, Pruned,
    Relation, Removals, TwinState, Watermark,
};
use longshore_core::port::{Reply, SchedulePort};
use longshore_core::{JobId, JobStatus, Timestamp};

use super::point::{Armed, Point, forward};

pub(super) struct SchedulePoints {
    pub(super) inner: Arc<dyn SchedulePort>,
    pub(super) armed: Arc<Armed>,
}

impl SchedulePort for SchedulePoints {
    fn lease_outbox(&self, shard: u16, limit: usize) -> Reply<'_, Leased> {
        let call = self.inner.lease_outbox(shard, limit);
        self.armed
            .after(Point::AfterLease, call, |leased| !leased.jobs.is_empty())
    }

    fn promote(&self, shard: u16, limit: usize) -> Reply<'_, Leased> {
        let call = self.inner.promote(shard, limit);
        self.armed
            .after(Point::AfterPromotion, call, |leased| !leased.jobs.is_empty())
    }

    fn relations(&self, shard: u16, limit: usize) -> Reply<'_, Vec<Relation>> {
        let call = self.inner.relations(shard, limit);
        self.armed.after(Point::BeforeTelling, call, |relations| {
            relations.iter().any(|relation| !relation.children.is_empty())
        })
    }

    fn relations_told(&self, shard: u16, parent: JobId, children: Vec<JobId>) -> Reply<'_, bool> {
        if !children.is_empty() {
            self.armed.pass(Point::AfterTelling);
        }
        self.inner.relations_told(shard, parent, children)
    }

    fn dead_copied(&self, shard: u16, jobs: Vec<(JobId, Gen)>) -> Reply<'_, ()> {
        self.armed.pass(Point::AfterCopy);
        self.inner.dead_copied(shard, jobs)
    }

    fn cron_fire(&self, shard: u16, fire: CronFire) -> Reply<'_, bool> {
        let call = self.inner.cron_fire(shard, fire);
        self.armed.after(Point::AfterTick, call, |fired| *fired)
    }

    forward! {
        lease_shards(holder: String, want: usize, ttl: Duration) -> Reply<'_, Vec<u16>>;
        release_shards(holder: String) -> Reply<'_, ()>;
        extend_outbox(shard: u16, jobs: Vec<(JobId, Gen)>, by: Duration) -> Reply<'_, ()>;
        expire_leases(shard: u16, limit: usize) -> Reply<'_, LeasesExpired>;
        expire_waiting(shard: u16, limit: usize) -> Reply<'_, u32>;
        ended_parents() -> Reply<'_, Box<dyn Hints>>;
        open_edges(shard: u16, limit: usize) -> Reply<'_, Vec<OpenEdges>>;
        parents_unknown(shard: u16, children: Vec<JobId>) -> Reply<'_, ()>;
        audit(shard: u16, watermarks: Vec<Watermark>, limit: usize) -> Reply<'_, Leased>;
        dead_uncopied(shard: u16, limit: usize) -> Reply<'_, Vec<DeadLetter>>;
        dead_twins(shard: u16, twins: Vec<DeadLetter>) -> Reply<'_, Vec<TwinState>>;
        broker_gave_up(shard: u16, jobs: Vec<(JobId, Gen)>) -> Reply<'_, Vec<JobId>>;
        requeue(shard: u16, ids: Vec<JobId>, before: Timestamp) -> Reply<'_, Vec<DeadLetterChange>>;
        requeue_edited(shard: u16, letters: Vec<EditedLetter>) -> Reply<'_, Vec<DeadLetterChange>>;
        discard(shard: u16, ids: Vec<JobId>, before: Timestamp) -> Reply<'_, Vec<DeadLetterChange>>;
        removals_pending(shard: u16, swept: u64) -> Reply<'_, Removals>;
        prune(shard: u16, retention: BTreeMap<JobStatus, Duration>, limit: usize) -> Reply<'_, Pruned>;
        unpark(shard: u16) -> Reply<'_, u32>;
        cron_due(shard: u16, limit: usize) -> Reply<'_, CronDue>;
    }
}
