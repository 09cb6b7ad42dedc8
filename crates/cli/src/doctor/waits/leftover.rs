//! Messages of jobs that wait no more: a purge cancels jobs, and their messages stay in the broker until a worker takes them.

use std::collections::BTreeMap;

use longshore_backend::checkup::{Finding, Severity};
use longshore_core::QueueName;
use longshore_core::port::broker::Depth;
use longshore_core::view::QueueView;

use crate::doctor::index::queue_subject;

/// One finding a queue that nobody consumes and that holds more messages than jobs are queued.
pub(super) fn of(queues: &BTreeMap<QueueName, QueueView>, depths: &[Depth]) -> Vec<Finding> {
    let mut lanes: BTreeMap<&QueueName, (u64, u64)> = BTreeMap::new();
    for depth in depths {
        let (ready, consumers) = lanes.entry(&depth.queue).or_default();
        *ready += depth.ready;
        *consumers += depth.consumers;
    }
    let left = lanes.into_iter().filter_map(|(queue, (ready, consumers))| {
        let queued = queues.get(queue).map_or(0, QueueView::size);
        let more = ready.saturating_sub(queued);
        (consumers == 0 && more > 0).then(|| finding(queue, ready, queued))
    });
    left.collect()
}

fn finding(queue: &QueueName, messages: u64, queued: u64) -> Finding {
    Finding::new(
        Severity::Notice,
        queue_subject(queue),
        format!(
            "the broker holds {messages} message(s) of it, and {queued} job(s) are queued: {} are of jobs that were cancelled, \
             or have ended",
            messages - queued
        ),
        "they take room in RabbitMQ, and run nothing",
        "nothing need be done: the next worker of the queue drops them",
    )
}

#[cfg(test)]
mod tests {
    use longshore_core::{JobStatus, Priority};

    use super::*;

    fn depth(priority: Priority, ready: u64, consumers: u64) -> Depth {
        Depth {
            queue: QueueName::default(),
            priority: Some(priority),
            ready,
            consumers,
            recreated_at: None,
        }
    }

    fn found(queued: u64, depths: &[Depth]) -> Vec<Finding> {
        let view = QueueView {
            counts: [(JobStatus::Queued, queued)].into(),
            paused: false,
        };
        of(&[(QueueName::default(), view)].into(), depths)
    }

    #[test]
    fn messages_over_the_jobs_queued_are_told_where_nobody_consumes() {
        let two = [depth(Priority::Normal, 2_000, 0), depth(Priority::Low, 1_000, 0)];
        let told = found(10, &two);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].severity, Severity::Notice);
        assert!(
            told[0].problem.contains("3000 message(s)") && told[0].problem.contains("2990 are of jobs"),
            "{told:?}"
        );
        assert_eq!(found(3_000, &two), []);
        let consumed = [depth(Priority::Normal, 2_000, 1)];
        assert_eq!(found(10, &consumed), [], "a worker is about to drop them");
    }
}
