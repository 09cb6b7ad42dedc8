//! The small parts that many pages show: a time, a status, a priority, a bar. Each escapes what it is given.

use std::time::Duration;

use askama::Template;
use askama::filters::HtmlSafe;
use longshore::{JobStatus, JobView, Priority};
use longshore_core::Timestamp;

use super::text;

/// A point in time as people see it; the page's script counts it on.
#[derive(Clone, Debug, Template)]
#[template(
    ext = "html",
    source = r#"<time datetime="{{ iso }}" data-at="{{ at }}" data-mode="{{ mode }}" title="{{ stamp }} UTC">{{ text }}{% if self.is_stamp() %} UTC{% endif %}</time>"#
)]
pub(crate) struct When {
    iso: String,
    at: u64,
    mode: &'static str,
    stamp: String,
    text: String,
}

impl HtmlSafe for When {}

impl When {
    /// `5 s ago`, or `in 5 s` for a time to come.
    pub(crate) fn ago(at: Timestamp, now: Timestamp) -> Self {
        let text = if at > now {
            format!("in {}", text::whole(at.since(now)))
        } else {
            format!("{} ago", text::whole(now.since(at)))
        };
        Self::new(at, "ago", text)
    }

    /// When something is due: `in 5 s`, or that it is due now.
    pub(crate) fn due(at: Timestamp, now: Timestamp) -> Self {
        let text = if at > now {
            format!("in {}", text::whole(at.since(now)))
        } else {
            "due now".to_owned()
        };
        Self::new(at, "due", text)
    }

    /// How long it is since then: `5 s`.
    pub(crate) fn since(at: Timestamp, now: Timestamp) -> Self {
        Self::new(at, "since", text::whole(now.since(at)))
    }

    /// Date and time.
    pub(crate) fn stamp(at: Timestamp) -> Self {
        Self::new(at, "stamp", text::stamp(at))
    }

    /// A time of the clock says which clock that is.
    fn is_stamp(&self) -> bool {
        self.mode == "stamp"
    }

    fn new(at: Timestamp, mode: &'static str, text: String) -> Self {
        Self {
            iso: text::iso(at),
            at: at.millis(),
            mode,
            stamp: text::stamp(at),
            text,
        }
    }
}

/// A status: a shape, a word and a colour.
#[derive(Clone, Copy, Debug, Template)]
#[template(
    ext = "html",
    source = r##"<span class="status {{ word }}"><svg class="icon" aria-hidden="true"><use href="#i-{{ word }}"/></svg>{{ word }}</span>"##
)]
pub(crate) struct Status {
    pub(crate) word: &'static str,
}

impl HtmlSafe for Status {}

impl From<JobStatus> for Status {
    fn from(status: JobStatus) -> Self {
        Self {
            word: status.as_str(),
        }
    }
}

/// A priority: four steps, of which as many are filled as it has, and the word.
#[derive(Clone, Copy, Debug, Template)]
#[template(
    ext = "html",
    source = r#"<span class="priority {{ word }}"><svg viewBox="0 0 14 12" aria-hidden="true"><rect x="0" y="8" width="2.6" height="4"/><rect x="3.8" y="5.5" width="2.6" height="6.5"{% if level < 1 %} class="off"{% endif %}/><rect x="7.6" y="3" width="2.6" height="9"{% if level < 2 %} class="off"{% endif %}/><rect x="11.4" y="0" width="2.6" height="12"{% if level < 3 %} class="off"{% endif %}/></svg>{{ word }}</span>"#
)]
pub(crate) struct Urgency {
    word: &'static str,
    level: u8,
}

impl HtmlSafe for Urgency {}

impl From<Priority> for Urgency {
    fn from(priority: Priority) -> Self {
        Self {
            word: priority.as_str(),
            level: priority.level(),
        }
    }
}

/// How far a job is: a bar with a message below. Where no fraction is known the bar is hatched, and the words tell for
/// how long it runs, at which stage, or what it waits for.
#[derive(Clone, Debug, Template)]
#[template(path = "part/bar.html")]
pub(crate) struct Bar {
    /// The job that the page's script keeps it up to date for; empty where there is none.
    pub(crate) job: String,
    /// The status's word, or `operation`.
    pub(crate) kind: &'static str,
    /// What it is about, for those who cannot see it.
    pub(crate) label: String,
    /// 0 to 100; `None` while no fraction is known.
    pub(crate) percent: Option<String>,
    /// Below, at the left.
    pub(crate) message: String,
    /// Below, at the right: how far it is.
    pub(crate) far: String,
    /// In the place of `far`: a time that counts on.
    pub(crate) time: Option<When>,
    /// On a page of its own.
    pub(crate) large: bool,
}

impl HtmlSafe for Bar {}

impl Bar {
    /// The bar of a job.
    pub(crate) fn of(job: &JobView, now: Timestamp) -> Self {
        let (fraction, message, time) = match job.status {
            JobStatus::Running => running(job, now),
            JobStatus::Completed => (Some(1.0), took(job), None),
            status if status.is_terminal() => (Some(job.progress.fraction.unwrap_or(0.0)), ended(job), None),
            _ => waiting(job, now),
        };
        let percent = fraction.map(percentage);
        // An end without a word of the job about how far it came is no zero.
        let told = !job.status.is_terminal()
            || job.status == JobStatus::Completed
            || job.progress.fraction.is_some();
        let far = percent.as_ref().filter(|_| told);
        let far = far.map(|percent| format!("{percent} %")).unwrap_or_default();
        Self {
            job: job.id.to_string(),
            kind: job.status.as_str(),
            label: format!("Progress of {}", job.name),
            percent,
            message,
            far,
            time,
            large: false,
        }
    }

