//! `longshore worker ls`.

use longshore::WorkerView;
use longshore_core::clock::duration_millis;
use longshore_core::{Clock, SystemClock, Timestamp};
use serde_json::{Value, json};

use crate::board::{short, short_time};
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::output::{Column, Format, Give, Out, warn};

const HEAD: [Column<'_>; 11] = [
    Column::new("WORKER", Give::Nothing),
    Column::new("HOST", Give::All(2)),
    Column::new("PID", Give::All(1)),
    Column::new("VERSION", Give::All(0)),
    Column::new("STATE", Give::Nothing),
    Column::new("UP", Give::All(4)),
    Column::new("SLOTS", Give::Nothing),
    Column::new("QUEUES", Give::DownTo(7)),
    Column::new("FUNCTIONS", Give::DownTo(10)),
    Column::new("RUNS", Give::Nothing),
    Column::new("BEAT", Give::All(3)),
];

/// Lists live workers as they told of themselves with their last beat.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn run(fleet: &Fleet, out: &mut Out) -> Result<(), Failure> {
    let mut workers = fleet.workers().await?;
    workers.sort_by(|one, other| one.id.cmp(&other.id));
    if workers.is_empty() && out.format == Format::Table {
        warn(
            "No worker is live. Start one with `longshore worker`; on an embedded store, with `longshore dev`.",
        );
        return Ok(());
    }
    let now = SystemClock.now();
    let rows: Vec<Value> = workers.iter().map(document).collect();
    Ok(out.rows(&HEAD, &rows, workers.iter().map(|worker| cells(worker, now)))?)
}

/// A worker for programs.
fn document(worker: &WorkerView) -> Value {
    json!({
        "id": worker.id,
        "host": worker.host,
        "pid": worker.pid,
        "version": worker.version,
        "draining": worker.draining,
        "slots": worker.slots,
        "busy": worker.busy,
        "queues": worker.queues,
        "functions": worker.functions,
        "running": worker.running,
        "started_at_ms": worker.started_at,
        "uptime_ms": duration_millis(worker.seen_at.since(worker.started_at)),
        "seen_at_ms": worker.seen_at,
    })
}

fn cells(worker: &WorkerView, now: Timestamp) -> Vec<String> {
    let queues: Vec<&str> = worker.queues.iter().map(AsRef::as_ref).collect();
    let functions: Vec<&str> = worker.functions.iter().map(AsRef::as_ref).collect();
    let state = if worker.draining { "draining" } else { "working" };
    vec![
        worker.id.to_string(),
        short(&worker.host, 24),
        worker.pid.to_string(),
        worker.version.clone(),
        state.to_owned(),
        short_time(now.since(worker.started_at)),
        format!("{}/{}", worker.busy, worker.slots),
        short(&queues.join(","), 32),
        short(&functions.join(","), 40),
        runs(worker),
        format!("{} ago", short_time(now.since(worker.seen_at))),
    ]
}

/// The first job that it runs, and how many more.
fn runs(worker: &WorkerView) -> String {
    match worker.running.as_slice() {
        [] => "—".to_owned(),
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first} +{}", rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::{FunctionName, JobId, QueueName, WorkerId};

    use super::*;

    #[test]
    fn a_row_says_where_a_worker_runs_and_what() {
        let id: JobId = "0193f0a1-7c5e-8001-9313-0242ac120002".parse().unwrap();
        let worker = WorkerView {
            run_times: Vec::new(),
            id: WorkerId("h-1-a".to_owned()),
            host: "h".to_owned(),
            pid: 7,
            version: "0.1.0".to_owned(),
            functions: vec![FunctionName::new("a").unwrap(), FunctionName::new("b").unwrap()],
            queues: vec![QueueName::default()],
            slots: 8,
            busy: 2,
            free: 0,
            unattached: Vec::new(),
            running: vec![id, id],
            draining: true,
            started_at: Timestamp(0),
            seen_at: Timestamp(1_000),
            watermarks: Vec::new(),
        };
        let row = cells(&worker, Timestamp(4_000));
        assert_eq!(
            row,
            [
                "h-1-a",
                "h",
                "7",
                "0.1.0",
                "draining",
                "4.0s",
                "2/8",
                "default",
                "a,b",
                "0193f0a1-7c5e-8001-9313-0242ac120002 +1",
                "3.0s ago"
            ]
        );
        assert_eq!(document(&worker)["seen_at_ms"], 1_000);
    }
}
