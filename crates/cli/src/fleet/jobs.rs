//! Jobs: look, list, follow, ask why, cancel, clean up.

use std::time::Duration;

use longshore::{Cleaned, ClientError, LogLine, Why};
use longshore_core::port::enqueue::CancelReply;
use longshore_core::port::inspect::Wakes;
use longshore_core::view::{Cursor, JobFilter, JobPage, JobView};
use longshore_core::{JobId, JobStatus, Timestamp};
use longshore_gateway::dto;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Fleet;
use crate::failure::Failure;
use crate::job::PageCursor;
use crate::remote::{path, view};

/// A page as a gateway answers it.
#[derive(Deserialize)]
pub(super) struct Page {
    jobs: Vec<dto::job::Job>,
    next: Option<String>,
}

impl Page {
    pub(super) fn read(self) -> Result<JobPage, Failure> {
        let next = self.next.map(|text| text.parse::<PageCursor>()).transpose();
        Ok(JobPage {
            jobs: self.jobs.into_iter().map(view::job).collect::<Result<_, _>>()?,
            next: next.map_err(view::unread)?.map(|cursor| cursor.0),
        })
    }
}

/// `after` and `limit` of a query.
pub(super) fn page_of(query: &mut Vec<(&str, String)>, after: Option<Cursor>, limit: usize) {
    query.push(("limit", limit.to_string()));
    query.extend(after.map(|cursor| ("after", PageCursor(cursor).to_string())));
}

#[derive(Deserialize)]
struct Cancelled {
    outcome: String,
    status: Option<String>,
}

#[derive(Deserialize)]
struct CancelledMany {
    jobs: Vec<dto::dead::CancelledJob>,
}

#[derive(Deserialize)]
struct Step {
    deleted: u64,
    held_by_children: u64,
}

