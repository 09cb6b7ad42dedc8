//! Recurring jobs.

use std::time::Duration;

use longshore::cron::{CronView, Definition, Expression, Schedule, Source, Template, Zone};
use longshore_core::access::Role;
use longshore_core::clock::duration_millis;
use longshore_core::{Timestamp, value};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::job::Terms;
use super::request::JobRequest;
use crate::auth::hide::Hide;

/// A cron entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CronEntry {
    /// Its name.
    pub name: String,
    /// Rises with every change.
    pub version: u64,
    /// Whether it makes no jobs.
    pub paused: bool,
    /// Its next tick; nothing while it is paused.
    pub next_at_ms: Option<u64>,
    /// The last job that it made.
    pub last_job_id: Option<String>,
    /// When it made that.
    pub last_fired_at_ms: Option<u64>,
    /// What it says; nothing when a newer build wrote it.
    pub says: Option<CronSays>,
    /// Why what it says cannot be read.
    pub problem: Option<String>,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CronSays {
    /// When it ticks.
    pub expression: String,
    /// In which time zone.
    pub zone: String,
    /// What becomes of missed ticks.
    pub misfire: String,
    /// What a tick does while the last job has not ended.
    pub overlap: String,
    /// Each job is due up to this much after its tick.
    pub jitter_ms: u64,
    /// `call`, or `file`: it goes when it leaves the scheduler's configuration.
    pub source: String,
    /// The function of its jobs.
    pub function_name: String,
    /// Their arguments.
    pub args: Value,
    /// Their queue.
    pub queue: String,
    /// Their priority.
    pub priority: String,
    /// Their retries.
    pub max_retries: u32,
    /// Their labels.
    pub tags: Vec<String>,
    /// Their name for people; the function's unless set.
    pub job_name: Option<String>,
    /// What else is asked for; `expires_at_ms` counts from each tick.
    pub terms: Terms,
}

impl CronEntry {
    pub(crate) fn of(view: &CronView, role: Role, hide: &Hide) -> Self {
        Self {
            name: view.name.to_string(),
            version: view.version,
            paused: view.paused,
            next_at_ms: (!view.paused).then(|| view.next_at.millis()),
            last_job_id: view.last.map(|last| last.id.to_string()),
            last_fired_at_ms: view.last.map(|last| last.fired_at.millis()),
            says: view
                .definition
                .as_ref()
                .ok()
                .map(|says| CronSays::of(says, role, hide)),
            problem: view.definition.as_ref().err().map(ToString::to_string),
        }
    }
}

impl CronSays {
    fn of(says: &Definition, role: Role, hide: &Hide) -> Self {
        let job = says.job.envelope();
        let mut args = value::to_json("args", &job.args).unwrap_or_default();
        hide.apply(role, "args", &mut args);
        Self {
            expression: says.schedule.expression.as_str().to_owned(),
            zone: says.schedule.zone.as_str().to_owned(),
            misfire: String::from(says.misfire),
            overlap: String::from(says.overlap),
            jitter_ms: duration_millis(says.jitter),
            source: match says.source {
                Source::Call => "call",
                Source::File => "file",
            }
            .to_owned(),
            function_name: job.function_name.to_string(),
            args,
            queue: job.queue.to_string(),
            priority: job.priority.to_string(),
            max_retries: job.max_retries,
            tags: job.tags.clone(),
            job_name: job.name.clone(),
            terms: Terms::of(job, role, hide),
        }
    }
}

/// A cron entry to be made or changed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CronRequest {
    /// Five or six fields, or a nickname such as `@daily`.
    #[schema(min_length = 1, max_length = 256, example = "0 3 * * *")]
    pub expression: String,
    /// IANA time zone; UTC unless set.
    #[schema(example = "Europe/Berlin")]
    pub zone: Option<String>,
    /// The job of each tick; without an id, a due time and parents.
    pub job: JobRequest,
    /// What becomes of missed ticks: `skip`, `once` (unless set), `all` or `all:N`.
    pub misfire: Option<String>,
    /// What a tick does while the last job has not ended: `allow` (unless set), `skip` or `cancel-previous`.
    pub overlap: Option<String>,
    /// Each job is due up to this much after its tick.
    #[schema(maximum = 86_400_000)]
    pub jitter_ms: Option<u64>,
}

