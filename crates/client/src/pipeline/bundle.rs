//! Puts dispatches of one shard into messages.

use std::time::Duration;

use longshore_core::Clock;
use longshore_core::message::{Epoch, Gen, Message, MessageJob};
use longshore_core::pace::Load;
use longshore_core::port::broker::message_id;
use longshore_core::port::enqueue::NewJob;

/// A job that is to be published.
#[derive(Clone, Debug)]
pub(crate) struct Dispatch {
    pub(crate) job: NewJob,
    pub(crate) gen_: Gen,
    /// The enqueue found it known.
    pub(crate) existing: bool,
}

/// Where a message belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address {
    pub(crate) shard: u16,
    pub(crate) epoch: Epoch,
    /// There is no record: the worker makes it.
    pub(crate) norecord: bool,
    /// There may be one all the same: the store's answer was lost.
    pub(crate) in_doubt: bool,
}

/// The messages for these dispatches, and for each which dispatches it carries. The most urgent come first; jobs of
/// one queue and priority travel together, as many as a message's [`Load`] takes of at most `jobs_max`; `pace` says how
/// long a job takes.
pub(crate) fn bundle(
    jobs: &[Dispatch],
    address: Address,
    jobs_max: usize,
    pace: impl Fn(&NewJob) -> Duration,
    clock: &dyn Clock,
) -> Vec<(Message, Vec<usize>)> {
    let mut order: Vec<(usize, &Dispatch)> = jobs.iter().enumerate().collect();
    order.sort_by(|(_, a), (_, b)| {
        let urgency = b.job.priority.cmp(&a.job.priority);
        urgency.then_with(|| a.job.queue.cmp(&b.job.queue))
    });
    let published_at = clock.now();
    let mut messages: Vec<(Message, Vec<usize>)> = Vec::with_capacity(order.len());
    let mut load = Load::default();
    for (index, dispatch) in order {
        let (size, takes) = (dispatch.job.envelope.len(), pace(&dispatch.job));
        let open = messages.last_mut().filter(|(message, _)| {
            message.priority == dispatch.job.priority
                && message.queue == dispatch.job.queue
                && load.takes(size, takes, jobs_max)
        });
        if let Some((message, carried)) = open {
            message.jobs.push(message_job(dispatch));
            carried.push(index);
            continue;
        }
        load = Load::default();
        load.takes(size, takes, jobs_max);
        let message = Message {
            id: message_id(),
            queue: dispatch.job.queue.clone(),
            priority: dispatch.job.priority,
            shard: address.shard,
            epoch: address.epoch,
            published_at,
            norecord: address.norecord,
            jobs: vec![message_job(dispatch)],
            traceparent: None,
        };
        messages.push((message, vec![index]));
    }
    messages
}

fn message_job(dispatch: &Dispatch) -> MessageJob {
    MessageJob {
        id: dispatch.job.id,
        gen_: dispatch.gen_,
        attempts: 0,
        retries: 0,
        losts: 0,
        envelope: dispatch.job.envelope.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::pace::BUNDLE_TIME;
    use longshore_core::random::SystemRandom;
    use longshore_core::{Envelope, FunctionName, JobId, JobSpec, Priority, QueueName, SystemClock, value};

    fn dispatch(queue: &str, priority: Priority, bytes: usize) -> Dispatch {
        let args = value::encode("args", &"x".repeat(bytes)).unwrap();
        let mut spec = JobSpec::new(FunctionName::new("f").unwrap(), args);
        spec.queue = QueueName::new(queue).unwrap();
        spec.priority = priority;
        let now = SystemClock.now();
        let envelope = Envelope::from_spec(&spec, JobId::generate(now, 0, &SystemRandom), now);
        let encoded = envelope.encode().unwrap();
        Dispatch {
            job: NewJob::from_envelope(&envelope, encoded),
            gen_: 1,
            existing: false,
        }
    }

    fn carried(jobs: &[Dispatch], jobs_max: usize) -> Vec<Vec<usize>> {
        paced(jobs, jobs_max, Duration::ZERO)
    }

    fn paced(jobs: &[Dispatch], jobs_max: usize, pace: Duration) -> Vec<Vec<usize>> {
        let address = Address {
            shard: 0,
            epoch: 1,
            norecord: false,
            in_doubt: false,
        };
        bundle(jobs, address, jobs_max, |_| pace, &SystemClock)
            .into_iter()
            .map(|(message, carried)| {
                assert_eq!(message.jobs.len(), carried.len());
                carried
            })
            .collect()
    }

    #[test]
    fn each_travels_alone_unless_bundles_are_asked_for() {
        let jobs = [
            dispatch("q", Priority::Low, 1),
            dispatch("q", Priority::Critical, 1),
        ];
        assert_eq!(carried(&jobs, 1), [vec![1], vec![0]]);
    }

    #[test]
    fn a_bundle_has_one_queue_and_one_priority_and_its_limit() {
        let jobs = [
            dispatch("a", Priority::Normal, 1),
            dispatch("b", Priority::Normal, 1),
            dispatch("a", Priority::Normal, 1),
            dispatch("a", Priority::High, 1),
            dispatch("a", Priority::Normal, 1),
        ];
        assert_eq!(carried(&jobs, 2), [vec![3], vec![0, 2], vec![4], vec![1]]);
    }

    #[test]
    fn a_bundle_stays_within_its_bytes() {
        let jobs: Vec<_> = (0..3)
            .map(|_| dispatch("q", Priority::Normal, 120 * 1024))
            .collect();
        assert_eq!(carried(&jobs, 64), [vec![0, 1], vec![2]]);
    }

    #[test]
    fn a_bundle_holds_no_more_work_than_a_moment_of_one_worker() {
        let jobs: Vec<_> = (0..5).map(|_| dispatch("q", Priority::Normal, 1)).collect();
        assert_eq!(
            paced(&jobs, 64, BUNDLE_TIME / 2),
            [vec![0, 1], vec![2, 3], vec![4]]
        );
        assert_eq!(paced(&jobs[..2], 64, BUNDLE_TIME), [vec![0], vec![1]]);
    }
}
