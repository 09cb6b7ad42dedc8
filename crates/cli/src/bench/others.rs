//! Whose a queue is: a measurement neither runs other people's jobs nor lets others run its own.

use longshore::{ClientError, Job as _};
use longshore_backend::Backend;
use longshore_core::QueueName;
use longshore_core::stats::Standing;
use longshore_core::view::WorkerView;

use super::job::BenchJob;
use crate::args::bench::Bench;
use crate::failure::Failure;

/// Refuses a queue that others use. One half of a measurement finds the jobs and the worker of the other half there, which
/// are none of others.
///
/// # Errors
/// When others use it, or the store does not answer.
pub(super) async fn refuse(backend: &Backend, options: &Bench) -> Result<(), Failure> {
    let (queue, is_half) = (&options.queue, options.modes.iter().any(|mode| mode.is_half()));
    let inspect = &backend.ports().inspect;
    let standing = inspect.standing().await.map_err(ClientError::from)?;
    let open = open(&standing, queue, is_half);
    if open > 0 {
        let whose = if is_half { " of other functions" } else { "" };
        return Err(Failure::usage(format!(
            "--queue: {queue} holds {open} open job(s){whose}, which a measurement would run or count; use another queue, or \
             cancel them first (`longshore job ls --queue {queue}`)"
        )));
    }
    let workers = inspect.workers().await.map_err(ClientError::from)?;
    if let Some(worker) = other(&workers, queue, is_half) {
        return Err(Failure::usage(format!(
            "--queue: worker {} consumes {queue} as well; use another queue, or stop that worker",
            worker.id
        )));
    }
    Ok(())
}

/// Open jobs of the queue; without the bench's own when these are to be there.
fn open(standing: &Standing, queue: &QueueName, without_own: bool) -> u64 {
    standing
        .jobs
        .iter()
        .filter(|((of, function), _)| of == queue && !(without_own && is_own(function)))
        .flat_map(|(_, counts)| counts)
        .filter(|(status, _)| !status.is_terminal())
        .map(|(_, count)| count)
        .sum()
}

/// A worker of the queue; none that runs the bench's jobs alone when such a one is to be there.
fn other<'a>(workers: &'a [WorkerView], queue: &QueueName, without_own: bool) -> Option<&'a WorkerView> {
    workers
        .iter()
        .find(|worker| worker.queues.contains(queue) && !(without_own && worker.functions.iter().all(is_own)))
}

fn is_own(function: &longshore_core::FunctionName) -> bool {
    function.as_str() == BenchJob::FUNCTION_NAME
}

#[cfg(test)]
mod tests {
    use longshore_core::{FunctionName, JobStatus, Timestamp, WorkerId};

    use super::*;

    fn queue() -> QueueName {
        QueueName::new("halves").unwrap()
    }

    fn function(name: &str) -> FunctionName {
        FunctionName::new(name).unwrap()
    }

    #[test]
    fn one_half_minds_open_jobs_of_other_functions_alone() {
        let (own, others) = (function(BenchJob::FUNCTION_NAME), function("someone.elses"));
        let elsewhere = QueueName::new("elsewhere").unwrap();
        let standing = Standing {
            jobs: [
                (
                    (queue(), own),
                    [(JobStatus::Queued, 7), (JobStatus::Completed, 90)].into(),
                ),
                (
                    (queue(), others.clone()),
                    [(JobStatus::Blocked, 2), (JobStatus::Failed, 5)].into(),
                ),
                ((elsewhere, others), [(JobStatus::Queued, 11)].into()),
            ]
            .into(),
            ..Standing::default()
        };
        assert_eq!(open(&standing, &queue(), false), 9);
        assert_eq!(open(&standing, &queue(), true), 2);
    }

    fn worker(functions: &[&str], queues: &[&str]) -> WorkerView {
        WorkerView {
            id: WorkerId("one".to_owned()),
            host: "here".to_owned(),
            pid: 1,
            version: "1".to_owned(),
            functions: functions.iter().map(|name| function(name)).collect(),
            queues: queues.iter().map(|name| QueueName::new(name).unwrap()).collect(),
            slots: 1,
            busy: 0,
            free: 0,
            unattached: Vec::new(),
            running: Vec::new(),
            draining: false,
            started_at: Timestamp::ZERO,
            seen_at: Timestamp::ZERO,
            watermarks: Vec::new(),
            run_times: Vec::new(),
        }
    }

    #[test]
    fn one_half_finds_the_worker_of_the_other_and_no_stranger() {
        let others = |worker, without_own| other(&[worker], &queue(), without_own).is_some();
        let own = worker(&["longshore.bench"], &["halves"]);
        assert!(others(own.clone(), false));
        assert!(!others(own, true));
        assert!(others(
            worker(&["longshore.bench", "someone.elses"], &["halves"]),
            true
        ));
        assert!(!others(worker(&["someone.elses"], &["elsewhere"]), true));
        assert!(!others(worker(&["someone.elses"], &["elsewhere"]), false));
    }
}
