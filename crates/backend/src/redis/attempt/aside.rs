//! Messages that are put aside for a person.

use std::collections::BTreeMap;

use longshore_core::Timestamp;
use longshore_core::id::JobId;
use longshore_core::limits::{QUARANTINE_BODY_BYTES_MAX, QUARANTINE_BYTES_MAX, QUARANTINE_MESSAGES_MAX};
use longshore_core::message::Gen;
use longshore_core::outcome::ErrorInfo;
use longshore_core::port::Error;
use longshore_core::port::attempt::Quarantined;
use serde::Serialize;

use crate::redis::Store;
use crate::redis::call::{Call, calls, light};
use crate::redis::fault::refused;
use crate::redis::reply::{Reader, pack};
use crate::redis::script;

/// What was put aside, by message id.
pub(in crate::redis) const QUARANTINE: &str = "longshore:quarantine";

#[derive(Serialize)]
struct Stored<'a> {
    queue: &'a str,
    reason: &'a str,
    #[serde(with = "serde_bytes")]
    body: &'a [u8],
    headers: &'a [(String, String)],
    jobs: &'a [JobId],
    at: Timestamp,
}

impl Store {
    /// Keeps the messages first: a crash before their jobs are failed brings the messages again.
    pub(super) async fn put_aside(&self, messages: Vec<Quarantined>) -> Result<(), Error> {
        let at = self.server_time().await?;
        for message in &messages {
            let stored = Stored {
                queue: message.queue.as_str(),
                reason: &message.reason,
                body: message
                    .body
                    .get(..QUARANTINE_BODY_BYTES_MAX)
                    .unwrap_or(&message.body),
                headers: &message.headers,
                jobs: &message.jobs,
                at,
            };
            self.keep(&message.message_id, pack(&stored)).await?;
        }
        let mut by_shard: BTreeMap<u16, Vec<(JobId, Gen, Vec<u8>)>> = BTreeMap::new();
        for message in &messages {
            let text = format!("its message was put into quarantine: {}", message.reason);
            let error = pack(&ErrorInfo::new("undecodable", text).bounded());
            for (id, gen_) in &message.dispatches {
                let shard = self.shard_count().of(id);
                let jobs = by_shard.entry(shard).or_default();
                jobs.push((*id, *gen_, error.clone()));
            }
        }
        for (shard, jobs) in by_shard {
            for jobs in calls(&jobs, light) {
                let mut call = Self::script(&script::QUARANTINE, shard);
                for (id, gen_, error) in jobs {
                    call.id(*id).arg(*gen_).arg(error);
                }
                self.strictly(&call).await?;
            }
        }
        Ok(())
    }

    async fn keep(&self, message_id: &str, stored: Vec<u8>) -> Result<(), Error> {
        let mut call = Call::with_keys(&script::PUT_ASIDE, &[QUARANTINE]);
        call.arg(message_id)
            .arg(stored)
            .arg(QUARANTINE_MESSAGES_MAX)
            .arg(QUARANTINE_BYTES_MAX);
        let kept = self.strictly(&call).await?;
        if Reader::of_one(kept).number()? == 1 {
            return Ok(());
        }
        Err(refused(format!(
            "the quarantine is full ({QUARANTINE_MESSAGES_MAX} messages or {QUARANTINE_BYTES_MAX} bytes), so the \
             message stays in the broker; look at them with `longshore quarantine ls`, then make room with \
             `longshore quarantine drop MESSAGE_ID…` or `--all`"
        )))
    }
}
