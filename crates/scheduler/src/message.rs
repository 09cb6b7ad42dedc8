//! How dispatches become messages: bundles of one queue, one priority and one shard.

use std::time::Duration;

use longshore_core::message::{Epoch, Gen, Message, MessageJob};
use longshore_core::pace::Load;
use longshore_core::port::broker::message_id;
use longshore_core::port::schedule::{Leased, Publishable};
use longshore_core::{JobId, Timestamp};

/// Messages for leased dispatches, in their order: a message stands where its first job stood. Each carries as many as
/// its [`Load`] takes of at most `jobs_max`; `pace` says how long a job takes.
pub(crate) fn build(
    shard: u16,
    leased: Leased,
    jobs_max: usize,
    pace: impl Fn(&Publishable) -> Duration,
    now: Timestamp,
) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::with_capacity(leased.jobs.len());
    // The last message of each queue and priority, with what it holds: there are few of them.
    let mut open: Vec<(usize, Load)> = Vec::new();
    for job in leased.jobs {
        let (size, takes) = (job.envelope.len(), pace(&job));
        let known = open.iter().position(|(at, _)| {
            let message = messages.get(*at);
            message.is_some_and(|message| message.queue == job.queue && message.priority == job.priority)
        });
        let known = known.and_then(|known| open.get_mut(known));
        let mut load = known.as_ref().map_or_else(Load::default, |(_, load)| *load);
        let fits = load.takes(size, takes, jobs_max);
        match known {
            Some((at, known)) if fits => {
                *known = load;
                if let Some(message) = messages.get_mut(*at) {
                    message.jobs.push(travelling(job));
                }
                continue;
            }
            Some(known) => *known = (messages.len(), alone(size, takes)),
            None => open.push((messages.len(), alone(size, takes))),
        }
        messages.push(begin(shard, leased.epoch, job, now));
    }
    messages
}

/// What a message holds that has one job.
fn alone(size: usize, takes: Duration) -> Load {
    let mut load = Load::default();
    load.takes(size, takes, 1);
    load
}

/// The jobs of a message, as the store knows its dispatches.
pub(crate) fn dispatches(message: &Message) -> Vec<(JobId, Gen)> {
    message.jobs.iter().map(|job| (job.id, job.gen_)).collect()
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
    use longshore_core::limits::BUNDLE_BYTES_MAX;
    use longshore_core::pace::BUNDLE_TIME;
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
        build(3, leased(jobs), bundle_max, |_| Duration::ZERO, Timestamp(5))
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
        let messages = build(3, leased(jobs), 64, |_| Duration::ZERO, Timestamp(5));
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
    fn a_bundle_holds_no_more_work_than_a_moment_of_one_worker() {
        let jobs: Vec<_> = (0..5)
            .map(|_| dispatch("default", Priority::Normal, 10))
            .collect();
        let messages = build(3, leased(jobs), 64, |_| BUNDLE_TIME / 2, Timestamp(5));
        let sizes: Vec<_> = messages.iter().map(|message| message.jobs.len()).collect();
        assert_eq!(sizes, [2, 2, 1]);
    }

    #[test]
    fn a_message_tells_the_counts_at_dispatch() {
        let job = dispatch("default", Priority::High, 4);
        let message = build(3, leased(vec![job.clone()]), 1, |_| BUNDLE_TIME, Timestamp(5)).remove(0);
        assert_eq!(dispatches(&message), [(job.id, 2)]);
        assert_eq!((message.jobs[0].attempts, message.jobs[0].retries), (1, 1));
        assert_eq!(message.published_at, Timestamp(5));
    }
}
