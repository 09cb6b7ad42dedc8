//! Notices and the mailbox.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use longshore_core::clock::Timestamp;
use longshore_core::id::{JobId, WorkerId};
use longshore_core::limits::NOTICES_MAX;
use longshore_core::message::Epoch;
use longshore_core::notice::{Event, Noted, Notice};
use longshore_core::port::Reply;
use longshore_core::port::notify::{Mailbox, MailboxChange, Notices, NotifyPort, worker_key};
use longshore_core::record::Record;
use longshore_core::transition::Effects;
use serde::{Deserialize, Serialize};

use super::core::Core;
use super::load::{mail_key, notice_key, noting_key};
use super::state::{State, Tx};

/// What a shard knows of its notices.
#[derive(Debug, Default)]
pub(super) struct Noting {
    pub(super) rows: VecDeque<(u64, Notice)>,
    pub(super) counts: Counts,
}

/// The part that is one text on the disk.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Counts {
    wanted_until: Timestamp,
    last: u64,
    dropped: u64,
}

/// The scheduler's texts.
#[derive(Debug, Default)]
pub(super) struct Letters {
    version: u64,
    pub(super) entries: BTreeMap<String, Bytes>,
}

impl NotifyPort for Core {
    fn want_notices(&self, shard: u16, time: Duration) -> Reply<'_, ()> {
        Box::pin(self.write(move |state, tx| {
            let noting = &mut state.shard(shard).noting;
            noting.counts.wanted_until = tx.now.after(time);
            tx.batch.meta_of(&noting_key(shard), "notices", &noting.counts);
        }))
    }

    fn notices(&self, shard: u16, limit: usize) -> Reply<'_, Notices> {
        let found = self.read(|state| {
            let (epoch, noting) = state.noting(shard)?;
            Some(Notices {
                epoch,
                rows: noting.rows.iter().take(limit).cloned().collect(),
                dropped: noting.counts.dropped,
            })
        });
        Box::pin(std::future::ready(found.map(Option::unwrap_or_default)))
    }

    fn notices_taken(&self, shard: u16, epoch: Epoch, up_to: u64) -> Reply<'_, ()> {
        Box::pin(self.write(move |state, tx| {
            let known = state.shard(shard);
            if known.epoch != epoch {
                return;
            }
            let rows = &mut known.noting.rows;
            let taken = rows.iter().take_while(|(number, _)| *number <= up_to).count();
            for (number, _) in rows.drain(..taken) {
                tx.batch.forget_meta(&notice_key(shard, number));
            }
        }))
    }

    fn mailbox(&self) -> Reply<'_, Mailbox> {
        let now = self.clock.now();
        let found = self.read(|state| Mailbox {
            version: state.letters.version,
            now,
            entries: state.letters.entries.clone(),
        });
        Box::pin(std::future::ready(found))
    }

    fn change_mailbox(&self, change: MailboxChange) -> Reply<'_, bool> {
        Box::pin(self.write(move |state, tx| state.change_mailbox(tx, change)))
    }
}

impl State {
    /// Writes what a transition asks to be noted of a job.
    pub(super) fn note(&mut self, tx: &mut Tx<'_>, id: JobId, after: &Record, effects: &Effects) {
        for noted in &effects.noted {
            let (function_name, queue) = (after.function_name.clone(), after.queue.clone());
            let event = match noted {
                Noted::DeadLetter => Event::DeadLetter {
                    id,
                    gen_: after.gen_,
                    function_name,
                    queue,
                    attempts: after.attempts,
                    error: effects.error.clone().unwrap_or_default(),
                },
                Noted::WorkerLost(worker) => Event::WorkerLost {
                    id,
                    function_name,
                    queue,
                    worker: worker.clone(),
                },
            };
            self.write_notice(tx, self.shard_number(id), event);
        }
    }

    /// Writes a notice, when somebody wants it and there is room.
    pub(super) fn write_notice(&mut self, tx: &mut Tx<'_>, shard: u16, event: Event) {
        let noting = &mut self.shard(shard).noting;
        if noting.counts.wanted_until <= tx.now {
            return;
        }
        if noting.rows.len() < NOTICES_MAX {
            noting.counts.last += 1;
            let (number, notice) = (noting.counts.last, Notice { at: tx.now, event });
            tx.batch.meta_of(&notice_key(shard, number), "notice", &notice);
            noting.rows.push_back((number, notice));
        } else {
            noting.counts.dropped += 1;
        }
        tx.batch.meta_of(&noting_key(shard), "notices", &noting.counts);
    }

    /// A worker that says goodbye is no lost one.
    pub(super) fn forget_live(&mut self, tx: &mut Tx<'_>, worker: &WorkerId) {
        let change = MailboxChange {
            delete: vec![worker_key(worker)],
            ..MailboxChange::default()
        };
        self.change_mailbox(tx, change);
    }

    fn change_mailbox(&mut self, tx: &mut Tx<'_>, change: MailboxChange) -> bool {
        let letters = &mut self.letters;
        if change.version.is_some_and(|version| version != letters.version) {
            return false;
        }
        // A change of whatever is there raises the version even when it finds nothing: whoever has read the mailbox before
        // it must not write what the change wants gone.
        let mut changed = !change.put.is_empty() || change.version.is_none();
        for (key, text) in change.put {
            tx.batch.meta(&mail_key(&key), &text);
            letters.entries.insert(key, text);
        }
        for key in change.delete {
            if letters.entries.remove(&key).is_some() {
                tx.batch.forget_meta(&mail_key(&key));
                changed = true;
            }
        }
        letters.version += u64::from(changed);
        true
    }
}
