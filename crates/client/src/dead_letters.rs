//! Dead letters: look at them, requeue, edit or discard them, one by one or as an operation on all that match.

use std::collections::{BTreeMap, BTreeSet};

use longshore_core::dead::{DeadFilter, Fingerprint, Operation, OperationId, OperationKind};
use longshore_core::port::schedule::{DeadLetterChange, EditedLetter};
use longshore_core::view::{Cursor, JobPage, JobView};
use longshore_core::{Envelope, FunctionName, JobId, JobStatus, QueueName, Timestamp, value};
use serde::Serialize;

use crate::client::Client;
use crate::error::ClientError;

mod bulk;
mod cancel;
mod change;

pub use bulk::Bulk;

/// Letters of a page when all are walked over.
const WALK: usize = 1_000;

/// The dead letters: jobs that were given up (Failed). Made by [`Client::dead_letters`].
#[derive(Clone, Debug)]
pub struct DeadLetters {
    client: Client,
}

/// Dead letters whose errors are alike.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadGroup {
    /// What their errors have in common.
    pub fingerprint: Fingerprint,
    /// How many there are.
    pub count: u64,
    /// The newest of them, as an example.
    pub example: JobView,
    /// Their functions.
    pub functions: BTreeSet<FunctionName>,
    /// Their queues.
    pub queues: BTreeSet<QueueName>,
    /// When the first was given up.
    pub first_died_at: Timestamp,
    /// When the last was given up.
    pub last_died_at: Timestamp,
}

impl DeadLetters {
    pub(crate) const fn new(client: Client) -> Self {
        Self { client }
    }

    /// A page of dead letters that match, the newest job first. A page may be shorter than `limit` (1 to 1,000), even
    /// empty, although more follow: look at its cursor.
    ///
    /// # Errors
    /// When `limit` is out of range, or the store does not answer.
    pub async fn page(
        &self,
        filter: &DeadFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<JobPage, ClientError> {
        let mut page = self.client.list(filter.jobs()).after(after).limit(limit).await?;
        page.jobs.retain(|job| filter.matches(job));
        Ok(page)
    }

    /// How many dead letters match. Reads all of them.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn count(&self, filter: &DeadFilter) -> Result<u64, ClientError> {
        let mut count = 0;
        self.walk(filter, |_| count += 1).await?;
        Ok(count)
    }

