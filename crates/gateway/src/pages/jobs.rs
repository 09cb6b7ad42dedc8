//! The list of jobs.

use askama::Template;
use axum::response::{IntoResponse as _, Redirect, Response};
use longshore::{Cursor, JobStatus, JobView};
use longshore_core::limits::LIST_PAGE_MAX;

use super::filter::{Asked, has_text};
use super::frame::{Frame, Page};
use super::row::Row;
use super::{html, text};
use crate::error::Error;
use crate::extract::Query;

/// Jobs of a page.
const SHOWN: usize = 50;
/// Records that one page looks at while it searches.
const LOOKED_AT: usize = 5_000;

/// The page.
#[derive(Debug, Template)]
#[template(path = "jobs.html")]
struct Jobs {
    frame: Frame,
    asked: Asked,
    problems: Vec<String>,
    tabs: Vec<Tab>,
    rows: Vec<Row>,
    next: Option<String>,
    /// Whether the page ends before all of the records that match were looked for.
    looked_on: bool,
    functions: Vec<String>,
    queues: Vec<String>,
    bulk: Option<String>,
}

#[derive(Debug)]
struct Tab {
    word: &'static str,
    count: String,
    href: String,
    current: bool,
}

/// `GET /jobs`
pub(super) async fn list(page: Page, Query(asked): Query<Asked>) -> Result<Response, Error> {
    let state = &page.state;
    if let Some(id) = asked.named()
        && state.client().summary(id).await?.is_some()
    {
        return Ok(Redirect::to(&state.href(&format!("/jobs/{id}"))).into_response());
    }
    let mut frame = page.frame("Jobs", "jobs").await?;
    frame.search.clone_from(&asked.text);
    let (filter, problems) = asked.jobs();
    let found = if problems.is_empty() {
        find(&page, &asked, &filter).await?
    } else {
        Found::default()
    };
    let queues = state.client().queues().await?;
    let functions = super::enqueue::functions(&page).await?;
    let counted = queues
        .iter()
        .filter(|(name, _)| filter.queue.as_ref().is_none_or(|queue| queue == *name));
    let count = |status: Option<JobStatus>| {
        let counts = counted.clone().flat_map(|(_, queue)| &queue.counts);
        let wanted = counts.filter(|(found, _)| status.is_none_or(|status| status == **found));
        text::count(wanted.map(|(_, count)| count).sum())
    };
    let tab = |word: &'static str, status: Option<JobStatus>| Tab {
        word,
        count: count(status),
        href: state.href(&format!(
            "/jobs{}",
            asked.with_status(status.map_or("", JobStatus::as_str))
        )),
        current: asked.status == status.map_or("", JobStatus::as_str),
    };
    let tabs = std::iter::once(tab("all", None))
        .chain(JobStatus::ALL.map(|status| tab(status.as_str(), Some(status))));
    let rows: Vec<Row> = found.jobs.iter().map(|job| Row::of(job, &frame)).collect();
    let stoppable = filter.statuses.is_empty() || filter.statuses.iter().any(|status| !status.is_terminal());
    let bulk = (frame.can_operate() && stoppable && !rows.is_empty())
        .then(|| frame.href(&format!("/jobs/cancel{}", asked.query())));
    html(&Jobs {
        tabs: tabs.collect(),
        next: found
            .next
            .map(|cursor| frame.href(&format!("/jobs{}", asked.from(cursor)))),
        looked_on: found.looked_on,
        queues: queues.keys().map(ToString::to_string).collect(),
        frame,
        asked,
        problems,
        rows,
        functions,
        bulk,
    })
}

#[derive(Debug, Default)]
struct Found {
    jobs: Vec<JobView>,
    next: Option<Cursor>,
    looked_on: bool,
}

/// One page of jobs that match. A text, or a rare tag, may need a look at many records: that is bounded, and the next
/// page goes on from there.
async fn find(page: &Page, asked: &Asked, filter: &longshore::JobFilter) -> Result<Found, Error> {
    let needle = asked.needle();
    let mut found = Found {
        next: asked.cursor(),
        ..Found::default()
    };
    let at_once = if needle.is_some() { LIST_PAGE_MAX } else { SHOWN };
    for _ in 0..(LOOKED_AT / at_once) {
        let list = page
            .state
            .client()
            .list(filter)
            .after(found.next)
            .limit(at_once)
            .await?;
        found.next = list.next;
        for job in list.jobs.into_iter().map(|job| super::hidden::seen(page, job)) {
            if needle.as_deref().is_some_and(|needle| !has_text(&job, needle)) {
                continue;
            }
            if found.jobs.len() == SHOWN {
                found.next = found.jobs.last().map(|job| Cursor {
                    created_at: job.created_at,
                    id: job.id,
                });
                return Ok(found);
            }
            found.jobs.push(job);
        }
        if found.next.is_none() || found.jobs.len() >= SHOWN {
            return Ok(found);
        }
    }
    found.looked_on = true;
    Ok(found)
}
