//! A letter: alike notices put together for one channel, under an id that stays.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::dead::Fingerprint;
use crate::id::{JobId, WorkerId};
use crate::name::{CronName, QueueName};

/// Most samples in one letter.
pub const SAMPLES_MAX: usize = 5;
/// Longest text of a sample or of an error in a letter, in characters.
pub const TEXT_CHARS_MAX: usize = 500;

/// Kinds of events: what a channel may choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A job was given up.
    DeadLetter,
    /// A worker ended without a word, or the lease of its job did.
    WorkerLost,
    /// A queue is longer than its limit, or its oldest job waits longer than its limit.
    QueueLimit,
    /// A cron tick was missed.
    CronMissed,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::DeadLetter,
        Self::WorkerLost,
        Self::QueueLimit,
        Self::CronMissed,
    ];

    /// Its name in the configuration and in bodies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeadLetter => "dead_letter",
            Self::WorkerLost => "worker_lost",
            Self::QueueLimit => "queue_limit",
            Self::CronMissed => "cron_missed",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the events of a letter have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Subject {
    /// Dead letters with errors like this one.
    DeadLetters {
        /// The errors' fingerprint: `longshore dlq ls --fingerprint` takes it.
        fingerprint: Fingerprint,
        /// Type of the first.
        error_type: String,
        /// Text of the first, at most [`TEXT_CHARS_MAX`] characters.
        message: String,
    },
    /// One worker.
    WorkerLost {
        /// Which.
        worker: WorkerId,
    },
    /// A queue over its limit of length.
    QueueLong {
        /// Which.
        queue: QueueName,
    },
    /// A queue whose oldest job waits for too long.
    QueueOld {
        /// Which.
        queue: QueueName,
    },
    /// Ticks of one cron entry.
    CronMissed {
        /// Which.
        entry: CronName,
    },
    /// Events that there was no room for, one by one: only their number is known.
    Uncounted,
    /// Events of more groups than are kept apart at once.
    Others,
    /// A person's `longshore notify test`.
    Test,
}

impl Subject {
    /// The key of its group: what is alike has the same.
    pub fn key(&self) -> String {
        match self {
            Self::DeadLetters { fingerprint, .. } => format!("dead/{fingerprint}"),
            Self::WorkerLost { worker } => format!("worker/{worker}"),
            Self::QueueLong { queue } => format!("long/{queue}"),
            Self::QueueOld { queue } => format!("old/{queue}"),
            Self::CronMissed { entry } => format!("cron/{entry}"),
            Self::Uncounted => "uncounted".to_owned(),
            Self::Others => "others".to_owned(),
            Self::Test => "test".to_owned(),
        }
    }

    /// Its kind; what only sums up is of none, and every channel wants it.
    pub const fn kind(&self) -> Option<Kind> {
        match self {
            Self::DeadLetters { .. } => Some(Kind::DeadLetter),
            Self::WorkerLost { .. } => Some(Kind::WorkerLost),
            Self::QueueLong { .. } | Self::QueueOld { .. } => Some(Kind::QueueLimit),
            Self::CronMissed { .. } => Some(Kind::CronMissed),
            Self::Uncounted | Self::Others | Self::Test => None,
        }
    }
}

/// One of the events of a letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When, by the store's clock.
    pub at: Timestamp,
    /// The job, when the event is one's.
    pub job: Option<JobId>,
    /// What happened, at most [`TEXT_CHARS_MAX`] characters.
    pub text: String,
}

/// Where a letter stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// It takes alike events until it is due.
    Collecting {
        /// When it is closed, if its channel may send then.
        due: Timestamp,
    },
    /// Its content is fixed.
    Closed {
        /// When it is tried next. While it is being sent: when the sender has to have ended.
        next: Timestamp,
        /// Tries so far.
        attempts: u32,
        /// When it was closed: from then on it could be tried.
        #[serde(default)]
        closed_at: Timestamp,
    },
    /// It was given up.
    GivenUp {
        /// When.
        at: Timestamp,
        /// What the last try said.
        reason: String,
    },
}

/// Alike events for one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Its identity, 32 hexadecimal digits: the same over every try and replica.
    pub id: String,
    /// The channel's name.
    pub channel: String,
    /// What its events have in common.
    pub subject: Subject,
    /// How many events there were.
    pub count: u64,
    /// The first of them.
    pub first_at: Timestamp,
    /// The last of them.
    pub last_at: Timestamp,
    /// The first events, at most [`SAMPLES_MAX`].
    pub samples: Vec<Sample>,
    /// Where it stands.
    pub state: State,
}

impl Letter {
    /// Whether it still takes events.
    pub const fn is_collecting(&self) -> bool {
        matches!(self.state, State::Collecting { .. })
    }

    /// Adds an event.
    pub fn add(&mut self, count: u64, sample: Sample) {
        self.count = self.count.saturating_add(count);
        self.first_at = self.first_at.min(sample.at);
        self.last_at = self.last_at.max(sample.at);
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push(sample);
        }
    }
}

/// The beginning of a text.
pub(crate) fn cut(text: &str) -> String {
    if text.chars().count() <= TEXT_CHARS_MAX {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(TEXT_CHARS_MAX - 1).collect();
    short.push('…');
    short
}
