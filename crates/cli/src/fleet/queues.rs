//! Queues, workers and statistics.

use std::collections::BTreeMap;

use longshore::{Statistics, StatisticsQuery};
use longshore_core::QueueName;
use longshore_core::clock::duration_millis;
use longshore_core::view::{JobView, QueueView, WorkerView};
use longshore_gateway::dto;
use serde_json::{Value, json};

use super::Fleet;
use super::jobs::{listed, named};
use crate::failure::Failure;
use crate::remote::view;

impl Fleet {
    /// Every queue that holds jobs or is paused.
    pub(crate) async fn queues(&self) -> Result<BTreeMap<QueueName, QueueView>, Failure> {
        match self {
            Self::Direct { client, .. } => Ok(client.queues().await?),
            Self::Remote { remote, .. } => {
                let queues: Vec<dto::fleet::Queue> = listed(remote.get("queues", &[]).await?, "queues")?;
                queues.iter().map(view::queue).collect()
            }
        }
    }

    /// Pauses or resumes a queue.
    pub(crate) async fn set_paused(&self, queue: &QueueName, paused: bool) -> Result<(), Failure> {
        match self {
            Self::Direct { client, .. } if paused => Ok(client.pause(queue.as_str()).await?),
            Self::Direct { client, .. } => Ok(client.resume(queue.as_str()).await?),
            Self::Remote { remote, .. } => {
                let what = if paused { "pause" } else { "resume" };
                let path = named("queues", queue.as_str(), what);
                remote.post::<Value>(&path, &json!({})).await.map(drop)
            }
        }
    }

    /// The jobs of a queue that start next.
    pub(crate) async fn next_in_line(
        &self,
        queue: &QueueName,
        limit: usize,
    ) -> Result<Vec<JobView>, Failure> {
        match self {
            Self::Direct { client, .. } => Ok(client.next_in_line(queue, limit).await?),
            Self::Remote { remote, .. } => {
                let path = named("queues", queue.as_str(), "next");
                let answer = remote.get(&path, &[("limit", limit.to_string())]).await?;
                let jobs: Vec<dto::job::Job> = listed(answer, "jobs")?;
                jobs.into_iter().map(view::job).collect()
            }
        }
    }

    /// Live workers.
    pub(crate) async fn workers(&self) -> Result<Vec<WorkerView>, Failure> {
        match self {
            Self::Direct { client, .. } => Ok(client.workers().await?),
            Self::Remote { remote, .. } => {
                let workers: Vec<dto::fleet::Worker> = listed(remote.get("workers", &[]).await?, "workers")?;
                workers.into_iter().map(view::worker).collect()
            }
        }
    }

    /// What happened in a window.
    pub(crate) async fn statistics(&self, query: &StatisticsQuery) -> Result<Statistics, Failure> {
        match self {
            Self::Direct { client, .. } => Ok(client.statistics(query).await?),
            Self::Remote { remote, .. } => {
                let mut asked = vec![("window_ms", duration_millis(query.window).to_string())];
                asked.extend(
                    query
                        .step
                        .map(|step| ("step_ms", duration_millis(step).to_string())),
                );
                asked.extend(
                    query
                        .function
                        .iter()
                        .map(|name| ("function_name", name.to_string())),
                );
                asked.extend(query.queue.iter().map(|name| ("queue", name.to_string())));
                view::statistics(&remote.get("statistics", &asked).await?)
            }
        }
    }
}
