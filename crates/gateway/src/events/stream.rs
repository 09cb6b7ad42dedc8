//! One stream: the jobs and documents that one page shows.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream, SelectAll};
use http::{HeaderMap, HeaderName, HeaderValue};
use longshore::{Client, JobView, LogLine};
use longshore_core::JobId;
use longshore_core::access::Role;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::Draining;
use super::hub::{Follow, Seen};
use super::open::OpenStream;
use super::shared::FollowText;
use crate::api::etag::without_clock;
use crate::api::list::Fields;
use crate::api::watch::WatchedJob;
use crate::auth::Session;
use crate::auth::signer::Signer;
use crate::auth::streams::Place;
use crate::auth::watch::Grant;
use crate::dto::job::Job;
use crate::dto::log::JobLog;
use crate::error::{Error, ErrorCode};
use crate::state::AppState;

/// Most jobs of one stream.
const JOBS_MAX: usize = 200;
/// How long who resumes waits for the first look at everything.
const RESUME_MAX: Duration = Duration::from_secs(3);
/// When a browser comes back after a stop of this gateway.
const RETRY: Duration = Duration::from_secs(1);

/// Follows jobs, queues and statistics: events `job` (a job as `GET /jobs/{id}/summary` answers it), `gone` (an id
/// that nobody knows), `log` (new lines of a job's log as `GET /jobs/{id}/log` answers them, with its id), `queues`,
/// `overview` and `stats`. Each tells the latest state; what changes faster than it is
/// read is skipped. The header `Last-Event-ID` of a stream with the same parameters brings only what has changed since.
#[utoipa::path(
    get, path = "/events", tag = "events",
    params(
        ("jobs" = Option<String>, Query, description = "Ids with commas between them, at most 200"),
        ("log" = Option<String>, Query, description = "The id of a job whose log is followed", format = "uuid"),
        ("queues" = Option<String>, Query, description = "Follow the queues"),
        ("overview" = Option<String>, Query, description = "Follow the numbers of all jobs and workers"),
        ("stats" = Option<String>, Query, description = "Follow the statistics of the last hour"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen"),
    ),
    responses((status = 200, description = "Server-sent events", body = String, content_type = "text/event-stream"))
)]
pub(crate) async fn events(
    State(state): State<AppState>,
    session: Session,
    headers: HeaderMap,
    Extension(draining): Extension<Draining>,
    mut fields: Fields,
) -> Result<Response, Error> {
    let ids = job_ids(fields.one("jobs")?)?;
    let hub = state.hub();
    let mut sources: SelectAll<BoxStream<'static, Change>> = SelectAll::new();
    let mut wanted = ids.len();
    for id in ids {
        sources.push(of_job(id, hub.follow(id)));
    }
    if let Some(id) = log_id(fields.one("log")?)? {
        sources.push(of_log(id, state.client().clone(), hub.follow(id)));
        wanted += 1;
    }
    for (name, shared) in [
        ("queues", &hub.queues),
        ("overview", &hub.overview),
        ("stats", &hub.statistics),
    ] {
        if fields.one(name)?.is_some() {
            wanted += 1;
            sources.push(of_text(name, shared.follow()));
        }
    }
    fields.end()?;
    if wanted == 0 {
        let problem = "jobs: name what to follow: jobs=ID,ID, log=ID, queues, overview or stats";
        return Err(Error::new(ErrorCode::BadRequest, problem));
    }
    let place = state.enter(vec![session.caller()])?;
    let audience = Audience::Session(Box::new(session));
    Ok(answer(Stream::new(
        state,
        audience,
        sources,
        wanted,
        last_id(&headers),
        draining,
        place,
    )))
}

/// Follows the job of a watch link, until it has ended.
pub(crate) fn of_link(
    state: AppState,
    grant: Grant,
    signer: Signer,
    headers: &HeaderMap,
    draining: Draining,
    place: Place,
) -> Response {
    let mut sources = SelectAll::new();
    sources.push(of_job(grant.job, state.hub().follow(grant.job)));
    let audience = Audience::Link(grant, signer);
    answer(Stream::new(
        state,
        audience,
        sources,
        1,
        last_id(headers),
        draining,
        place,
    ))
}