    /// The same on a page of its own, which has the error and the reason of a cancel besides.
    #[must_use]
    pub(crate) fn large(mut self, job: &JobView) -> Self {
        self.large = true;
        let after = ran(job).map(|time| format!(" after {}", text::span(time)));
        let after = after.unwrap_or_default();
        match job.status {
            JobStatus::Failed => self.message = format!("given up{after}"),
            JobStatus::Expired => "expired".clone_into(&mut self.message),
            JobStatus::Retrying => {
                "the last attempt failed; waits for the next one".clone_into(&mut self.message);
            }
            _ => {}
        }
        self
    }

    /// The same with another message.
    #[must_use]
    pub(crate) fn saying(mut self, message: &str) -> Self {
        message.clone_into(&mut self.message);
        self
    }

    /// What a screen reader says: how far, and the message.
    pub(crate) fn value_text(&self) -> String {
        match &self.percent {
            Some(percent) => format!("{percent} %: {}", self.message),
            None => format!("unknown: {}", self.message),
        }
    }
}

/// A fraction as a percentage with at most one decimal.
pub(crate) fn percentage(fraction: f64) -> String {
    let percent = (fraction.clamp(0.0, 1.0) * 1_000.0).round() / 10.0;
    percent.to_string()
}

fn running(job: &JobView, now: Timestamp) -> (Option<f64>, String, Option<When>) {
    let message = if job.cancel_reason.is_some() {
        "is being cancelled".to_owned()
    } else if job.progress.message.is_empty() {
        "runs; has not said how far it is".to_owned()
    } else {
        job.progress.message.clone()
    };
    let started = job.started_at.filter(|_| job.progress.fraction.is_none());
    (
        job.progress.fraction,
        message,
        started.map(|at| When::since(at, now)),
    )
}

/// What a job waits for.
fn waiting(job: &JobView, now: Timestamp) -> (Option<f64>, String, Option<When>) {
    let since = When::since(job.created_at, now);
    let due = |at: Option<Timestamp>| at.map_or_else(|| since.clone(), |at| When::due(at, now));
    let far = Some(job.progress.fraction.unwrap_or(0.0));
    match job.status {
        JobStatus::Blocked => {
            let parents = text::plural(job.open_parents.len() as u64, "job", "jobs");
            (far, format!("waits for {parents}"), Some(since))
        }
        JobStatus::Scheduled => (far, "waits for its time".to_owned(), Some(due(job.run_at))),
        JobStatus::Retrying => {
            let error = job.error.as_ref().map(|error| error.message.clone());
            let message = error.unwrap_or_else(|| "waits for its next attempt".to_owned());
            (far, message, Some(due(job.run_at)))
        }
        _ if job.parked.is_some() => (
            far,
            "waits for a worker that has its function".to_owned(),
            Some(since),
        ),
        _ => (far, "waits for a free slot".to_owned(), Some(since)),
    }
}

fn ended(job: &JobView) -> String {
    match job.status {
        JobStatus::Cancelled => job
            .cancel_reason
            .clone()
            .unwrap_or_else(|| "cancelled".to_owned()),
        _ => job
            .error
            .as_ref()
            .map_or_else(|| job.status.to_string(), |error| error.message.clone()),
    }
}

fn took(job: &JobView) -> String {
    match ran(job) {
        Some(time) => format!("done in {}", text::span(time)),
        None => "done".to_owned(),
    }
}

/// How long the last attempt of an ended job took.
pub(crate) fn ran(job: &JobView) -> Option<Duration> {
    Some(job.finished_at?.since(job.started_at?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::sample;

    #[test]
    fn an_unknown_fraction_tells_the_time_and_the_stage() {
        let mut job = sample::job(JobStatus::Running);
        job.started_at = Some(Timestamp(10_000));
        job.progress.message = "reading <b>".to_owned();
        let html = Bar::of(&job, Timestamp(15_000)).to_string();
        assert!(html.contains("class=\"unknown\""), "{html}");
        assert!(html.contains(">5 s</time>"), "{html}");
        assert!(html.contains("reading &#60;b&#62;"), "{html}");
        assert!(!html.contains("aria-valuenow"), "{html}");
    }

    #[test]
    fn a_known_fraction_is_a_bar_with_its_value() {
        let mut job = sample::job(JobStatus::Running);
        job.progress.fraction = Some(0.375);
        let html = Bar::of(&job, Timestamp(15_000)).to_string();
        assert!(
            html.contains("aria-valuenow=\"37.5\"") && html.contains("width=\"37.5%\""),
            "{html}"
        );
    }

    #[test]
    fn a_waiting_job_says_what_it_waits_for() {
        let mut job = sample::job(JobStatus::Scheduled);
        job.run_at = Some(Timestamp(20_000));
        let html = Bar::of(&job, Timestamp(15_000)).to_string();
        assert!(
            html.contains("waits for its time") && html.contains("in 5 s"),
            "{html}"
        );
        let html = Bar::of(&sample::job(JobStatus::Queued), Timestamp(15_000)).to_string();
        assert!(html.contains("waits for a free slot"), "{html}");
    }

    #[test]
    fn no_percentage_leaves_its_range() {
        assert_eq!(percentage(-1.0), "0");
        assert_eq!(percentage(7.0), "100");
        assert_eq!(percentage(0.1234), "12.3");
    }
}
