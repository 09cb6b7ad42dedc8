//! The ports of a client: what producers and people need goes to the owner; what runs jobs is the owner's own.

use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::JobStatus;
use longshore_core::clock::Timestamp;
use longshore_core::dead::Operation;
use longshore_core::id::{JobId, Nonce, WorkerId};
use longshore_core::log::LogLine;
use longshore_core::message::{Epoch, Gen, Message};
use longshore_core::name::{CronName, QueueName};
use longshore_core::outcome::ErrorInfo;
use longshore_core::port::attempt::{
    AttemptPort, Beaten, Claim, Claimed, Finish, Finished, GiveBack, GivenBack, Hints, ProgressWrite,
    Quarantined, Rebuild, SlotsWanted,
};
use longshore_core::port::broker::{ConsumePort, Depth, PublishPort, Published, Source, Subscription};
use longshore_core::port::checkup::{CheckupPort, IndexLook, QuarantineFill, ShardState};
use longshore_core::port::cron::{CronEntry, CronPort, CronPut, CronWritten};
use longshore_core::port::enqueue::{
    CancelReply, CancelRequest, EdgeSettled, EdgeSettlement, EnqueuePort, EnqueueReply, Enqueued, NewJob,
    ParentOutcome, ParentState, Registration,
};
use longshore_core::port::inspect::{InspectPort, QuarantineEntry, Wakes};
use longshore_core::port::notify::{Mailbox, MailboxChange, Notices, NotifyPort};
use longshore_core::port::schedule::{
    CronDue, CronFire, DeadLetter, DeadLetterChange, EditedLetter, Leased, LeasesExpired, OpenEdges, Pruned,
    Relation, Removals, SchedulePort, TwinState, Watermark,
};
use longshore_core::port::{self, Ports, Reply};
use longshore_core::shard::Shards;
use longshore_core::stats::{Standing, Statistics, StatisticsQuery};
use longshore_core::view::{Cursor, Detail, JobFilter, JobPage, JobView, QueueView, WorkerView};

use super::client::{Remote, RemoteWatch};
use super::{Answer, Request};
use crate::embedded::disk::SERVER;

pub(super) fn ports(remote: Arc<Remote>) -> Ports {
    Ports {
        enqueue: remote.clone(),
        attempt: remote.clone(),
        schedule: remote.clone(),
        inspect: remote.clone(),
        checkup: remote.clone(),
        cron: remote.clone(),
        notify: remote.clone(),
        access: remote.clone(),
        publish: remote.clone(),
        consume: remote,
        telemetry: longshore_core::telemetry::Telemetry::off(),
    }
}

/// Asks, and takes the one kind of answer that fits.
macro_rules! ask {
    ($remote:expr, $request:expr, $answer:ident) => {
        Box::pin(async move {
            match $remote.call($request).await? {
                Answer::$answer(answer) => Ok(answer),
                _ => Err(strange()),
            }
        })
    };
    ($remote:expr, $request:expr) => {
        Box::pin(async move {
            match $remote.call($request).await? {
                Answer::Done => Ok(()),
                _ => Err(strange()),
            }
        })
    };
}

pub(super) fn strange() -> port::Error {
    port::Error::Corrupt("the owner's answer does not fit the request".to_owned())
}

fn elsewhere<'a, T: Send + 'a>() -> Reply<'a, T> {
    Box::pin(ready(Err(port::Error::Refused {
        server: SERVER,
        reason: "workers and schedulers of an embedded store run in its own process: use `longshore dev`, or servers"
            .to_owned(),
    })))
}

impl EnqueuePort for Remote {
    fn shards(&self) -> Shards {
        self.shards
    }

    fn enqueue(&self, shard: u16, jobs: Vec<NewJob>) -> Reply<'_, EnqueueReply> {
        ask!(self, Request::Enqueue(shard, jobs), Enqueued)
    }

    fn mark_published(&self, shard: u16, jobs: Vec<(JobId, Gen)>) -> Reply<'_, ()> {
        ask!(self, Request::MarkPublished(shard, jobs))
    }

    fn statuses(&self, shard: u16, ids: Vec<JobId>) -> Reply<'_, Vec<Option<JobStatus>>> {
        ask!(self, Request::Statuses(shard, ids), Statuses)
    }

    fn register(&self, shard: u16, edges: Vec<Registration>) -> Reply<'_, Vec<ParentState>> {
        ask!(self, Request::Register(shard, edges), Parents)
    }

    fn settle_edges(
        &self,
        shard: u16,
        edges: Vec<EdgeSettlement>,
        publish_within: Duration,
    ) -> Reply<'_, Vec<EdgeSettled>> {
        ask!(self, Request::SettleEdges(shard, edges, publish_within), Edges)
    }

    fn edges_verified(&self, shard: u16, children: Vec<JobId>) -> Reply<'_, Vec<bool>> {
        ask!(self, Request::EdgesVerified(shard, children), Known)
    }

    fn fail_blocked(&self, shard: u16, children: Vec<(JobId, ErrorInfo)>) -> Reply<'_, ()> {
        ask!(self, Request::FailBlocked(shard, children))
    }

    fn abort(&self, shard: u16, children: Vec<JobId>) -> Reply<'_, ()> {
        ask!(self, Request::Abort(shard, children))
    }

    fn cancel(&self, shard: u16, jobs: Vec<CancelRequest>) -> Reply<'_, Vec<CancelReply>> {
        ask!(self, Request::Cancel(shard, jobs), Cancelled)
    }
}

