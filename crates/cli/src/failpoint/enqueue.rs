//! The producer's side of the store, which the scheduler uses as well.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::message::Gen;
use longshore_core::outcome::ErrorInfo;
use longshore_core::port::enqueue::{
    CancelReply, CancelRequest, EdgeSettled, EdgeSettlement, EnqueueReply, NewJob, ParentState, Registration,
};
use longshore_core::port::{EnqueuePort, Reply};
use longshore_core::shard::Shards;
use longshore_core::{JobId, JobStatus};

use super::point::{Armed, Point, forward};

pub(super) struct EnqueuePoints {
    pub(super) inner: Arc<dyn EnqueuePort>,
    pub(super) armed: Arc<Armed>,
}

impl EnqueuePort for EnqueuePoints {
    fn enqueue(&self, shard: u16, jobs: Vec<NewJob>) -> Reply<'_, EnqueueReply> {
        self.armed.pass(Point::BeforeRecord);
        let call = self.inner.enqueue(shard, jobs);
        self.armed.after(Point::AfterRecord, call, |_| true)
    }

    fn mark_published(&self, shard: u16, jobs: Vec<(JobId, Gen)>) -> Reply<'_, ()> {
        self.armed.pass(Point::BeforeMark);
        self.inner.mark_published(shard, jobs)
    }

    fn register(&self, shard: u16, edges: Vec<Registration>) -> Reply<'_, Vec<ParentState>> {
        self.armed.pass(Point::BeforeRegistration);
        self.inner.register(shard, edges)
    }

    forward! {
        shards() -> Shards;
        statuses(shard: u16, ids: Vec<JobId>) -> Reply<'_, Vec<Option<JobStatus>>>;
        settle_edges(shard: u16, edges: Vec<EdgeSettlement>, within: Duration) -> Reply<'_, Vec<EdgeSettled>>;
        edges_verified(shard: u16, children: Vec<JobId>) -> Reply<'_, Vec<bool>>;
        fail_blocked(shard: u16, children: Vec<(JobId, ErrorInfo)>) -> Reply<'_, ()>;
        abort(shard: u16, children: Vec<JobId>) -> Reply<'_, ()>;
        cancel(shard: u16, jobs: Vec<CancelRequest>) -> Reply<'_, Vec<CancelReply>>;
    }
}
