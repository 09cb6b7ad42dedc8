//! Pauses between attempts: twice as long each time, up to a bound, with jitter.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// The pauses of one thing that is tried again for ever.
#[derive(Debug)]
pub(super) struct Pauses {
    builder: ExponentialBuilder,
    left: ExponentialBackoff,
    longest: Duration,
}

impl Pauses {
    /// From `shortest` to `longest`, before jitter, which adds up to as much again.
    pub(super) fn new(shortest: Duration, longest: Duration) -> Self {
        let builder = ExponentialBuilder::default()
            .with_min_delay(shortest)
            .with_max_delay(longest)
            .without_max_times()
            .with_jitter();
        Self {
            builder,
            left: builder.build(),
            longest,
        }
    }

    /// How long to wait now.
    pub(super) fn next(&mut self) -> Duration {
        self.left.next().unwrap_or(self.longest)
    }

    /// It went well: the next pause is the shortest again.
    pub(super) fn reset(&mut self) {
        self.left = self.builder.build();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_start_over_after_a_success() {
        let (shortest, longest) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut pauses = Pauses::new(shortest, longest);
        let first: Vec<Duration> = (0..20).map(|_| pauses.next()).collect();
        assert!(first[0] >= shortest && first[0] <= shortest * 2, "{first:?}");
        assert!(first[19] >= longest && first[19] <= longest * 2, "{first:?}");
        pauses.reset();
        assert!(pauses.next() <= shortest * 2);
    }
}
