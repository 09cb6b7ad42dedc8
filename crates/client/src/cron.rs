//! Recurring jobs: entries that make a job at every tick of a cron expression.

use longshore_core::limits::CRON_PAGE;
use longshore_core::port;
use longshore_core::port::cron::{CronEntry, CronPut, CronWritten};
use longshore_core::port::enqueue::Enqueued;
use longshore_core::{Job, JobId, JobSpec, Timestamp};

use crate::client::Client;
use crate::error::ClientError;
use crate::handle::JobHandle;
use crate::options::Draft;

pub use longshore_core::cron::{
    Definition, Expression, InvalidDefinition, InvalidExpression, InvalidPolicy, Misfire, Overlap, Schedule,
    Source, Template, UnknownZone, Zone,
};
pub use longshore_core::name::CronName;
pub use longshore_core::port::cron::CronJob;

mod add;
mod error;

pub use add::AddCron;
pub use error::CronError;

/// Keeps cron entries; made by [`Client::cron`].
#[derive(Clone, Debug)]
pub struct Cron {
    client: Client,
}

/// An entry as it stands.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CronView {
    /// Its name.
    pub name: CronName,
    /// Raised by every change.
    pub version: u64,
    /// Its next tick; means nothing while it is paused.
    pub next_at: Timestamp,
    /// Whether it is paused.
    pub paused: bool,
    /// The last job that it made.
    pub last: Option<CronJob>,
    /// What it says; an error when a newer build wrote it.
    pub definition: Result<Definition, InvalidDefinition>,
}

impl From<CronEntry> for CronView {
    fn from(entry: CronEntry) -> Self {
        Self {
            definition: Definition::decode(&entry.definition),
            name: entry.name,
            version: entry.version,
            next_at: entry.next_at,
            paused: entry.paused,
            last: entry.last,
        }
    }
}

/// What may be written over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Over {
    /// Nothing: an entry of that name that says something else is an error. Default.
    #[default]
    Nothing,
    /// An entry of this version.
    Version(u64),
    /// Whatever is there.
    Anything,
}

impl Client {
    /// Recurring jobs.
    pub fn cron(&self) -> Cron {
        Cron { client: self.clone() }
    }
}

