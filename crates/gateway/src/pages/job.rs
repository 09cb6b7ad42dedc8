//! One job.

use std::time::Duration;

use askama::Template;
use axum::response::Response;
use longshore::{JobId, JobStatus, JobView};
use longshore_core::Envelope;
use longshore_core::telemetry::context;

use super::frame::{Frame, Page};
use super::graph::Graph;
use super::history::{Moment, moments};
use super::log::Log;
use super::part::{Bar, Status, Urgency, When};
use super::sentence::{Piece, pieces};
use super::{family, html, text};
use crate::error::Error;
use crate::extract::Path;
use crate::trace_url::TraceUrl;

/// The page.
#[derive(Debug, Template)]
#[template(path = "job.html")]
struct JobPage {
    frame: Frame,
    id: String,
    name: String,
    status: Status,
    bar: Bar,
    facts: Vec<Fact>,
    tags: Vec<(String, String)>,
    fields: Vec<(String, String)>,
    error: Option<Problem>,
    args: Option<String>,
    metadata: Option<String>,
    result: Option<String>,
    moments: Vec<Moment>,
    why: Vec<Obstacle>,
    graph: Option<Graph>,
    log: Log,
    can: Can,
}

/// A line of what is known.
#[derive(Debug)]
struct Fact {
    name: &'static str,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Text(String),
    Mono(String),
    Link {
        text: String,
        href: String,
    },
    /// On another site.
    Elsewhere {
        text: String,
        href: String,
    },
    Urgency(Urgency),
    When(When),
}

#[derive(Debug)]
struct Problem {
    kind: String,
    message: String,
    causes: Vec<String>,
    traceback: Option<String>,
    alike: Option<String>,
}

#[derive(Debug)]
struct Obstacle {
    explanation: Vec<Piece>,
    remedy: Vec<Piece>,
}

/// What may be done with it now, by whoever looks.
#[derive(Debug)]
struct Can {
    cancel: bool,
    repair: bool,
    share: bool,
}

/// `GET /jobs/{id}`
pub(super) async fn show(page: Page, Path(id): Path<JobId>) -> Result<Response, Error> {
    let client = page.state.client();
    let job = client.view(id).await?;
    let job =
        job.ok_or_else(|| Error::not_found(format!("no job has the id {id}, or its retention is over")))?;
    // What a role may not see of an error counts for the group all the same.
    let fingerprint = longshore::Fingerprint::of(job.error.as_ref());
    let job = super::hidden::seen(&page, job);
    let frame = page.frame(job.name.clone(), "jobs").await?;
    let full = job.full.clone().unwrap_or_default();
    let envelope = Envelope::decode(&full.envelope).ok();
    let why = if job.status.is_terminal() || job.status == JobStatus::Running {
        Vec::new()
    } else {
        obstacles(&page, &client.why(id).await?)?
    };
    let can = Can {
        cancel: frame.can_produce() && !job.status.is_terminal() && job.cancel_reason.is_none(),
        repair: frame.can_operate() && job.status == JobStatus::Failed,
        share: frame.can_produce(),
    };
    html(&JobPage {
        id: id.to_string(),
        name: job.name.clone(),
        status: job.status.into(),
        bar: frame.bar(&job).large(&job),
        facts: facts(&page, &frame, &job, envelope.as_ref()),
        tags: job
            .tags
            .iter()
            .map(|tag| {
                (
                    tag.clone(),
                    frame.href(&format!("/jobs?{}", super::filter::pair("tag", tag))),
                )
            })
            .collect(),
        fields: job
            .progress
            .fields
            .iter()
            .map(|(name, value)| (name.clone(), plain(value)))
            .collect(),
        error: problem(&frame, &job, fingerprint),
        args: envelope
            .as_ref()
            .and_then(|envelope| super::hidden::json(&page, "args", &envelope.args)),
        metadata: envelope
            .as_ref()
            .filter(|envelope| !envelope.metadata.is_empty())
            .and_then(|envelope| {
                let metadata = envelope.metadata.clone().into_iter().collect();
                super::hidden::shown(&page, "metadata", serde_json::Value::Object(metadata))
            }),
        result: full
            .result
            .as_ref()
            .and_then(|result| super::hidden::json(&page, "result", result)),
        moments: moments(&job, &full, envelope.as_ref(), frame.now),
        why,
        log: Log::of(&page, id, &job).await?,
        graph: family::graph(&page.state, &job, envelope.as_ref()).await?,
        can,
        frame,
    })
}

