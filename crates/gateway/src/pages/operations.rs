//! Operations on everything that matched a filter.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use longshore::{JobFilter, Operation, OperationId};
use longshore_core::access::Role;
use serde::Deserialize;

use super::frame::{Frame, Page};
use super::part::{Bar, When, percentage};
use super::{html, see, text};
use crate::acts;
use crate::auth::Posted;
use crate::error::Error;
use crate::extract::Path;
use crate::state::AppState;

/// The page.
#[derive(Debug, Template)]
#[template(path = "operations.html")]
struct Operations {
    frame: Frame,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    id: String,
    verb: &'static str,
    which: String,
    bar: Bar,
    kept: String,
    started: When,
    open: bool,
}

/// Fields of a form that has none of its own.
#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

/// `GET /operations`
pub(super) async fn list(page: Page) -> Result<Response, Error> {
    let frame = page.frame("Operations", "operations").await?;
    let operations = page.state.client().dead_letters().operations().await?;
    let rows = operations
        .iter()
        .map(|operation| shape(operation, &frame))
        .collect();
    html(&Operations { frame, rows })
}

fn shape(operation: &Operation, frame: &Frame) -> Row {
    let total = operation.total;
    let handled = operation.done + operation.kept;
    #[expect(clippy::cast_precision_loss, reason = "a fraction for a bar")]
    let fraction = total.map(|total| {
        if total == 0 {
            1.0
        } else {
            handled as f64 / total as f64
        }
    });
    let of = total.map_or_else(
        || "counting".to_owned(),
        |total| format!("{} of {}", text::count(operation.done), text::count(total)),
    );
    let ended = operation.ended_at.is_some();
    let started = When::since(operation.started_at, frame.now);
    Row {
        id: operation.id.to_string(),
        verb: operation.kind.as_str(),
        which: which(operation),
        bar: Bar {
            job: String::new(),
            kind: if ended { "completed" } else { "running" },
            label: format!("Progress of the {} {}", operation.kind.as_str(), operation.id),
            percent: fraction.map(percentage),
            message: match operation.ended_at {
                Some(at) => format!("{of}, done in {}", text::span(at.since(operation.started_at))),
                None => of,
            },
            far: fraction
                .map(|fraction| format!("{} %", percentage(fraction)))
                .unwrap_or_default(),
            time: fraction.is_none().then_some(started),
            large: false,
        },
        kept: if operation.kept == 0 {
            String::new()
        } else {
            format!("{} stay", text::count(operation.kept))
        },
        started: When::ago(operation.started_at, frame.now),
        open: !ended,
    }
}

/// The filter in words.
fn which(operation: &Operation) -> String {
    if let Some(cancel) = &operation.cancels {
        return which_jobs(&cancel.jobs);
    }
    let filter = &operation.filter;
    let mut words = Vec::new();
    if let Some(function) = &filter.function_name {
        words.push(format!("function {function}"));
    }
    if let Some(queue) = &filter.queue {
        words.push(format!("queue {queue}"));
    }
    if !filter.tags.is_empty() {
        words.push(format!("tags {}", filter.tags.join(", ")));
    }
    if let Some(fingerprint) = &filter.fingerprint {
        words.push(format!("errors like {fingerprint}"));
    }
    if let Some(from) = filter.died_from {
        words.push(format!("died from {} UTC", text::stamp(from)));
    }
    if let Some(until) = filter.died_until {
        words.push(format!("died before {} UTC", text::stamp(until)));
    }
    if words.is_empty() {
        "every dead letter".to_owned()
    } else {
        words.join(", ")
    }
}

fn which_jobs(filter: &JobFilter) -> String {
    let mut words: Vec<String> = Vec::new();
    if !filter.statuses.is_empty() {
        let statuses: Vec<_> = filter.statuses.iter().map(ToString::to_string).collect();
        words.push(format!("status {}", statuses.join(" or ")));
    }
    words.extend(
        filter
            .function_name
            .as_ref()
            .map(|function| format!("function {function}")),
    );
    words.extend(filter.queue.as_ref().map(|queue| format!("queue {queue}")));
    if !filter.tags.is_empty() {
        words.push(format!("tags {}", filter.tags.join(", ")));
    }
    words.extend(
        filter
            .created_from
            .map(|from| format!("enqueued from {} UTC", text::stamp(from))),
    );
    words.extend(
        filter
            .created_until
            .map(|until| format!("enqueued before {} UTC", text::stamp(until))),
    );
    if words.is_empty() {
        "every job that had not ended".to_owned()
    } else {
        words.join(", ")
    }
}

/// `POST /operations/{id}/resume`
pub(super) async fn resume(
    State(state): State<AppState>,
    Path(id): Path<String>,
    posted: Posted<Nothing>,
) -> Result<Response, Error> {
    posted.session.require(Role::Operator)?;
    let known: OperationId = id.parse().map_err(|_| super::dead::unknown_operation(&id))?;
    if acts::resume_bulk(&state, &posted.session, known).await?.is_none() {
        return Err(super::dead::unknown_operation(&id));
    }
    Ok(see(&state, "/operations?done=operation"))
}
