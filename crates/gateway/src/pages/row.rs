//! A job as a row of a table.

use longshore::JobView;

use super::frame::{Frame, Page};
use super::part::{Bar, Status, Urgency, When};

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) function: String,
    pub(crate) queue: String,
    pub(crate) status: Status,
    pub(crate) urgency: Urgency,
    pub(crate) bar: Bar,
    pub(crate) attempts: u32,
    pub(crate) created: When,
}

impl Row {
    pub(crate) fn of(job: &JobView, frame: &Frame) -> Self {
        Self {
            id: job.id.to_string(),
            name: job.name.clone(),
            function: job.function_name.to_string(),
            queue: job.queue.to_string(),
            status: job.status.into(),
            urgency: job.priority.into(),
            bar: frame.bar(job),
            attempts: job.attempts,
            created: When::ago(job.created_at, frame.now),
        }
    }
}

/// Rows of what whoever looks may see.
pub(crate) fn rows(page: &Page, jobs: Vec<JobView>, frame: &Frame) -> Vec<Row> {
    jobs.into_iter()
        .map(|job| Row::of(&super::hidden::seen(page, job), frame))
        .collect()
}
