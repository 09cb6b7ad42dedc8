//! How many messages are taken ahead of the slots: what keeps these busy while the next job is claimed, and nothing of jobs
//! that are long. It follows how long the jobs of the queue run here, how long claims take, how many jobs are in a message, and
//! the number of slots.

use std::collections::HashMap;
use std::time::Duration;

use longshore_core::QueueName;
use longshore_core::view::RunTime;
use tokio::time::Instant;

use super::Control;

/// Jobs that must have ended before their run time counts.
pub(super) const RUNS_MIN: u64 = 5;
/// What waits is the work of the slots for so many times the way of a claim: the message comes first, and both ways vary.
const TRIPS: f64 = 4.0;
/// But the work of this time, in seconds, at least and at most. More than the second may not wait here.
const WINDOW: (f64, f64) = (0.01, 0.1);
/// Nothing waits of jobs that take longer than this, in seconds.
const LONG: f64 = 1.0;
/// A job takes at least as long as it takes to claim and to end it, in seconds.
const LEAST: f64 = 0.001;
/// Most messages that are taken ahead.
const AHEAD_MAX: f64 = 128.0;
/// The time between two changes: each is another consumer.
const CHANGE_EVERY: Duration = Duration::from_secs(5);
/// What a new measurement counts beside those before it.
const NEW: f64 = 1.0 / 20.0;

/// What is measured for it.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// The way of a claim, in seconds.
    trip: Option<f64>,
    /// Jobs of a message, by queue.
    jobs: HashMap<QueueName, f64>,
    /// When a queue's was changed last.
    changed: HashMap<QueueName, Instant>,
}

impl Ahead {
    /// A claim was answered after this time.
    pub(super) fn took(&mut self, time: Duration) {
        let time = time.as_secs_f64();
        self.trip = Some(self.trip.map_or(time, |mean| mean + (time - mean) * NEW));
    }

    /// A message came with so many jobs.
    pub(super) fn came(&mut self, queue: &QueueName, jobs: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a mean of small numbers")]
        let jobs = jobs as f64;
        if let Some(mean) = self.jobs.get_mut(queue) {
            *mean += (jobs - *mean) * NEW;
        } else {
            self.jobs.insert(queue.clone(), jobs);
        }
    }

    fn may_change(&self, queue: &QueueName, now: Instant) -> bool {
        let changed = self.changed.get(queue);
        changed.is_none_or(|changed| now.duration_since(*changed) >= CHANGE_EVERY)
    }
}

impl Control {
    /// Takes more or less ahead where what is measured says so.
    pub(super) fn keep_ahead(&mut self, now: Instant) {
        if !self.phase.is_working() || self.store_is_away(now) {
            return;
        }
        for at in 0..self.feeds.len() {
            let Some(feed) = self.feeds.get(at) else { return };
            let (queue, is_now) = (feed.queue().clone(), feed.ahead());
            let Some(is_now) = is_now.filter(|_| self.ahead.may_change(&queue, now)) else {
                continue;
            };
            let wanted = self.wanted_ahead(&queue, is_now, now);
            if differs(is_now, wanted) {
                tracing::debug!(%queue, messages = wanted, "another number of messages is taken ahead");
                self.ahead.changed.insert(queue, now);
                if let Some(feed) = self.feeds.get_mut(at) {
                    feed.take_ahead(wanted);
                }
            }
        }
    }

    fn wanted_ahead(&self, queue: &QueueName, is_now: u16, now: Instant) -> u16 {
        // What waits for another owner's lease has a message, and no slot.
        let parked = self.parked.iter().map(|parked| &parked.held.envelope.queue);
        let parked = parked.filter(|of| *of == queue).count();
        let run = self.run_times.of(queue).filter(|run| run.count >= RUNS_MIN);
        let work = run.map_or(0, |run| {
            let run = self.run_now(queue, run, now);
            // Jobs of about a second do not switch it on and off.
            if is_now == 0 && run > LONG / 2.0 {
                return 0;
            }
            let jobs = self.ahead.jobs.get(queue).copied().unwrap_or(1.0);
            messages(
                self.settings.slots,
                run,
                self.ahead.trip.unwrap_or_default(),
                jobs,
            )
        });
        work.saturating_add(u16::try_from(parked).unwrap_or(u16::MAX))
    }

