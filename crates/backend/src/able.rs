//! Which parked jobs a live worker could run.

use std::collections::{BTreeMap, BTreeSet};

use longshore_core::name::{FunctionName, QueueName};
use longshore_core::view::WorkerView;

/// The queues in which each function runs.
pub(crate) type Able = BTreeMap<FunctionName, BTreeSet<QueueName>>;

/// What these workers start. One that drains starts nothing: a job that is released for it would come back.
pub(crate) fn able<'a>(workers: impl IntoIterator<Item = &'a WorkerView>) -> Able {
    let mut able = Able::new();
    for worker in workers.into_iter().filter(|worker| !worker.draining) {
        for function in &worker.functions {
            let queues = able.entry(function.clone()).or_default();
            queues.extend(worker.queues.iter().cloned());
        }
    }
    able
}
