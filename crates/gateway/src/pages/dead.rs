//! Dead letters: groups of like errors, the letters of a filter, and an operation on all that match.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use longshore::{DeadFilter, DeadGroup, OperationKind};
use longshore_core::access::Role;

use super::confirm::Confirm;
use super::filter::Asked;
use super::frame::{Frame, Page};
use super::part::When;
use super::row::{Row, rows};
use super::{html, see, text};
use crate::acts;
use crate::auth::Posted;
use crate::error::{Error, ErrorCode};
use crate::extract::{Path, Query};
use crate::state::AppState;

/// Letters of a page.
const SHOWN: usize = 50;
/// Groups of a page.
const GROUPS: usize = 100;
/// Groups that were read longer ago say so.
const STALE: Duration = Duration::from_secs(20);

/// The page.
#[derive(Debug, Template)]
#[template(path = "dead.html")]
struct Dead {
    frame: Frame,
    asked: Asked,
    problems: Vec<String>,
    total: u64,
    groups: Vec<Group>,
    /// How long ago the groups were read, where that is worth a word.
    as_of: String,
    /// The letters, when a filter is asked for.
    letters: Option<Vec<Row>>,
    next: Option<String>,
    requeue: String,
    discard: String,
}

#[derive(Debug)]
struct Group {
    fingerprint: String,
    count: String,
    share: String,
    kind: String,
    message: String,
    functions: String,
    first: When,
    last: When,
    href: String,
    requeue: String,
    discard: String,
}

/// `GET /dead`
pub(super) async fn list(page: Page, Query(asked): Query<Asked>) -> Result<Response, Error> {
    let frame = page.frame("Dead letters", "dead").await?;
    let (filter, problems) = asked.dead();
    let query = Asked {
        after: String::new(),
        ..asked.clone()
    }
    .query();
    let letters = page.state.client().dead_letters();
    let mut as_of = None;
    let groups = if problems.is_empty() {
        // Every dead letter is looked at: not for everybody who has the page open, with every change.
        let read = || letters.groups(&filter);
        let answer = page.state.groups().get(&query, frame.letters, read).await?;
        as_of = Some(answer.age()).filter(|age| *age >= STALE);
        answer.value
    } else {
        Arc::default()
    };
    let total: u64 = groups.iter().map(|group| group.count).sum();
    let mut shown = None;
    let mut next = None;
    if !filter.is_empty() && problems.is_empty() {
        let found = letters.page(&filter, asked.cursor(), SHOWN).await?;
        shown = Some(rows(&page, found.jobs, &frame));
        next = found
            .next
            .map(|cursor| frame.href(&format!("/dead{}", asked.from(cursor))));
    }
    html(&Dead {
        groups: groups
            .iter()
            .take(GROUPS)
            .map(|group| shape(&page, &frame, group, total))
            .collect(),
        requeue: frame.href(&format!("/dead/requeue{query}")),
        discard: frame.href(&format!("/dead/discard{query}")),
        frame,
        asked,
        problems,
        total,
        as_of: as_of.map(text::span).unwrap_or_default(),
        letters: shown,
        next,
    })
}

fn shape(page: &Page, frame: &Frame, group: &DeadGroup, total: u64) -> Group {
    let error = super::hidden::seen(page, group.example.clone())
        .error
        .unwrap_or_default();
    let functions: Vec<_> = group.functions.iter().map(ToString::to_string).collect();
    let query = super::filter::pair("fingerprint", &group.fingerprint.to_string());
    #[expect(clippy::cast_precision_loss, reason = "a share for a bar")]
    let share = group.count as f64 / total.max(1) as f64;
    Group {
        fingerprint: group.fingerprint.to_string(),
        count: text::count(group.count),
        share: super::part::percentage(share),
        kind: error.error_type,
        message: text::cut(&error.message, 300),
        functions: functions.join(", "),
        first: When::ago(group.first_died_at, frame.now),
        last: When::ago(group.last_died_at, frame.now),
        href: frame.href(&format!("/dead?{query}")),
        requeue: frame.href(&format!("/dead/requeue?{query}")),
        discard: frame.href(&format!("/dead/discard?{query}")),
    }
}

/// The word of an address.
fn kind(word: &str) -> Result<OperationKind, Error> {
    match word {
        "requeue" => Ok(OperationKind::Requeue),
        "discard" => Ok(OperationKind::Discard),
        _ => Err(Error::not_found("there is nothing under this address")),
    }
}

fn checked(asked: &Asked) -> Result<DeadFilter, Error> {
    let (filter, problems) = asked.dead();
    if problems.is_empty() {
        Ok(filter)
    } else {
        Err(Error::invalid(problems))
    }
}

/// `GET /dead/{kind}`
pub(super) async fn ask(
    page: Page,
    Path(word): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Error> {
    page.session.require(Role::Operator)?;
    let (kind, filter) = (kind(&word)?, checked(&asked)?);
    let count = page.state.client().dead_letters().count(&filter).await?;
    let many = text::plural(count, "dead letter", "dead letters");
    let (verb, meaning) = match kind {
        OperationKind::Requeue => (
            "Requeue",
            "Each runs as if it had never run, with all its retries. Letters that die after this moment are not \
             touched, and nothing is requeued twice.",
        ),
        OperationKind::Cancel => return Err(Error::not_found("jobs are cancelled in their list")),
        OperationKind::Discard => (
            "Discard",
            "Their arguments, errors and histories are deleted for good. Jobs that depend on them are told that they \
             are gone.",
        ),
    };
    let which = if filter.is_empty() {
        "every dead letter".to_owned()
    } else {
        asked.words()
    };
    Confirm {
        frame: page.frame(format!("{verb} dead letters"), "dead").await?,
        question: format!("{verb} {many}?"),
        meaning: meaning.to_owned(),
        facts: vec![("which", which)],
        action: page.state.href(&format!("/dead/{word}")),
        fields: asked
            .fields()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        asks_reason: false,
        button: if count == 0 {
            String::new()
        } else {
            format!("{verb} {many}")
        },
        destroys: kind == OperationKind::Discard,
        back: page.state.href(&format!("/dead{}", asked.query())),
    }
    .answer()
}

/// `POST /dead/{kind}`
pub(super) async fn begin(
    State(state): State<AppState>,
    Path(word): Path<String>,
    posted: Posted<Asked>,
) -> Result<Response, Error> {
    posted.session.require(Role::Operator)?;
    let (kind, filter) = (kind(&word)?, checked(&posted.form)?);
    acts::begin_bulk(&state, &posted.session, kind, filter, None).await?;
    Ok(see(&state, "/operations?done=operation"))
}

/// What an operation cannot go on with.
pub(super) fn unknown_operation(id: &str) -> Error {
    Error::new(ErrorCode::NotFound, format!("no operation {id} is remembered"))
}