impl InspectPort for Remote {
    fn jobs(&self, shard: u16, ids: Vec<JobId>, detail: Detail) -> Reply<'_, Vec<Option<JobView>>> {
        ask!(self, Request::Jobs(shard, ids, detail), Jobs)
    }

    fn log(&self, shard: u16, id: JobId, after: u64) -> Reply<'_, Vec<LogLine>> {
        ask!(self, Request::Log(shard, id, after), Log)
    }

    fn list(&self, filter: JobFilter, after: Option<Cursor>, limit: usize) -> Reply<'_, JobPage> {
        ask!(self, Request::List(filter, after, limit), Page)
    }

    fn queues(&self) -> Reply<'_, BTreeMap<QueueName, QueueView>> {
        ask!(self, Request::Queues, Queues)
    }

    fn set_paused(&self, queue: QueueName, paused: bool) -> Reply<'_, ()> {
        ask!(self, Request::SetPaused(queue, paused))
    }

    fn workers(&self) -> Reply<'_, Vec<WorkerView>> {
        ask!(self, Request::Workers, Workers)
    }

    fn statistics(&self, query: StatisticsQuery) -> Reply<'_, Statistics> {
        Box::pin(async move {
            match self.call(Request::Statistics(query)).await? {
                Answer::Statistics(answer) => Ok(*answer),
                _ => Err(strange()),
            }
        })
    }

    fn standing(&self) -> Reply<'_, Standing> {
        ask!(self, Request::Standing, Standing)
    }

    fn watch(&self, ids: Vec<JobId>) -> Reply<'_, Box<dyn Wakes>> {
        Box::pin(async move {
            let watch = Remote::watch(self, ids).await?;
            Ok(Box::new(watch) as Box<dyn Wakes>)
        })
    }

    fn quarantined(&self, after: Option<String>, limit: usize) -> Reply<'_, Vec<QuarantineEntry>> {
        ask!(self, Request::Quarantined(after, limit), Quarantined)
    }

    fn drop_quarantined(&self, message_ids: Vec<String>) -> Reply<'_, Vec<bool>> {
        ask!(self, Request::DropQuarantined(message_ids), Known)
    }

    fn begin_operation(&self, operation: Operation) -> Reply<'_, Operation> {
        ask!(self, Request::BeginOperation(operation), Operation)
    }

    fn save_operation(&self, operation: Operation) -> Reply<'_, ()> {
        ask!(self, Request::SaveOperation(operation))
    }

    fn operations(&self) -> Reply<'_, Vec<Operation>> {
        ask!(self, Request::Operations, Operations)
    }

    fn ping(&self) -> Reply<'_, ()> {
        ask!(self, Request::Ping)
    }
}

impl Wakes for RemoteWatch {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<JobId>> + Send + '_>> {
        Box::pin(self.receiver.recv())
    }
}

impl PublishPort for Remote {
    fn publish(&self, messages: Vec<Message>) -> Pin<Box<dyn Future<Output = Vec<Published>> + Send + '_>> {
        Box::pin(async move {
            let count = messages.len();
            match self.call(Request::Publish(messages)).await {
                Ok(Answer::Published(published)) if published.len() == count => published,
                Ok(_) | Err(port::Error::OutcomeUnknown { .. }) => vec![Published::Unknown; count],
                Err(error) => vec![Published::Refused(error.to_string()); count],
            }
        })
    }

    fn is_ready(&self) -> bool {
        self.is_connected()
    }

    fn archive(&self, letters: Vec<DeadLetter>) -> Pin<Box<dyn Future<Output = Vec<Published>> + Send + '_>> {
        let refused = Published::Refused("the archive is its owner's to write".to_owned());
        Box::pin(ready(vec![refused; letters.len()]))
    }
}

