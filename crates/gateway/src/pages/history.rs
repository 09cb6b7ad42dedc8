//! What happened to a job, in the order in which it did.

use longshore::{AttemptView, FullView, JobStatus, JobView};
use longshore_core::{Envelope, Timestamp};

use super::part::When;
use super::text;

/// One thing that happened, or that comes next.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    /// A status's word, or how an attempt ended.
    pub(crate) kind: String,
    /// The status whose shape stands for it.
    pub(crate) shape: &'static str,
    pub(crate) title: String,
    pub(crate) when: Option<When>,
    pub(crate) detail: String,
}

/// Everything that is known of a job's life, the oldest first.
pub(crate) fn moments(
    job: &JobView,
    full: &FullView,
    envelope: Option<&Envelope>,
    now: Timestamp,
) -> Vec<Moment> {
    let mut moments = vec![enqueued(job, envelope)];
    if let Some(due) = envelope.and_then(|envelope| envelope.run_at) {
        moments.push(Moment {
            kind: "scheduled".to_owned(),
            shape: "scheduled",
            title: "Scheduled".to_owned(),
            when: Some(When::stamp(due)),
            detail: String::new(),
        });
    }
    let lost = job.attempts as usize;
    if let Some(first) = full
        .history
        .first()
        .filter(|first| first.number > 1 && lost > full.history.len())
    {
        moments.push(Moment {
            kind: String::new(),
            shape: "queued",
            title: format!(
                "{} earlier",
                text::plural(u64::from(first.number) - 1, "attempt", "attempts")
            ),
            when: None,
            detail: "not kept".to_owned(),
        });
    }
    moments.extend(full.history.iter().map(attempt));
    moments.push(latest(job, now));
    moments
}

fn enqueued(job: &JobView, envelope: Option<&Envelope>) -> Moment {
    let by = envelope.and_then(|envelope| envelope.created_by.as_ref());
    Moment {
        kind: "queued".to_owned(),
        shape: "queued",
        title: by.map_or_else(|| "Enqueued".to_owned(), |by| format!("Enqueued by {by}")),
        when: Some(When::stamp(job.created_at)),
        detail: String::new(),
    }
}

fn attempt(attempt: &AttemptView) -> Moment {
    let (shape, how) = match attempt.outcome.as_str() {
        "retry" => ("retrying", "failed, to be tried again"),
        "lost" => ("failed", "lost its worker"),
        "failed" => ("failed", "failed for good"),
        "cancelled" => ("cancelled", "was cancelled"),
        "expired" => ("expired", "ran out of time"),
        other => ("queued", other),
    };
    let took = text::span(attempt.ended_at.since(attempt.started_at));
    let error = if attempt.error.is_empty() {
        String::new()
    } else {
        format!(": {}", attempt.error)
    };
    Moment {
        kind: attempt.outcome.clone(),
        shape,
        title: format!("Attempt {} {how}", attempt.number),
        when: Some(When::stamp(attempt.ended_at)),
        detail: format!("after {took} on {}{error}", attempt.worker),
    }
}

/// How it stands.
fn latest(job: &JobView, now: Timestamp) -> Moment {
    let on = job
        .worker
        .as_ref()
        .map(|worker| format!("on {worker}"))
        .unwrap_or_default();
    let (title, when, detail) = match job.status {
        JobStatus::Running => (
            format!("Attempt {} runs", job.attempts),
            job.started_at.map(|at| When::since(at, now)),
            on,
        ),
        JobStatus::Completed => (
            "Completed".to_owned(),
            job.finished_at.map(When::stamp),
            String::new(),
        ),
        JobStatus::Failed => (
            "Given up: a dead letter".to_owned(),
            job.finished_at.map(When::stamp),
            String::new(),
        ),
        JobStatus::Cancelled => (
            "Cancelled".to_owned(),
            job.finished_at.map(When::stamp),
            job.cancel_reason.clone().unwrap_or_default(),
        ),
        JobStatus::Expired => (
            "Expired".to_owned(),
            job.finished_at.map(When::stamp),
            String::new(),
        ),
        JobStatus::Retrying => (
            format!("Attempt {} is due", job.attempts + 1),
            job.run_at.map(|at| When::due(at, now)),
            String::new(),
        ),
        JobStatus::Scheduled => (
            "Waits for its time".to_owned(),
            job.run_at.map(|at| When::due(at, now)),
            String::new(),
        ),
        JobStatus::Blocked => (
            format!(
                "Waits for {}",
                text::plural(job.open_parents.len() as u64, "job", "jobs")
            ),
            None,
            String::new(),
        ),
        JobStatus::Queued => (
            "Waits to be run".to_owned(),
            job.published_at.map(|at| When::since(at, now)),
            String::new(),
        ),
    };
    Moment {
        kind: job.status.to_string(),
        shape: job.status.as_str(),
        title,
        when,
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::sample;

    #[test]
    fn attempts_stand_between_the_enqueue_and_the_end() {
        let mut job = sample::job(JobStatus::Failed);
        job.attempts = 2;
        job.finished_at = Some(Timestamp(9_000));
        let history = [("retry", 1), ("failed", 2)].map(|(outcome, number)| AttemptView {
            number,
            worker: "w1".to_owned(),
            started_at: Timestamp(2_000),
            ended_at: Timestamp(3_500),
            outcome: outcome.to_owned(),
            error: "io: gone".to_owned(),
        });
        let full = FullView {
            history: history.to_vec(),
            ..FullView::default()
        };
        let titles: Vec<_> = moments(&job, &full, None, Timestamp(10_000))
            .into_iter()
            .map(|moment| moment.title)
            .collect();
        assert_eq!(
            titles,
            [
                "Enqueued",
                "Attempt 1 failed, to be tried again",
                "Attempt 2 failed for good",
                "Given up: a dead letter"
            ]
        );
    }
}
