//! How dispatches become messages: bundles of one queue, one priority and one shard.

use longshore_core::limits::{BUNDLE_BYTES_MAX, BUNDLE_JOBS_MAX};
use longshore_core::message::{Epoch, Gen, Message, MessageJob};
use longshore_core::port::broker::message_id;
use longshore_core::port::schedule::{Leased, Publishable};
use longshore_core::{JobId, Timestamp};

/// Messages for leased dispatches, in their order: a message stands where its first job stood. Each carries at most
/// `bundle_max` jobs, and never more than the limits of a bundle allow.
pub(crate) fn build(shard: u16, leased: Leased, bundle_max: usize, now: Timestamp) -> Vec<Message> {
    let bundle_max = bundle_max.clamp(1, BUNDLE_JOBS_MAX);
    let mut messages: Vec<Message> = Vec::with_capacity(leased.jobs.len().div_ceil(bundle_max));
    for job in leased.jobs {
        let open = messages
            .iter_mut()
            .rev()
            .find(|message| fits(message, &job, bundle_max));
        match open {
            Some(message) => message.jobs.push(travelling(job)),
            None => messages.push(begin(shard, leased.epoch, job, now)),
        }
    }
    messages
}

/// The jobs of a message, as the store knows its dispatches.
pub(crate) fn dispatches(message: &Message) -> Vec<(JobId, Gen)> {
    message.jobs.iter().map(|job| (job.id, job.gen_)).collect()
}

fn fits(message: &Message, job: &Publishable, bundle_max: usize) -> bool {
    let bytes: usize = message.jobs.iter().map(|job| job.envelope.len()).sum();
    message.jobs.len() < bundle_max
        && message.queue == job.queue
        && message.priority == job.priority
        && bytes + job.envelope.len() <= BUNDLE_BYTES_MAX
}

fn begin(shard: u16, epoch: Epoch, job: Publishable, now: Timestamp) -> Message {
    Message {
        id: message_id(),
        queue: job.queue.clone(),
        priority: job.priority,
        shard,
        epoch,
        published_at: now,
        norecord: false,
        jobs: vec![travelling(job)],
        traceparent: None,
    }
}

fn travelling(job: Publishable) -> MessageJob {
    MessageJob {
        id: job.id,
        gen_: job.gen_,
        attempts: job.attempts,
        retries: job.retries,
        losts: job.losts,
        envelope: job.envelope,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use longshore_core::random::SystemRandom;
    use longshore_core::{Priority, QueueName};

    use super::*;

    fn dispatch(queue: &str, priority: Priority, bytes: usize) -> Publishable {
        Publishable {
            id: JobId::generate(Timestamp(1), 3, &SystemRandom),
            gen_: 2,
            queue: QueueName::new(queue).unwrap(),
            priority,
            attempts: 1,
            retries: 1,
            losts: 0,
            envelope: Bytes::from(vec![0; bytes]),
        }
    }

    fn leased(jobs: Vec<Publishable>) -> Leased {
        Leased {
            epoch: 9,
            looked_at: jobs.len(),
            jobs,
        }
    }

    fn sizes(jobs: Vec<Publishable>, bundle_max: usize) -> Vec<usize> {
        build(3, leased(jobs), bundle_max, Timestamp(5))
            .iter()
            .map(|message| message.jobs.len())
            .collect()
    }

    #[test]
    fn one_job_travels_alone_unless_bundles_are_asked_for() {
        let jobs: Vec<_> = (0..5)
            .map(|_| dispatch("default", Priority::Normal, 10))
            .collect();
        assert_eq!(sizes(jobs.clone(), 1), [1, 1, 1, 1, 1]);
        assert_eq!(sizes(jobs.clone(), 0), [1, 1, 1, 1, 1]);
        assert_eq!(sizes(jobs, 2), [2, 2, 1]);
    }

    #[test]
    fn a_bundle_has_one_queue_and_one_priority() {
        let jobs = vec![
            dispatch("a", Priority::Critical, 10),
            dispatch("a", Priority::Low, 10),
            dispatch("b", Priority::Critical, 10),
            dispatch("a", Priority::Critical, 10),
        ];
        let messages = build(3, leased(jobs), 64, Timestamp(5));
        assert_eq!(messages.len(), 3);
        assert_eq!(messages[0].jobs.len(), 2);
        assert!(
            messages
                .iter()
                .all(|message| message.shard == 3 && message.epoch == 9 && !message.norecord)
        );
    }

    #[test]
    fn a_bundle_stays_within_the_limits_whatever_is_asked_for() {
        let many: Vec<_> = (0..65)
            .map(|_| dispatch("default", Priority::Normal, 10))
            .collect();
        assert_eq!(sizes(many, usize::MAX), [64, 1]);
        let large: Vec<_> = (0..3)
            .map(|_| dispatch("default", Priority::Normal, BUNDLE_BYTES_MAX / 2))
            .collect();
        assert_eq!(sizes(large, 64), [2, 1]);
    }

    #[test]
    fn a_message_tells_the_counts_at_dispatch() {
        let job = dispatch("default", Priority::High, 4);
        let message = build(3, leased(vec![job.clone()]), 1, Timestamp(5)).remove(0);
        assert_eq!(dispatches(&message), [(job.id, 2)]);
        assert_eq!((message.jobs[0].attempts, message.jobs[0].retries), (1, 1));
        assert_eq!(message.published_at, Timestamp(5));
    }
}
