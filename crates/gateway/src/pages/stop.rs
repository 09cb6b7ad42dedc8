//! Cancelling every job that matches a filter.

use axum::response::Response;
use longshore::{JobFilter, JobId, JobStatus};
use longshore_core::access::Role;
use longshore_core::limits::LIST_PAGE_MAX;
use serde::Deserialize;

use super::confirm::Confirm;
use super::filter::{Asked, has_text};
use super::frame::Page;
use super::{see, text};
use crate::auth::Posted;
use crate::error::Error;
use crate::extract::Query;

/// Jobs that one confirmation cancels where a text is looked for, which the store cannot; the newest first. What is left is
/// cancelled by the next.
const AT_ONCE: usize = 1_000;
/// Pages that are looked at.
const PAGES: usize = 20;

/// The filter, and why.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    #[serde(flatten)]
    asked: Asked,
    reason: String,
}

/// Jobs that match and have not ended, at most [`AT_ONCE`], and whether there may be more.
async fn matching(page: &Page, asked: &Asked) -> Result<(Vec<JobId>, bool), Error> {
    let (filter, problems) = asked.jobs();
    if !problems.is_empty() {
        return Err(Error::invalid(problems));
    }
    let mut statuses = filter.statuses.clone();
    if statuses.is_empty() {
        statuses = JobStatus::ALL.to_vec();
    }
    statuses.retain(|status| !status.is_terminal());
    if statuses.is_empty() {
        return Ok((Vec::new(), false));
    }
    let filter = JobFilter { statuses, ..filter };
    let needle = asked.needle();
    let (mut ids, mut after) = (Vec::new(), None);
    for _ in 0..PAGES {
        let found = page
            .state
            .client()
            .list(&filter)
            .after(after)
            .limit(LIST_PAGE_MAX)
            .await?;
        let jobs = found.jobs.into_iter().map(|job| super::hidden::seen(page, job));
        let wanted = jobs.filter(|job| needle.as_deref().is_none_or(|needle| has_text(job, needle)));
        ids.extend(wanted.map(|job| job.id));
        after = found.next;
        if after.is_none() || ids.len() >= AT_ONCE {
            break;
        }
    }
    let more = after.is_some() || ids.len() > AT_ONCE;
    ids.truncate(AT_ONCE);
    Ok((ids, more))
}

/// `GET /jobs/cancel`
pub(super) async fn ask(page: Page, Query(asked): Query<Asked>) -> Result<Response, Error> {
    page.session.require(Role::Operator)?;
    let by_text = asked.needle().is_some();
    let (count, more) = if by_text {
        let (ids, more) = matching(&page, &asked).await?;
        (ids.len() as u64, more)
    } else {
        let (filter, problems) = asked.jobs();
        if !problems.is_empty() {
            return Err(Error::invalid(problems));
        }
        (page.state.client().count_cancellable(&filter).await?, false)
    };
    let many = text::plural(count, "job", "jobs");
    let which = if asked.is_empty() {
        "every job that has not ended".to_owned()
    } else {
        asked.words()
    };
    let mut meaning =
        "Waiting jobs never start, running ones are asked to stop. Jobs that depend on them are cancelled \
                       too, unless their edge says otherwise."
            .to_owned();
    if !by_text {
        meaning.push_str(" Jobs that are enqueued after this moment are not touched.");
    }
    if more {
        meaning.push_str(" More match than are cancelled at once: these are the newest.");
    }
    Confirm {
        frame: page.frame("Cancel jobs", "jobs").await?,
        question: format!("Cancel {many}?"),
        meaning,
        facts: vec![("which", which)],
        action: page.state.href("/jobs/cancel"),
        fields: asked
            .fields()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        asks_reason: true,
        button: if count == 0 {
            String::new()
        } else {
            format!("Cancel {many}")
        },
        destroys: true,
        back: page.state.href(&format!("/jobs{}", asked.query())),
    }
    .answer()
}

/// `POST /jobs/cancel`
pub(super) async fn cancel(page: Page, posted: Posted<Fields>) -> Result<Response, Error> {
    posted.session.require(Role::Operator)?;
    let Fields { asked, reason } = &posted.form;
    if asked.needle().is_none() {
        // The store can tell which jobs are meant: an operation, of any size, with a bar of its own.
        let (filter, problems) = asked.jobs();
        if !problems.is_empty() {
            return Err(Error::invalid(problems));
        }
        crate::acts::begin_cancel(&page.state, &posted.session, filter, Some(reason.clone()), None).await?;
        return Ok(see(&page.state, "/operations?done=operation"));
    }
    let (ids, _) = matching(&page, asked).await?;
    let cancelled =
        super::act::cancel_all(&page.state, &posted.session, &ids, &asked.words(), reason).await?;
    let query = asked.query();
    let join = if query.is_empty() { "?" } else { "&" };
    Ok(see(
        &page.state,
        &format!("/jobs{query}{join}done=all-cancelled&n={cancelled}"),
    ))
}
