//! Times, counted in fixed buckets: two histograms add up to the histogram of both, whoever counted them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::duration_millis;

/// Buckets of one doubling, and the length up to which each millisecond has a bucket of its own.
const STEPS: u64 = 8;
/// The last bucket; 49 days and longer.
const LAST: u8 = 239;

/// How often times of which length were seen.
///
/// Up to 8 ms each millisecond has a bucket; above that each doubling has eight of equal width. A quantile is the
/// middle of its bucket, so that it is wrong by at most 1/16 (6.25 %). Times over 49 days count as 49 days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram(BTreeMap<u8, u64>);

impl Histogram {
    /// The largest relative error of a quantile.
    pub const ERROR_MAX: f64 = 1.0 / 16.0;

    /// Counts one time.
    pub fn add(&mut self, time: Duration) {
        self.add_bucket(Self::bucket_of(duration_millis(time)), 1);
    }

    /// Adds to a bucket; what is above the last one goes into it.
    pub fn add_bucket(&mut self, bucket: u8, count: u64) {
        if count > 0 {
            let known = self.0.entry(bucket.min(LAST)).or_default();
            *known = known.saturating_add(count);
        }
    }

    /// Adds everything that another has counted.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.0 {
            self.add_bucket(*bucket, *count);
        }
    }

    /// How many times were counted.
    pub fn count(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The time that the part `q` (0 to 1) of all does not exceed: 0.5 is the median. `None` when nothing was counted.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let count = self.count();
        let rank = rank(q, count);
        let mut below = 0_u64;
        let found = self.0.iter().find(|(_, here)| {
            below = below.saturating_add(**here);
            below >= rank
        });
        found.map(|(bucket, _)| middle(*bucket))
    }

    /// The middle of the highest bucket that has counted; `None` when none has.
    pub fn max(&self) -> Option<Duration> {
        self.0.last_key_value().map(|(bucket, _)| middle(*bucket))
    }

    /// Every bucket that has counted: its bounds, the upper one excluded, and its count; the shortest first.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, Duration, u64)> + '_ {
        self.0.iter().map(|(bucket, count)| {
            let (from, width) = bounds(*bucket);
            (
                Duration::from_millis(from),
                Duration::from_millis(from + width),
                *count,
            )
        })
    }

    /// The bucket of a time in milliseconds.
    pub fn bucket_of(millis: u64) -> u8 {
        if millis < STEPS {
            return u8::try_from(millis).unwrap_or(LAST);
        }
        let doublings = u64::from(millis.ilog2()) - 3;
        let step = (millis >> doublings) - STEPS;
        u8::try_from(STEPS + doublings * STEPS + step).map_or(LAST, |bucket| bucket.min(LAST))
    }
}

/// The shortest time of a bucket and how many milliseconds it holds.
fn bounds(bucket: u8) -> (u64, u64) {
    let bucket = u64::from(bucket);
    if bucket < STEPS {
        return (bucket, 1);
    }
    let (doublings, step) = ((bucket - STEPS) / STEPS, bucket % STEPS);
    ((STEPS + step) << doublings, 1 << doublings)
}

fn middle(bucket: u8) -> Duration {
    let (from, width) = bounds(bucket);
    // A bucket of one millisecond is exact.
    Duration::from_micros(from * 1_000 + (width - 1) * 500)
}

/// The rank, from 1, of the part `q` of `count`.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and the count; a rank that is off by one in 2^53 is not seen"
)]
fn rank(q: f64, count: u64) -> u64 {
    ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count.max(1))
}
