//! An operation on every dead letter, or every job, that matches.

use std::time::Duration;

use longshore_core::JobId;
use longshore_core::dead::{DeadFilter, Operation};
use longshore_core::port::schedule::DeadLetterChange;
use longshore_core::view::JobFilter;

use super::DeadLetters;
use crate::error::ClientError;

/// Letters that are changed, and then counted, together.
const PAGE: usize = 250;
/// How often letters whose children must be told first are asked for again, and after which pause.
const ASK_AGAIN: (u32, Duration) = (60, Duration::from_millis(500));

/// An operation that has begun and can be run: made by [`DeadLetters::begin`], [`crate::Client::cancel_all`] and
/// [`DeadLetters::resume`].
///
/// The store remembers its start, and it touches only what died, or was enqueued, before. Interrupted at any moment and run
/// again, it requeues, discards or cancels nothing twice. Two that run it at once do no harm, but count each for themselves.
#[derive(Debug)]
#[must_use = "nothing is touched until it runs"]
pub struct Bulk {
    pub(super) letters: DeadLetters,
    pub(super) operation: Operation,
}

impl Bulk {
    pub(super) const fn new(letters: DeadLetters, operation: Operation) -> Self {
        Self { letters, operation }
    }

    /// The operation as the store remembers it.
    pub const fn operation(&self) -> &Operation {
        &self.operation
    }

    /// Runs it to its end, and tells after every step how it stands. Dead letters whose deadline has passed stay, and
    /// count as kept. Where the children of some must still be told, it ends without [`Operation::ended_at`]: resume
    /// it later.
    ///
    /// # Errors
    /// When the store does not answer; [`DeadLetters::resume`] goes on.
    pub async fn run(mut self, mut on_progress: impl FnMut(&Operation)) -> Result<Operation, ClientError> {
        if self.operation.ended_at.is_some() {
            return Ok(self.operation);
        }
        if let Some(which) = self.operation.cancels.clone() {
            return self.cancel(&which, on_progress).await;
        }
        let filter = self.filter();
        self.count(&filter).await?;
        on_progress(&self.operation);
        let mut held = Vec::new();
        let mut after = None;
        loop {
            let page = self.letters.page(&filter, after, PAGE).await?;
            let ids: Vec<_> = page.jobs.iter().map(|job| job.id).collect();
            if !ids.is_empty() {
                held.extend(self.change(&ids).await?);
                self.save().await?;
                on_progress(&self.operation);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let held = self.ask_again(held, &mut on_progress).await?;
        self.operation.kept += held.len() as u64;
        if held.is_empty() {
            self.operation.ended_at = Some(self.letters.client.settings().clock.now());
        }
        self.save().await?;
        Ok(self.operation)
    }

    /// What it may touch: nothing that died after its start.
    fn filter(&self) -> DeadFilter {
        let started_at = self.operation.started_at;
        let until = self.operation.filter.died_until;
        DeadFilter {
            died_until: Some(until.map_or(started_at, |until| until.min(started_at))),
            ..self.operation.filter.clone()
        }
    }

    /// Counts what is left. What is missing of the first count was done before an interruption.
    async fn count(&mut self, filter: &DeadFilter) -> Result<(), ClientError> {
        let left = self.letters.count(filter).await?;
        let total = *self.operation.total.get_or_insert(left);
        self.operation.done = total.saturating_sub(left);
        self.operation.kept = 0;
        self.save().await
    }

    /// Answers which must be asked for again.
    async fn change(&mut self, ids: &[JobId]) -> Result<Vec<JobId>, ClientError> {
        let (kind, before) = (self.operation.kind, self.operation.started_at);
        let changes = self.letters.change(kind, ids, before).await?;
        let mut held = Vec::new();
        for (id, change) in ids.iter().zip(changes) {
            match change {
                // Somebody else was quicker: it is no dead letter from before any more.
                DeadLetterChange::Done | DeadLetterChange::NotDead => self.operation.done += 1,
                DeadLetterChange::PastDeadline => self.operation.kept += 1,
                DeadLetterChange::HasChildren => held.push(*id),
            }
        }
        Ok(held)
    }

    async fn ask_again(
        &mut self,
        mut held: Vec<JobId>,
        on_progress: &mut impl FnMut(&Operation),
    ) -> Result<Vec<JobId>, ClientError> {
        let (times, pause) = ASK_AGAIN;
        for _ in 0..times {
            if held.is_empty() {
                break;
            }
            tokio::time::sleep(pause).await;
            held = self.change(&held).await?;
            self.save().await?;
            on_progress(&self.operation);
        }
        Ok(held)
    }

    pub(super) async fn save(&self) -> Result<(), ClientError> {
        let operation = &self.operation;
        let saved = self
            .letters
            .client
            .asking(|ports| ports.inspect.save_operation(operation.clone()));
        Ok(saved.await?)
    }
}

/// Whether the operation that is remembered is the one that was asked for. Ages are counted from the moment of asking,
/// so that the same words give other times.
pub(super) fn is_same(known: &Operation, asked: &Operation) -> bool {
    let timeless = |filter: &DeadFilter| DeadFilter {
        died_from: None,
        died_until: None,
        ..filter.clone()
    };
    known.kind == asked.kind
        && cancels(known) == cancels(asked)
        && timeless(&known.filter) == timeless(&asked.filter)
}

/// What a cancel is of, without its times.
fn cancels(operation: &Operation) -> Option<JobFilter> {
    operation.cancels.as_ref().map(|which| JobFilter {
        created_from: None,
        created_until: None,
        ..which.jobs.clone()
    })
}
