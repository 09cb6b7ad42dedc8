//! Memory, disk and broker under one roof; how every call reads and writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use longshore_core::clock::Clock;
use longshore_core::port;
use longshore_core::random::Random;
use longshore_core::shard::Shards;
use parking_lot::{Mutex, RwLock};

use super::broker::Broker;
use super::disk::{Disk, SERVER};
use super::folder::{OpenError, Ownership};
use super::socket::Server;
use super::state::{State, Tx};
use super::sync::Syncer;
use super::watch::Watches;
use super::{Options, Sync};

/// How long after a try to read a folder anew the next one comes.
const RECOVERY_PAUSE: Duration = Duration::from_secs(1);

/// The store behind the ports.
pub(super) struct Core {
    // Dropped first: the socket must be gone before the folder is free for another owner.
    server: Mutex<Option<Server>>,
    pub(super) shards: Shards,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) state: Mutex<State>,
    pub(super) broker: Arc<Broker>,
    pub(super) watches: Watches,
    /// `None` once closed, or while it cannot be opened again.
    disk: Arc<RwLock<Option<Arc<Disk>>>>,
    syncer: Option<Syncer>,
    folder: PathBuf,
    /// `None` once closed.
    ownership: Mutex<Option<Arc<Ownership>>>,
    /// A write failed, and the folder must be read anew.
    broken: AtomicBool,
    /// When that was tried last.
    tried: Mutex<Option<tokio::time::Instant>>,
    /// The next write fails, for a test.
    fails_next: AtomicBool,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}

impl Core {
    pub(super) fn open(folder: &Path, options: Options) -> Result<Arc<Self>, OpenError> {
        let ownership = Arc::new(Ownership::take(folder)?);
        let damaged = |reason: String| OpenError::Damaged {
            folder: folder.to_owned(),
            reason,
        };
        let disk = Disk::open(folder, Arc::clone(&ownership)).map_err(|error| damaged(error.to_string()))?;
        let found = super::load::shards(&disk).map_err(|error| damaged(error.to_string()))?;
        let shards = super::folder::agree_on_shards(folder, found, options.shards)?;
        let disk = Arc::new(RwLock::new(Some(Arc::new(disk))));
        let core = Self {
            shards,
            state: Mutex::new(State::new(shards)),
            broker: Broker::new(Arc::clone(&disk), Arc::clone(&options.clock)),
            clock: options.clock,
            random: options.random,
            watches: Watches::new(),
            disk,
            syncer: (options.sync == Sync::Always).then(Syncer::new),
            folder: folder.to_owned(),
            server: Mutex::new(None),
            ownership: Mutex::new(Some(ownership)),
            broken: AtomicBool::new(false),
            tried: Mutex::default(),
            fails_next: AtomicBool::new(false),
        };
        core.load().map_err(|error| damaged(error.to_string()))?;
        Ok(Arc::new(core))
    }

    /// The open disk. After a write that failed, the folder is read anew first.
    pub(super) fn disk(&self) -> Result<Arc<Disk>, port::Error> {
        if self.broken.load(Ordering::SeqCst) {
            self.recover()?;
        }
        self.disk.read().clone().ok_or(port::Error::Closed)
    }

    /// Reads the folder anew after a write that failed: the memory is ahead of the disk then by what that call was to
    /// write, and the log takes nothing any more. Everything else that is in memory alone stays.
    ///
    /// # Errors
    /// While the folder cannot be opened, for example because the disk is still full, or somebody still reads from what
    /// was open before. It is tried once a second.
    fn recover(&self) -> Result<(), port::Error> {
        let mut tried = self.tried.lock();
        let mut state = self.state.lock();
        let now = tokio::time::Instant::now();
        if tried.is_some_and(|tried| now - tried < RECOVERY_PAUSE) {
            return check(&state);
        }
        if state.broken.is_none() {
            return Ok(());
        }
        let ownership = self.ownership.lock().clone().ok_or(port::Error::Closed)?;
        *tried = Some(now);
        let found = self.reopen(ownership).and_then(|disk| {
            let found = super::load::jobs(&disk, self.shards)?;
            *self.disk.write() = Some(disk);
            Ok(found)
        });
        match found {
            Ok(found) => {
                state.take_over(found);
                *tried = None;
                self.broken.store(false, Ordering::SeqCst);
                tracing::warn!(folder = %self.folder.display(), "the folder was read anew; the store works again");
                Ok(())
            }
            Err(error) => {
                state.broken = Some(error.to_string());
                check(&state)
            }
        }
    }

