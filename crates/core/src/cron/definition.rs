//! What an entry says: its schedule, its policies, and the job of each tick.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::policy::{Misfire, Overlap};
use super::schedule::Schedule;
use crate::clock::{Timestamp, duration_millis};
use crate::envelope::{self, Envelope};
use crate::id::JobId;
use crate::limits::{CRON_DEFINITION_BYTES_MAX, CRON_JITTER_MAX, DEPTH_MAX, TAG_BYTES_MAX, TAGS_MAX};
use crate::name::CronName;
use crate::port::cron::CronEntry;
use crate::port::enqueue::NewJob;
use crate::spec::{InvalidSpec, JobSpec, Start};

/// The layout that this build writes, and the highest that it reads.
const SCHEMA: u16 = 1;
/// The metadata key under which a job finds its entry and tick.
const METADATA_KEY: &str = "cron";

/// Where an entry came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A call: the SDK, the API or the CLI. Default.
    #[default]
    Call,
    /// The scheduler's configuration file; it goes when it is no longer there.
    File,
}

/// What an entry says. The store keeps it as bytes ([`Definition::encode`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// When it ticks.
    pub schedule: Schedule,
    /// The job of each tick.
    pub job: Template,
    /// What becomes of missed ticks. Default: once.
    pub misfire: Misfire,
    /// What a tick does while the last job has not ended. Default: allow.
    pub overlap: Overlap,
    /// A tick's job is due up to this much after the tick: how much follows from entry and tick, so that entries of
    /// one time spread and one tick has one time. Default: zero.
    pub jitter: Duration,
    /// Where it came from.
    pub source: Source,
}

/// A job without an id and without times: an envelope as if it were enqueued at the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Template(Envelope);

/// A definition that cannot be used, with every problem that was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("; "))]
pub struct InvalidDefinition {
    /// Each names its field and the fix.
    pub problems: Vec<String>,
}

impl From<InvalidSpec> for InvalidDefinition {
    fn from(error: InvalidSpec) -> Self {
        Self {
            problems: error.problems,
        }
    }
}

impl From<String> for InvalidDefinition {
    fn from(problem: String) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}

impl Definition {
    /// An entry with default policies, made by a call.
    ///
    /// # Errors
    /// See [`Template::new`].
    pub fn new(schedule: Schedule, job: &JobSpec) -> Result<Self, InvalidDefinition> {
        Ok(Self {
            schedule,
            job: Template::new(job)?,
            misfire: Misfire::default(),
            overlap: Overlap::default(),
            jitter: Duration::ZERO,
            source: Source::default(),
        })
    }

    /// The delay of `tick`'s job behind the tick: the same on every scheduler, at most [`Definition::jitter`].
    pub fn jitter_of(&self, name: &CronName, tick: Timestamp) -> Duration {
        let mut hasher = blake3::Hasher::new();
        hasher.update(name.as_str().as_bytes());
        hasher.update(&tick.millis().to_le_bytes());
        let mut first = [0_u8; 8];
        hasher.finalize_xof().fill(&mut first);
        Duration::from_millis(u64::from_le_bytes(first) % (duration_millis(self.jitter) + 1))
    }

    /// The tick that an entry stands at when this is written over `known`: an unchanged schedule keeps its tick, which
    /// may be due; another begins after `now`.
    pub fn next_at(&self, known: Option<&CronEntry>, now: Timestamp) -> Timestamp {
        let kept = known.filter(|entry| {
            Self::decode(&entry.definition).is_ok_and(|known| known.schedule == self.schedule)
        });
        kept.map_or_else(|| self.schedule.next_or_far(now), |entry| entry.next_at)
    }

    /// The job of `tick`, fired at `now` in the entry's `shard`. Its id follows from entry and tick.
    ///
    /// # Errors
    /// When its envelope does not encode.
    pub fn job_of_tick(
        &self,
        name: &CronName,
        tick: Timestamp,
        now: Timestamp,
        shard: u16,
    ) -> Result<NewJob, envelope::Error> {
        let id = JobId::from_cron_tick(name.as_str(), tick, shard);
        let due = tick.after(self.jitter_of(name, tick)).max(now);
        self.job.job(name, Some(tick), id, now, due)
    }

    /// A job that is run now, outside the schedule.
    ///
    /// # Errors
    /// When its envelope does not encode.
    pub fn job_now(&self, name: &CronName, id: JobId, now: Timestamp) -> Result<NewJob, envelope::Error> {
        self.job.job(name, None, id, now, now)
    }