impl ConsumePort for Remote {
    fn subscribe(&self, _source: Source, _prefetch: u16) -> Reply<'_, Box<dyn Subscription>> {
        elsewhere()
    }

    fn depths(&self, queues: Vec<QueueName>) -> Reply<'_, Vec<Depth>> {
        ask!(self, Request::Depths(queues), Depths)
    }

    fn archived(&self) -> Reply<'_, u64> {
        ask!(self, Request::Archived, Archived)
    }

    fn consumer_timeout(&self) -> Duration {
        Duration::from_secs(24 * 3600)
    }
}

impl AttemptPort for Remote {
    fn step(
        &self,
        _shard: u16,
        _finishes: Vec<Finish>,
        _claims: Vec<Claim>,
    ) -> Reply<'_, (Vec<Finished>, Vec<Claimed>)> {
        elsewhere()
    }

    fn rebuild(&self, _shard: u16, _jobs: Vec<Rebuild>) -> Reply<'_, Vec<Claimed>> {
        elsewhere()
    }

    fn beat(&self, _shard: u16, _claims: Vec<(JobId, Nonce)>) -> Reply<'_, Vec<Beaten>> {
        elsewhere()
    }

    fn give_back(&self, _shard: u16, _jobs: Vec<GiveBack>) -> Reply<'_, Vec<GivenBack>> {
        elsewhere()
    }

    fn progress(&self, _shard: u16, _updates: Vec<ProgressWrite>) -> Reply<'_, ()> {
        elsewhere()
    }

    fn parents(&self, _shard: u16, _child: JobId) -> Reply<'_, Vec<(JobId, ParentOutcome)>> {
        elsewhere()
    }

    fn quarantine(&self, _messages: Vec<Quarantined>) -> Reply<'_, ()> {
        elsewhere()
    }

    fn worker_beat(&self, _worker: WorkerView) -> Reply<'_, Vec<QueueName>> {
        elsewhere()
    }

    fn worker_load(&self, _worker: WorkerView) -> Reply<'_, ()> {
        elsewhere()
    }

    fn take_slots(&self, _worker: WorkerId, _wanted: Vec<SlotsWanted>) -> Reply<'_, Vec<u32>> {
        elsewhere()
    }

    fn worker_gone(&self, _worker: WorkerId) -> Reply<'_, ()> {
        elsewhere()
    }

    fn hints(&self) -> Reply<'_, Box<dyn Hints>> {
        elsewhere()
    }
}

impl SchedulePort for Remote {
    fn requeue(&self, shard: u16, ids: Vec<JobId>, before: Timestamp) -> Reply<'_, Vec<DeadLetterChange>> {
        ask!(self, Request::Requeue(shard, ids, before), Changes)
    }

    fn discard(&self, shard: u16, ids: Vec<JobId>, before: Timestamp) -> Reply<'_, Vec<DeadLetterChange>> {
        ask!(self, Request::Discard(shard, ids, before), Changes)
    }

    fn requeue_edited(&self, shard: u16, letters: Vec<EditedLetter>) -> Reply<'_, Vec<DeadLetterChange>> {
        ask!(self, Request::RequeueEdited(shard, letters), Changes)
    }

    fn prune(&self, shard: u16, retention: BTreeMap<JobStatus, Duration>, limit: usize) -> Reply<'_, Pruned> {
        ask!(self, Request::Prune(shard, retention, limit), Pruned)
    }

    fn lease_shards(&self, _holder: String, _want: usize, _ttl: Duration) -> Reply<'_, Vec<u16>> {
        elsewhere()
    }

    fn release_shards(&self, _holder: String) -> Reply<'_, ()> {
        elsewhere()
    }

    fn lease_outbox(&self, _shard: u16, _limit: usize) -> Reply<'_, Leased> {
        elsewhere()
    }

    fn extend_outbox(&self, _shard: u16, _jobs: Vec<(JobId, Gen)>, _by: Duration) -> Reply<'_, ()> {
        elsewhere()
    }

    fn promote(&self, _shard: u16, _limit: usize) -> Reply<'_, Leased> {
        elsewhere()
    }

    fn expire_leases(&self, _shard: u16, _limit: usize) -> Reply<'_, LeasesExpired> {
        elsewhere()
    }

    fn expire_waiting(&self, _shard: u16, _limit: usize) -> Reply<'_, u32> {
        elsewhere()
    }

    fn ended_parents(&self) -> Reply<'_, Box<dyn Hints>> {
        elsewhere()
    }

    fn relations(&self, _shard: u16, _limit: usize) -> Reply<'_, Vec<Relation>> {
        elsewhere()
    }

    fn relations_told(&self, _shard: u16, _parent: JobId, _children: Vec<JobId>) -> Reply<'_, bool> {
        elsewhere()
    }

    fn open_edges(&self, _shard: u16, _limit: usize) -> Reply<'_, Vec<OpenEdges>> {
        elsewhere()
    }

    fn audit(&self, _shard: u16, _watermarks: Vec<Watermark>, _limit: usize) -> Reply<'_, Leased> {
        elsewhere()
    }

    fn parents_unknown(&self, _shard: u16, _children: Vec<JobId>) -> Reply<'_, ()> {
        elsewhere()
    }

    fn dead_uncopied(&self, _shard: u16, _limit: usize) -> Reply<'_, Vec<DeadLetter>> {
        elsewhere()
    }

    fn dead_copied(&self, _shard: u16, _jobs: Vec<(JobId, Gen)>) -> Reply<'_, ()> {
        elsewhere()
    }

    fn dead_twins(&self, _shard: u16, _twins: Vec<DeadLetter>) -> Reply<'_, Vec<TwinState>> {
        elsewhere()
    }

    fn broker_gave_up(&self, _shard: u16, _jobs: Vec<(JobId, Gen)>) -> Reply<'_, Vec<JobId>> {
        elsewhere()
    }

    fn removals_pending(&self, _shard: u16, _swept: u64) -> Reply<'_, Removals> {
        elsewhere()
    }

    fn unpark(&self, _shard: u16) -> Reply<'_, u32> {
        elsewhere()
    }

    fn cron_due(&self, _shard: u16, _limit: usize) -> Reply<'_, CronDue> {
        elsewhere()
    }

    fn cron_fire(&self, _shard: u16, _fire: CronFire) -> Reply<'_, bool> {
        elsewhere()
    }
}

