//! The memory is made anew from the disk when a folder is opened.

use longshore_core::JobStatus;
use longshore_core::id::JobId;
use longshore_core::message::{Epoch, Message, MessageJob};
use longshore_core::name::{CronName, QueueName};
use longshore_core::port;
use longshore_core::port::cron::CronEntry;
use longshore_core::record::{Record, Slot};
use longshore_core::shard::Shards;
use longshore_core::spec::EdgePolicy;

use super::core::Core;
use super::disk::{Disk, corrupt, id_at, refused};
use super::state::{State, Tx};
use super::stored;

/// Keys of the keyspace `meta`.
pub(super) const SHARDS: &str = "shards";
const EPOCH: &str = "epoch/";
const PAUSED: &str = "paused/";
const CRON: &str = "cron/";
const REMOVALS: &str = "removals/";
const MAIL: &str = "mail/";
const NOTICE: &str = "notice/";
const NOTING: &str = "noting/";
pub(super) const QUARANTINE: &str = "quarantine/";
pub(super) const OPERATION: &str = "operation/";
pub(super) const TOKEN: &str = "token/";
pub(super) const AUDIT: &str = "audit/";
pub(super) const AUDIT_NEXT: &str = "audit-next";
/// Sessions of the gateway that have ended before their time, each with that time.
pub(super) const SESSION_ENDED: &str = "session-ended/";
pub(super) const GATEWAY_KEY: &str = "gateway-key";

pub(super) fn epoch_key(shard: u16) -> String {
    format!("{EPOCH}{shard}")
}

pub(super) fn paused_key(queue: &QueueName) -> String {
    format!("{PAUSED}{queue}")
}

pub(super) fn cron_key(name: &CronName) -> String {
    format!("{CRON}{name}")
}

pub(super) fn mail_key(key: &str) -> String {
    format!("{MAIL}{key}")
}

/// Sorted by number.
pub(super) fn notice_key(shard: u16, number: u64) -> String {
    format!("{NOTICE}{shard}/{number:016x}")
}

pub(super) fn noting_key(shard: u16) -> String {
    format!("{NOTING}{shard}")
}

pub(super) fn removals_key(shard: u16) -> String {
    format!("{REMOVALS}{shard}")
}

/// How many shards the folder has; `None` in a new one.
pub(super) fn shards(disk: &Disk) -> Result<Option<u16>, port::Error> {
    let value = disk.meta.get(SHARDS).map_err(|error| refused(&error))?;
    match value {
        None => Ok(None),
        Some(bytes) => match <[u8; 2]>::try_from(bytes.as_ref()) {
            Ok(bytes) => Ok(Some(u16::from_be_bytes(bytes))),
            Err(_) => Err(corrupt("the number of shards")),
        },
    }
}

/// What the disk knows.
pub(super) fn jobs(disk: &Disk, shards: Shards) -> Result<State, port::Error> {
    let mut state = State::new(shards);
    load_jobs(disk, &mut state)?;
    load_links(disk, &mut state)?;
    load_meta(disk, &mut state)?;
    Ok(state)
}

impl Core {
    pub(super) fn load(&self) -> Result<(), port::Error> {
        let disk = self.disk()?;
        *self.state.lock() = jobs(&disk, self.shards)?;
        self.broker.load_archive(&disk)?;
        let (waiting, _) = self.change(&disk, |state, tx| {
            tx.batch.meta(SHARDS, &self.shards.count().to_be_bytes());
            self.draw_epochs(state, tx);
            end_leases(state, tx);
            waiting(state)
        })?;
        self.broker.restore(waiting);
        Ok(())
    }

    /// Draws an epoch for each shard that has none.
    pub(super) fn draw_epochs(&self, state: &mut State, tx: &mut Tx<'_>) {
        for number in self.shards.all() {
            let shard = state.shard(number);
            if shard.epoch == 0 {
                shard.epoch = Epoch::max(self.random.next_u64(), 1);
                tx.batch.meta(&epoch_key(number), &shard.epoch.to_be_bytes());
            }
        }
    }
}

fn load_jobs(disk: &Disk, state: &mut State) -> Result<(), port::Error> {
    for row in disk.records.iter() {
        let (key, value) = row.into_inner().map_err(|error| refused(&error))?;
        let id = id_at(&key, 0).ok_or_else(|| corrupt("the key of a record"))?;
        let slot = stored::decode_slot(&value)
            .map_err(|error| port::Error::Corrupt(format!("job {id}: {error}")))?;
        state.restore(id, slot);
    }
    Ok(())
}