    /// The dead letters that match by what their errors have in common, the largest group first. Reads all of them.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn groups(&self, filter: &DeadFilter) -> Result<Vec<DeadGroup>, ClientError> {
        let mut groups: BTreeMap<Fingerprint, DeadGroup> = BTreeMap::new();
        self.walk(filter, |job| {
            let fingerprint = Fingerprint::of(job.error.as_ref());
            match groups.get_mut(&fingerprint) {
                Some(group) => group.take(job),
                None => drop(groups.insert(fingerprint, DeadGroup::of(fingerprint, job))),
            }
        })
        .await?;
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort_by_key(|group| (std::cmp::Reverse(group.count), group.fingerprint));
        Ok(groups)
    }

    async fn walk(&self, filter: &DeadFilter, mut visit: impl FnMut(JobView)) -> Result<(), ClientError> {
        let mut after = None;
        loop {
            let page = self.page(filter, after, WALK).await?;
            page.jobs.into_iter().for_each(&mut visit);
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Everything of a dead letter; `None` when the job is unknown or no dead letter.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn show(&self, id: JobId) -> Result<Option<JobView>, ClientError> {
        let job = self.client.view(id).await?;
        Ok(job.filter(|job| job.status == JobStatus::Failed))
    }

    /// Sends dead letters back to their queues as if they had never run, in the order of `ids`, each once. Those that are
    /// none (any more) stay as they are.
    ///
    /// # Errors
    /// When the store does not answer; some may have been requeued then.
    pub async fn requeue(&self, ids: &[JobId]) -> Result<Vec<DeadLetterChange>, ClientError> {
        self.change_now(OperationKind::Requeue, ids).await
    }

    /// Deletes dead letters, in the order of `ids`. Those that are none (any more) stay as they are; those with
    /// children stay until these are told: ask again.
    ///
    /// # Errors
    /// When the store does not answer; some may have been deleted then.
    pub async fn discard(&self, ids: &[JobId]) -> Result<Vec<DeadLetterChange>, ClientError> {
        self.change_now(OperationKind::Discard, ids).await
    }

    /// Gives a dead letter other arguments and requeues it, in one step. Everything else of it stays, and so does its
    /// idempotency: the enqueue that made it is still answered with this job.
    ///
    /// # Errors
    /// When the job is unknown or no dead letter, the arguments do not fit (as for an enqueue), or the store does not
    /// answer.
    pub async fn edit<T: Serialize + Sync + ?Sized>(
        &self,
        id: JobId,
        args: &T,
    ) -> Result<DeadLetterChange, ClientError> {
        let invalid = |problem: String| {
            let problem = problem
                .strip_prefix("args: ")
                .map_or(problem.clone(), str::to_owned);
            ClientError::Invalid {
                field: "args",
                problem,
            }
        };
        let args = value::encode("args", args).map_err(|error| invalid(error.to_string()))?;
        let job = self.client.view(id).await?.ok_or(ClientError::NotFound(id))?;
        if job.status != JobStatus::Failed {
            return Ok(DeadLetterChange::NotDead);
        }
        let full = job.full.unwrap_or_default();
        let mut envelope = Envelope::decode(&full.envelope).map_err(|error| invalid(error.to_string()))?;
        envelope.args = args.to_vec();
        let envelope = envelope.encode().map_err(|error| invalid(error.to_string()))?;
        let shard = self.client.ports().enqueue.shards().of(&id);
        let letter = EditedLetter {
            id,
            gen_: job.gen_,
            envelope,
        };
        let changes = self
            .client
            .asking(|ports| ports.schedule.requeue_edited(shard, vec![letter.clone()]));
        Ok(first(&changes.await?))
    }

    /// Begins to requeue or discard every dead letter that matches and is dead by now. With an `id` that is known the
    /// operation under it goes on.
    ///
    /// # Errors
    /// When the id belongs to another operation, or the store does not answer.
    pub async fn begin(
        &self,
        kind: OperationKind,
        filter: DeadFilter,
        id: Option<OperationId>,
    ) -> Result<Bulk, ClientError> {
        let drawn = || OperationId(self.client.settings().random.next_u64());
        let asked = Operation {
            id: id.unwrap_or_else(drawn),
            kind,
            filter,
            started_at: Timestamp::ZERO,
            total: None,
            done: 0,
            kept: 0,
            ended_at: None,
            cancels: None,
        };
        self.begin_as(asked).await
    }

    /// Begins an operation, or goes on with the one under its id.
    pub(crate) async fn begin_as(&self, asked: Operation) -> Result<Bulk, ClientError> {
        let begun = self
            .client
            .asking(|ports| ports.inspect.begin_operation(asked.clone()))
            .await?;
        if !bulk::is_same(&begun, &asked) {
            return Err(ClientError::Invalid {
                field: "operation",
                problem: format!(
                    "{} is a {} with another filter; resume it by its id alone, or take another id",
                    begun.id,
                    begun.kind.as_str()
                ),
            });
        }
        Ok(Bulk::new(self.clone(), begun))
    }

    /// Goes on with an operation that was interrupted; `None` when the id is unknown.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn resume(&self, id: OperationId) -> Result<Option<Bulk>, ClientError> {
        let mut known = self.operations().await?.into_iter();
        let found = known.find(|operation| operation.id == id);
        Ok(found.map(|operation| Bulk::new(self.clone(), operation)))
    }

    /// The last operations, the newest first; at most 100.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn operations(&self) -> Result<Vec<Operation>, ClientError> {
        Ok(self.client.asking(|ports| ports.inspect.operations()).await?)
    }
}

fn first(changes: &[DeadLetterChange]) -> DeadLetterChange {
    changes.first().copied().unwrap_or(DeadLetterChange::NotDead)
}

impl DeadGroup {
    fn of(fingerprint: Fingerprint, job: JobView) -> Self {
        let died_at = job.finished_at.unwrap_or_default();
        Self {
            fingerprint,
            count: 1,
            functions: BTreeSet::from([job.function_name.clone()]),
            queues: BTreeSet::from([job.queue.clone()]),
            first_died_at: died_at,
            last_died_at: died_at,
            example: job,
        }
    }

    fn take(&mut self, job: JobView) {
        let died_at = job.finished_at.unwrap_or_default();
        self.count += 1;
        self.first_died_at = self.first_died_at.min(died_at);
        self.functions.insert(job.function_name.clone());
        self.queues.insert(job.queue.clone());
        if died_at > self.last_died_at {
            self.last_died_at = died_at;
            self.example = job;
        }
    }
}