impl Fleet {
    /// A page of jobs, the newest first.
    pub(crate) async fn list(
        &self,
        filter: &JobFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<JobPage, Failure> {
        match self {
            Self::Direct { client, .. } => Ok(client.list(filter).after(after).limit(limit).await?),
            Self::Remote { remote, .. } => {
                let mut query = query_of(filter);
                page_of(&mut query, after, limit);
                remote.get::<Page>("jobs", &query).await?.read()
            }
        }
    }

    /// Everything of a job.
    pub(crate) async fn view(&self, id: JobId) -> Result<Option<JobView>, Failure> {
        match self {
            Self::Direct { client, .. } => Ok(client.view(id).await?),
            Self::Remote { remote, .. } => {
                let job = remote.find(&format!("jobs/{id}")).await?;
                job.map(view::detail).transpose()
            }
        }
    }

    /// A job in short.
    pub(crate) async fn summary(&self, id: JobId) -> Result<Option<JobView>, Failure> {
        match self {
            Self::Direct { client, .. } => Ok(client.summary(id).await?),
            Self::Remote { remote, .. } => {
                let job = remote.find(&format!("jobs/{id}/summary")).await?;
                job.map(view::job).transpose()
            }
        }
    }

    /// Why a job does not run.
    pub(crate) async fn why(&self, id: JobId, parents_from: usize) -> Result<Why, Failure> {
        match self {
            Self::Direct { client, .. } => Ok(client.why(id).parents_from(parents_from).await?),
            Self::Remote { remote, .. } => {
                let query = [("parents_from", parents_from.to_string())];
                remote.get(&format!("jobs/{id}/why"), &query).await
            }
        }
    }

    /// What a job's handler has said after that line.
    pub(crate) async fn log(&self, id: JobId, after: u64) -> Result<Vec<LogLine>, Failure> {
        match self {
            Self::Direct { client, .. } => Ok(client.log_after(id, after).await?),
            Self::Remote { remote, .. } => {
                let query = [("after", after.to_string())];
                let said: dto::log::JobLog = remote.get(&format!("jobs/{id}/log"), &query).await?;
                Ok(said.lines.into_iter().map(view::log_line).collect())
            }
        }
    }

    /// Cancels a job.
    pub(crate) async fn cancel(&self, id: JobId, reason: &str) -> Result<CancelReply, Failure> {
        match self {
            Self::Direct { client, .. } => Ok(client.cancel(id, reason).await?),
            Self::Remote { remote, .. } => {
                let asked = remote
                    .post::<Cancelled>(&format!("jobs/{id}/cancel"), &json!({ "reason": reason }))
                    .await;
                match asked {
                    Ok(said) => view::cancelled(&said.outcome, said.status.as_ref()),
                    Err(failure) if failure.said == "not_found" => Ok(CancelReply::Unknown),
                    Err(failure) => Err(failure),
                }
            }
        }
    }

    /// Cancels at most 1,000 jobs.
    pub(crate) async fn cancel_many(&self, ids: &[JobId], reason: &str) -> Result<Vec<CancelReply>, Failure> {
        match self {
            _ if ids.is_empty() => Ok(Vec::new()),
            Self::Direct { client, .. } => Ok(client.cancel_many(ids, reason).await?),
            Self::Remote { remote, .. } => {
                let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
                let body = json!({ "ids": ids, "reason": reason });
                let said = remote.post::<CancelledMany>("jobs/cancel", &body).await?;
                let reply =
                    |job: &dto::dead::CancelledJob| view::cancelled(&job.outcome, job.status.as_ref());
                said.jobs.iter().map(reply).collect()
            }
        }
    }

    /// Hints of what changes of these jobs; none when there are too many.
    pub(crate) async fn follow(&self, ids: Vec<JobId>) -> Result<Box<dyn Wakes>, Failure> {
        match self {
            Self::Direct { ports, .. } => {
                let wakes = ports.inspect.watch(ids).await;
                Ok(wakes.map_err(ClientError::from)?)
            }
            Self::Remote { remote, seen } => remote.follow(&ids, seen).await,
        }
    }

    /// One bounded step of a cleanup.
    pub(crate) async fn clean(&self, keep: Duration, statuses: &[JobStatus]) -> Result<Cleaned, Failure> {
        match self {
            Self::Direct { client, .. } => {
                let asked = client.cleanup(keep);
                let asked = statuses.iter().fold(asked, |asked, status| asked.status(*status));
                Ok(asked.step().await?)
            }
            Self::Remote { remote, .. } => {
                let statuses: Vec<_> = statuses.iter().map(|status| status.as_str()).collect();
                let keep = longshore_core::clock::duration_millis(keep);
                let body = json!({ "keep_ms": keep, "statuses": statuses });
                let step = remote.post::<Step>("jobs/cleanup", &body).await?;
                Ok(Cleaned {
                    deleted: step.deleted,
                    held_by_children: step.held_by_children,
                })
            }
        }
    }
}

fn query_of(filter: &JobFilter) -> Vec<(&'static str, String)> {
    let mut query: Vec<(&'static str, String)> = Vec::new();
    query.extend(
        filter
            .statuses
            .iter()
            .map(|status| ("status", status.to_string())),
    );
    query.extend(
        filter
            .function_name
            .iter()
            .map(|name| ("function_name", name.to_string())),
    );
    query.extend(filter.queue.iter().map(|name| ("queue", name.to_string())));
    query.extend(filter.tags.iter().map(|tag| ("tag", tag.clone())));
    let millis = |at: Timestamp| at.millis().to_string();
    query.extend(filter.created_from.map(|at| ("created_from_ms", millis(at))));
    query.extend(filter.created_until.map(|at| ("created_until_ms", millis(at))));
    query
}

/// The list of that name in a gateway's answer.
pub(super) fn listed<T: serde::de::DeserializeOwned>(
    mut answer: Value,
    name: &str,
) -> Result<Vec<T>, Failure> {
    let list = answer.get_mut(name).map(Value::take);
    let list = list.ok_or_else(|| view::unread(format!("{name} is missing")))?;
    serde_json::from_value(list).map_err(view::unread)
}

/// A path with a name that somebody chose.
pub(super) fn named(kind: &str, name: &str, what: &str) -> String {
    let parts = [kind, name, what];
    let given: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    path(&given)
}
