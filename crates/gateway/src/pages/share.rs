//! Watch links: a token for one job, for somebody's own web page.

use std::time::Duration;

use askama::Template;
use axum::response::Response;
use longshore::{JobId, JobView};
use longshore_core::access::Role;
use serde::Deserialize;

use super::frame::{Frame, Page};
use super::{html, text};
use crate::acts;
use crate::auth::Posted;
use crate::auth::watch::{self, WatchAllows};
use crate::error::{Error, ErrorCode};
use crate::extract::Path;
use crate::settings::Settings;

/// How long a link may be good: the word, and the seconds.
const LIFETIMES: [(&str, u64); 4] = [
    ("1 hour", 3_600),
    ("1 day", 86_400),
    ("7 days", 7 * 86_400),
    ("30 days", 30 * 86_400),
];

#[derive(Debug, Template)]
#[template(path = "share.html")]
struct Share {
    frame: Frame,
    id: String,
    name: String,
    lifetimes: [(&'static str, u64); 4],
    made: Option<Made>,
}

#[derive(Debug)]
struct Made {
    token: String,
    snippet: String,
    until: String,
    allows: WatchAllows,
}

/// The fields of the form.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    seconds: u64,
    cancel: String,
    error: String,
}

/// `GET /jobs/{id}/link`
pub(super) async fn ask(page: Page, Path(id): Path<JobId>) -> Result<Response, Error> {
    page.session.require(Role::Producer)?;
    answer(&page, id, None).await
}

/// `POST /jobs/{id}/link`
pub(super) async fn make(
    page: Page,
    Path(id): Path<JobId>,
    posted: Posted<Fields>,
) -> Result<Response, Error> {
    posted.session.require(Role::Producer)?;
    let state = &page.state;
    known(&page, id).await?;
    let allows = WatchAllows {
        cancel: posted.form.cancel == "yes",
        error: posted.form.error == "yes",
    };
    let lifetime = Duration::from_secs(posted.form.seconds);
    let link = watch::mint(&state.signer().await?, state.now(), id, allows, lifetime)
        .map_err(|error| Error::new(ErrorCode::Invalid, error.to_string()))?;
    let token = link.text.expose().to_owned();
    let until = format!("{} UTC", text::stamp(link.expires_at));
    acts::note(
        state,
        &posted.session,
        "job.watch-link",
        &id.to_string(),
        &format!("{} until {until}", allows.words()),
    )
    .await;
    let home = home(state.settings());
    let snippet = format!(
        "<script type=\"module\" src=\"{home}/assets/job-progress.js\"></script>\n<job-progress src=\"{home}\" job-id=\"{id}\"\n  token=\"{token}\"></job-progress>"
    );
    let made = Made {
        token,
        snippet,
        until,
        allows,
    };
    answer(&page, id, Some(made)).await
}

/// Where a browser finds the gateway: its public address, with the base path where that does not say it already.
fn home(settings: &Settings) -> String {
    let public = settings.public_url.as_ref();
    let url = public.map_or("https://THIS-GATEWAY", |url| url.as_str().trim_end_matches('/'));
    let url = url.strip_suffix(&*settings.base_path).unwrap_or(url);
    format!("{url}{}", settings.base_path)
}

async fn known(page: &Page, id: JobId) -> Result<JobView, Error> {
    let job = page.state.client().summary(id).await?;
    job.ok_or_else(|| Error::not_found(format!("no job has the id {id}, or its retention is over")))
}

async fn answer(page: &Page, id: JobId, made: Option<Made>) -> Result<Response, Error> {
    let job = known(page, id).await?;
    html(&Share {
        frame: page.frame("Watch link", "jobs").await?,
        id: id.to_string(),
        name: job.name,
        lifetimes: LIFETIMES,
        made,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_names_the_base_path_once() {
        let settings = |url: &str, base_path: &str| Settings {
            public_url: url.parse().ok(),
            base_path: base_path.to_owned(),
            ..Settings::default()
        };
        assert_eq!(home(&settings("", "")), "https://THIS-GATEWAY");
        assert_eq!(
            home(&settings("https://jobs.example", "")),
            "https://jobs.example"
        );
        for url in ["https://jobs.example", "https://jobs.example/ls/"] {
            assert_eq!(home(&settings(url, "/ls")), "https://jobs.example/ls");
        }
    }
}
