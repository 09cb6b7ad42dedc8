//! Dead letters, operations on many of them, and the quarantine.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use longshore::{Bulk, DeadLetterChange, QuarantineEntry};
use longshore_core::dead::{DeadFilter, Fingerprint, Operation, OperationId, OperationKind};
use longshore_core::view::{Cursor, JobPage, JobView};
use longshore_core::{FunctionName, JobId, JobStatus, QueueName, Timestamp};
use longshore_gateway::dto;
use longshore_service::exit::ExitCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::Fleet;
use super::jobs::{Page, listed, page_of};
use crate::failure::Failure;
use crate::remote::{Remote, view};

/// Ids of one request.
const IDS_MAX: usize = 1_000;
/// How often an operation of a gateway is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How long one may stand still: it asks for jobs with children for half a minute.
const STILL_MAX: Duration = Duration::from_secs(60);
/// Messages of a page of the quarantine.
const MESSAGES_MAX: usize = 20;

/// Dead letters whose errors are alike.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) fingerprint: String,
    pub(crate) count: u64,
    pub(crate) functions: BTreeSet<FunctionName>,
    pub(crate) queues: BTreeSet<QueueName>,
    pub(crate) first_died_at: Timestamp,
    pub(crate) last_died_at: Timestamp,
    pub(crate) example: JobView,
}

#[derive(Deserialize)]
struct Changes {
    changes: Vec<dto::dead::Changed>,
}

/// An operation that can be run, or followed where a gateway runs it.
#[derive(Debug)]
pub(crate) enum Running<'a> {
    Here(Bulk),
    There(&'a Remote, Operation),
}

impl Running<'_> {
    pub(crate) const fn operation(&self) -> &Operation {
        match self {
            Self::Here(bulk) => bulk.operation(),
            Self::There(_, operation) => operation,
        }
    }

    /// To its end; `told` hears how far it is.
    pub(crate) async fn run(self, mut told: impl FnMut(&Operation)) -> Result<Operation, Failure> {
        let (remote, mut operation) = match self {
            Self::Here(bulk) => return Ok(bulk.run(told).await?),
            Self::There(remote, operation) => (remote, operation),
        };
        let path = format!("operations/{}", operation.id);
        let mut moved = Instant::now();
        while operation.ended_at.is_none() {
            if operation.total.is_some() {
                told(&operation);
            }
            if moved.elapsed() > STILL_MAX {
                return Ok(operation);
            }
            sleep(LOOK_EVERY).await;
            let now = view::operation(&remote.get(&path, &[]).await?)?;
            if (now.total, now.done, now.kept) != (operation.total, operation.done, operation.kept) {
                moved = Instant::now();
            }
            operation = now;
        }
        told(&operation);
        Ok(operation)
    }
}

