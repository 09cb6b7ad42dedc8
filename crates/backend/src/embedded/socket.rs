//! The owner of a folder serves the ports of producers and people on a Unix socket, so that other processes of the
//! same user can use the folder while it runs.
//!
//! A frame is its length (four bytes, big-endian), the version of this protocol (one byte) and a MessagePack value.
//! The client sends [`Up`], each with a number; the owner answers with [`Down`], in any order. The first frame of the
//! owner is [`Down::Hello`].

mod access;
mod client;
mod frame;
mod place;
mod remote;
mod server;

use std::collections::BTreeMap;
use std::time::Duration;

use longshore_core::JobStatus;
use longshore_core::clock::Timestamp;
use longshore_core::dead::Operation;
use longshore_core::id::JobId;
use longshore_core::log::LogLine;
use longshore_core::message::{Gen, Message};
use longshore_core::name::{CronName, QueueName};
use longshore_core::outcome::ErrorInfo;
use longshore_core::port;
use longshore_core::port::broker::{Depth, Published};
use longshore_core::port::checkup::{IndexLook, QuarantineFill, ShardState};
use longshore_core::port::cron::{CronEntry, CronPut, CronWritten};
use longshore_core::port::enqueue::{
    CancelReply, CancelRequest, EdgeSettled, EdgeSettlement, EnqueueReply, Enqueued, NewJob, ParentState,
    Registration,
};
use longshore_core::port::inspect::QuarantineEntry;
use longshore_core::port::notify::{Mailbox, Notices};
use longshore_core::port::schedule::{DeadLetterChange, EditedLetter, Pruned};
use longshore_core::stats::{Standing, Statistics, StatisticsQuery};
use longshore_core::view::{Cursor, Detail, JobFilter, JobPage, JobView, QueueView, WorkerView};
use serde::{Deserialize, Serialize};

use super::disk::SERVER;

pub(super) use client::connect;
pub(super) use server::{Server, serve};

/// What a client asks.
#[derive(Debug, Serialize, Deserialize)]
enum Request {
    Enqueue(u16, Vec<NewJob>),
    MarkPublished(u16, Vec<(JobId, Gen)>),
    Statuses(u16, Vec<JobId>),
    Register(u16, Vec<Registration>),
    SettleEdges(u16, Vec<EdgeSettlement>, Duration),
    EdgesVerified(u16, Vec<JobId>),
    FailBlocked(u16, Vec<(JobId, ErrorInfo)>),
    Abort(u16, Vec<JobId>),
    Cancel(u16, Vec<CancelRequest>),
    Jobs(u16, Vec<JobId>, Detail),
    List(JobFilter, Option<Cursor>, usize),
    Queues,
    SetPaused(QueueName, bool),
    Workers,
    Depths(Vec<QueueName>),
    Watch(Vec<JobId>),
    /// Ends the watch that this request began.
    Unwatch(u64),
    Ping,
    Publish(Vec<Message>),
    Requeue(u16, Vec<JobId>, Timestamp),
    Discard(u16, Vec<JobId>, Timestamp),
    CronPut(CronPut),
    CronRemove(CronName),
    CronPause(CronName, bool, Timestamp),
    CronEntry(CronName),
    CronEntries(u16, Option<CronName>, usize),
    CronRun(CronName, NewJob),
    RequeueEdited(u16, Vec<EditedLetter>),
    Prune(u16, BTreeMap<JobStatus, Duration>, usize),
    Quarantined(Option<String>, usize),
    DropQuarantined(Vec<String>),
    BeginOperation(Operation),
    SaveOperation(Operation),
    Operations,
    Access(access::Request),
    Statistics(StatisticsQuery),
    Standing,
    Notices(u16, usize),
    Mailbox,
    CompareIndex(u16, Option<String>, usize, bool),
    ShardState(u16),
    NextInLine(u16, QueueName, usize),
    QuarantineFill,
    Archived,
    Log(u16, JobId, u64),
}

/// What the owner answers.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Done,
    Enqueued(EnqueueReply),
    Statuses(Vec<Option<JobStatus>>),
    Parents(Vec<ParentState>),
    Edges(Vec<EdgeSettled>),
    Known(Vec<bool>),
    Cancelled(Vec<CancelReply>),
    Jobs(Vec<Option<JobView>>),
    Page(JobPage),
    Queues(BTreeMap<QueueName, QueueView>),
    Workers(Vec<WorkerView>),
    Depths(Vec<Depth>),
    Published(Vec<Published>),
    Changes(Vec<DeadLetterChange>),
    CronWritten(CronWritten),
    CronKnown(bool),
    CronEntry(Option<CronEntry>),
    CronEntries(Vec<CronEntry>),
    CronMade(Option<Enqueued>),
    Pruned(Pruned),
    Quarantined(Vec<QuarantineEntry>),
    Operation(Operation),
    Operations(Vec<Operation>),
    Access(access::Answer),
    Statistics(Box<Statistics>),
    Standing(Standing),
    Notices(Notices),
    Mailbox(Mailbox),
    IndexLook(IndexLook),
    ShardState(ShardState),
    Ids(Vec<JobId>),
    QuarantineFill(QuarantineFill),
    Archived(u64),
    Log(Vec<LogLine>),
}

/// A frame of the client.
#[derive(Debug, Serialize, Deserialize)]
struct Up {
    number: u64,
    request: Request,
}

/// A frame of the owner.
#[derive(Debug, Serialize, Deserialize)]
enum Down {
    /// Who answers: the number of shards.
    Hello(u16),
    /// The answer to a request.
    Reply(u64, Box<Result<Answer, Failure>>),
    /// A job of the watch that this request began has changed.
    Wake(u64, JobId),
    /// That watch has ended.
    WatchEnded(u64),
}

/// A port's error on its way.
#[derive(Debug, Serialize, Deserialize)]
enum Failure {
    Unavailable(String),
    OutcomeUnknown,
    Refused(String),
    Corrupt(String),
    Closed,
}

impl From<port::Error> for Failure {
    fn from(error: port::Error) -> Self {
        match error {
            port::Error::Unavailable { reason, .. } => Self::Unavailable(reason),
            port::Error::OutcomeUnknown { .. } => Self::OutcomeUnknown,
            port::Error::Refused { reason, .. } => Self::Refused(reason),
            port::Error::Corrupt(what) => Self::Corrupt(what),
            port::Error::Closed => Self::Closed,
            other => Self::Refused(other.to_string()),
        }
    }
}

impl From<Failure> for port::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable(reason) => Self::Unavailable {
                server: SERVER,
                reason,
            },
            Failure::OutcomeUnknown => Self::OutcomeUnknown { server: SERVER },
            Failure::Refused(reason) => Self::Refused {
                server: SERVER,
                reason,
            },
            Failure::Corrupt(what) => Self::Corrupt(what),
            Failure::Closed => Self::Closed,
        }
    }
}
