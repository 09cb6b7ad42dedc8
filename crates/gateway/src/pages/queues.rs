//! Queues: how long, how old, paused or not.

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use longshore::{JobStatus, Priority, QueueName, QueueView};
use longshore_core::access::Role;
use longshore_core::port::broker::Depth;

use super::confirm::Confirm;
use super::frame::{Frame, Page};
use super::operations::Nothing;
use super::part::{Status, Urgency, When};
use super::{html, see, text};
use crate::acts;
use crate::auth::Posted;
use crate::error::{Error, ErrorCode};
use crate::extract::Path;
use crate::state::AppState;

/// How long the broker may take to say what waits in it.
const BROKER_PATIENCE: Duration = Duration::from_secs(2);

/// The page.
#[derive(Debug, Template)]
#[template(path = "queues.html")]
struct Queues {
    frame: Frame,
    rows: Vec<Row>,
}

/// A queue.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) href: String,
    path: String,
    pub(super) paused: bool,
    pub(super) queued: String,
    /// Since when the oldest job waits; `None` when none does, or that is not known.
    pub(super) oldest: Option<When>,
    counts: Vec<(Status, String, String)>,
    /// What waits in the broker, by priority.
    ready: Vec<(Urgency, String)>,
    consumers: String,
    /// The part of the fullest queue that waits here, as a percentage.
    pub(super) share: String,
}

/// `GET /queues`
pub(super) async fn list(page: Page) -> Result<Response, Error> {
    let frame = page.frame("Queues", "queues").await?;
    let queues = page.state.client().queues().await?;
    let depths = depths(&page.state, queues.keys().cloned().collect()).await;
    let oldest = super::overview::oldest(&page.state).await?;
    let rows = rows(&frame, &queues, &depths, &oldest);
    html(&Queues { frame, rows })
}

/// What the broker says, as far as it answers in time.
async fn depths(state: &AppState, queues: Vec<QueueName>) -> Vec<Depth> {
    let asked = state.ports().consume.depths(queues);
    match tokio::time::timeout(BROKER_PATIENCE, asked).await {
        Ok(Ok(depths)) => depths,
        _ => Vec::new(),
    }
}

pub(super) fn rows(
    frame: &Frame,
    queues: &BTreeMap<QueueName, QueueView>,
    depths: &[Depth],
    oldest: &BTreeMap<QueueName, longshore_core::Timestamp>,
) -> Vec<Row> {
    let fullest = queues.values().map(QueueView::size).max().unwrap_or(0).max(1);
    let row = |(name, queue): (&QueueName, &QueueView)| {
        let mine = || depths.iter().filter(|depth| depth.queue == *name);
        let counts = queue.counts.iter().filter(|(_, count)| **count > 0);
        #[expect(clippy::cast_precision_loss, reason = "a share for a bar")]
        let share = queue.size() as f64 / fullest as f64;
        Row {
            name: name.to_string(),
            href: frame.href(&format!("/jobs?{}", super::filter::pair("queue", name.as_str()))),
            path: frame.href(&format!("/queues/{}", super::filter::step(name.as_str()))),
            paused: queue.paused,
            queued: text::count(queue.size()),
            oldest: oldest.get(name).map(|at| When::since(*at, frame.now)),
            counts: counts
                .map(|(status, count)| {
                    let query = format!("{}&status={status}", super::filter::pair("queue", name.as_str()));
                    (
                        Status::from(*status),
                        text::count(*count),
                        frame.href(&format!("/jobs?{query}")),
                    )
                })
                .collect(),
            ready: Priority::DESCENDING
                .into_iter()
                .filter_map(|priority| {
                    let ready = mine().find(|depth| depth.priority == Some(priority))?.ready;
                    Some((priority.into(), text::count(ready)))
                })
                .collect(),
            consumers: mine()
                .map(|depth| depth.consumers)
                .max()
                .map(|count| text::plural(count, "consumer", "consumers"))
                .unwrap_or_default(),
            share: super::part::percentage(share),
        }
    };
    queues.iter().map(row).collect()
}

/// `GET /queues/{name}/{change}`: asks before a pause, because whatever waits stays waiting.
pub(super) async fn ask(page: Page, Path((name, change)): Path<(String, String)>) -> Result<Response, Error> {
    page.session.require(Role::Operator)?;
    let queue = QueueName::new(&name).map_err(|error| Error::new(ErrorCode::Invalid, error.to_string()))?;
    let queues = page.state.client().queues().await?;
    let view = queues.get(&queue).cloned().unwrap_or_default();
    let waiting = text::plural(view.size(), "job waits", "jobs wait");
    let running = view.counts.get(&JobStatus::Running).copied().unwrap_or(0);
    let pauses = is_pause(&change)?;
    Confirm {
        frame: page.frame("Queue", "queues").await?,
        question: if pauses {
            format!("Pause {queue}?")
        } else {
            format!("Resume {queue}?")
        },
        meaning: if pauses {
            format!(
                "No job of it starts until it is resumed, even if every process is restarted. {} on.",
                text::plural(running, "running job goes", "running jobs go")
            )
        } else {
            "Its jobs start again.".to_owned()
        },
        facts: vec![("now", waiting)],
        action: page
            .state
            .href(&format!("/queues/{}/{change}", super::filter::step(&name))),
        fields: Vec::new(),
        asks_reason: false,
        button: if pauses {
            "Pause the queue".to_owned()
        } else {
            "Resume the queue".to_owned()
        },
        destroys: false,
        back: page.state.href("/queues"),
    }
    .answer()
}

/// `POST /queues/{name}/{change}`
pub(super) async fn change(
    State(state): State<AppState>,
    Path((name, change)): Path<(String, String)>,
    posted: Posted<Nothing>,
) -> Result<Response, Error> {
    posted.session.require(Role::Operator)?;
    let pauses = is_pause(&change)?;
    acts::set_paused(&state, &posted.session, &name, pauses).await?;
    Ok(see(
        &state,
        if pauses {
            "/queues?done=paused"
        } else {
            "/queues?done=resumed"
        },
    ))
}

fn is_pause(change: &str) -> Result<bool, Error> {
    match change {
        "pause" => Ok(true),
        "resume" => Ok(false),
        _ => Err(Error::not_found("there is nothing under this address")),
    }
}
