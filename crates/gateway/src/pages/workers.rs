//! Live workers, their slots and what they run.

use askama::Template;
use axum::response::Response;
use longshore::WorkerView;

use super::frame::{Frame, Page};
use super::part::{Bar, When, percentage};
use super::{html, text};
use crate::error::Error;

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
    html(&Workers {
        rows: workers.iter().map(|worker| shape(&frame, worker)).collect(),
        slots: format!(
            "{} of {} busy",
            text::count(busy.into()),
            text::plural(slots.into(), "slot", "slots")
        ),
        frame,
    })
}

fn shape(frame: &Frame, worker: &WorkerView) -> Row {
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
        running: worker
            .running
            .iter()
            .take(12)
            .map(|id| (end_of(&id.to_string()), frame.href(&format!("/jobs/{id}"))))
            .collect(),
        started: When::ago(worker.started_at, frame.now),
        seen: When::ago(worker.seen_at, frame.now),
    }
}

/// The end of an id: jobs of one moment begin alike.
fn end_of(id: &str) -> String {
    format!("…{}", id.get(28..).unwrap_or(id))
}
