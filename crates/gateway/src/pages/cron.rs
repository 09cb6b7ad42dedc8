//! Recurring jobs: the entries, and what is done with one.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use longshore::cron::CronView;
use longshore_core::access::Role;

use super::confirm::Confirm;
use super::frame::{Frame, Page};
use super::operations::Nothing;
use super::part::When;
use super::{html, see, text};
use crate::acts;
use crate::auth::Posted;
use crate::error::Error;
use crate::extract::Path;
use crate::state::AppState;

/// Ticks that an entry shows.
const TICKS: usize = 3;

/// The page.
#[derive(Debug, Template)]
#[template(path = "cron.html")]
struct Cron {
    frame: Frame,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    path: String,
    function: String,
    expression: String,
    zone: String,
    policies: String,
    paused: bool,
    from_file: bool,
    problem: String,
    next: Vec<When>,
    last: Option<(When, String)>,
}

/// `GET /cron`
pub(super) async fn list(page: Page) -> Result<Response, Error> {
    let frame = page.frame("Cron", "cron").await?;
    let entries = page.state.client().cron().list().await?;
    let rows = entries.iter().map(|entry| shape(&frame, entry)).collect();
    html(&Cron { frame, rows })
}

fn shape(frame: &Frame, entry: &CronView) -> Row {
    let mut row = Row {
        name: entry.name.to_string(),
        path: frame.href(&format!("/cron/{}", super::filter::step(entry.name.as_str()))),
        function: String::new(),
        expression: String::new(),
        zone: String::new(),
        policies: String::new(),
        paused: entry.paused,
        from_file: false,
        problem: String::new(),
        next: Vec::new(),
        last: entry.last.map(|job| {
            (
                When::ago(job.fired_at, frame.now),
                frame.href(&format!("/jobs/{}", job.id)),
            )
        }),
    };
    match &entry.definition {
        Ok(definition) => {
            row.function = definition.job.envelope().function_name.to_string();
            definition
                .schedule
                .expression
                .as_str()
                .clone_into(&mut row.expression);
            definition.schedule.zone.as_str().clone_into(&mut row.zone);
            row.from_file = definition.source == longshore::cron::Source::File;
            row.policies = format!("missed: {}, overlap: {}", definition.misfire, definition.overlap);
            if !entry.paused {
                let later = definition.schedule.ticks(entry.next_at);
                let ticks = std::iter::once(entry.next_at).chain(later).take(TICKS);
                row.next = ticks.map(|tick| When::ago(tick, frame.now)).collect();
            }
        }
        Err(invalid) => row.problem = invalid.to_string(),
    }
    row
}

/// `GET /cron/{name}/{change}`
pub(super) async fn ask(page: Page, Path((name, change)): Path<(String, String)>) -> Result<Response, Error> {
    page.session.require(Role::Operator)?;
    let (question, meaning, button, destroys) = match change.as_str() {
        "run" => (
            "Run",
            "A job of the entry is made now, outside its schedule. The next tick stays.",
            "Run it now",
            false,
        ),
        "remove" => (
            "Remove",
            "It fires no more. Jobs that it has made stay.",
            "Remove 1 entry",
            true,
        ),
        _ => return Err(Error::not_found("there is nothing under this address")),
    };
    Confirm {
        frame: page.frame("Cron", "cron").await?,
        question: format!("{question} {name}?"),
        meaning: meaning.to_owned(),
        facts: Vec::new(),
        action: page
            .state
            .href(&format!("/cron/{}/{change}", super::filter::step(&name))),
        fields: Vec::new(),
        asks_reason: false,
        button: button.to_owned(),
        destroys,
        back: page.state.href("/cron"),
    }
    .answer()
}

/// `POST /cron/{name}/{change}`
pub(super) async fn change(
    State(state): State<AppState>,
    Path((name, change)): Path<(String, String)>,
    posted: Posted<Nothing>,
) -> Result<Response, Error> {
    posted.session.require(Role::Operator)?;
    let session = &posted.session;
    let done = match change.as_str() {
        "pause" => acts::pause_cron(&state, session, &name)
            .await
            .map(|()| "paused")?,
        "resume" => acts::resume_cron(&state, session, &name)
            .await
            .map(|_| "resumed")?,
        "remove" => acts::remove_cron(&state, session, &name)
            .await
            .map(|_| "entry-removed")?,
        "run" => {
            let id = acts::run_cron(&state, session, &name).await?;
            return Ok(see(&state, &format!("/jobs/{id}?done=entry-run")));
        }
        _ => return Err(Error::not_found("there is nothing under this address")),
    };
    Ok(see(&state, &format!("/cron?done={done}")))
}

/// The next ticks of an entry as date and time on its own wall and as time from now.
pub(super) fn ticks(
    schedule: &longshore::cron::Schedule,
    now: longshore_core::Timestamp,
    many: usize,
) -> Vec<(String, When)> {
    let wall = |tick: longshore_core::Timestamp| {
        let shown = schedule.zone.show(tick);
        match (shown.get(..10), shown.get(11..16), shown.get(19..)) {
            (Some(day), Some(time), Some("Z")) => format!("{day} {time} UTC"),
            (Some(day), Some(time), Some(offset)) => format!("{day} {time} {offset}"),
            _ => text::stamp(tick),
        }
    };
    schedule
        .ticks(now)
        .take(many)
        .map(|tick| (wall(tick), When::ago(tick, now)))
        .collect()
}