    /// How long jobs of a queue take, in seconds, by what the slots do together: each that runs one of them does a job in the
    /// time that this one has taken by now, at least in that of those that have ended, and so does each other slot. One long
    /// job among short ones takes one slot away.
    fn run_now(&self, queue: &QueueName, ended: RunTime, now: Instant) -> f64 {
        let active = self.running.iter().filter(|(_, attempt)| attempt.is_active());
        let ages = active.filter(|(_, attempt)| attempt.envelope().queue == *queue);
        let ages = ages.map(|(_, attempt)| now.duration_since(attempt.began).as_secs_f64());
        of_slots(self.settings.slots, ended.seconds, ages)
    }
}

/// The time of a job when each of `slots` does one in `mean` seconds, or in the age of the job that it runs when that is more.
fn of_slots(slots: usize, mean: f64, ages: impl Iterator<Item = f64>) -> f64 {
    let mean = mean.max(LEAST);
    let (busy, rate) = ages.fold((0, 0.0), |(busy, rate), age| {
        (busy + 1, rate + 1.0 / mean.max(age))
    });
    let slots = slots.max(busy).max(1);
    #[expect(clippy::cast_precision_loss, reason = "at most ten thousand")]
    let (slots, idle) = (slots as f64, slots.saturating_sub(busy) as f64);
    slots / (rate + idle / mean)
}

/// Messages to take ahead of so many slots, when a job takes `run` and a claim `trip`, in seconds, and a message has `jobs`.
fn messages(slots: usize, run: f64, trip: f64, jobs: f64) -> u16 {
    if run > LONG {
        return 0;
    }
    let window = (TRIPS * trip).clamp(WINDOW.0, WINDOW.1);
    #[expect(clippy::cast_precision_loss, reason = "at most ten thousand")]
    let waits = slots as f64 * window / run.max(LEAST);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 1 and 128"
    )]
    let messages = (waits / jobs.max(1.0)).ceil().clamp(1.0, AHEAD_MAX) as u16;
    messages
}

/// Whether it is worth another consumer: from nothing or to nothing, or by half.
const fn differs(is_now: u16, wanted: u16) -> bool {
    let (less, more) = if is_now < wanted {
        (is_now, wanted)
    } else {
        (wanted, is_now)
    };
    more > less && (less == 0 || more >= less.saturating_mul(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_ahead_follows_run_time_round_trip_slots_and_the_jobs_of_a_message() {
        // Short jobs, near and far.
        assert_eq!(messages(8, 0.001, 0.002, 1.0), 80);
        assert_eq!(messages(8, 0.0, 0.02, 1.0), 128);
        assert_eq!(messages(8, 0.02, 0.002, 1.0), 4);
        assert_eq!(messages(8, 0.02, 0.02, 1.0), 32);
        assert_eq!(messages(1, 0.02, 0.002, 1.0), 1);
        // Never more than the slots do in 100 ms, one message apart.
        assert_eq!(messages(8, 0.2, 10.0, 1.0), 4);
        assert_eq!(messages(100, 1.0, 10.0, 1.0), 10);
        // A message of many jobs is as much as many messages.
        assert_eq!(messages(8, 0.001, 0.002, 64.0), 2);
        // Long jobs wait in the broker.
        assert_eq!(messages(1_000, 1.1, 0.02, 1.0), 0);
    }

    #[test]
    fn one_long_job_takes_one_slot_away_and_long_ones_in_all_slots_count() {
        let is = |slots, mean, ages: &[f64], run: f64| {
            let found = of_slots(slots, mean, ages.iter().copied());
            assert!((found - run).abs() < run / 100.0, "{found} is not {run}");
        };
        is(8, 0.02, &[], 0.02);
        is(8, 0.02, &[0.001, 0.01], 0.02);
        is(8, 0.02, &[10.0], 0.02 * 8.0 / 7.0);
        is(2, 0.02, &[10.0, 10.0], 10.0);
        is(1, 0.0, &[], LEAST);
    }

    #[test]
    fn a_small_difference_is_no_change() {
        let changes = [(0, 1), (1, 0), (4, 8), (8, 4), (1, 2)];
        assert!(changes.iter().all(|(is_now, wanted)| differs(*is_now, *wanted)));
        let stays = [(0, 0), (1, 1), (4, 7), (8, 5), (100, 128)];
        assert!(stays.iter().all(|(is_now, wanted)| !differs(*is_now, *wanted)));
    }

    #[test]
    fn means_follow_what_is_new() {
        let (mut ahead, queue) = (Ahead::default(), QueueName::default());
        ahead.took(Duration::from_millis(10));
        ahead.came(&queue, 1);
        for _ in 0..200 {
            ahead.took(Duration::from_millis(2));
            ahead.came(&queue, 64);
        }
        assert!((ahead.trip.unwrap() - 0.002).abs() < 1e-4);
        assert!((ahead.jobs[&queue] - 64.0).abs() < 0.1);
    }
}
