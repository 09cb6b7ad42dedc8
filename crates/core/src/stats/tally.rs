//! What happened to the jobs of one function and queue in one span of time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::happening::{End, Happening};
use super::histogram::Histogram;

/// Counts and times. Adds up: over functions, queues, spans and stores.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Jobs enqueued.
    pub enqueued: u64,
    /// Attempts started, those that were undone later too.
    pub started: u64,
    /// Jobs completed.
    pub completed: u64,
    /// Jobs given up: dead letters.
    pub failed: u64,
    /// Attempts that failed and after which the job waits for another.
    pub retried: u64,
    /// Jobs cancelled.
    pub cancelled: u64,
    /// Jobs whose expiry or deadline passed first.
    pub expired: u64,
    /// Attempts put off by their handler.
    pub snoozed: u64,
    /// Attempts handed back, by a worker that stops or before their handler began.
    pub released: u64,
    /// Attempts whose worker was lost.
    pub lost: u64,
    /// From the moment at which a job could run to the start of its attempt.
    pub wait: Histogram,
    /// From the start of an attempt to its end; not of those that were put off, handed back or lost.
    pub run: Histogram,
    /// Dead letters queued again.
    pub requeued: u64,
}

impl Tally {
    /// Jobs that ended, in whatever way.
    pub const fn ended(&self) -> u64 {
        self.completed + self.failed + self.cancelled + self.expired
    }

    /// The part of the jobs that either completed or were given up that was given up; `None` when there were none.
    pub fn failure_rate(&self) -> Option<f64> {
        part(self.failed, self.completed + self.failed)
    }

    /// The part of the attempts that either completed or failed that failed, whether they are tried again or not;
    /// `None` when there were none.
    pub fn error_rate(&self) -> Option<f64> {
        let errors = self.failed + self.retried;
        part(errors, self.completed + errors)
    }

    /// Adds everything of another.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts_mut().into_iter().zip(other.counts()) {
            *mine = mine.saturating_add(theirs);
        }
        self.wait.merge(&other.wait);
        self.run.merge(&other.run);
    }

    /// Counts one thing.
    pub fn count(&mut self, happening: Happening) {
        let millis = match happening {
            Happening::Started { waited } => waited,
            Happening::Ended { ran, .. } | Happening::Retried { ran } => ran,
            _ => None,
        };
        let bucket = millis.map(Histogram::bucket_of);
        self.add(happening.code(), bucket, 1);
    }

    /// Adds `count` of what has this code ([`Happening::code`]), with the bucket of its time where it has one. Answers
    /// whether the code is known.
    pub fn add(&mut self, code: char, bucket: Option<u8>, count: u64) -> bool {
        let of = |end| Happening::Ended { how: end, ran: None }.code();
        let counter = match code.to_ascii_lowercase() {
            'n' => &mut self.enqueued,
            'w' => &mut self.started,
            'r' => &mut self.retried,
            's' => &mut self.snoozed,
            'u' => &mut self.released,
            'l' => &mut self.lost,
            'q' => &mut self.requeued,
            code if code == of(End::Completed) => &mut self.completed,
            code if code == of(End::Failed) => &mut self.failed,
            code if code == of(End::Cancelled) => &mut self.cancelled,
            code if code == of(End::Expired) => &mut self.expired,
            _ => return false,
        };
        *counter = counter.saturating_add(count);
        if let Some(bucket) = bucket {
            let times = if code == 'w' {
                &mut self.wait
            } else {
                &mut self.run
            };
            times.add_bucket(bucket, count);
        }
        true
    }

    /// The median, the 95th and the 99th percentile of a histogram.
    pub fn percentiles(times: &Histogram) -> [Option<Duration>; 3] {
        [0.5, 0.95, 0.99].map(|q| times.quantile(q))
    }

    const fn counts(&self) -> [u64; 11] {
        [
            self.enqueued,
            self.started,
            self.completed,
            self.failed,
            self.retried,
            self.cancelled,
            self.expired,
            self.snoozed,
            self.released,
            self.lost,
            self.requeued,
        ]
    }

    const fn counts_mut(&mut self) -> [&mut u64; 11] {
        [
            &mut self.enqueued,
            &mut self.started,
            &mut self.completed,
            &mut self.failed,
            &mut self.retried,
            &mut self.cancelled,
            &mut self.expired,
            &mut self.snoozed,
            &mut self.released,
            &mut self.lost,
            &mut self.requeued,
        ]
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn part(of: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| of as f64 / all as f64)
}
