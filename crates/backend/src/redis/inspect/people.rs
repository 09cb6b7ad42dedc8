//! What people look after themselves: messages in quarantine, and operations on many dead letters.

use longshore_core::Timestamp;
use longshore_core::dead::Operation;
use longshore_core::id::JobId;
use longshore_core::limits::{OPERATIONS_MAX, QUARANTINE_PAGE_MAX};
use longshore_core::name::QueueName;
use longshore_core::port::Error;
use longshore_core::port::attempt::Quarantined;
use longshore_core::port::inspect::QuarantineEntry;
use serde::Deserialize;

use crate::redis::Store;
use crate::redis::attempt::QUARANTINE;
use crate::redis::call::Call;
use crate::redis::reply::{Reader, pack, unpack};
use crate::redis::script;

/// Operations on many dead letters, by id.
const OPERATIONS: &str = "longshore:operations";

#[derive(Deserialize)]
struct Stored {
    queue: QueueName,
    reason: String,
    #[serde(with = "serde_bytes")]
    body: Vec<u8>,
    headers: Vec<(String, String)>,
    jobs: Vec<JobId>,
    #[serde(default)]
    at: Option<Timestamp>,
}

impl Store {
    pub(super) async fn quarantine_page(
        &self,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<QuarantineEntry>, Error> {
        let mut keys = redis::cmd("HKEYS");
        keys.arg(QUARANTINE);
        let mut answer = Reader::new(self.0.link.command(&keys).await?)?;
        let mut ids = Vec::new();
        while !answer.is_empty() {
            ids.push(answer.text()?);
        }
        ids.retain(|id| after.as_ref().is_none_or(|after| id > after));
        ids.sort_unstable();
        ids.truncate(limit.min(QUARANTINE_PAGE_MAX));
        let mut entries = Vec::with_capacity(ids.len());
        for message_id in ids {
            let mut get = redis::cmd("HGET");
            get.arg(QUARANTINE).arg(&message_id);
            // Somebody may have dropped it meanwhile.
            let found = Reader::of_one(self.0.link.command(&get).await?).bytes_or_none()?;
            entries.extend(found.map(|bytes| entry(message_id, &bytes)).transpose()?);
        }
        Ok(entries)
    }

    pub(super) async fn take_from_quarantine(&self, message_ids: &[String]) -> Result<Vec<bool>, Error> {
        let mut dropped = Vec::with_capacity(message_ids.len());
        for id in message_ids {
            let mut delete = redis::cmd("HDEL");
            delete.arg(QUARANTINE).arg(id);
            let count = Reader::of_one(self.0.link.command(&delete).await?).number()?;
            dropped.push(count > 0);
        }
        Ok(dropped)
    }

    pub(super) async fn begin(&self, operation: Operation) -> Result<Operation, Error> {
        let started_at = self.server_time().await?;
        let mut kept = self
            .keep_operation(
                &Operation {
                    started_at,
                    ..operation
                },
                true,
            )
            .await?;
        unpack("operation", &kept.bytes()?)
    }

    pub(super) async fn save(&self, operation: &Operation) -> Result<(), Error> {
        self.keep_operation(operation, false).await.map(drop)
    }

    async fn keep_operation(&self, operation: &Operation, begins: bool) -> Result<Reader, Error> {
        let mut call = Call::with_keys(&script::KEEP_OPERATION, &[OPERATIONS]);
        call.arg(operation.id.to_string())
            .arg(pack(operation))
            .arg(u8::from(begins))
            .arg(OPERATIONS_MAX);
        self.strictly(&call).await.map(Reader::of_one)
    }

    pub(super) async fn all_operations(&self) -> Result<Vec<Operation>, Error> {
        let mut values = redis::cmd("HVALS");
        values.arg(OPERATIONS);
        let mut answer = Reader::new(self.0.link.command(&values).await?)?;
        let mut operations: Vec<Operation> = Vec::new();
        while !answer.is_empty() {
            operations.push(unpack("operation", &answer.bytes()?)?);
        }
        operations.sort_unstable_by_key(|operation| std::cmp::Reverse((operation.started_at, operation.id)));
        Ok(operations)
    }

    /// The server's clock, by which jobs die.
    pub(in crate::redis) async fn server_time(&self) -> Result<Timestamp, Error> {
        let mut answer = Reader::new(self.0.link.command(&redis::cmd("TIME")).await?)?;
        let (seconds, micros) = (answer.number()?, answer.number()?);
        Ok(Timestamp(
            seconds.saturating_mul(1_000).saturating_add(micros / 1_000),
        ))
    }
}

fn entry(message_id: String, bytes: &[u8]) -> Result<QuarantineEntry, Error> {
    let stored: Stored = unpack("message in quarantine", bytes)?;
    Ok(QuarantineEntry {
        at: stored.at,
        message: Quarantined {
            message_id,
            queue: stored.queue,
            reason: stored.reason,
            body: stored.body.into(),
            headers: stored.headers,
            jobs: stored.jobs,
            dispatches: Vec::new(),
        },
    })
}
