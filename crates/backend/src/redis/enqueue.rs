//! The producer's side.

use std::time::Duration;

use bytes::Bytes;
use longshore_core::JobStatus;
use longshore_core::id::JobId;
use longshore_core::message::Gen;
use longshore_core::outcome::ErrorInfo;
use longshore_core::port::enqueue::{
    CancelReply, CancelRequest, EdgeSettled, EdgeSettlement, EnqueuePort, EnqueueReply, Enqueued, NewJob,
    ParentOutcome, ParentState, Registration,
};
use longshore_core::port::{Error, Reply};
use longshore_core::shard::Shards;

use super::Store;
use super::call::{Call, calls, light};
use super::reply::{self, Reader, pack};
use super::script;

impl EnqueuePort for Store {
    fn shards(&self) -> Shards {
        self.shard_count()
    }

    fn enqueue(&self, shard: u16, jobs: Vec<NewJob>) -> Reply<'_, EnqueueReply> {
        Box::pin(async move {
            let mut all = EnqueueReply {
                epoch: 0,
                jobs: Vec::with_capacity(jobs.len()),
            };
            for jobs in calls(&jobs, |job| job.envelope.len()) {
                let mut call = Self::script(&script::ENQUEUE, shard);
                put_jobs(&mut call, jobs);
                let mut answer = self.run_strictly(&call).await?;
                all.epoch = answer.number()?;
                for _ in jobs {
                    all.jobs.push(enqueued(&mut answer)?);
                }
            }
            Ok(all)
        })
    }

    fn mark_published(&self, shard: u16, jobs: Vec<(JobId, Gen)>) -> Reply<'_, ()> {
        Box::pin(self.on_gens(&script::MARK_PUBLISHED, shard, jobs))
    }

    fn statuses(&self, shard: u16, ids: Vec<JobId>) -> Reply<'_, Vec<Option<JobStatus>>> {
        Box::pin(async move {
            let mut statuses = Vec::with_capacity(ids.len());
            for ids in calls(&ids, light) {
                let mut call = Self::script(&script::STATUSES, shard);
                for id in ids {
                    call.id(*id);
                }
                let mut answer = self.run(&call).await?;
                for _ in ids {
                    statuses.push(answer.number_or_none()?.map(reply::status).transpose()?);
                }
            }
            Ok(statuses)
        })
    }

    fn register(&self, shard: u16, edges: Vec<Registration>) -> Reply<'_, Vec<ParentState>> {
        Box::pin(async move {
            let mut states = Vec::with_capacity(edges.len());
            for edges in calls(&edges, light) {
                let mut call = Self::script(&script::REGISTER, shard);
                for edge in edges {
                    call.id(edge.parent).id(edge.child).arg(edge.policy.code());
                }
                let mut answer = self.run(&call).await?;
                for _ in edges {
                    states.push(parent_state(&mut answer)?);
                }
            }
            Ok(states)
        })
    }

    fn settle_edges(
        &self,
        shard: u16,
        edges: Vec<EdgeSettlement>,
        publish_within: Duration,
    ) -> Reply<'_, Vec<EdgeSettled>> {
        Box::pin(async move {
            let mut settled = Vec::with_capacity(edges.len());
            for edges in calls(&edges, |edge| result(&edge.outcome).len()) {
                let mut call = Self::script(&script::SETTLE_EDGES, shard);
                call.duration(publish_within);
                for edge in edges {
                    call.id(edge.child)
                        .id(edge.parent)
                        .arg(letter(&edge.outcome))
                        .arg(result(&edge.outcome));
                }
                let mut answer = self.run_strictly(&call).await?;
                for _ in edges {
                    settled.push(edge_settled(&mut answer)?);
                }
            }
            Ok(settled)
        })
    }

    fn edges_verified(&self, shard: u16, children: Vec<JobId>) -> Reply<'_, Vec<bool>> {
        Box::pin(async move {
            let mut known = Vec::with_capacity(children.len());
            for ids in calls(&children, light) {
                let mut call = Self::script(&script::EDGES_VERIFIED, shard);
                for id in ids {
                    call.id(*id);
                }
                let mut answer = self.run(&call).await?;
                for _ in ids {
                    known.push(answer.number()? == 1);
                }
            }
            Ok(known)
        })
    }

    fn fail_blocked(&self, shard: u16, children: Vec<(JobId, ErrorInfo)>) -> Reply<'_, ()> {
        Box::pin(async move {
            for children in calls(&children, light) {
                let mut call = Self::script(&script::FAIL_BLOCKED, shard);
                for (id, error) in children {
                    call.id(*id).arg(pack(&error.clone().bounded()));
                }
                self.run(&call).await?;
            }
            Ok(())
        })
    }

    fn abort(&self, shard: u16, children: Vec<JobId>) -> Reply<'_, ()> {
        Box::pin(self.on_ids(&script::ABORT, shard, children))
    }

    fn cancel(&self, shard: u16, jobs: Vec<CancelRequest>) -> Reply<'_, Vec<CancelReply>> {
        Box::pin(async move {
            let mut replies = Vec::with_capacity(jobs.len());
            for jobs in calls(&jobs, |job| job.reason.len()) {
                let mut call = Self::script(&script::CANCEL, shard);
                for job in jobs {
                    call.id(job.id).arg(job.reason.as_str());
                }
                let mut answer = self.run(&call).await?;
                for _ in jobs {
                    replies.push(cancelled(&mut answer)?);
                }
            }
            Ok(replies)
        })
    }
}