impl Fleet {
    /// A page of dead letters.
    pub(crate) async fn dead(
        &self,
        filter: &DeadFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<JobPage, Failure> {
        match self {
            Self::Direct { client, .. } => {
                let page = client.dead_letters().page(filter, after, limit).await?;
                Ok(JobPage {
                    jobs: page.jobs,
                    next: page.next,
                })
            }
            Self::Remote { remote, .. } => {
                let mut query = query_of(filter);
                page_of(&mut query, after, limit);
                remote.get::<Page>("dead-letters", &query).await?.read()
            }
        }
    }

    /// Dead letters by what their errors have in common.
    pub(crate) async fn dead_groups(&self, filter: &DeadFilter) -> Result<Vec<Group>, Failure> {
        match self {
            Self::Direct { client, .. } => {
                let groups = client.dead_letters().groups(filter).await?;
                let group = |group: longshore::DeadGroup| Group {
                    fingerprint: group.fingerprint.to_string(),
                    count: group.count,
                    functions: group.functions,
                    queues: group.queues,
                    first_died_at: group.first_died_at,
                    last_died_at: group.last_died_at,
                    example: group.example,
                };
                Ok(groups.into_iter().map(group).collect())
            }
            Self::Remote { remote, .. } => {
                let answer = remote.get("dead-letters/groups", &query_of(filter)).await?;
                let groups: Vec<dto::dead::Group> = listed(answer, "groups")?;
                groups.into_iter().map(group).collect()
            }
        }
    }

    /// How many dead letters match.
    pub(crate) async fn dead_count(&self, filter: &DeadFilter) -> Result<u64, Failure> {
        match self {
            Self::Direct { client, .. } => Ok(client.dead_letters().count(filter).await?),
            Self::Remote { .. } => {
                let groups = self.dead_groups(filter).await?;
                Ok(groups.iter().map(|group| group.count).sum())
            }
        }
    }

    /// A dead letter.
    pub(crate) async fn dead_letter(&self, id: JobId) -> Result<Option<JobView>, Failure> {
        match self {
            Self::Direct { client, .. } => Ok(client.dead_letters().show(id).await?),
            Self::Remote { .. } => {
                let job = self.view(id).await?;
                Ok(job.filter(|job| job.status == JobStatus::Failed))
            }
        }
    }

    /// Requeues or discards dead letters by their ids.
    pub(crate) async fn change_dead(
        &self,
        kind: OperationKind,
        ids: &[JobId],
    ) -> Result<Vec<DeadLetterChange>, Failure> {
        let remote = match (self, kind) {
            (Self::Direct { client, .. }, OperationKind::Requeue) => {
                return Ok(client.dead_letters().requeue(ids).await?);
            }
            (Self::Direct { client, .. }, OperationKind::Discard) => {
                return Ok(client.dead_letters().discard(ids).await?);
            }
            // What is a dead letter has ended: there is nothing to cancel.
            (_, OperationKind::Cancel) => return Ok(vec![DeadLetterChange::NotDead; ids.len()]),
            (Self::Remote { remote, .. }, _) => remote,
        };
        let path = format!("dead-letters/{}", kind.as_str());
        let mut changes = Vec::new();
        for bite in ids.chunks(IDS_MAX) {
            let bite: Vec<_> = bite.iter().map(ToString::to_string).collect();
            let said = remote.post::<Changes>(&path, &json!({ "ids": bite })).await?;
            for changed in said.changes {
                changes.push(view::change(&changed.change)?);
            }
        }
        Ok(changes)
    }

    /// Requeues a dead letter with other arguments.
    pub(crate) async fn edit_dead(&self, id: JobId, args: &Value) -> Result<DeadLetterChange, Failure> {
        match self {
            Self::Direct { client, .. } => Ok(client.dead_letters().edit(id, args).await?),
            Self::Remote { remote, .. } => {
                let body = json!({ "args": args });
                let said = remote
                    .post::<dto::dead::Changed>(&format!("jobs/{id}/edit"), &body)
                    .await;
                match said {
                    Ok(said) => view::change(&said.change),
                    Err(failure) if failure.said == "not_found" => Ok(DeadLetterChange::NotDead),
                    Err(failure) => Err(failure),
                }
            }
        }
    }

    /// Begins an operation on everything that matches.
    pub(crate) async fn begin(
        &self,
        kind: OperationKind,
        filter: DeadFilter,
        id: Option<OperationId>,
    ) -> Result<Running<'_>, Failure> {
        match self {
            Self::Direct { client, .. } => Ok(Running::Here(
                client.dead_letters().begin(kind, filter, id).await?,
            )),
            Self::Remote { remote, .. } => {
                let body = json!({
                    "kind": kind.as_str(),
                    "filter": dto::dead::Filter::of(&filter),
                    "id": id.map(|id| id.to_string()),
                });
                let begun = remote.post("operations", &body).await?;
                Ok(Running::There(remote, view::operation(&begun)?))
            }
        }
    }

    /// Goes on with an operation; `None` when nobody knows it.
    pub(crate) async fn resume_operation(&self, id: OperationId) -> Result<Option<Running<'_>>, Failure> {
        match self {
            Self::Direct { client, .. } => Ok(client.dead_letters().resume(id).await?.map(Running::Here)),
            Self::Remote { remote, .. } => {
                match remote.post(&format!("operations/{id}/resume"), &json!({})).await {
                    Ok(said) => Ok(Some(Running::There(remote, view::operation(&said)?))),
                    Err(failure) if failure.said == "not_found" => Ok(None),
                    Err(failure) => Err(failure),
                }
            }
        }
    }

    /// The last operations.
    pub(crate) async fn operations(&self) -> Result<Vec<Operation>, Failure> {
        match self {
            Self::Direct { client, .. } => Ok(client.dead_letters().operations().await?),
            Self::Remote { remote, .. } => {
                let said: Vec<dto::dead::Bulk> = listed(remote.get("operations", &[]).await?, "operations")?;
                said.iter().map(view::operation).collect()
            }
        }
    }

    /// The quarantine, message by message.
    pub(crate) fn quarantine(&self) -> Quarantine<'_> {
        let source = match self {
            Self::Direct { client, .. } => Source::Direct(client.quarantine()),
            Self::Remote { remote, .. } => Source::Remote {
                remote,
                ready: VecDeque::new(),
                after: None,
            },
        };
        Quarantine { source }
    }

    /// Deletes messages from the quarantine.
    pub(crate) async fn drop_quarantined(&self, ids: Vec<String>) -> Result<Vec<bool>, Failure> {
        let remote = match self {
            Self::Direct { client, .. } => return Ok(client.drop_quarantined(ids).await?),
            Self::Remote { remote, .. } => remote,
        };
        let mut dropped = Vec::new();
        for bite in ids.chunks(IDS_MAX) {
            let said = remote
                .post("quarantine/drop", &json!({ "message_ids": bite }))
                .await?;
            dropped.extend(listed::<bool>(said, "was_there")?);
        }
        Ok(dropped)
    }
}

