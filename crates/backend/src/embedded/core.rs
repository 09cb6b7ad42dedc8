//! Memory, disk and broker under one roof; how every call reads and writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    /// `None` once closed.
    disk: Arc<RwLock<Option<Arc<Disk>>>>,
    syncer: Option<Syncer>,
    folder: PathBuf,
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
        let ownership = Ownership::take(folder)?;
        let damaged = |reason: String| OpenError::Damaged {
            folder: folder.to_owned(),
            reason,
        };
        let disk = Disk::open(folder, ownership).map_err(|error| damaged(error.to_string()))?;
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
        };
        core.load().map_err(|error| damaged(error.to_string()))?;
        Ok(Arc::new(core))
    }

    /// The open disk.
    pub(super) fn disk(&self) -> Result<Arc<Disk>, port::Error> {
        self.disk.read().clone().ok_or(port::Error::Closed)
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
        let wrote = tx.batch.commit().inspect_err(|error| {
            // The memory is ahead of the disk now: nothing may be answered from it.
            state.broken = Some(error.to_string());
        })?;
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
        let Some(disk) = self.disk.write().take() else {
            return Ok(());
        };
        self.broker.close();
        self.watches.close();
        // Whoever is inside a change has it written before this goes on.
        let state = self.state.lock();
        let synced = disk.sync_all();
        drop(state);
        synced
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
            reason: format!("an earlier write failed ({reason}); open the folder again"),
        }),
    }
}
