//! Live workers, their slots and what they run.

use std::collections::HashMap;

use askama::Template;
use axum::response::Response;
use futures_util::future::join_all;
use longshore::{JobId, JobStatus, WorkerView};

use super::frame::{Frame, Page};
use super::part::{Bar, When, percentage};
use super::{html, text};
use crate::error::Error;

/// Jobs of a worker that are shown.
const RUNNING: usize = 12;
/// Jobs whose names are looked up for one page; others are shown by the end of their ids.
const NAMED: usize = 240;

/// The page.
#[derive(Debug, Template)]
#[template(path = "workers.html")]
struct Workers {
    frame: Frame,
    rows: Vec<Row>,
    slots: String,
}

#[derive(Debug)]
struct Row {
    id: String,
    host: String,
    version: String,
    slots: Bar,
    draining: bool,
    functions: Vec<(String, String)>,
    queues: String,
    running: Vec<(String, String)>,
    started: When,
    seen: When,
}

/// `GET /workers`
pub(super) async fn list(page: Page) -> Result<Response, Error> {
    let frame = page.frame("Workers", "workers").await?;
    let workers = page.state.client().workers().await?;
    let slots: u32 = workers.iter().map(|worker| worker.slots).sum();
    let busy: u32 = workers.iter().map(|worker| worker.busy).sum();
    let names = names(&page, &workers).await?;
    html(&Workers {
        rows: workers
            .iter()
            .map(|worker| shape(&frame, worker, &names))
            .collect(),
        slots: format!(
            "{} of {} busy",
            text::count(busy.into()),
            text::plural(slots.into(), "slot", "slots")
        ),
        frame,
    })
}

/// The names of jobs; none for one that has ended since the worker's last beat.
type Names = HashMap<JobId, Option<String>>;

async fn names(page: &Page, workers: &[WorkerView]) -> Result<Names, Error> {
    let shown = workers
        .iter()
        .flat_map(|worker| worker.running.iter().take(RUNNING));
    let ids: Vec<JobId> = shown.take(NAMED).copied().collect();
    let found = join_all(ids.iter().map(|id| page.state.client().summary(*id))).await;
    let named = ids.into_iter().zip(found).map(|(id, job)| {
        let runs = job?.filter(|job| job.status == JobStatus::Running);
        Ok((id, runs.map(|job| job.name)))
    });
    named.collect()
}

fn running(frame: &Frame, worker: &WorkerView, names: &Names) -> Vec<(String, String)> {
    let shown = worker.running.iter().take(RUNNING);
    let named = shown.filter_map(|id| {
        let name = match names.get(id) {
            Some(name) => text::cut(name.as_ref()?, 40),
            None => end_of(&id.to_string()),
        };
        Some((name, frame.href(&format!("/jobs/{id}"))))
    });
    named.collect()
}

fn shape(frame: &Frame, worker: &WorkerView, names: &Names) -> Row {
    let percent = percentage(f64::from(worker.busy) / f64::from(worker.slots.max(1)));
    Row {
        id: worker.id.to_string(),
        host: format!("{}, process {}", worker.host, worker.pid),
        version: worker.version.clone(),
        slots: Bar {
            job: String::new(),
            kind: "running",
            label: format!("Slots of {} in use", worker.id),
            message: format!(
                "{} of {} busy",
                worker.busy,
                text::plural(worker.slots.into(), "slot", "slots")
            ),
            far: format!("{percent} %"),
            percent: Some(percent),
            time: None,
            large: false,
        },
        draining: worker.draining,
        functions: worker
            .functions
            .iter()
            .map(|name| {
                let query = super::filter::pair("function", name.as_str());
                (name.to_string(), frame.href(&format!("/jobs?{query}")))
            })
            .collect(),
        queues: worker
            .queues
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
        running: running(frame, worker, names),
        started: When::ago(worker.started_at, frame.now),
        seen: When::ago(worker.seen_at, frame.now),
    }
}

/// The end of an id: jobs of one moment begin alike.
fn end_of(id: &str) -> String {
    format!("…{}", id.get(28..).unwrap_or(id))
}