impl CheckupPort for Remote {
    fn compare_index(
        &self,
        shard: u16,
        from: Option<String>,
        limit: usize,
        repair: bool,
    ) -> Reply<'_, IndexLook> {
        ask!(self, Request::CompareIndex(shard, from, limit, repair), IndexLook)
    }

    fn shard_state(&self, shard: u16) -> Reply<'_, ShardState> {
        ask!(self, Request::ShardState(shard), ShardState)
    }

    fn next_in_line(&self, shard: u16, queue: QueueName, limit: usize) -> Reply<'_, Vec<JobId>> {
        ask!(self, Request::NextInLine(shard, queue, limit), Ids)
    }

    fn quarantine_fill(&self) -> Reply<'_, QuarantineFill> {
        ask!(self, Request::QuarantineFill, QuarantineFill)
    }
}

impl CronPort for Remote {
    fn cron_put(&self, entry: CronPut) -> Reply<'_, CronWritten> {
        ask!(self, Request::CronPut(entry), CronWritten)
    }

    fn cron_remove(&self, name: CronName) -> Reply<'_, bool> {
        ask!(self, Request::CronRemove(name), CronKnown)
    }

    fn cron_pause(&self, name: CronName, paused: bool, next_at: Timestamp) -> Reply<'_, bool> {
        ask!(self, Request::CronPause(name, paused, next_at), CronKnown)
    }

    fn cron_entry(&self, name: CronName) -> Reply<'_, Option<CronEntry>> {
        ask!(self, Request::CronEntry(name), CronEntry)
    }

    fn cron_entries(&self, shard: u16, after: Option<CronName>, limit: usize) -> Reply<'_, Vec<CronEntry>> {
        ask!(self, Request::CronEntries(shard, after, limit), CronEntries)
    }

    fn cron_run(&self, name: CronName, job: NewJob) -> Reply<'_, Option<Enqueued>> {
        ask!(self, Request::CronRun(name, job), CronMade)
    }
}

impl NotifyPort for Remote {
    fn want_notices(&self, _shard: u16, _time: Duration) -> Reply<'_, ()> {
        elsewhere()
    }

    fn notices(&self, shard: u16, limit: usize) -> Reply<'_, Notices> {
        ask!(self, Request::Notices(shard, limit), Notices)
    }

    fn notices_taken(&self, _shard: u16, _epoch: Epoch, _up_to: u64) -> Reply<'_, ()> {
        elsewhere()
    }

    fn mailbox(&self) -> Reply<'_, Mailbox> {
        ask!(self, Request::Mailbox, Mailbox)
    }

    fn change_mailbox(&self, _change: MailboxChange) -> Reply<'_, bool> {
        elsewhere()
    }
}
