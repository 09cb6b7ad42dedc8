//! Recurring jobs.

use longshore::cron::{CronError, CronName, CronView, Definition, Over};
use longshore_core::JobId;
use longshore_gateway::dto;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Fleet;
use super::jobs::{listed, named};
use crate::failure::Failure;
use crate::remote::{view, write};

#[derive(Deserialize)]
struct Run {
    job_id: String,
}

impl Fleet {
    /// Every entry.
    pub(crate) async fn cron_entries(&self) -> Result<Vec<CronView>, Failure> {
        match self {
            Self::Direct { client, .. } => Ok(client.cron().list().await?),
            Self::Remote { remote, .. } => {
                let entries: Vec<dto::cron::CronEntry> = listed(remote.get("cron", &[]).await?, "entries")?;
                entries.iter().map(view::cron).collect()
            }
        }
    }

    /// An entry.
    pub(crate) async fn cron_entry(&self, name: &CronName) -> Result<Option<CronView>, Failure> {
        match self {
            Self::Direct { client, .. } => Ok(client.cron().get(name).await?),
            Self::Remote { remote, .. } => {
                let entry: Option<dto::cron::CronEntry> =
                    remote.find(&named("cron", name.as_str(), "")).await?;
                entry.as_ref().map(view::cron).transpose()
            }
        }
    }

    /// Writes an entry; answers its version, and whether anything changed.
    pub(crate) async fn put_cron(
        &self,
        name: &CronName,
        definition: &Definition,
        over: Over,
    ) -> Result<(u64, bool), Failure> {
        let remote = match self {
            Self::Direct { client, .. } => return Ok(client.cron().put(name, definition, over).await?),
            Self::Remote { remote, .. } => remote,
        };
        let before = self.cron_entry(name).await?.map(|entry| entry.version);
        let body = write::cron(definition)?;
        let header = (over == Over::Nothing).then_some(("if-none-match", "*"));
        let put = remote.put(&named("cron", name.as_str(), ""), &body, header).await;
        let entry: dto::cron::CronEntry = put.map_err(|failure| match failure.said.as_str() {
            "conflict" => CronError::Exists(name.clone()).into(),
            _ => failure,
        })?;
        Ok((entry.version, before != Some(entry.version)))
    }

    /// Takes an entry away.
    pub(crate) async fn remove_cron(&self, name: &CronName) -> Result<(), Failure> {
        let was_there = match self {
            Self::Direct { client, .. } => client.cron().remove(name).await?,
            Self::Remote { remote, .. } => remote.delete(&named("cron", name.as_str(), "")).await?,
        };
        was_there.then_some(()).ok_or_else(|| unknown(name))
    }

    /// Pauses or resumes an entry.
    pub(crate) async fn set_cron_paused(&self, name: &CronName, paused: bool) -> Result<(), Failure> {
        match self {
            Self::Direct { client, .. } if paused => Ok(client.cron().pause(name).await?),
            Self::Direct { client, .. } => Ok(client.cron().resume(name).await.map(drop)?),
            Self::Remote { .. } => {
                let what = if paused { "pause" } else { "resume" };
                self.cron_post::<Value>(name, what).await.map(drop)
            }
        }
    }

    /// Makes a job of an entry now.
    pub(crate) async fn run_cron(&self, name: &CronName) -> Result<JobId, Failure> {
        match self {
            Self::Direct { client, .. } => Ok(client.cron().run_now(name).await?.id()),
            Self::Remote { .. } => {
                let run: Run = self.cron_post(name, "run").await?;
                run.job_id.parse().map_err(view::unread)
            }
        }
    }

    async fn cron_post<T: serde::de::DeserializeOwned>(
        &self,
        name: &CronName,
        what: &str,
    ) -> Result<T, Failure> {
        let Self::Remote { remote, .. } = self else {
            return Err(unknown(name));
        };
        let said = remote.post(&named("cron", name.as_str(), what), &json!({})).await;
        said.map_err(|failure| match failure.said.as_str() {
            "not_found" => unknown(name),
            _ => failure,
        })
    }
}

/// What is said of an entry that is not there, whoever was asked.
pub(crate) fn unknown(name: &CronName) -> Failure {
    CronError::NotFound(name.clone()).into()
}
