//! How notices become letters: grouped, held back to a rate, sent, tried again, given up. Pure functions over the
//! mailbox, which the scheduler reads, changes and writes back in one step; whoever comes second reads it anew.
//!
//! A letter collects alike events until it is due and its channel has budget. Then it is closed: its content and id are
//! fixed and stored *before* it is sent, so that every try of every replica sends the same. A try is stored before it
//! begins, too: nobody else tries until its time is over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::clock::{Timestamp, duration_millis};
use crate::message::Epoch;
use crate::name::QueueName;
use crate::port::notify::{Mailbox, MailboxChange};
use crate::random::Random;

use super::letter::{Kind, Letter, Sample, State, Subject};

mod collect;
mod deliver;
#[cfg(test)]
mod tests;

pub use collect::QueueState;
pub use deliver::Fate;

/// Letters of one channel that collect at once; what is over goes into one letter for all others.
pub const COLLECTING_MAX: usize = 100;
/// Letters of one channel that are closed and not sent; while so many wait, the others go on collecting.
pub const WAITING_MAX: usize = 20;
/// Given up letters that are remembered.
pub const GIVEN_UP_MAX: usize = 50;

/// How letters are made and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long the first letter of a group collects. Default 10 s.
    pub group_wait: Duration,
    /// Shortest time from one letter of a group to the next. Default 15 min.
    pub group_interval: Duration,
    /// Letters of a channel: so many at once, and then so many an hour. Default 60.
    pub letters_per_hour: u32,
    /// A letter that could not be sent for so long, since it was closed, is given up. Default one day.
    pub give_up_after: Duration,
    /// How long one try may take. Default 30 s.
    pub send_timeout: Duration,
    /// Queues longer than this are told of; `None` tells of none.
    pub queue_length_max: Option<u64>,
    /// Queues whose oldest job waits longer than this are told of; `None` tells of none.
    pub queue_age_max: Option<Duration>,
    /// Limits of single queues, in the place of those above.
    pub queues: BTreeMap<QueueName, QueueLimits>,
    /// A queue that stays over its limit is told of again after this. Default 1 h.
    pub repeat_after: Duration,
}

/// The limits of one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueLimits {
    /// Longest that is fine.
    pub length: Option<u64>,
    /// Oldest that is fine.
    pub age: Option<Duration>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            group_wait: Duration::from_secs(10),
            group_interval: Duration::from_secs(15 * 60),
            letters_per_hour: 60,
            give_up_after: Duration::from_secs(86_400),
            send_timeout: Duration::from_secs(30),
            queue_length_max: None,
            queue_age_max: None,
            queues: BTreeMap::new(),
            repeat_after: Duration::from_secs(3_600),
        }
    }
}

impl Policy {
    /// The limits of a queue.
    pub fn limits(&self, queue: &QueueName) -> QueueLimits {
        let own = self.queues.get(queue).copied().unwrap_or_default();
        QueueLimits {
            length: own.length.or(self.queue_length_max),
            age: own.age.or(self.queue_age_max),
        }
    }

    /// Whether any queue has a limit.
    pub fn has_limits(&self) -> bool {
        self.queue_length_max.is_some() || self.queue_age_max.is_some() || !self.queues.is_empty()
    }
}

/// A channel, as far as letters need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressee {
    /// Its name.
    pub name: String,
    /// What it wants to know of.
    pub kinds: BTreeSet<Kind>,
}

/// One text of the mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Entry {
    Letter(Letter),
    Channel(ChannelState),
    /// When the last letter of a group was closed.
    Group {
        closed_at: Timestamp,
    },
    /// How far the notices of a shard were taken.
    Taken {
        epoch: Epoch,
        up_to: u64,
        dropped: u64,
    },
    /// Something is over its limit, and when that was told last.
    Alarm {
        told_at: Timestamp,
    },
    /// A live worker.
    Worker {
        host: String,
    },
}

/// What is remembered of a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelState {
    /// Letters that it has taken.
    pub sent: u64,
    /// Letters that were given up.
    pub given_up: u64,
    /// When it took the last.
    pub sent_at: Option<Timestamp>,
    /// What the last failed try said, and when.
    pub failed: Option<(Timestamp, String)>,
    /// Thousandths of letters that it may still get, and when that was so.
    budget: Option<(u64, Timestamp)>,
}

/// The mailbox in memory, with what was changed.
#[derive(Debug)]
pub struct Post<'a> {
    now: Timestamp,
    version: u64,
    entries: BTreeMap<String, Entry>,
    changed: BTreeSet<String>,
    random: &'a dyn Random,
}

impl<'a> Post<'a> {
    /// The mailbox as it was read. A text that this build cannot read is left alone.
    pub fn read(mailbox: Mailbox, random: &'a dyn Random) -> Self {
        let read =
            |(key, bytes): (String, Bytes)| rmp_serde::from_slice(&bytes).ok().map(|entry| (key, entry));
        Self {
            now: mailbox.now,
            version: mailbox.version,
            entries: mailbox.entries.into_iter().filter_map(read).collect(),
            changed: BTreeSet::new(),
            random,
        }
    }