fn load_links(disk: &Disk, state: &mut State) -> Result<(), port::Error> {
    for row in disk.links.iter() {
        let (key, value) = row.into_inner().map_err(|error| refused(&error))?;
        let policy = value.first().copied().and_then(EdgePolicy::from_code);
        match (id_at(&key, 0), id_at(&key, 16), policy) {
            (Some(parent), Some(child), Some(policy)) => {
                state.children.entry(parent).or_default().insert(child, policy);
            }
            _ => return Err(corrupt("an edge")),
        }
    }
    Ok(())
}

fn load_meta(disk: &Disk, state: &mut State) -> Result<(), port::Error> {
    for row in disk.meta.iter() {
        let (key, value) = row.into_inner().map_err(|error| refused(&error))?;
        let key = std::str::from_utf8(&key).map_err(|_| corrupt("a name"))?;
        load_entry(key, &value, state).ok_or_else(|| corrupt(key))?;
    }
    Ok(())
}

fn load_entry(key: &str, value: &[u8], state: &mut State) -> Option<()> {
    let number = || Some(u64::from_be_bytes(value.try_into().ok()?));
    if let Some(shard) = key.strip_prefix(EPOCH) {
        state.shard(shard.parse().ok()?).epoch = number()?;
    } else if let Some(shard) = key.strip_prefix(REMOVALS) {
        state.shard(shard.parse().ok()?).removals = number()?;
    } else if let Some(queue) = key.strip_prefix(PAUSED) {
        state.paused.insert(QueueName::new(queue).ok()?);
    } else if let Some(key) = key.strip_prefix(MAIL) {
        let text = bytes::Bytes::copy_from_slice(value);
        state.letters.entries.insert(key.to_owned(), text);
    } else if let Some(key) = key.strip_prefix(NOTICE) {
        let (shard, number) = key.split_once('/')?;
        let row = (
            u64::from_str_radix(number, 16).ok()?,
            stored::decode("notice", value).ok()?,
        );
        state.shard(shard.parse().ok()?).noting.rows.push_back(row);
    } else if let Some(shard) = key.strip_prefix(NOTING) {
        state.shard(shard.parse().ok()?).noting.counts = stored::decode("notices", value).ok()?;
    } else if key.starts_with(CRON) {
        let entry = stored::decode::<CronEntry>("cron entry", value).ok()?;
        state.cron.insert(entry.name.clone(), entry);
    } else {
        super::statistics::load(key, value, &mut state.counted)?;
    }
    Some(())
}

/// What ran in the last owner's process runs no more.
fn end_leases(state: &mut State, tx: &mut Tx<'_>) {
    let is_running = |record: &Record| record.status == JobStatus::Running;
    let running: Vec<JobId> = state
        .all()
        .filter(|(_, record)| is_running(record))
        .map(|(id, _)| id)
        .collect();
    for id in running {
        let now = tx.now;
        state.change(tx, id, |slot, _| {
            if let Slot::Record(record) = slot {
                record.lease_until = record.lease_until.map(|until| until.min(now));
            }
        });
    }
}

/// The messages of Queued jobs that were in the last owner's broker, the longest there first. Their envelopes stay on
/// the disk until they are delivered.
fn waiting(state: &mut State) -> Vec<Message> {
    let in_broker = |record: &Record| {
        record.status == JobStatus::Queued && record.outbox.is_none() && record.parked.is_none()
    };
    let mut waiting: Vec<_> = state
        .all()
        .filter(|(_, record)| in_broker(record))
        .map(|(id, record)| (record.published_at, id))
        .collect();
    waiting.sort_unstable();
    waiting
        .into_iter()
        .filter_map(|(_, id)| message(state, id))
        .collect()
}

fn message(state: &mut State, id: JobId) -> Option<Message> {
    let shard = state.shard_number(id);
    let epoch = state.shard(shard).epoch;
    let record = state.record(id)?;
    let job = MessageJob {
        id,
        gen_: record.gen_,
        attempts: record.attempts,
        retries: record.retries,
        losts: record.losts,
        envelope: bytes::Bytes::new(),
    };
    Some(Message {
        id: port::broker::message_id(),
        queue: record.queue.clone(),
        priority: record.priority,
        shard,
        epoch,
        published_at: record.published_at.unwrap_or(record.entered_at),
        norecord: false,
        jobs: vec![job],
        traceparent: None,
    })
}