/// The quarantine, message by message.
#[derive(Debug)]
pub(crate) struct Quarantine<'a> {
    source: Source<'a>,
}

#[derive(Debug)]
enum Source<'a> {
    Direct(longshore::Quarantine),
    Remote {
        remote: &'a Remote,
        ready: VecDeque<dto::dead::Quarantined>,
        after: Option<String>,
    },
}

impl Quarantine<'_> {
    /// The next message; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<QuarantineEntry>, Failure> {
        let Some(message) = (match &mut self.source {
            Source::Direct(quarantine) => return Ok(quarantine.next().await?),
            Source::Remote { remote, ready, after } => next(remote, ready, after).await?,
        }) else {
            return Ok(None);
        };
        view::quarantined(message).map(Some)
    }

    /// As [`Quarantine::next`], up to the message of this id, with its body.
    pub(crate) async fn whole(&mut self, message_id: &str) -> Result<Option<QuarantineEntry>, Failure> {
        loop {
            let found = match &mut self.source {
                Source::Direct(quarantine) => quarantine.next().await?,
                Source::Remote { remote, ready, after } => match next(remote, ready, after).await? {
                    Some(message) if message.message_id == message_id && message.body.is_none() => {
                        return Err(Failure::new(
                            ExitCode::Config,
                            "api.token: the token may not do that: what is in a message is shown to the role admin",
                        ));
                    }
                    message => message.map(view::quarantined).transpose()?,
                },
            };
            match found {
                Some(entry) if entry.message.message_id != message_id => {}
                found => return Ok(found),
            }
        }
    }
}

async fn next(
    remote: &Remote,
    ready: &mut VecDeque<dto::dead::Quarantined>,
    after: &mut Option<String>,
) -> Result<Option<dto::dead::Quarantined>, Failure> {
    if ready.is_empty() {
        let mut query = vec![("limit", MESSAGES_MAX.to_string())];
        query.extend(after.clone().map(|after| ("after", after)));
        let page: Vec<_> = listed(remote.get("quarantine", &query).await?, "messages")?;
        *ready = page.into();
    }
    let message = ready.pop_front();
    if let Some(message) = &message {
        *after = Some(message.message_id.clone());
    }
    Ok(message)
}

fn group(group: dto::dead::Group) -> Result<Group, Failure> {
    let functions = group.functions.iter().map(FunctionName::new);
    let queues = group.queues.iter().map(QueueName::new);
    Ok(Group {
        count: group.count,
        functions: functions.collect::<Result<_, _>>().map_err(view::unread)?,
        queues: queues.collect::<Result<_, _>>().map_err(view::unread)?,
        first_died_at: Timestamp(group.first_died_at_ms),
        last_died_at: Timestamp(group.last_died_at_ms),
        example: view::job(group.example)?,
        fingerprint: group.fingerprint,
    })
}

fn query_of(filter: &DeadFilter) -> Vec<(&'static str, String)> {
    let mut query: Vec<(&'static str, String)> = Vec::new();
    query.extend(
        filter
            .function_name
            .iter()
            .map(|name| ("function_name", name.to_string())),
    );
    query.extend(filter.queue.iter().map(|name| ("queue", name.to_string())));
    query.extend(filter.tags.iter().map(|tag| ("tag", tag.clone())));
    let print = |print: Fingerprint| ("fingerprint", print.to_string());
    query.extend(filter.fingerprint.map(print));
    let millis = |at: Timestamp| at.millis().to_string();
    query.extend(filter.died_from.map(|at| ("died_from_ms", millis(at))));
    query.extend(filter.died_until.map(|at| ("died_until_ms", millis(at))));
    query
}
