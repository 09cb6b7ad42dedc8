//! What one look at the system sees.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore::{JobFilter, JobView, Statistics, StatisticsQuery, WorkerView};
use longshore_core::{JobId, JobStatus};

use super::app::Screen;
use crate::fleet::Fleet;

/// What is counted: an hour, so that the line of the throughput has 60 minutes.
pub(super) const WINDOW: Duration = Duration::from_secs(3_600);
/// Running jobs that are shown.
const JOBS_MAX: usize = 50;

/// One look.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    pub(super) statistics: Statistics,
    pub(super) workers: Vec<WorkerView>,
    /// Running jobs, the longest running first; empty unless their screen is shown.
    pub(super) jobs: Vec<JobView>,
}

/// Looks. An error is a text: it is shown, and the next look may succeed.
pub(super) async fn look(fleet: &Fleet, screen: Screen) -> Result<Look, String> {
    let query = StatisticsQuery::over(WINDOW);
    let statistics = fleet.statistics(&query).await.map_err(|error| error.message)?;
    let mut workers = fleet.workers().await.map_err(|error| error.message)?;
    workers.sort_by(|one, other| one.id.cmp(&other.id));
    let jobs = match screen {
        Screen::Jobs => running(fleet, &workers).await?,
        _ => Vec::new(),
    };
    Ok(Look {
        statistics,
        workers,
        jobs,
    })
}

/// Jobs that run now: those that workers have told of, and those among the newest that have started since.
async fn running(fleet: &Fleet, workers: &[WorkerView]) -> Result<Vec<JobView>, String> {
    let filter = JobFilter {
        statuses: vec![JobStatus::Running],
        ..JobFilter::default()
    };
    let page = fleet.list(&filter, None, JOBS_MAX).await;
    let mut jobs = page.map_err(|error| error.message)?.jobs;
    let seen: BTreeSet<JobId> = jobs.iter().map(|job| job.id).collect();
    let told = workers.iter().flat_map(|worker| &worker.running);
    let unseen: BTreeSet<JobId> = told.filter(|id| !seen.contains(id)).copied().collect();
    for id in unseen.into_iter().take(JOBS_MAX.saturating_sub(seen.len())) {
        let job = fleet.summary(id).await.map_err(|error| error.message)?;
        jobs.extend(job.filter(|job| job.status == JobStatus::Running));
    }
    jobs.sort_by_key(|job| (job.started_at, job.id));
    Ok(jobs)
}
