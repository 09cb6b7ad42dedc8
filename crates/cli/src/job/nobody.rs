//! A job whose function no live worker has waits in silence, for ever when its name is a slip: that is said early.

use std::collections::BTreeSet;

use longshore_core::view::{JobView, WorkerView};
use longshore_core::{FunctionName, JobStatus, QueueName};

use crate::fleet::Fleet;
use crate::similar::did_you_mean;

/// What to say of a job that waits for a worker with its function; `None` when one is live, or that is not known.
pub(super) async fn has_it(fleet: &Fleet, job: &JobView) -> Option<String> {
    if job.status != JobStatus::Queued {
        return None;
    }
    let workers = live(fleet).await?;
    if workers.is_empty() {
        return Some("no worker is live: start one that has its function".to_owned());
    }
    lacks_function(&workers, &job.function_name)
}

/// What to say of a job or a cron entry that was just handed over: a function or a queue that no live worker takes is
/// often a slip. A fleet without workers is none, it may be started later; `None` then.
pub(crate) async fn takes(fleet: &Fleet, function: &FunctionName, queue: &QueueName) -> Option<String> {
    let workers = live(fleet).await?;
    if workers.is_empty() {
        return None;
    }
    lacks_function(&workers, function).or_else(|| lacks_queue(&workers, queue))
}

async fn live(fleet: &Fleet) -> Option<Vec<WorkerView>> {
    let mut workers = fleet.workers().await.ok()?;
    workers.retain(|worker| !worker.draining);
    Some(workers)
}

fn lacks_function(workers: &[WorkerView], function: &FunctionName) -> Option<String> {
    let known: BTreeSet<&str> = workers
        .iter()
        .flat_map(|worker| &worker.functions)
        .map(FunctionName::as_str)
        .collect();
    if known.contains(function.as_str()) {
        return None;
    }
    let meant = did_you_mean(function.as_str(), known);
    Some(format!(
        "no live worker has the function {function}; jobs of it wait until one starts.{meant} `longshore worker ls` lists \
         what workers have"
    ))
}

fn lacks_queue(workers: &[WorkerView], queue: &QueueName) -> Option<String> {
    let known: BTreeSet<&str> = workers
        .iter()
        .flat_map(|worker| &worker.queues)
        .map(QueueName::as_str)
        .collect();
    if known.contains(queue.as_str()) {
        return None;
    }
    let meant = did_you_mean(queue.as_str(), known);
    Some(format!(
        "no live worker consumes the queue {queue}; jobs of it wait until one does.{meant} `longshore worker ls` lists what \
         workers consume"
    ))
}
