//! Which statistics are asked for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{Timestamp, duration_millis};
use crate::limits::{STATISTICS_STEPS_MAX, STATISTICS_WINDOW_MAX};
use crate::name::{FunctionName, QueueName};

/// Windows up to this long are answered by the minute, longer ones by the hour.
const BY_THE_MINUTE_MAX: Duration = Duration::from_secs(2 * 3_600);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// A window up to now, and what is counted in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatisticsQuery {
    /// How far back it reaches: 1 minute to 7 days. Default: 1 hour.
    pub window: Duration,
    /// How long each point of the series is: whole minutes for windows of up to 2 hours, whole hours for longer ones.
    /// At most as long as the window, and at most 1 hour for windows of up to 2 hours. Default: 1 minute, or 1 hour. The
    /// series has at most 240 points.
    pub step: Option<Duration>,
    /// This function alone.
    pub function: Option<FunctionName>,
    /// This queue alone.
    pub queue: Option<QueueName>,
}

impl Default for StatisticsQuery {
    fn default() -> Self {
        Self::over(HOUR)
    }
}

/// A query that cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidQuery {
    /// `window` or `step`.
    pub field: &'static str,
    /// What is wrong with it, and what would not be.
    pub problem: String,
}

impl StatisticsQuery {
    /// Everything of a window.
    pub const fn over(window: Duration) -> Self {
        Self {
            window,
            step: None,
            function: None,
            queue: None,
        }
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// When the window or the step is none that can be answered.
    pub fn check(&self) -> Result<(), InvalidQuery> {
        let wrong = |field, problem: &str| {
            let problem = problem.to_owned();
            Err(InvalidQuery { field, problem })
        };
        if self.window < MINUTE || self.window > STATISTICS_WINDOW_MAX {
            return wrong("window", "is out of range; use 1 minute to 7 days");
        }
        let (step, unit) = (duration_millis(self.step()), duration_millis(self.unit()));
        if step == 0 || step % unit != 0 {
            return wrong(
                "step",
                "must be whole minutes for a window of up to 2 hours, and whole hours for a longer one",
            );
        }
        if self.step() > self.window {
            return wrong(
                "step",
                "is longer than the window; use a shorter step or a longer window",
            );
        }
        if self.unit() == MINUTE && self.step() > HOUR {
            return wrong(
                "step",
                "is too long for a window of up to 2 hours; use at most 1 hour",
            );
        }
        if duration_millis(self.window) / step > STATISTICS_STEPS_MAX {
            return wrong(
                "step",
                "is too short for this window; a series has at most 240 points",
            );
        }
        Ok(())
    }

    /// How long each point of the series is.
    pub fn step(&self) -> Duration {
        self.step.unwrap_or_else(|| self.unit())
    }

    fn unit(&self) -> Duration {
        if self.window > BY_THE_MINUTE_MAX {
            HOUR
        } else {
            MINUTE
        }
    }

    /// The begin of the window at `now`: `window` back, and from there back to a whole step.
    pub fn from(&self, now: Timestamp) -> Timestamp {
        let step = duration_millis(self.step()).max(1);
        let from = now.before(self.window).millis();
        Timestamp(from - from % step)
    }

    pub(super) fn wants(&self, queue: &QueueName, function: &FunctionName) -> bool {
        self.queue.as_ref().is_none_or(|wanted| wanted == queue)
            && self.function.as_ref().is_none_or(|wanted| wanted == function)
    }

    /// Whether what belongs to no named function and queue is counted.
    pub(super) const fn wants_other(&self) -> bool {
        self.queue.is_none() && self.function.is_none()
    }
}
