//! The whole backend in one process and one folder: no servers.
//!
//! State lives in memory; every change is written through to a log-structured store in the folder, one atomic batch
//! a call, before the call is answered. Records change by the pure functions of [`longshore_core::transition`]; the
//! rest of this module keeps indexes, messages and disk in step with them.
//!
//! A folder has one owner, which holds an operating-system lock. It serves the ports that producers and people need on
//! a Unix socket in the folder; [`open_or_connect`] gives whoever comes second a client of that.
//!
//! Lock order: `state`, then the broker's own lock. No lock is held across an `await`.

use std::path::Path;
use std::sync::Arc;

use longshore_core::clock::{Clock, SystemClock};
use longshore_core::name::QueueName;
use longshore_core::port::Ports;
use longshore_core::random::{Random, SystemRandom};
use longshore_core::shard::Shards;

mod access;
mod attempt;
mod broker;
mod checkup;
mod core;
mod cron;
mod disk;
mod enqueue;
mod folder;
mod inspect;
mod load;
mod log;
mod messages;
mod notify;
mod people;
mod rows;
mod schedule;
mod socket;
mod state;
mod statistics;
mod stored;
mod sync;
mod together;
mod watch;

use self::core::Core;
pub use folder::OpenError;
pub use together::{Embedded, Role, connect, open_or_connect};

/// When a change counts as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// When the operating system has it: survives the death of the process by any signal, not of the machine. Default.
    #[default]
    Process,
    /// When the disk has it (`fdatasync`, shared by the calls that wait for it): survives power loss too.
    Always,
}

/// How a folder is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Shards of a new folder; default [`Shards::STANDALONE`]. An existing folder must have as many.
    pub shards: Option<Shards>,
    /// When a change counts as written.
    pub sync: Sync,
    /// The store's time.
    pub clock: Arc<dyn Clock>,
    /// Bits for epochs.
    pub random: Arc<dyn Random>,
}

impl Default for Options {
    /// The machine's clock and randomness, four shards, changes that survive the process.
    fn default() -> Self {
        Self {
            shards: None,
            sync: Sync::default(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
        }
    }
}

/// An open folder, owned by this process. The folder stays owned until [`Store::close`], or until this and all of its
/// ports are dropped.
#[derive(Debug)]
pub struct Store {
    core: Arc<Core>,
}

impl Store {
    /// Opens a folder, or makes it.
    ///
    /// What ran when its last owner died has its lease over at once, because that process is certainly gone; what was
    /// published and not claimed has its message again.
    ///
    /// # Errors
    /// When another process owns it ([`OpenError::Owned`] names the process), when it cannot be read, or when it was
    /// made with another number of shards.
    pub fn open(folder: &Path, options: Options) -> Result<Self, OpenError> {
        Core::open(folder, options).map(|core| Self { core })
    }

    /// What the store offers.
    pub fn ports(&self) -> Ports {
        Ports {
            enqueue: self.core.clone(),
            attempt: self.core.clone(),
            schedule: self.core.clone(),
            inspect: self.core.clone(),
            checkup: self.core.clone(),
            cron: self.core.clone(),
            notify: self.core.clone(),
            access: self.core.clone(),
            publish: self.core.clone(),
            consume: self.core.clone(),
            telemetry: longshore_core::telemetry::Telemetry::off(),
        }
    }

    /// Serves the ports that producers and people need on a Unix socket in the folder, for [`connect`], until the store
    /// is closed. Runs on the runtime that calls it.
    ///
    /// # Errors
    /// When the socket cannot be bound.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn serve(&self) -> std::io::Result<()> {
        self.core.serve()
    }

    /// Ends the store: what was answered is on the disk, the folder is free, and every port answers
    /// [`longshore_core::port::Error::Closed`] from now on.
    ///
    /// # Errors
    /// When the disk does not take what is left.
    pub fn close(self) -> Result<(), longshore_core::port::Error> {
        self.core.close()
    }

    /// Deletes every record and tombstone and draws new epochs, as if the store were lost. Messages stay. For tests of
    /// the protocol.
    ///
    /// # Errors
    /// When the disk refuses.
    #[doc(hidden)]
    pub fn wipe(&self) -> Result<(), longshore_core::port::Error> {
        self.core.wipe()
    }

    /// Makes the next write fail, as a full disk does. For tests.
    #[doc(hidden)]
    pub fn fail_next_write(&self) {
        self.core.fail_next_write();
    }

    /// Puts bytes into a queue that are no message. For tests of the protocol.
    #[doc(hidden)]
    pub fn inject(&self, queue: &QueueName, body: &'static [u8]) {
        self.core.broker.inject(queue, body);
    }

    /// Takes the index rows of a job away, or gives it a row that it must not have. For tests of the doctor.
    #[doc(hidden)]
    pub fn spoil_rows(&self, id: longshore_core::JobId, stray: bool) {
        self.core.spoil_rows(id, stray);
    }

    /// Deletes a queue with its messages; its subscriptions end. For tests of the protocol.
    #[doc(hidden)]
    pub fn delete_queue(&self, queue: &QueueName) {
        self.core.broker.delete_queue(queue);
    }
}
