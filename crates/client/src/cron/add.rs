//! An entry on its way in.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use longshore_core::cron::{
    Definition, Expression, InvalidDefinition, Misfire, Overlap, Schedule, Source, Template, Zone,
};
use longshore_core::name::CronName;

use super::{Cron, CronError, CronView, Over};
use crate::options::{Draft, job_options};

/// A cron entry to be made; by [`Cron::add`]. Set its fields and those of its jobs, then await it for the entry.
///
/// # Errors
/// Awaiting it gives [`CronError`], with every problem of every field at once.
#[derive(Debug)]
#[must_use = "an entry is made when this is awaited"]
pub struct AddCron {
    cron: Cron,
    entry: String,
    expression: String,
    zone: Option<String>,
    draft: Draft,
    misfire: Misfire,
    overlap: Overlap,
    jitter: Duration,
    over: Over,
}

impl AddCron {
    pub(super) fn new(cron: Cron, name: &str, expression: &str, draft: Draft) -> Self {
        Self {
            cron,
            entry: name.to_owned(),
            expression: expression.to_owned(),
            zone: None,
            draft,
            misfire: Misfire::default(),
            overlap: Overlap::default(),
            jitter: Duration::ZERO,
            over: Over::default(),
        }
    }

    /// The time zone of the expression, by its IANA name such as `Europe/Berlin`. Default: UTC.
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// What becomes of ticks that were missed because no scheduler ran. Default: one job stands for all of them.
    pub const fn misfire(mut self, policy: Misfire) -> Self {
        self.misfire = policy;
        self
    }

    /// What a tick does while the last job has not ended. Default: fires all the same.
    pub const fn overlap(mut self, policy: Overlap) -> Self {
        self.overlap = policy;
        self
    }

    /// Each tick's job is due up to this much after the tick, at most a day; always the same for one tick. Default:
    /// zero.
    pub const fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// What may be written over. Default: nothing.
    pub const fn over(mut self, over: Over) -> Self {
        self.over = over;
        self
    }

    fn draft(&mut self) -> &mut Draft {
        &mut self.draft
    }

    job_options!();

    /// The name and the definition, once every field is right.
    fn finish(&self) -> Result<(CronName, Definition), InvalidDefinition> {
        let mut problems = Vec::new();
        let name = keep(CronName::new(&self.entry), &mut problems);
        let expression = keep(Expression::parse(&self.expression), &mut problems);
        let zone = keep(
            self.zone.as_deref().map_or(Ok(Zone::UTC), Zone::parse),
            &mut problems,
        );
        let created_by = self.cron.client.created_by();
        let job = match self.draft.finish(created_by, []) {
            Ok(spec) => Template::new(&spec).map_err(|invalid| problems.extend(invalid.problems)),
            Err(invalid) => {
                problems.extend(invalid.problems);
                Err(())
            }
        };
        let (Some(name), Some(expression), Some(zone), Ok(job)) = (name, expression, zone, job) else {
            return Err(InvalidDefinition { problems });
        };
        let definition = Definition {
            schedule: Schedule { expression, zone },
            job,
            misfire: self.misfire,
            overlap: self.overlap,
            jitter: self.jitter,
            source: Source::Call,
        };
        Ok((name, definition))
    }
}

fn keep<T, E: std::fmt::Display>(result: Result<T, E>, problems: &mut Vec<String>) -> Option<T> {
    result.map_err(|error| problems.push(error.to_string())).ok()
}

impl IntoFuture for AddCron {
    type Output = Result<CronView, CronError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (name, definition) = self.finish()?;
            self.cron.put(&name, &definition, self.over).await?;
            let entry = self.cron.get(&name).await?;
            entry.ok_or(CronError::NotFound(name))
        })
    }
}