impl Store {
    /// A script that takes ids and answers nothing.
    pub(super) async fn on_ids(
        &self,
        name: &'static script::Script,
        shard: u16,
        ids: Vec<JobId>,
    ) -> Result<(), Error> {
        for ids in calls(&ids, light) {
            let mut call = Self::script(name, shard);
            for id in ids {
                call.id(*id);
            }
            self.run(&call).await?;
        }
        Ok(())
    }

    /// A script that takes dispatches and answers nothing.
    pub(super) async fn on_gens(
        &self,
        name: &'static script::Script,
        shard: u16,
        jobs: Vec<(JobId, Gen)>,
    ) -> Result<(), Error> {
        for jobs in calls(&jobs, light) {
            let mut call = Self::script(name, shard);
            for (id, gen_) in jobs {
                call.id(*id).arg(*gen_);
            }
            self.run(&call).await?;
        }
        Ok(())
    }
}

/// Jobs as the script `enqueue` reads them.
fn put_jobs(call: &mut Call, jobs: &[NewJob]) {
    if jobs.iter().all(|job| job.parents.is_empty()) {
        call.arg(0).groups(jobs);
        return;
    }
    call.arg(jobs.len());
    for job in jobs {
        call.job(job);
    }
}

pub(super) fn enqueued(answer: &mut Reader) -> Result<Enqueued, Error> {
    let kind = answer.bytes()?;
    let created = |status, gen_| Ok(Enqueued::Created { status, gen_ });
    match &*kind {
        b"queued" => return created(JobStatus::Queued, 1),
        b"scheduled" => return created(JobStatus::Scheduled, 0),
        _ => {}
    }
    let status = answer.status()?;
    let (gen_, unpublished) = (answer.small()?, answer.number()? == 1);
    match &*String::from_utf8_lossy(&kind) {
        "new" => created(status, gen_),
        "known" => Ok(Enqueued::Existing {
            status,
            gen_,
            unpublished,
        }),
        "taken" => Ok(Enqueued::Conflict),
        other => Err(odd(other)),
    }
}

fn parent_state(answer: &mut Reader) -> Result<ParentState, Error> {
    let (letter, result) = (answer.text()?, answer.bytes_or_none()?);
    match letter.as_str() {
        "O" => Ok(ParentState::Open),
        "U" => Ok(ParentState::Unknown),
        "N" => Ok(ParentState::Full),
        letter => outcome(letter, result).map(ParentState::Settled),
    }
}

fn edge_settled(answer: &mut Reader) -> Result<EdgeSettled, Error> {
    let (what, gen_) = (answer.text()?, answer.small()?);
    match what.as_str() {
        "waiting" => Ok(EdgeSettled::Waiting),
        "released" => Ok(EdgeSettled::Released { gen_ }),
        "scheduled" => Ok(EdgeSettled::Scheduled),
        "cancelled" => Ok(EdgeSettled::Cancelled),
        "nothing" => Ok(EdgeSettled::Nothing),
        other => Err(odd(other)),
    }
}

fn cancelled(answer: &mut Reader) -> Result<CancelReply, Error> {
    let (what, status) = (answer.text()?, answer.status()?);
    match what.as_str() {
        "cancelled" => Ok(CancelReply::Cancelled),
        "requested" => Ok(CancelReply::Requested),
        "over" => Ok(CancelReply::AlreadyFinished(status)),
        "unknown" => Ok(CancelReply::Unknown),
        other => Err(odd(other)),
    }
}

const fn letter(outcome: &ParentOutcome) -> &'static str {
    match outcome {
        ParentOutcome::Completed { .. } => "C",
        ParentOutcome::Failed => "F",
        ParentOutcome::Cancelled => "X",
        ParentOutcome::Gone => "G",
    }
}

fn result(outcome: &ParentOutcome) -> &[u8] {
    match outcome {
        ParentOutcome::Completed { result: Some(result) } => result,
        _ => &[],
    }
}

/// How a parent ended, by the letter of the scripts.
pub(super) fn outcome(letter: &str, result: Option<Bytes>) -> Result<ParentOutcome, Error> {
    match letter {
        "C" => Ok(ParentOutcome::Completed { result }),
        "F" => Ok(ParentOutcome::Failed),
        "X" => Ok(ParentOutcome::Cancelled),
        "G" => Ok(ParentOutcome::Gone),
        other => Err(odd(other)),
    }
}

/// A word that no script of ours answers.
pub(super) fn odd(word: &str) -> Error {
    Error::Corrupt(format!("a script answered \"{}\"", word.escape_debug()))
}
