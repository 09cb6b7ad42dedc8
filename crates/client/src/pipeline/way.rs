//! How far one enqueue has come: its caller has a deadline, and must know what was done when it passes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::JobId;
use tokio::time::Instant;

use super::retry::unanswered;
use super::stages::Accepted;
use crate::error::EnqueueError;

/// One enqueue, seen by its caller and by the trip that carries it.
#[derive(Debug)]
pub(crate) struct Way {
    /// When the caller wants its answer.
    pub(crate) by: Instant,
    limit: Duration,
    stage: Mutex<Stage>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Waiting,
    /// On its way to the store.
    Sent(JobId),
    /// Recorded; what is said of it unless the broker confirms it in time.
    Recorded(JobId, Accepted),
    /// The caller is gone.
    GivenUp,
}

impl Way {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            by: Instant::now() + limit,
            limit,
            stage: Mutex::new(Stage::Waiting),
        }
    }

    /// The trip sends the job now. False when the caller has given up: it was told that nothing was sent.
    pub(crate) fn send(&self, id: JobId) -> bool {
        let mut stage = self.stage();
        let waits = matches!(*stage, Stage::Waiting);
        if waits {
            *stage = Stage::Sent(id);
        }
        waits
    }

    /// The job is recorded, and its publish may take its time.
    pub(crate) fn recorded(&self, id: JobId, accepted: Accepted) {
        *self.stage() = Stage::Recorded(id, accepted);
    }

    /// What the caller learns at its deadline.
    pub(crate) fn give_up(&self) -> Result<(JobId, Accepted), EnqueueError> {
        let mut stage = self.stage();
        match *stage {
            Stage::Waiting | Stage::GivenUp => {
                *stage = Stage::GivenUp;
                Err(self.not_sent())
            }
            Stage::Sent(id) => Err(EnqueueError::Store {
                id,
                source: unanswered(),
            }),
            Stage::Recorded(id, accepted) => Ok((id, accepted)),
        }
    }

    /// No code that can panic runs under this lock, so a poisoned one is whole.
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn not_sent(&self) -> EnqueueError {
        EnqueueError::TimedOut { limit: self.limit }
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::random::SystemRandom;
    use longshore_core::{JobStatus, Timestamp, port};

    use super::*;

    fn id() -> JobId {
        JobId::generate(Timestamp(1), 0, &SystemRandom)
    }

    #[test]
    fn what_was_given_up_before_it_was_sent_is_not_sent() {
        let way = Way::new(Duration::from_secs(5));
        assert!(matches!(way.give_up(), Err(EnqueueError::TimedOut { .. })));
        assert!(!way.send(id()));
    }

    #[test]
    fn what_was_sent_is_in_doubt_until_it_is_recorded() {
        let (way, id) = (Way::new(Duration::from_secs(5)), id());
        assert!(way.send(id));
        let doubt = way.give_up();
        assert!(
            matches!(
                doubt,
                Err(EnqueueError::Store { id: known, source: port::Error::OutcomeUnknown { .. } }) if known == id
            ),
            "{doubt:?}"
        );
        let accepted = Accepted::new(false, JobStatus::Queued);
        way.recorded(id, accepted);
        assert_eq!(way.give_up().unwrap(), (id, accepted));
    }
}
