//! `longshore bench memory`: what a job takes in Redis, by state, from Redis itself.

use std::time::Duration;

use longshore::Batch;
use longshore_backend::gauge::Gauge;
use longshore_core::{Clock as _, JobId, SystemClock, Timestamp};
use longshore_service::exit::ExitCode;
use serde::Serialize;

use super::rig::Rig;
use crate::args::bench::Bench;
use crate::failure::Failure;
use crate::output::{Column, Give, Out};

/// Far enough for a job to stay scheduled.
const LATER: Duration = Duration::from_secs(3_600);

#[derive(Serialize)]
struct Weight {
    state: &'static str,
    jobs: usize,
    bytes_a_job: u64,
}

/// Measures, and leaves nothing open.
///
/// # Errors
/// When the store is not one Redis, or a server fails.
pub(super) async fn run(
    rig: &Rig,
    gauge: Option<&Gauge>,
    options: &Bench,
    out: &mut Out,
) -> Result<(), Failure> {
    let gauge = gauge.ok_or_else(|| {
        Failure::usage("memory: is measured on one Redis; the embedded store and a cluster do not tell")
    })?;
    let jobs = usize::try_from(options.jobs).unwrap_or(usize::MAX);
    let mut weights = Vec::new();
    let empty = bytes(gauge).await?;
    rig.enqueue(jobs).await?;
    weights.push(weight("queued", jobs, empty, bytes(gauge).await?));
    let worker = rig.worker().await?;
    rig.until_done(jobs).await?;
    worker.end().await?;
    let completed = bytes(gauge).await?;
    weights.push(weight("completed", jobs, empty, completed));
    let later = SystemClock.now().after(LATER);
    let ids = scheduled(rig, jobs, later).await?;
    weights.push(weight("scheduled", jobs, completed, bytes(gauge).await?));
    for id in ids {
        rig.client.cancel(id, "the measurement is over").await?;
    }
    let columns = [
        Column::new("STATE", Give::Nothing),
        Column::new("JOBS", Give::Nothing),
        Column::new("BYTES A JOB", Give::Nothing),
    ];
    let cells = weights.iter().map(|one| {
        vec![
            one.state.to_owned(),
            one.jobs.to_string(),
            one.bytes_a_job.to_string(),
        ]
    });
    Ok(out.rows(&columns, &weights, cells)?)
}

async fn scheduled(rig: &Rig, jobs: usize, later: Timestamp) -> Result<Vec<JobId>, Failure> {
    let mut batch = Batch::new();
    for number in 0..jobs {
        batch.add(rig.job(number)).queue(rig.queue()).scheduled_at(later);
    }
    let handles = rig.client.enqueue_many(batch).await?;
    Ok(handles.iter().map(longshore::JobHandle::id).collect())
}

async fn bytes(gauge: &Gauge) -> Result<u64, Failure> {
    let said = gauge.data_bytes().await;
    said.ok_or_else(|| {
        Failure::new(
            ExitCode::Unavailable,
            "Redis does not tell its memory (INFO memory)",
        )
    })
}

fn weight(state: &'static str, jobs: usize, before: u64, after: u64) -> Weight {
    Weight {
        state,
        jobs,
        bytes_a_job: after.saturating_sub(before) / u64::try_from(jobs.max(1)).unwrap_or(1),
    }
}
