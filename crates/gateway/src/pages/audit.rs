//! Who did what through the gateway.

use askama::Template;
use axum::response::Response;
use longshore_core::access::{AuditEntry, Role};
use serde::Deserialize;

use super::frame::{Frame, Page};
use super::html;
use super::part::When;
use crate::error::Error;
use crate::extract::Query;

/// Lines of a page.
const SHOWN: usize = 100;

/// The page.
#[derive(Debug, Template)]
#[template(path = "audit.html")]
struct Audit {
    frame: Frame,
    rows: Vec<Row>,
    next: Option<String>,
}

#[derive(Debug)]
struct Row {
    seq: u64,
    at: When,
    who: String,
    action: String,
    subject: String,
    href: Option<String>,
    detail: String,
    request: String,
}

/// Where the page begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    before: Option<u64>,
}

/// `GET /audit`
pub(super) async fn list(page: Page, Query(asked): Query<Asked>) -> Result<Response, Error> {
    page.session.require(Role::Operator)?;
    let frame = page.frame("Audit log", "audit").await?;
    let entries = page.state.ports().access.audit_log(asked.before, SHOWN).await?;
    let next = entries
        .last()
        .filter(|_| entries.len() == SHOWN)
        .map(|last| frame.href(&format!("/audit?before={}", last.seq)));
    html(&Audit {
        rows: entries.iter().map(|entry| shape(&frame, entry)).collect(),
        next,
        frame,
    })
}

fn shape(frame: &Frame, entry: &AuditEntry) -> Row {
    let note = &entry.note;
    let job = note.subject.parse::<longshore::JobId>().ok();
    Row {
        seq: entry.seq,
        at: When::stamp(entry.at),
        who: note.who.clone(),
        action: note.action.clone(),
        subject: note.subject.clone(),
        href: job.map(|id| frame.href(&format!("/jobs/{id}"))),
        detail: note.detail.clone(),
        request: note.request_id.clone(),
    }
}