    /// Opens the log anew once nobody uses the old one.
    fn reopen(&self, ownership: Arc<Ownership>) -> Result<Arc<Disk>, port::Error> {
        let mut place = self.disk.write();
        if let Some(old) = place.take() {
            match Arc::try_unwrap(old) {
                Ok(old) => drop(old),
                Err(used) => {
                    *place = Some(used);
                    return Err(port::Error::OutcomeUnknown { server: SERVER });
                }
            }
        }
        drop(place);
        let disk = Disk::open(&self.folder, ownership);
        disk.map(Arc::new).map_err(|error| super::disk::refused(&error))
    }

    /// The memory is ahead of the disk: nothing may be answered from it.
    fn is_broken(&self, state: &mut State, error: &port::Error) {
        tracing::error!(%error, folder = %self.folder.display(), "a write failed; the folder will be read anew");
        state.broken = Some(error.to_string());
        self.broken.store(true, Ordering::SeqCst);
    }

    pub(super) fn fail_next_write(&self) {
        self.fails_next.store(true, Ordering::SeqCst);
    }

    /// Looks at the state.
    pub(super) fn read<R>(&self, look: impl FnOnce(&State) -> R) -> Result<R, port::Error> {
        self.disk()?;
        let state = self.state.lock();
        check(&state)?;
        Ok(look(&state))
    }

    /// Changes the state: one batch, on its way to the disk before this answers. The batch is written under the lock,
    /// so that the disk sees changes in the order in which the memory made them.
    pub(super) fn change<R>(
        &self,
        disk: &Disk,
        act: impl FnOnce(&mut State, &mut Tx<'_>) -> R,
    ) -> Result<(R, bool), port::Error> {
        let mut state = self.state.lock();
        check(&state)?;
        let mut tx = Tx {
            disk,
            batch: disk.batch(),
            now: self.clock.now(),
            woken: Vec::new(),
            hints: Vec::new(),
        };
        let reply = act(&mut state, &mut tx);
        state.counted.write_if_due(&mut tx.batch, tx.now);
        if self.fails_next.swap(false, Ordering::SeqCst) {
            tx.batch.spoil();
        }
        let wrote = tx
            .batch
            .commit()
            .inspect_err(|error| self.is_broken(&mut state, error))?;
        drop(state);
        self.watches.wake(&tx.woken);
        self.watches.hint(tx.hints);
        Ok((reply, wrote))
    }

    /// As [`Core::change`], and waits for the disk itself where that was asked for.
    pub(super) async fn write<R>(
        &self,
        act: impl FnOnce(&mut State, &mut Tx<'_>) -> R,
    ) -> Result<R, port::Error> {
        let disk = self.disk()?;
        let (reply, wrote) = self.change(&disk, act)?;
        if let Some(syncer) = self.syncer.as_ref().filter(|_| wrote) {
            syncer.synced(disk).await?;
        }
        Ok(reply)
    }

    /// Writes to the disk alone, beside the state.
    pub(super) async fn synced(&self, disk: Arc<Disk>) -> Result<(), port::Error> {
        match &self.syncer {
            Some(syncer) => syncer.synced(disk).await,
            None => Ok(()),
        }
    }

    pub(super) fn serve(self: &Arc<Self>) -> std::io::Result<()> {
        let server = super::socket::serve(self, &self.folder)?;
        *self.server.lock() = Some(server);
        Ok(())
    }

    pub(super) fn close(&self) -> Result<(), port::Error> {
        // First, so that the socket of a folder is gone before the folder is free for another owner.
        self.server.lock().take();
        let Some(ownership) = self.ownership.lock().take() else {
            return Ok(());
        };
        self.broken.store(false, Ordering::SeqCst);
        // There is none while it cannot be opened after a write that failed.
        let disk = self.disk.write().take();
        self.broker.close();
        self.watches.close();
        // Whoever is inside a change has it written before this goes on.
        let mut state = self.state.lock();
        let written = disk.as_ref().map_or(Ok(false), |disk| {
            let mut batch = disk.batch();
            state.counted.write(&mut batch, self.clock.now());
            batch.commit()
        });
        let synced = disk.as_ref().map_or(Ok(()), |disk| disk.sync_all());
        drop(state);
        drop(disk);
        // The folder is free only once the store is shut.
        drop(ownership);
        written.and(synced)
    }

    pub(super) fn wipe(&self) -> Result<(), port::Error> {
        let disk = self.disk()?;
        {
            let mut state = self.state.lock();
            disk.clear_jobs()?;
            state.wipe();
        }
        self.change(&disk, |state, tx| self.draw_epochs(state, tx))
            .map(drop)
    }
}

fn check(state: &State) -> Result<(), port::Error> {
    match &state.broken {
        None => Ok(()),
        Some(reason) => Err(port::Error::Unavailable {
            server: SERVER,
            reason: format!("a write failed, and the folder is not read anew yet: {reason}"),
        }),
    }
}