impl Cron {
    /// Makes an entry: a job of this type at every tick of `expression`. Set its fields, then await. An entry that
    /// says the same already is left as it is.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a job is handed over; `add(\"nightly\", \"0 3 * * *\", Report { … })` reads so"
    )]
    pub fn add<T: Job>(&self, name: impl AsRef<str>, expression: impl AsRef<str>, job: T) -> AddCron {
        AddCron::new(self.clone(), name.as_ref(), expression.as_ref(), Draft::of(&job))
    }

    /// As [`Cron::add`], for an untyped job.
    pub fn add_spec(&self, name: impl AsRef<str>, expression: impl AsRef<str>, spec: JobSpec) -> AddCron {
        AddCron::new(
            self.clone(),
            name.as_ref(),
            expression.as_ref(),
            Draft::from_spec(spec),
        )
    }

    /// Writes a whole entry; answers its version, and whether anything changed.
    ///
    /// # Errors
    /// When the definition is out of its bounds, something else is there, or the store does not answer.
    pub async fn put(
        &self,
        name: &CronName,
        definition: &Definition,
        over: Over,
    ) -> Result<(u64, bool), CronError> {
        let bytes = definition.encode()?;
        let known = self.entry(name).await?;
        let put = CronPut {
            name: name.clone(),
            next_at: definition.next_at(known.as_ref(), self.client.settings().clock.now()),
            definition: bytes,
            if_version: match over {
                Over::Nothing => Some(0),
                Over::Version(version) => Some(version),
                Over::Anything => None,
            },
        };
        let written = self
            .client
            .asking(|ports| ports.cron.cron_put(put.clone()))
            .await?;
        match (written, over) {
            (CronWritten::Written(version), _) => Ok((version, true)),
            (CronWritten::Unchanged(version), _) => Ok((version, false)),
            (CronWritten::Conflict(_), Over::Nothing) => Err(CronError::Exists(name.clone())),
            (CronWritten::Conflict(found), Over::Version(wanted)) => Err(CronError::Changed {
                name: name.clone(),
                wanted,
                found,
            }),
            (CronWritten::Conflict(_), Over::Anything) => {
                let what = "an entry was refused although any version was to be written over";
                Err(port::Error::Corrupt(what.to_owned()).into())
            }
        }
    }

    /// One entry; `None` when there is none of that name.
    ///
    /// # Errors
    /// When the name is none, or the store does not answer.
    pub async fn get(&self, name: impl AsRef<str>) -> Result<Option<CronView>, CronError> {
        let name = CronName::new(name)?;
        Ok(self.entry(&name).await?.map(CronView::from))
    }

    /// Every entry, by name.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn list(&self) -> Result<Vec<CronView>, CronError> {
        let mut found = Vec::new();
        for shard in self.client.ports().enqueue.shards().all() {
            let mut after: Option<CronName> = None;
            loop {
                let page = self
                    .client
                    .asking(|ports| ports.cron.cron_entries(shard, after.clone(), CRON_PAGE))
                    .await?;
                let full = page.len() == CRON_PAGE;
                after = page.last().map(|entry| entry.name.clone());
                found.extend(page.into_iter().map(CronView::from));
                if !full {
                    break;
                }
            }
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    /// Takes an entry away; its jobs stay. Answers whether it was there.
    ///
    /// # Errors
    /// When the name is none, or the store does not answer.
    pub async fn remove(&self, name: impl AsRef<str>) -> Result<bool, CronError> {
        let name = CronName::new(name)?;
        Ok(self
            .client
            .asking(|ports| ports.cron.cron_remove(name.clone()))
            .await?)
    }

    /// Lets an entry fire no more until [`Cron::resume`]; its jobs go on.
    ///
    /// # Errors
    /// When there is no such entry, or the store does not answer.
    pub async fn pause(&self, name: impl AsRef<str>) -> Result<(), CronError> {
        self.set_paused(CronName::new(name)?, true, Timestamp::ZERO).await
    }

    /// Ends a pause. Ticks in the pause are gone; the next one is the first after now, which is answered.
    ///
    /// # Errors
    /// When there is no such entry, this build cannot read it, or the store does not answer.
    pub async fn resume(&self, name: impl AsRef<str>) -> Result<Timestamp, CronError> {
        let name = CronName::new(name)?;
        let known = self.known(&name).await?;
        if !known.paused {
            return Ok(known.next_at);
        }
        let now = self.client.settings().clock.now();
        let next_at = Definition::decode(&known.definition)?.schedule.next_or_far(now);
        self.set_paused(name, false, next_at).await?;
        Ok(next_at)
    }

    /// Makes a job of an entry now, outside its schedule, paused or not. The next tick stays; the job counts as the
    /// entry's last one. The scheduler publishes it.
    ///
    /// # Errors
    /// When there is no such entry, this build cannot read it, or the store does not answer.
    pub async fn run_now(&self, name: impl AsRef<str>) -> Result<JobHandle<serde_json::Value>, CronError> {
        let name = CronName::new(name)?;
        let definition = Definition::decode(&self.known(&name).await?.definition)?;
        let settings = self.client.settings();
        let now = settings.clock.now();
        let shard = self
            .client
            .ports()
            .enqueue
            .shards()
            .of_bytes(name.as_str().as_bytes());
        let id = JobId::generate(now, shard, &*settings.random);
        let job = definition.job_now(&name, id, now)?;
        let run = self
            .client
            .asking(|ports| ports.cron.cron_run(name.clone(), job.clone()));
        match run.await? {
            Some(Enqueued::Created { .. } | Enqueued::Existing { .. }) => {
                Ok(JobHandle::new(self.client.clone(), id, None))
            }
            Some(Enqueued::Conflict) => Err(port::Error::Corrupt(format!("the new id {id} is taken")).into()),
            None => Err(CronError::NotFound(name)),
        }
    }

    async fn entry(&self, name: &CronName) -> Result<Option<CronEntry>, CronError> {
        Ok(self
            .client
            .asking(|ports| ports.cron.cron_entry(name.clone()))
            .await?)
    }

    async fn known(&self, name: &CronName) -> Result<CronEntry, CronError> {
        let entry = self.entry(name).await?;
        entry.ok_or_else(|| CronError::NotFound(name.clone()))
    }

    async fn set_paused(&self, name: CronName, paused: bool, next_at: Timestamp) -> Result<(), CronError> {
        let known = self
            .client
            .asking(|ports| ports.cron.cron_pause(name.clone(), paused, next_at));
        if known.await? {
            Ok(())
        } else {
            Err(CronError::NotFound(name))
        }
    }
}

impl From<port::Error> for CronError {
    fn from(error: port::Error) -> Self {
        Self::Client(ClientError::Store(error))
    }
}