fn job_ids(text: Option<String>) -> Result<Vec<JobId>, Error> {
    let text = text.unwrap_or_default();
    let bad = |problem: String| Error::new(ErrorCode::BadRequest, problem);
    let mut ids = Vec::new();
    for id in text.split(',').filter(|id| !id.is_empty()) {
        let id = id
            .parse::<JobId>()
            .map_err(|error| bad(format!("jobs: {error}")))?;
        if !ids.contains(&id) {
            ids.push(id);
        }
        if ids.len() > JOBS_MAX {
            return Err(bad(format!(
                "jobs: a stream follows at most {JOBS_MAX}; show fewer at a time"
            )));
        }
    }
    Ok(ids)
}

fn log_id(text: Option<String>) -> Result<Option<JobId>, Error> {
    let read = |text: String| {
        text.parse::<JobId>()
            .map_err(|error| Error::new(ErrorCode::BadRequest, format!("log: {error}")))
    };
    text.map(read).transpose()
}

fn last_id(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get("last-event-id")?.to_str().ok()?;
    u64::from_str_radix(text, 16).ok()
}

/// Who listens.
#[derive(Debug)]
enum Audience {
    Session(Box<Session>),
    Link(Grant, Signer),
}

/// What has changed.
#[derive(Clone, Debug)]
enum Change {
    Job(JobId, Seen),
    /// New lines of a job's log, and the number of its last line.
    Log(JobId, Vec<LogLine>, u64),
    Text(&'static str, Arc<str>),
}

fn of_job(id: JobId, follow: Follow) -> BoxStream<'static, Change> {
    let next = move |mut follow: Follow| async move {
        let seen = follow.next().await?;
        Some((Change::Job(id, seen), follow))
    };
    stream::unfold(follow, next).boxed()
}

/// The first time whatever is kept of the log, then what is new in it. A log that cannot be read is read with the next
/// change.
fn of_log(id: JobId, client: Client, follow: Follow) -> BoxStream<'static, Change> {
    let next = move |(client, mut follow, seen): (Client, Follow, Option<u64>)| async move {
        loop {
            follow.next().await?;
            match client.log_after(id, seen.unwrap_or(0)).await {
                Ok(lines) if !lines.is_empty() || seen.is_none() => {
                    let last = lines.last().map_or(0, |line| line.number);
                    return Some((Change::Log(id, lines, last), (client, follow, Some(last))));
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, job = %id, "a log that is followed could not be read"),
            }
        }
    };
    stream::unfold((client, follow, None), next).boxed()
}

fn of_text(name: &'static str, follow: FollowText) -> BoxStream<'static, Change> {
    let next = move |mut follow: FollowText| async move {
        let text = follow.next().await?;
        Some((Change::Text(name, text), follow))
    };
    stream::unfold(follow, next).boxed()
}

struct Stream {
    state: AppState,
    audience: Audience,
    sources: SelectAll<BoxStream<'static, Change>>,
    /// The hash of the last state of each thing that was told. Together they are the id of an event.
    told: BTreeMap<String, u64>,
    ready: VecDeque<Event>,
    /// What must be seen before it is known whether who resumes has missed anything.
    resume: Option<(u64, usize)>,
    beat: Interval,
    draining: Draining,
    over: bool,
    /// Counted for as long as it is open.
    _open: OpenStream,
    /// One of whoever listens has only so many.
    _place: Place,
}

fn answer(stream: Stream) -> Response {
    let events = stream::unfold(stream, |mut stream| async move {
        let event = stream.next().await?;
        Some((Ok::<_, Infallible>(event), stream))
    });
    let mut response = Sse::new(events).into_response();
    // Proxies that gather an answer before they hand it on are asked not to.
    let name = HeaderName::from_static("x-accel-buffering");
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static("no"));
    response
}

