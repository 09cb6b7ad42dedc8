//! The scheduler's side of the store, where it changes dead letters.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_core::message::Gen;
use longshore_core::port::attempt::Hints;
use longshore_core::port::schedule::{
    CronDue, CronFire, DeadLetter, DeadLetterChange, EditedLetter, Leased, LeasesExpired, OpenEdges, Pruned,
    Relation, Removals, TwinState, Watermark,
};
use longshore_core::port::{Error, InspectPort, Ports, Reply, SchedulePort};
use longshore_core::view::Detail;
use longshore_core::{JobId, JobStatus, Timestamp};

use super::{Fault, away, unanswered};

/// Requeues and discards that go wrong.
pub(crate) struct Letters {
    inner: Arc<dyn SchedulePort>,
    inspect: Arc<dyn InspectPort>,
    faults: Mutex<VecDeque<Fault>>,
    dies_again: AtomicBool,
}

impl Letters {
    pub(crate) fn around(ports: &Ports) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(&ports.schedule),
            inspect: Arc::clone(&ports.inspect),
            faults: Mutex::default(),
            dies_again: AtomicBool::new(false),
        })
    }

    /// The next changes go wrong like this, one each.
    pub(crate) fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// An answer is lost for so long that what was requeued is a dead letter again.
    pub(crate) fn set_dies_again(&self) {
        self.dies_again.store(true, Ordering::SeqCst);
    }

    fn through<'a>(
        &'a self,
        shard: u16,
        ids: Vec<JobId>,
        call: Reply<'a, Vec<DeadLetterChange>>,
    ) -> Reply<'a, Vec<DeadLetterChange>> {
        let fault = self.faults.lock().unwrap().pop_front();
        Box::pin(async move {
            match fault {
                None | Some(Fault::Nothing) => call.await,
                Some(Fault::Away) => Err(away()),
                Some(Fault::ReplyLost) => {
                    let changes = call.await?;
                    if self.dies_again.load(Ordering::SeqCst) {
                        let changed = ids.into_iter().zip(changes);
                        let done = changed.filter(|(_, change)| *change == DeadLetterChange::Done);
                        self.until_dead(shard, done.map(|(id, _)| id).collect()).await?;
                    }
                    Err(unanswered())
                }
            }
        })
    }

    async fn until_dead(&self, shard: u16, ids: Vec<JobId>) -> Result<(), Error> {
        loop {
            let jobs = self.inspect.jobs(shard, ids.clone(), Detail::Summary).await?;
            if jobs.iter().flatten().all(|job| job.status == JobStatus::Failed) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

macro_rules! as_they_are {
    ($($name:ident($($arg:ident: $type:ty),*) -> $reply:ty;)*) => {
        $(fn $name(&self, $($arg: $type),*) -> Reply<'_, $reply> {
            self.inner.$name($($arg),*)
        })*
    };
}

impl SchedulePort for Letters {
    fn requeue(&self, shard: u16, ids: Vec<JobId>, before: Timestamp) -> Reply<'_, Vec<DeadLetterChange>> {
        let call = self.inner.requeue(shard, ids.clone(), before);
        self.through(shard, ids, call)
    }

    fn discard(&self, shard: u16, ids: Vec<JobId>, before: Timestamp) -> Reply<'_, Vec<DeadLetterChange>> {
        let call = self.inner.discard(shard, ids.clone(), before);
        self.through(shard, ids, call)
    }

    as_they_are! {
        lease_shards(holder: String, want: usize, ttl: Duration) -> Vec<u16>;
        release_shards(holder: String) -> ();
        lease_outbox(shard: u16, limit: usize) -> Leased;
        extend_outbox(shard: u16, jobs: Vec<(JobId, Gen)>, by: Duration) -> ();
        promote(shard: u16, limit: usize) -> Leased;
        expire_leases(shard: u16, limit: usize) -> LeasesExpired;
        expire_waiting(shard: u16, limit: usize) -> u32;
        ended_parents() -> Box<dyn Hints>;
        relations(shard: u16, limit: usize) -> Vec<Relation>;
        relations_told(shard: u16, parent: JobId, children: Vec<JobId>) -> bool;
        open_edges(shard: u16, limit: usize) -> Vec<OpenEdges>;
        parents_unknown(shard: u16, children: Vec<JobId>) -> ();
        audit(shard: u16, watermarks: Vec<Watermark>, limit: usize) -> Leased;
        dead_uncopied(shard: u16, limit: usize) -> Vec<DeadLetter>;
        dead_copied(shard: u16, jobs: Vec<(JobId, Gen)>) -> ();
        dead_twins(shard: u16, twins: Vec<DeadLetter>) -> Vec<TwinState>;
        broker_gave_up(shard: u16, jobs: Vec<(JobId, Gen)>) -> Vec<JobId>;
        requeue_edited(shard: u16, letters: Vec<EditedLetter>) -> Vec<DeadLetterChange>;
        removals_pending(shard: u16, swept: u64) -> Removals;
        prune(shard: u16, retention: BTreeMap<JobStatus, Duration>, limit: usize) -> Pruned;
        unpark(shard: u16) -> u32;
        cron_due(shard: u16, limit: usize) -> CronDue;
        cron_fire(shard: u16, fire: CronFire) -> bool;
    }
}
