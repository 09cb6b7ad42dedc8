//! For whoever tells people of what happened: notices as the store wrote them, and the letters that are made of them.
//!
//! A notice is written in the same step as the change that it tells of, into the shard of its job or cron entry, while
//! notices are wanted there. At most [`crate::limits::NOTICES_MAX`] of them wait in a shard; of further ones only the
//! number is kept. The mailbox is a few small texts of the scheduler's in one place (shard 0), which change together or
//! not at all.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Reply;
use crate::clock::Timestamp;
use crate::message::Epoch;
use crate::notice::post::Addressee;
use crate::notice::{Letter, Notice};

/// Notices of a shard that wait to be taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notices {
    /// The shard's epoch: after a wipe the numbers begin anew.
    pub epoch: Epoch,
    /// The oldest ones, with their numbers, which grow.
    pub rows: Vec<(u64, Notice)>,
    /// How many there was no room for, since the shard's epoch began.
    pub dropped: u64,
}

/// What the scheduler keeps of letters, budgets and alarms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// Raised by every change.
    pub version: u64,
    /// The store's time.
    pub now: Timestamp,
    /// The texts by key.
    pub entries: BTreeMap<String, Bytes>,
}

/// A change of the mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxChange {
    /// The version as read; `None` changes whatever is there, and raises the version even when it finds nothing.
    pub version: Option<u64>,
    /// Texts to be written.
    pub put: Vec<(String, Bytes)>,
    /// Texts to be deleted.
    pub delete: Vec<String>,
}

/// The key under which the mailbox remembers a live worker. A worker that says goodbye is taken out by the store.
pub fn worker_key(worker: &crate::WorkerId) -> String {
    format!("worker/{worker}")
}

/// The notifier's side of the store.
pub trait NotifyPort: Send + Sync {
    /// Notices of this shard are wanted for `time` from now on.
    fn want_notices(&self, shard: u16, time: Duration) -> Reply<'_, ()>;

    /// The oldest notices of a shard, at most `limit`. They stay until they are taken.
    fn notices(&self, shard: u16, limit: usize) -> Reply<'_, Notices>;

    /// Notices up to this number are in the mailbox. Nothing happens when the shard has another epoch.
    fn notices_taken(&self, shard: u16, epoch: Epoch, up_to: u64) -> Reply<'_, ()>;

    /// The mailbox.
    fn mailbox(&self) -> Reply<'_, Mailbox>;

    /// Changes the mailbox in one step, unless another change came between. Answers whether it did.
    fn change_mailbox(&self, change: MailboxChange) -> Reply<'_, bool>;
}

/// A letter that a channel took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Who did not get it although others did, and why; `None` when all did. Without passwords.
    pub note: Option<String>,
}

/// Why a channel did not take a letter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NotSent {
    /// What happened, without addresses that may carry a token and without passwords.
    pub reason: String,
    /// Whether another try makes sense.
    pub retry: Retry,
}

/// Whether a letter that was not taken is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// After a pause that grows.
    Later,
    /// The other side says after how long.
    After(Duration),
    /// Never: the same would be said again.
    Never,
}

/// Where letters go: an e-mail account, a webhook.
pub trait ChannelPort: Send + Sync + std::fmt::Debug {
    /// Its name, and what it wants to know of.
    fn addressee(&self) -> Addressee;

    /// Brings one letter, in bounded time. `Ok` says that the other side has accepted it.
    fn send(
        &self,
        letter: Letter,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Sent, NotSent>> + Send + '_>>;
}
