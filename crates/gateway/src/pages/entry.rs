//! The form of a cron entry, with a preview of its next ticks.

use askama::Template;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use longshore::cron::{CronName, CronView, Definition, Expression, Misfire, Over, Overlap, Schedule, Zone};
use longshore::{Priority, QueueName, value};
use longshore_core::access::Role;
use longshore_core::{FunctionName, JobSpec};
use serde::Deserialize;

use super::frame::{Frame, Page};
use super::part::When;
use super::{html, see};
use crate::acts;
use crate::auth::Posted;
use crate::error::{Error, ErrorCode};
use crate::extract::{Path, Query};

/// Ticks that the preview shows.
const TICKS: usize = 6;

/// The fields of the form.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    name: String,
    expression: String,
    zone: String,
    function: String,
    args: String,
    queue: String,
    priority: String,
    misfire: String,
    overlap: String,
    /// The version that is written over; empty for a new entry.
    version: String,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            name: String::new(),
            expression: "0 3 * * *".to_owned(),
            zone: "UTC".to_owned(),
            function: String::new(),
            args: "{}".to_owned(),
            queue: "default".to_owned(),
            priority: "normal".to_owned(),
            misfire: "once".to_owned(),
            overlap: "allow".to_owned(),
            version: String::new(),
        }
    }
}

/// What is previewed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    expression: String,
    zone: String,
}

#[derive(Debug, Template)]
#[template(path = "entry.html")]
struct Form {
    frame: Frame,
    fields: Fields,
    functions: Vec<String>,
    problems: Vec<String>,
    preview: Preview,
    /// Whether it may be changed here.
    editable: bool,
}

/// The next ticks, or what is wrong with the expression.
#[derive(Debug, Template)]
#[template(path = "part/preview.html")]
struct Preview {
    problem: String,
    ticks: Vec<(String, When)>,
}

impl askama::filters::HtmlSafe for Preview {}

impl Preview {
    fn of(expression: &str, zone: &str, now: longshore_core::Timestamp) -> Self {
        match schedule(expression, zone) {
            Ok(schedule) => {
                let ticks = super::cron::ticks(&schedule, now, TICKS);
                let problem = if ticks.is_empty() {
                    "It never ticks.".to_owned()
                } else {
                    String::new()
                };
                Self { problem, ticks }
            }
            Err(problem) => Self {
                problem,
                ticks: Vec::new(),
            },
        }
    }
}

fn schedule(expression: &str, zone: &str) -> Result<Schedule, String> {
    Ok(Schedule {
        expression: Expression::parse(expression.trim()).map_err(|error| error.to_string())?,
        zone: Zone::parse(zone.trim()).map_err(|error| error.to_string())?,
    })
}

/// `GET /cron/preview`
pub(super) async fn preview(page: Page, Query(asked): Query<Asked>) -> Result<Response, Error> {
    let preview = Preview::of(&asked.expression, &asked.zone, page.state.now());
    Ok(axum::response::Html(preview.to_string()).into_response())
}

/// `GET /cron/new`
pub(super) async fn new(page: Page) -> Result<Response, Error> {
    page.session.require(Role::Operator)?;
    form(&page, "Add an entry", Fields::default(), Vec::new(), true).await
}

/// `GET /cron/{name}`
pub(super) async fn edit(page: Page, Path(name): Path<String>) -> Result<Response, Error> {
    let entry = page.state.client().cron().get(&name).await?;
    let entry = entry.ok_or_else(|| Error::not_found(format!("no entry is called {name}")))?;
    let Ok(definition) = &entry.definition else {
        return Err(Error::conflict(
            "a newer build wrote this entry; upgrade the gateway",
        ));
    };
    let ours = definition.source == longshore::cron::Source::Call;
    let job = definition.job.envelope();
    // Whoever does not see all of them would write over what they do not see.
    let (args, covered) = super::hidden::editable(&page, &job.args).unwrap_or_default();
    let editable = ours && !covered && page.session.role >= Role::Operator;
    form(
        &page,
        &name,
        fields(&entry, definition, args),
        Vec::new(),
        editable,
    )
    .await
}

fn fields(entry: &CronView, definition: &Definition, args: String) -> Fields {
    let job = definition.job.envelope();
    Fields {
        name: entry.name.to_string(),
        expression: definition.schedule.expression.as_str().to_owned(),
        zone: definition.schedule.zone.as_str().to_owned(),
        function: job.function_name.to_string(),
        args,
        queue: job.queue.to_string(),
        priority: job.priority.to_string(),
        misfire: definition.misfire.to_string(),
        overlap: definition.overlap.to_string(),
        version: entry.version.to_string(),
    }
}

async fn form(
    page: &Page,
    title: &str,
    fields: Fields,
    problems: Vec<String>,
    editable: bool,
) -> Result<Response, Error> {
    let frame = page.frame(title, "cron").await?;
    html(&Form {
        preview: Preview::of(&fields.expression, &fields.zone, frame.now),
        functions: super::enqueue::functions(page).await?,
        frame,
        fields,
        problems,
        editable,
    })
}

/// `POST /cron`
pub(super) async fn save(page: Page, posted: Posted<Fields>) -> Result<Response, Error> {
    posted.session.require(Role::Operator)?;
    let fields = posted.form;
    let known = match page.state.client().cron().get(&fields.name).await {
        Ok(known) if !fields.version.is_empty() => known.and_then(|entry| entry.definition.ok()),
        _ => None,
    };
    let saved = match read(&fields, known.as_ref()) {
        Ok((name, definition, over)) => {
            acts::put_cron(&page.state, &posted.session, &name, &definition, over)
                .await
                .map(|_| ())
        }
        Err(problems) => Err(Error::invalid(problems)),
    };
    match saved {
        Ok(()) => Ok(see(&page.state, "/cron?done=entry-saved")),
        Err(error)
            if matches!(
                error.code,
                ErrorCode::Invalid | ErrorCode::Conflict | ErrorCode::PreconditionFailed
            ) =>
        {
            let problems = if error.problems.is_empty() {
                vec![error.detail]
            } else {
                error.problems
            };
            form(&page, "Cron entry", fields, problems, true).await
        }
        Err(error) => Err(error),
    }
}