    /// Writes the definition.
    ///
    /// # Errors
    /// When a field is out of its bounds, or all together are over [`CRON_DEFINITION_BYTES_MAX`].
    pub fn encode(&self) -> Result<Bytes, InvalidDefinition> {
        if self.jitter > CRON_JITTER_MAX {
            return Err("jitter: longer than a day; use at most 24h".to_owned().into());
        }
        let stored = Stored {
            schema: SCHEMA,
            schedule: self.schedule.clone(),
            job: self.job.0.encode().map_err(|error| error.to_string())?.to_vec(),
            misfire: self.misfire,
            overlap: self.overlap,
            jitter_ms: duration_millis(self.jitter),
            source: self.source,
        };
        let bytes = rmp_serde::to_vec_named(&stored).map_err(|error| format!("entry: {error}"))?;
        if bytes.len() > CRON_DEFINITION_BYTES_MAX {
            return Err(format!(
                "args: the entry has {} bytes with its arguments, over the limit of {CRON_DEFINITION_BYTES_MAX} (64 \
                 KiB); store the data elsewhere and pass a reference",
                bytes.len()
            )
            .into());
        }
        Ok(bytes.into())
    }

    /// Reads a definition.
    ///
    /// # Errors
    /// When the bytes are none, or of a newer build, or name a zone that this build does not know.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidDefinition> {
        let mut decoder = rmp_serde::Deserializer::new(bytes);
        decoder.set_max_depth(DEPTH_MAX);
        let stored = Stored::deserialize(&mut decoder).map_err(|error| error.to_string())?;
        if stored.schema > SCHEMA {
            return Err(format!(
                "entry: schema {} is newer than {SCHEMA}, the newest this build reads; upgrade the schedulers first",
                stored.schema
            )
            .into());
        }
        Ok(Self {
            schedule: stored.schedule,
            job: Template(Envelope::decode(&stored.job).map_err(|error| error.to_string())?),
            misfire: stored.misfire,
            overlap: stored.overlap,
            jitter: Duration::from_millis(stored.jitter_ms),
            source: stored.source,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "v")]
    schema: u16,
    #[serde(rename = "s")]
    schedule: Schedule,
    #[serde(rename = "j", with = "serde_bytes")]
    job: Vec<u8>,
    #[serde(rename = "m")]
    misfire: Misfire,
    #[serde(rename = "o")]
    overlap: Overlap,
    #[serde(rename = "t")]
    jitter_ms: u64,
    #[serde(rename = "f")]
    source: Source,
}

impl Template {
    /// Takes what a recurring job may say: everything but an identity, parents and absolute times.
    ///
    /// # Errors
    /// Every problem of the job, and fields that one job can have and a recurring one cannot.
    pub fn new(spec: &JobSpec) -> Result<Self, InvalidDefinition> {
        let mut problems = spec.validate().err().map_or(Vec::new(), |error| error.problems);
        let mut refuse = |given: bool, problem: &str| {
            if given {
                problems.push(problem.to_owned());
            }
        };
        refuse(spec.id.is_some(), "id: each tick has an id of its own; remove it");
        refuse(
            spec.idempotency_key.is_some(),
            "idempotency_key: each tick is fired once anyway; remove it",
        );
        refuse(
            !spec.depends_on.is_empty(),
            "depends_on: a recurring job has no parents; let its handler enqueue what follows",
        );
        refuse(
            matches!(spec.start, Start::At(_)),
            "scheduled_at: the expression says when; remove it",
        );
        refuse(
            spec.deadline.is_some(),
            "deadline: is one time for all ticks; use expires_in and timeout",
        );
        refuse(
            spec.metadata.contains_key(METADATA_KEY),
            "metadata: \"cron\" holds the entry and its tick; use another key",
        );
        refuse(
            spec.tags.len() >= TAGS_MAX,
            "tags: one is the entry's own; use at most 31",
        );
        if !problems.is_empty() {
            return Err(InvalidDefinition { problems });
        }
        let id = JobId::from_idempotency_key("");
        let mut envelope = Envelope::from_spec(spec, id, Timestamp::ZERO);
        // The trace of whoever wrote the entry is not the trace of its ticks.
        envelope.traceparent = None;
        Ok(Self(envelope))
    }

    /// What each job says. Its id and `created_at` mean nothing; `expires_at` is counted from zero.
    pub const fn envelope(&self) -> &Envelope {
        &self.0
    }

    fn job(
        &self,
        name: &CronName,
        tick: Option<Timestamp>,
        id: JobId,
        now: Timestamp,
        due: Timestamp,
    ) -> Result<NewJob, envelope::Error> {
        let mut envelope = self.0.clone();
        let since_zero = |at: Timestamp| at.since(Timestamp::ZERO);
        let due = due.after(envelope.run_at.map_or(Duration::ZERO, since_zero));
        envelope.id = id;
        envelope.created_at = now;
        envelope.run_at = (due > now).then_some(due);
        envelope.expires_at = envelope.expires_at.map(|at| due.after(since_zero(at)));
        envelope.tags.push(tag(name));
        let origin = match tick {
            Some(tick) => json!({ "entry": name.as_str(), "tick": tick.millis() }),
            None => json!({ "entry": name.as_str() }),
        };
        envelope.metadata.insert(METADATA_KEY.to_owned(), origin);
        let encoded = envelope.encode()?;
        Ok(NewJob::from_envelope(&envelope, encoded))
    }
}

/// The tag that every job of an entry carries.
fn tag(name: &CronName) -> String {
    let tag = format!("cron:{name}");
    debug_assert!(tag.len() <= TAG_BYTES_MAX, "a name is half as long as a tag");
    tag
}