impl Stream {
    fn new(
        state: AppState,
        audience: Audience,
        sources: SelectAll<BoxStream<'static, Change>>,
        wanted: usize,
        last_id: Option<u64>,
        draining: Draining,
        place: Place,
    ) -> Self {
        let every = state.settings().heartbeat.max(Duration::from_millis(1));
        let mut beat = tokio::time::interval_at(Instant::now() + every, every);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            _open: state.open_streams().open(),
            state,
            audience,
            sources,
            told: BTreeMap::new(),
            // Proxies and browsers take a stream for open at its first byte.
            ready: VecDeque::from([Event::default().comment("open").retry(RETRY)]),
            resume: last_id.map(|id| (id, wanted)),
            beat,
            draining,
            over: false,
            _place: place,
        }
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            if let Some((id, wanted)) = self.resume.take() {
                self.resume(id, wanted).await;
                continue;
            }
            let draining = self.draining.0.clone();
            tokio::select! {
                change = self.sources.next() => match change {
                    Some(change) => self.tell(change),
                    None => self.over = true,
                },
                _ = self.beat.tick() => return Some(self.beat().await),
                () = draining.cancelled() => {
                    self.over = true;
                    return Some(Event::default().comment("the gateway stops").retry(RETRY));
                }
            }
        }
    }

    /// Whoever has seen everything as it stands is told nothing; else everything.
    async fn resume(&mut self, id: u64, wanted: usize) {
        let mut first: Vec<Change> = Vec::new();
        let gather = async {
            while first.len() < wanted {
                match self.sources.next().await {
                    Some(change) => first.push(change),
                    None => break,
                }
            }
        };
        let whole = tokio::time::timeout(RESUME_MAX, gather).await.is_ok();
        for change in first {
            self.tell(change);
        }
        if whole && self.id() == id {
            self.ready.clear();
            self.ready
                .push_back(Event::default().comment("nothing was missed"));
        }
    }

    /// A sign of life; the last one for who may listen no more.
    async fn beat(&mut self) -> Event {
        let good = match &self.audience {
            Audience::Session(session) => session.is_still_good(&self.state).await,
            Audience::Link(grant, signer) => {
                grant.expires_at > self.state.now() && self.state.signs_with(signer).await
            }
        };
        if good {
            return Event::default().comment("beat");
        }
        self.over = true;
        Event::default().event("unauthenticated").data("{}")
    }

    fn tell(&mut self, change: Change) {
        let (name, key, text) = match change {
            Change::Log(id, lines, last) => {
                // Whoever has seen the last line has seen them all.
                let text = self.log(id, lines);
                return self.say("log", format!("log of {id}"), &last.to_string(), text);
            }
            Change::Text(name, text) => (name, name.to_owned(), text.to_string()),
            Change::Job(id, None) => ("gone", id.to_string(), format!("{{\"id\":\"{id}\"}}")),
            Change::Job(id, Some(job)) => ("job", id.to_string(), self.job(&job)),
        };
        let known = stable(name, &text);
        self.say(name, key, &known, text);
    }

    /// Tells what is not known yet.
    fn say(&mut self, name: &'static str, key: String, known: &str, text: String) {
        let hash = hash(&key, known);
        if self.told.insert(key, hash) == Some(hash) {
            return;
        }
        let id = format!("{:016x}", self.id());
        self.ready
            .push_back(Event::default().event(name).id(id).data(text));
    }

    fn log(&self, id: JobId, lines: Vec<LogLine>) -> String {
        let role = match &self.audience {
            Audience::Session(session) => session.role,
            Audience::Link(..) => Role::Viewer,
        };
        let log = JobLog::of(lines, role, self.state.hide());
        json!({ "id": id.to_string(), "lines": log.lines }).to_string()
    }

    fn job(&mut self, job: &JobView) -> String {
        let text = match &self.audience {
            Audience::Session(session) => {
                serde_json::to_string(&Job::of(job, session.role, self.state.hide()))
            }
            Audience::Link(grant, _) => {
                self.over |= job.status.is_terminal();
                serde_json::to_string(&WatchedJob::of(&self.state, job, *grant))
            }
        };
        text.unwrap_or_default()
    }

    /// The same for the same states, on every replica.
    fn id(&self) -> u64 {
        self.told.values().fold(0, |all, hash| all ^ hash)
    }
}

/// What tells two states apart: everything but the time at which it was asked.
fn stable(name: &str, text: &str) -> String {
    if name == "stats" {
        let document = serde_json::from_str(text).unwrap_or_default();
        return without_clock(document).to_string();
    }
    match text.split_once("\"now_ms\":") {
        Some((before, _)) => before.to_owned(),
        None => text.to_owned(),
    }
}

fn hash(key: &str, text: &str) -> u64 {
    let digest = Sha256::new()
        .chain_update(key)
        .chain_update([0])
        .chain_update(text)
        .finalize();
    digest
        .first_chunk::<8>()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