/// Reads the form. What it does not show stays as it was in the entry that is changed.
fn read(fields: &Fields, known: Option<&Definition>) -> Result<(CronName, Definition, Over), Vec<String>> {
    let mut problems = Vec::new();
    let mut keep = |problem: String| problems.push(problem);
    let name = CronName::new(&fields.name)
        .map_err(|error| keep(error.to_string()))
        .ok();
    let schedule = schedule(&fields.expression, &fields.zone).map_err(&mut keep).ok();
    let misfire = fields
        .misfire
        .parse::<Misfire>()
        .map_err(|error| keep(error.to_string()))
        .ok();
    let overlap = fields
        .overlap
        .parse::<Overlap>()
        .map_err(|error| keep(error.to_string()))
        .ok();
    let job = spec(fields, known)
        .map_err(|found| found.into_iter().for_each(&mut keep))
        .ok();
    let over = if fields.version.is_empty() {
        Some(0)
    } else {
        fields.version.parse().ok()
    };
    let (Some(name), Some(schedule), Some(misfire), Some(overlap), Some(job)) =
        (name, schedule, misfire, overlap, job)
    else {
        return Err(problems);
    };
    let mut definition = Definition::new(schedule, &job).map_err(|invalid| invalid.problems)?;
    definition.misfire = misfire;
    definition.overlap = overlap;
    definition.jitter = known.map(|known| known.jitter).unwrap_or_default();
    let over = match over {
        Some(0) => Over::Nothing,
        Some(version) => Over::Version(version),
        None => return Err(vec!["version: is none; load the entry again".to_owned()]),
    };
    Ok((name, definition, over))
}

fn spec(fields: &Fields, known: Option<&Definition>) -> Result<JobSpec, Vec<String>> {
    let mut problems = Vec::new();
    let mut keep = |problem: String| problems.push(problem);
    let function = FunctionName::new(fields.function.trim())
        .map_err(|error| keep(error.to_string()))
        .ok();
    let queue = QueueName::new(fields.queue.trim())
        .map_err(|error| keep(error.to_string()))
        .ok();
    let priority = fields
        .priority
        .parse::<Priority>()
        .map_err(|error| keep(error.to_string()))
        .ok();
    let args = encoded(&fields.args).map_err(&mut keep).ok();
    let (Some(function), Some(queue), Some(priority), Some(args)) = (function, queue, priority, args) else {
        return Err(problems);
    };
    let mut spec = JobSpec::new(function, args);
    if let Some(job) = known.map(|known| known.job.envelope()) {
        spec.name.clone_from(&job.name);
        spec.max_retries = job.max_retries;
        spec.retry_delay = std::time::Duration::from_millis(job.retry_delay_ms);
        spec.retry_backoff = job.retry_backoff;
        spec.retry_jitter = job.retry_jitter;
        spec.retry_delay_max = std::time::Duration::from_millis(job.retry_delay_max_ms);
        spec.timeout = job.timeout();
        spec.tags = job.tags.iter().cloned().collect();
        spec.metadata.clone_from(&job.metadata);
        spec.created_by.clone_from(&job.created_by);
        spec.expires_in = job.expires_at.map(|at| at.since(longshore_core::Timestamp::ZERO));
        spec.fencing = job.fencing;
        spec.on_lost_record = job.on_lost_record;
    }
    spec.queue = queue;
    spec.priority = priority;
    Ok(spec)
}

/// Arguments that were typed as JSON.
pub(super) fn encoded(args: &str) -> Result<Bytes, String> {
    let text = if args.trim().is_empty() { "null" } else { args };
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("args: not JSON: {error}"))?;
    value::encode("args", &value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_of_a_form_is_told_at_once() {
        let fields = Fields {
            name: "no name!".to_owned(),
            expression: "61 * * * *".to_owned(),
            function: String::new(),
            args: "{".to_owned(),
            priority: "urgent".to_owned(),
            ..Fields::default()
        };
        assert_eq!(read(&fields, None).unwrap_err().len(), 5);
    }

    #[test]
    fn what_the_form_does_not_show_stays() {
        let fields = Fields {
            name: "nightly".to_owned(),
            function: "report".to_owned(),
            version: "7".to_owned(),
            ..Fields::default()
        };
        let mut job = JobSpec::new(FunctionName::new("report").unwrap(), Bytes::from_static(&[0xc0]));
        job.max_retries = 9;
        let mut known = Definition::new(schedule("0 1 * * *", "UTC").unwrap(), &job).unwrap();
        known.jitter = std::time::Duration::from_secs(5);
        let (_, read, over) = read(&fields, Some(&known)).unwrap();
        assert_eq!(read.job.envelope().max_retries, 9);
        assert_eq!(read.jitter, known.jitter);
        assert_eq!(over, Over::Version(7));
    }

    #[test]
    fn the_preview_shows_ticks_or_the_problem() {
        let good = Preview::of("0 3 * * *", "Europe/Berlin", longshore_core::Timestamp(0)).to_string();
        assert!(good.contains("1970-01-01 03:00 +01:00"), "{good}");
        let bad = Preview::of("<b>", "UTC", longshore_core::Timestamp(0)).to_string();
        assert!(!bad.contains("<b>"), "{bad}");
    }
}
