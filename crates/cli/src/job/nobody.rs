//! A job whose function no live worker has waits in silence, for ever when its name is a slip: that is said early.

use longshore::Client;
use longshore_core::JobStatus;
use longshore_core::view::JobView;

use crate::similar::did_you_mean;

/// What to say of a job that waits for a worker with its function; `None` when one is live, or that is not known.
pub(super) async fn has_it(client: &Client, job: &JobView) -> Option<String> {
    if job.status != JobStatus::Queued {
        return None;
    }
    let mut workers = client.workers().await.ok()?;
    workers.retain(|worker| !worker.draining);
    let function = &job.function_name;
    let mut known = workers.iter().flat_map(|worker| &worker.functions);
    if known.clone().any(|known| known == function) {
        return None;
    }
    if workers.is_empty() {
        return Some("no worker is live: start one that has its function".to_owned());
    }
    let meant = did_you_mean(
        function.as_str(),
        known.by_ref().map(longshore::FunctionName::as_str),
    );
    Some(format!(
        "no live worker has the function {function}; the job waits until one starts.{meant} `longshore worker ls` lists \
         what workers have"
    ))
}