impl CronRequest {
    /// The checked definition.
    ///
    /// # Errors
    /// Every problem of every field.
    pub(crate) fn read(&self, created_by: &str) -> Result<Definition, Vec<String>> {
        let mut problems = Vec::new();
        let expression = keep(Expression::parse(&self.expression), &mut problems);
        let zone = keep(
            self.zone.as_deref().map_or(Ok(Zone::UTC), Zone::parse),
            &mut problems,
        );
        let misfire = keep(policy(self.misfire.as_ref()), &mut problems);
        let overlap = keep(policy(self.overlap.as_ref()), &mut problems);
        let job = match self.job.to_spec(created_by) {
            Ok(spec) => Template::new(&spec)
                .map_err(|invalid| problems.extend(invalid.problems))
                .ok(),
            Err(found) => {
                problems.extend(found.iter().map(|problem| format!("job.{problem}")));
                None
            }
        };
        let (Some(expression), Some(zone), Some(job)) = (expression, zone, job) else {
            return Err(problems);
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Definition {
            schedule: Schedule { expression, zone },
            job,
            misfire: misfire.unwrap_or_default(),
            overlap: overlap.unwrap_or_default(),
            jitter: Duration::from_millis(self.jitter_ms.unwrap_or(0)),
            source: Source::Call,
        })
    }
}

fn policy<T: Default + TryFrom<String>>(text: Option<&String>) -> Result<T, T::Error> {
    text.map_or(Ok(T::default()), |text| T::try_from(text.clone()))
}

fn keep<T, E: std::fmt::Display>(result: Result<T, E>, problems: &mut Vec<String>) -> Option<T> {
    result.map_err(|error| problems.push(error.to_string())).ok()
}

/// Which ticks are wanted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewRequest {
    /// The expression.
    #[schema(min_length = 1, max_length = 256)]
    pub expression: String,
    /// IANA time zone; UTC unless set.
    pub zone: Option<String>,
    /// How many ticks; 5 unless set.
    #[schema(minimum = 1, maximum = 100)]
    pub count: Option<u32>,
    /// After which time; now unless set.
    pub after_ms: Option<u64>,
}

/// The next ticks of an expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    /// The next ticks.
    pub ticks: Vec<Tick>,
}

/// A tick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tick {
    /// When.
    pub at_ms: u64,
    /// The same by the clock on the wall of the time zone.
    pub local: String,
}

impl PreviewRequest {
    /// The ticks.
    ///
    /// # Errors
    /// Every problem of every field.
    pub(crate) fn read(&self, now: Timestamp) -> Result<Preview, Vec<String>> {
        let mut problems = Vec::new();
        let expression = keep(Expression::parse(&self.expression), &mut problems);
        let zone = keep(
            self.zone.as_deref().map_or(Ok(Zone::UTC), Zone::parse),
            &mut problems,
        );
        let count = self.count.unwrap_or(5);
        if !(1..=100).contains(&count) {
            problems.push(format!("count: {count} is out of range; use 1 to 100"));
        }
        let (Some(expression), Some(zone), []) = (expression, zone, problems.as_slice()) else {
            return Err(problems);
        };
        let schedule = Schedule { expression, zone };
        let after = self.after_ms.map_or(now, Timestamp);
        let ticks = schedule.ticks(after).take(usize::try_from(count).unwrap_or(1));
        let ticks = ticks.map(|at| Tick {
            at_ms: at.millis(),
            local: zone.show(at),
        });
        Ok(Preview {
            ticks: ticks.collect(),
        })
    }
}
