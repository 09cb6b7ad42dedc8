//! Messages that nobody could read.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use longshore::QuarantineEntry;
use longshore_core::access::Role;

use super::confirm::Confirm;
use super::frame::{Frame, Page};
use super::part::When;
use super::{html, see, text};
use crate::acts;
use crate::auth::Posted;
use crate::error::Error;
use crate::extract::Query;
use crate::state::AppState;
use serde::Deserialize;

/// Messages of a page.
const SHOWN: usize = 50;
/// Bytes of a body that are shown.
const BODY_SHOWN: usize = 2_048;

/// The page.
#[derive(Debug, Template)]
#[template(path = "quarantine.html")]
struct Quarantine {
    frame: Frame,
    rows: Vec<Row>,
    more: bool,
}

#[derive(Debug)]
struct Row {
    id: String,
    path: String,
    queue: String,
    reason: String,
    at: Option<When>,
    size: String,
    /// For admins alone: arguments may be in it.
    raw: Option<Raw>,
    jobs: Vec<(String, String)>,
}

/// What was in a message.
#[derive(Debug)]
struct Raw {
    headers: String,
    body: String,
}

/// The messages that a form names.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Named {
    id: String,
}

/// `GET /quarantine`
pub(super) async fn list(page: Page) -> Result<Response, Error> {
    let frame = page.frame("Quarantine", "quarantine").await?;
    let mut messages = page.state.client().quarantine();
    let mut rows = Vec::new();
    while rows.len() < SHOWN {
        match messages.next().await? {
            Some(entry) => rows.push(shape(&frame, &entry)),
            None => break,
        }
    }
    let more = rows.len() == SHOWN && messages.next().await?.is_some();
    html(&Quarantine { frame, rows, more })
}

fn shape(frame: &Frame, entry: &QuarantineEntry) -> Row {
    let message = &entry.message;
    let raw = || Raw {
        headers: message
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect::<Vec<_>>()
            .join("\n"),
        body: dump(&message.body),
    };
    Row {
        id: message.message_id.clone(),
        path: frame.href(&format!(
            "/quarantine/drop?{}",
            super::filter::pair("id", &message.message_id)
        )),
        queue: message.queue.to_string(),
        reason: message.reason.clone(),
        at: entry.at.map(|at| When::ago(at, frame.now)),
        size: text::bytes(message.body.len()),
        raw: frame.is_admin().then(raw),
        jobs: message
            .jobs
            .iter()
            .map(|id| (id.to_string(), frame.href(&format!("/jobs/{id}"))))
            .collect(),
    }
}

/// The beginning of a body: as text where it is one, else as hexadecimal digits with the characters beside them.
fn dump(body: &[u8]) -> String {
    let shown = body.get(..BODY_SHOWN.min(body.len())).unwrap_or_default();
    if let Ok(text) = std::str::from_utf8(shown)
        && text.chars().all(|one| !one.is_control() || one.is_whitespace())
    {
        return text.to_owned();
    }
    let line = |(number, bytes): (usize, &[u8])| {
        let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let seen: String = bytes
            .iter()
            .map(|byte| {
                if byte.is_ascii_graphic() {
                    char::from(*byte)
                } else {
                    '.'
                }
            })
            .collect();
        format!("{:06x}  {:<47}  {seen}", number * 16, digits.join(" "))
    };
    shown
        .chunks(16)
        .enumerate()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

/// `GET /quarantine/drop?id=…`
pub(super) async fn ask(page: Page, Query(named): Query<Named>) -> Result<Response, Error> {
    page.session.require(Role::Operator)?;
    Confirm {
        frame: page.frame("Quarantine", "quarantine").await?,
        question: "Delete 1 message from the quarantine?".to_owned(),
        meaning: "Its bytes are gone for good. A job whose record is still there is not touched.".to_owned(),
        facts: vec![("message", named.id.clone())],
        action: page.state.href("/quarantine/drop"),
        fields: vec![("id".to_owned(), named.id)],
        asks_reason: false,
        button: "Delete 1 message".to_owned(),
        destroys: true,
        back: page.state.href("/quarantine"),
    }
    .answer()
}

/// `POST /quarantine/drop`
pub(super) async fn drop(State(state): State<AppState>, posted: Posted<Named>) -> Result<Response, Error> {
    posted.session.require(Role::Operator)?;
    let dropped = acts::drop_quarantined(&state, &posted.session, vec![posted.form.id]).await?;
    let dropped = dropped.into_iter().filter(|was_there| *was_there).count();
    Ok(see(&state, &format!("/quarantine?done=dropped&n={dropped}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_text_or_a_dump() {
        assert_eq!(dump(b"hello\n"), "hello\n");
        assert_eq!(dump(&[0, 0x41, 0xff]), format!("000000  {:<47}  .A.", "00 41 ff"));
    }
}
