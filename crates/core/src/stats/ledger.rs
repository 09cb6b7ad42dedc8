//! Tallies in buckets of time: a few hours by the minute, then about a week by the hour.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::happening::Happening;
use super::tally::Tally;
use crate::clock::{Timestamp, duration_millis};
use crate::limits::{STATISTICS_HOURS_KEPT, STATISTICS_MINUTES_KEPT, STATISTICS_ROWS_MAX};
use crate::name::{FunctionName, QueueName};

/// One minute.
const MINUTE: Duration = Duration::from_secs(60);
/// One hour.
const HOUR: Duration = Duration::from_secs(3_600);

/// Whose a tally is: a queue and a function, or `None` for all that found no room ([`STATISTICS_ROWS_MAX`]).
pub type Place = Option<(QueueName, FunctionName)>;

/// The tallies of one span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket(BTreeMap<Place, Tally>);

/// A minute or an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Span {
    /// Whole hours since the Unix epoch.
    Hour(u64),
    /// Whole minutes since the Unix epoch.
    Minute(u64),
}

/// Buckets in memory.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    buckets: BTreeMap<Span, Bucket>,
}

impl Bucket {
    /// The tally of a place, made when there is room for it; that of everything else otherwise.
    pub fn tally_mut(&mut self, queue: &QueueName, function: &FunctionName) -> &mut Tally {
        let place = Some((queue.clone(), function.clone()));
        let named = self.0.len() - usize::from(self.0.contains_key(&None));
        if self.0.contains_key(&place) || named < STATISTICS_ROWS_MAX {
            return self.0.entry(place).or_default();
        }
        self.0.entry(None).or_default()
    }

    /// The tally of everything that found no room.
    pub fn other_mut(&mut self) -> &mut Tally {
        self.0.entry(None).or_default()
    }

    /// Adds everything of another.
    pub fn merge(&mut self, other: &Self) {
        for (place, tally) in &other.0 {
            match place {
                Some((queue, function)) => self.tally_mut(queue, function).merge(tally),
                None => self.other_mut().merge(tally),
            }
        }
    }

    /// Every tally.
    pub fn iter(&self) -> impl Iterator<Item = (&Place, &Tally)> {
        self.0.iter()
    }
}

impl Span {
    /// The minute of a moment.
    pub fn minute_of(at: Timestamp) -> Self {
        Self::Minute(at.millis() / duration_millis(MINUTE))
    }

    /// The hour that it lies in.
    #[must_use]
    pub const fn hour(self) -> Self {
        match self {
            Self::Minute(minute) => Self::Hour(minute / 60),
            Self::Hour(_) => self,
        }
    }

    /// Its begin.
    pub fn start(self) -> Timestamp {
        match self {
            Self::Hour(number) => Timestamp(number.saturating_mul(duration_millis(HOUR))),
            Self::Minute(number) => Timestamp(number.saturating_mul(duration_millis(MINUTE))),
        }
    }

    /// How long it lasts.
    pub const fn length(self) -> Duration {
        match self {
            Self::Hour(_) => HOUR,
            Self::Minute(_) => MINUTE,
        }
    }

    /// Whether it is kept no longer, as the span it is, at `now`.
    pub fn is_over(self, now: Timestamp) -> bool {
        let kept = match self {
            Self::Hour(_) => STATISTICS_HOURS_KEPT,
            Self::Minute(_) => STATISTICS_MINUTES_KEPT,
        };
        self.start().after(kept) <= now
    }
}

impl Ledger {
    /// Counts one thing. Answers the span that it was counted in.
    pub fn count(
        &mut self,
        queue: &QueueName,
        function: &FunctionName,
        happening: Happening,
        now: Timestamp,
    ) -> Span {
        let span = Span::minute_of(now);
        let bucket = self.buckets.entry(span).or_default();
        bucket.tally_mut(queue, function).count(happening);
        span
    }

    /// Adds minutes that are over to their hours, and drops hours that are over. Answers every span that changed.
    pub fn turn(&mut self, now: Timestamp) -> Vec<Span> {
        let over: Vec<Span> = self
            .buckets
            .keys()
            .copied()
            .filter(|span| span.is_over(now))
            .collect();
        let mut changed = over.clone();
        for span in over {
            let Some(bucket) = self.buckets.remove(&span) else {
                continue;
            };
            let hour = span.hour();
            if hour != span && !hour.is_over(now) {
                self.buckets.entry(hour).or_default().merge(&bucket);
                changed.push(hour);
            }
        }
        changed
    }

    /// Puts a bucket back that was stored.
    pub fn restore(&mut self, span: Span, bucket: Bucket) {
        self.buckets.insert(span, bucket);
    }

    /// A bucket.
    pub fn bucket(&self, span: Span) -> Option<&Bucket> {
        self.buckets.get(&span)
    }

    /// Every bucket.
    pub fn iter(&self) -> impl Iterator<Item = (Span, &Bucket)> {
        self.buckets.iter().map(|(span, bucket)| (*span, bucket))
    }
}