/// What holds a job, without what the role may not see of its last error.
fn obstacles(page: &Page, why: &impl serde::Serialize) -> Result<Vec<Obstacle>, Error> {
    let mut why = serde_json::to_value(why).map_err(Error::internal)?;
    page.state.hide().why(page.session.role, &mut why);
    let found = why.get("obstacles").and_then(serde_json::Value::as_array);
    let told = |obstacle: &serde_json::Value, field: &str| obstacle.get(field).map(plain).unwrap_or_default();
    Ok(found
        .into_iter()
        .flatten()
        .map(|obstacle| Obstacle {
            explanation: pieces(&told(obstacle, "explanation"), |path| page.state.href(path)),
            remedy: pieces(&told(obstacle, "remedy"), |path| page.state.href(path)),
        })
        .collect())
}

fn facts(page: &Page, frame: &Frame, job: &JobView, envelope: Option<&Envelope>) -> Vec<Fact> {
    let link = |path: &str, name: &str, value: &str| Value::Link {
        text: value.to_owned(),
        href: frame.href(&format!("{path}?{}", super::filter::pair(name, value))),
    };
    let mut facts = Vec::new();
    let mut fact = |name, value| facts.push(Fact { name, value });
    fact("function", link("/jobs", "function", job.function_name.as_str()));
    fact("queue", link("/jobs", "queue", job.queue.as_str()));
    fact("priority", Value::Urgency(job.priority.into()));
    fact("enqueued", Value::When(When::ago(job.created_at, frame.now)));
    if let Some(at) = job.run_at.filter(|_| !job.status.is_terminal()) {
        fact("due", Value::When(When::due(at, frame.now)));
    }
    if let Some(time) = wait(job) {
        fact("waited", Value::Text(text::span(time)));
    }
    if let Some(time) = super::part::ran(job) {
        fact("ran", Value::Text(text::span(time)));
    }
    fact("attempts", Value::Text(attempts(job, envelope)));
    if let Some(worker) = &job.worker {
        fact("worker", Value::Mono(worker.to_string()));
    }
    if let Some(reason) = &job.cancel_reason {
        fact("cancelled", Value::Text(reason.clone()));
    }
    for (name, value) in envelope.map(policy).unwrap_or_default() {
        fact(name, Value::Text(value));
    }
    let trace =
        envelope.and_then(|envelope| trace(job.id, envelope, page.state.settings().trace_url.as_ref()));
    if let Some(trace) = trace {
        fact("trace", trace);
    }
    facts
}

/// The trace that it belongs to. A job that nobody traced has one of its own; it is told where traces can be looked at, for
/// only there somebody is likely to have its runs.
fn trace(id: JobId, envelope: &Envelope, url: Option<&TraceUrl>) -> Option<Value> {
    let traceparent = envelope.traceparent.as_deref();
    let text = (traceparent.is_some() || url.is_some()).then(|| context::trace_of(traceparent, id))?;
    Some(match url.and_then(|url| url.of(&text)) {
        Some(href) => Value::Elsewhere { text, href },
        None => Value::Mono(text),
    })
}

/// From when it could first run to the start of its last attempt, for a job that ran once.
fn wait(job: &JobView) -> Option<Duration> {
    let started = job.started_at.filter(|_| job.attempts == 1)?;
    Some(started.since(job.run_at.unwrap_or(job.created_at).max(job.created_at)))
}

fn attempts(job: &JobView, envelope: Option<&Envelope>) -> String {
    let mut parts = vec![job.attempts.to_string()];
    if let Some(envelope) = envelope {
        parts.push(format!(
            "{} of {} retries used",
            job.retries, envelope.max_retries
        ));
    }
    if job.losts > 0 {
        parts.push(format!(
            "{} lost",
            text::plural(job.losts.into(), "worker", "workers")
        ));
    }
    parts.join(", ")
}

/// What its enqueue said, where it is not the default.
fn policy(envelope: &Envelope) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(by) = &envelope.created_by {
        lines.push(("by", by.clone()));
    }
    let delay = Duration::from_millis(envelope.retry_delay_ms);
    lines.push((
        "retry delay",
        format!("{}, × {}", text::span(delay), envelope.retry_backoff),
    ));
    if let Some(timeout) = envelope.timeout() {
        lines.push(("time limit", text::span(timeout)));
    }
    for (name, at) in [("deadline", envelope.deadline), ("expires", envelope.expires_at)] {
        if let Some(at) = at {
            lines.push((name, format!("{} UTC", text::stamp(at))));
        }
    }
    lines
}

fn problem(frame: &Frame, job: &JobView, fingerprint: longshore::Fingerprint) -> Option<Problem> {
    let error = job
        .error
        .as_ref()
        .filter(|_| job.status != JobStatus::Completed)?;
    Some(Problem {
        kind: error.error_type.clone(),
        message: error.message.clone(),
        causes: error.causes.clone(),
        traceback: error.traceback.clone(),
        alike: (job.status == JobStatus::Failed)
            .then(|| frame.href(&format!("/dead?fingerprint={fingerprint}"))),
    })
}

/// A text without its quotes, another value as JSON.
fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