    /// What has to be written; `None` when nothing changed.
    pub fn change(&self) -> Option<MailboxChange> {
        let mut change = MailboxChange {
            version: Some(self.version),
            ..MailboxChange::default()
        };
        for key in &self.changed {
            // Nothing in an entry fails to encode; should one, its text stays as it was.
            match self.entries.get(key).map(rmp_serde::to_vec_named) {
                Some(Ok(bytes)) => change.put.push((key.clone(), bytes.into())),
                Some(Err(_)) => {}
                None => change.delete.push(key.clone()),
            }
        }
        (!self.changed.is_empty()).then_some(change)
    }

    /// Every letter, in the order of their ids.
    pub fn letters(&self) -> impl Iterator<Item = &Letter> {
        self.entries.values().filter_map(|entry| match entry {
            Entry::Letter(letter) => Some(letter),
            _ => None,
        })
    }

    /// What is remembered of a channel.
    pub fn channel(&self, name: &str) -> ChannelState {
        match self.entries.get(&channel_key(name)) {
            Some(Entry::Channel(state)) => state.clone(),
            _ => ChannelState::default(),
        }
    }

    fn put(&mut self, key: String, entry: Entry) {
        if self.entries.get(&key) != Some(&entry) {
            self.changed.insert(key.clone());
            self.entries.insert(key, entry);
        }
    }

    fn remove(&mut self, key: &str) {
        if self.entries.remove(key).is_some() {
            self.changed.insert(key.to_owned());
        }
    }

    fn put_letter(&mut self, letter: Letter) {
        self.put(letter_key(&letter.id), Entry::Letter(letter));
    }

    fn put_channel(&mut self, name: &str, state: ChannelState) {
        self.put(channel_key(name), Entry::Channel(state));
    }

    fn letter(&self, id: &str) -> Option<&Letter> {
        match self.entries.get(&letter_key(id)) {
            Some(Entry::Letter(letter)) => Some(letter),
            _ => None,
        }
    }

    /// An event for every channel that wants its kind.
    fn tell(&mut self, to: &[Addressee], policy: &Policy, subject: &Subject, count: u64, sample: &Sample) {
        for channel in to {
            let wants = subject.kind().is_none_or(|kind| channel.kinds.contains(&kind));
            if wants {
                self.tell_one(&channel.name, policy, subject, count, sample);
            }
        }
    }

    fn tell_one(&mut self, channel: &str, policy: &Policy, subject: &Subject, count: u64, sample: &Sample) {
        let collecting = |subject: &Subject| {
            let key = subject.key();
            let is_it = |letter: &&Letter| {
                letter.is_collecting() && letter.channel == channel && letter.subject.key() == key
            };
            self.letters().find(is_it).cloned()
        };
        let open = || {
            let open = |letter: &&Letter| letter.is_collecting() && letter.channel == channel;
            self.letters().filter(open).count()
        };
        let known =
            collecting(subject).or_else(|| collecting(&Subject::Others).filter(|_| open() >= COLLECTING_MAX));
        let subject = if known.is_none() && open() >= COLLECTING_MAX {
            &Subject::Others
        } else {
            subject
        };
        let mut letter = known.unwrap_or_else(|| self.fresh(channel, policy, subject, sample.at));
        letter.add(count, sample.clone());
        self.put_letter(letter);
    }

    fn fresh(&self, channel: &str, policy: &Policy, subject: &Subject, at: Timestamp) -> Letter {
        let soon = self.now.after(policy.group_wait);
        let due = match self.entries.get(&group_key(channel, subject)) {
            Some(Entry::Group { closed_at }) => soon.max(closed_at.after(policy.group_interval)),
            _ => soon,
        };
        Letter {
            id: format!("{:016x}{:016x}", self.random.next_u64(), self.random.next_u64()),
            channel: channel.to_owned(),
            subject: subject.clone(),
            count: 0,
            first_at: at,
            last_at: at,
            samples: Vec::new(),
            state: State::Collecting { due },
        }
    }

    /// Takes one letter of a channel's budget, when there is one: `letters_per_hour` at once at most, and as many an
    /// hour.
    fn spend(&mut self, name: &str, policy: &Policy) -> bool {
        let mut state = self.channel(name);
        let full = u64::from(policy.letters_per_hour).saturating_mul(1_000);
        let has = state.budget.map_or(full, |(had, at)| {
            let millis = duration_millis(self.now.since(at));
            let more = millis.saturating_mul(full) / 3_600_000;
            had.saturating_add(more).min(full)
        });
        let Some(left) = has.checked_sub(1_000) else {
            return false;
        };
        state.budget = Some((left, self.now));
        self.put_channel(name, state);
        true
    }
}

fn letter_key(id: &str) -> String {
    format!("letter/{id}")
}

fn channel_key(name: &str) -> String {
    format!("channel/{name}")
}

fn group_key(channel: &str, subject: &Subject) -> String {
    format!("group/{channel}/{}", subject.key())
}
