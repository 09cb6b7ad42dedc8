//! What every page has around its content: navigation, who is signed in, what was just done, the theme.

use std::collections::BTreeSet;

use axum::extract::FromRequestParts;
use http::header::COOKIE;
use http::request::Parts;
use longshore::{JobStatus, JobView, QueueName, Timestamp};
use longshore_core::access::Role;

use super::part::Bar;
use super::text;
use crate::auth::Session;
use crate::error::Error;
use crate::state::AppState;

/// The cookie in which a reader's choice of a theme lies.
const THEME_COOKIE: &str = "longshore_theme";

/// A request for a page: taken by its handler as an argument.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) state: AppState,
    pub(crate) session: Session,
    theme: &'static str,
    done: Option<String>,
}

/// What `base.html` draws around a page.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) title: String,
    /// The entry of the navigation that is marked.
    pub(crate) section: &'static str,
    pub(crate) csrf: String,
    pub(crate) who: String,
    pub(crate) role: Role,
    /// `light`, `dark`, or empty for the system's.
    pub(crate) theme: &'static str,
    /// What was just done, as a sentence.
    pub(crate) done: Option<String>,
    pub(crate) now: Timestamp,
    /// Dead letters, for the navigation; empty when there are none.
    pub(crate) dead: String,
    /// The same as a number.
    pub(crate) letters: u64,
    /// Text of the search field.
    pub(crate) search: String,
    /// Whether signing out means something.
    pub(crate) signed_in: bool,
    /// Queues that start nothing.
    paused: BTreeSet<QueueName>,
    base: String,
}

impl Frame {
    /// The bar of a job. One that waits in a paused queue waits for no slot.
    pub(crate) fn bar(&self, job: &JobView) -> Bar {
        let bar = Bar::of(job, self.now);
        if job.status == JobStatus::Queued && self.paused.contains(&job.queue) {
            bar.saying("its queue is paused")
        } else {
            bar
        }
    }

    /// The link to a path of ours.
    pub(crate) fn href(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The link to a file of ours; its name changes with its content.
    pub(crate) fn asset(&self, name: &str) -> String {
        format!("{}/assets/{}/{name}", self.base, *crate::assets::VERSION)
    }

    /// Whether jobs may be enqueued and cancelled.
    pub(crate) fn can_produce(&self) -> bool {
        self.role >= Role::Producer
    }

    /// Whether jobs may be repaired.
    pub(crate) fn can_operate(&self) -> bool {
        self.role >= Role::Operator
    }

    /// Whether tokens are this one's to give out.
    pub(crate) fn is_admin(&self) -> bool {
        self.role >= Role::Admin
    }

    /// The view that is shown, as the navigation calls it.
    pub(crate) fn place(&self) -> &'static str {
        match self.section {
            "overview" => "Overview",
            "jobs" => "Jobs",
            "queues" => "Queues",
            "dead" => "Dead letters",
            "cron" => "Cron",
            "workers" => "Workers",
            "operations" => "Operations",
            "quarantine" => "Quarantine",
            "audit" => "Audit log",
            _ => "Views",
        }
    }

    /// Whether a section of the navigation is the one that is shown.
    pub(crate) fn at(&self, section: &str) -> bool {
        self.section == section
    }
}

impl Page {
    /// The frame of a page.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn frame(
        &self,
        title: impl Into<String>,
        section: &'static str,
    ) -> Result<Frame, Error> {
        let queues = self.state.client().queues().await?;
        let paused = queues.iter().filter(|(_, queue)| queue.paused);
        let paused = paused.map(|(name, _)| name.clone()).collect();
        let dead = queues
            .values()
            .filter_map(|queue| queue.counts.get(&JobStatus::Failed));
        let dead: u64 = dead.sum();
        Ok(Frame {
            title: title.into(),
            section,
            csrf: self.session.csrf().to_owned(),
            who: self.session.who.clone(),
            role: self.session.role,
            theme: self.theme,
            done: self.done.clone(),
            now: self.state.now(),
            dead: if dead == 0 {
                String::new()
            } else {
                text::count(dead)
            },
            letters: dead,
            search: String::new(),
            signed_in: self.state.settings().access != crate::settings::Access::Open,
            paused,
            base: self.state.href(""),
        })
    }
}

impl FromRequestParts<AppState> for Page {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Error> {
        // Who asks, not whence: what is posted is taken as `Posted`, which checks that.
        let session = Session::identify(parts, state).await?;
        Ok(Self {
            state: state.clone(),
            session,
            theme: theme(parts),
            done: parts.uri.query().and_then(done),
        })
    }
}

/// The frame of a page for nobody in particular: signing in, and errors.
pub(crate) fn bare(state: &AppState, title: &str) -> Frame {
    Frame {
        title: title.to_owned(),
        section: "",
        csrf: String::new(),
        who: String::new(),
        role: Role::Viewer,
        theme: "",
        done: None,
        now: state.now(),
        dead: String::new(),
        letters: 0,
        search: String::new(),
        signed_in: false,
        paused: BTreeSet::new(),
        base: state.href(""),
    }
}

fn theme(parts: &Parts) -> &'static str {
    let cookies = parts
        .headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut pairs = cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    match pairs.find(|(name, _)| *name == THEME_COOKIE) {
        Some((_, "light")) => "light",
        Some((_, "dark")) => "dark",
        _ => "",
    }
}

/// What a link says was done. Only sentences of ours are shown: anybody can make a link.
fn done(query: &str) -> Option<String> {
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let find = |wanted: &str| {
        pairs
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.as_str())
    };
    let many = find("n")
        .and_then(|number| number.parse::<u64>().ok())
        .unwrap_or(0);
    let sentence = match find("done")? {
        "enqueued" => "Enqueued.".to_owned(),
        "existing" => "This job is known already; nothing was enqueued twice.".to_owned(),
        "cancelled" => "Cancelled.".to_owned(),
        "cancelling" => "The running attempt was asked to stop; it is cancelled when it does.".to_owned(),
        "ended" => "Nothing to cancel: the job has ended.".to_owned(),
        "requeued" => "Queued again, with its retries restored.".to_owned(),
        "edited" => "Queued again with the new arguments.".to_owned(),
        "discarded" => "Discarded.".to_owned(),
        "not-dead" => "Nothing was done: it is no dead letter any more.".to_owned(),
        "past-deadline" => "It stays: its deadline has passed, it would only expire.".to_owned(),
        "has-children" => "It stays for now: jobs that depend on it are told first. Ask again.".to_owned(),
        "paused" => "Paused. What runs goes on; nothing new starts.".to_owned(),
        "resumed" => "Resumed.".to_owned(),
        "dropped" => format!(
            "{} deleted from the quarantine.",
            text::plural(many, "message", "messages")
        ),
        "entry-saved" => "The entry is saved.".to_owned(),
        "entry-removed" => "The entry is removed; its jobs stay.".to_owned(),
        "entry-run" => "A job of the entry was made now; its next tick stays.".to_owned(),
        "operation" => "The operation has begun; it goes on when you leave this page.".to_owned(),
        "all-cancelled" => format!(
            "{} cancelled, or asked to stop.",
            text::plural(many, "job was", "jobs were")
        ),
        _ => return None,
    };
    Some(sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_can_make_us_say_nothing_of_its_own() {
        assert_eq!(done("done=<script>"), None);
        assert_eq!(done("x=1"), None);
        assert_eq!(
            done("done=dropped&n=2").as_deref(),
            Some("2 messages deleted from the quarantine.")
        );
    }
}
