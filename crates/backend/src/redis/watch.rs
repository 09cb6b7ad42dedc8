//! Wakes and hints: one connection for subscriptions, opened when somebody watches, shared by all who do.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use longshore_core::id::JobId;
use longshore_core::port::Error;
use longshore_core::port::attempt::{Hint, Hints};
use longshore_core::port::inspect::Wakes;
use parking_lot::Mutex;
use redis::aio::{PubSubSink, PubSubStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::call::Call;
use super::fault::of_dialing;
use super::reply::parse_id;
use super::target::Target;
use super::{Inner, script};

/// The channel of hints for workers.
pub(super) const HINTS: &str = "longshore:hint";
/// The channel of hints for schedulers.
const PARENTS: &str = "longshore:rel";
/// The channel of a job is this and its id.
const JOB: &str = "longshore:ev:";
/// How long a shard counts as watched after it was said.
const WATCHED: Duration = Duration::from_secs(60);
/// Wake-ups that wait for one watcher; more are dropped, because a watcher that is that far behind polls anyway.
const WAITING_MAX: usize = 1_024;
/// Channels of one subscribe command.
const SUBSCRIBE_BITE: usize = 500;

/// Where watchers meet the messages of Redis.
#[derive(Debug)]
pub(super) struct Hub {
    target: Target,
    runtime: Handle,
    /// Held while channels are subscribed or given up, so that one's end does not cross another's beginning.
    sink: Arc<tokio::sync::Mutex<Option<Ear>>>,
    watchers: Arc<Mutex<Watchers>>,
}

/// The open end of the connection.
struct Ear {
    sink: PubSubSink,
    life: u64,
}

impl std::fmt::Debug for Ear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ear")
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Watchers {
    closed: bool,
    next: u64,
    /// Counts connections: the end of one ends its watchers, and no others.
    life: u64,
    jobs: HashMap<JobId, Vec<(u64, mpsc::Sender<JobId>)>>,
    /// Somebody keeps telling the shards of `jobs` that they are watched.
    are_told: bool,
    /// Who hears a channel of hints.
    hints: HashMap<u64, (&'static str, mpsc::Sender<Hint>)>,
}

impl Inner {
    /// Wakes for these jobs. Scripts wake nobody in a shard unless it says that it is watched, so it says so first, and
    /// again for as long as anybody watches.
    pub(super) async fn watch(self: &Arc<Self>, ids: Vec<JobId>) -> Result<Box<dyn Wakes>, Error> {
        self.tell_watched(&ids).await;
        let (wakes, keep_telling) = self.hub.watch(ids).await?;
        if keep_telling {
            self.hub.spawn(keep_watched(Arc::downgrade(self)));
        }
        Ok(wakes)
    }

    /// Says that the shards of these jobs are watched, for [`WATCHED`]. Whoever watches looks for itself from time to
    /// time, so that one that cannot be told costs time and no more.
    async fn tell_watched(&self, ids: &[JobId]) {
        let shards: BTreeSet<u16> = ids.iter().map(|id| self.shards.of(id)).collect();
        let tell = |shard| async move {
            let mut call = Call::new(&script::WATCHED, shard);
            call.duration(WATCHED);
            if let Err(error) = self.link.run(&call).await {
                tracing::debug!(shard, %error, "cannot say that jobs are watched; said again later");
            }
        };
        join_all(shards.into_iter().map(tell)).await;
    }
}

/// Says so again and again, until nobody watches any more or the store is gone.
async fn keep_watched(store: Weak<Inner>) {
    loop {
        tokio::time::sleep(WATCHED / 3).await;
        let Some(store) = store.upgrade() else { return };
        let watched = store.hub.watched();
        if watched.is_empty() {
            return;
        }
        store.tell_watched(&watched).await;
    }
}

impl Hub {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            runtime: Handle::current(),
            sink: Arc::default(),
            watchers: Arc::default(),
        }
    }

    /// Ends every watch.
    pub(super) fn close(&self) {
        let mut watchers = self.watchers.lock();
        watchers.closed = true;
        watchers.end();
        drop(watchers);
        if let Ok(mut sink) = self.sink.try_lock() {
            *sink = None;
        }
    }

    /// Wakes for these jobs, from the moment this answers, and whether the caller must keep telling the shards of
    /// [`Hub::watched`] that they are.
    async fn watch(&self, ids: Vec<JobId>) -> Result<(Box<dyn Wakes>, bool), Error> {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let mut sink = self.sink.lock().await;
        self.listening(&mut sink).await?;
        let (number, fresh) = self.watchers.lock().enter(&ids, &sender);
        // Taken out again when this fails or is given up half-way.
        let watch = Watch {
            watchers: Arc::clone(&self.watchers),
            sink: Arc::clone(&self.sink),
            runtime: self.runtime.clone(),
            number,
            ids,
            receiver,
        };
        let channels: Vec<_> = fresh.iter().map(channel).collect();
        for channels in channels.chunks(SUBSCRIBE_BITE) {
            self.subscribe(&mut sink, channels).await?;
        }
        let keeps = std::mem::replace(&mut self.watchers.lock().are_told, true);
        Ok((Box::new(watch), !keeps))
    }

    /// Runs a task where the connection's own run.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    /// The jobs that somebody watches. With none, whoever tells their shards is done.
    fn watched(&self) -> Vec<JobId> {
        let mut watchers = self.watchers.lock();
        watchers.are_told = !watchers.jobs.is_empty();
        watchers.jobs.keys().copied().collect()
    }

    /// Hints for a worker.
    pub(super) async fn hints(&self) -> Result<Box<dyn Hints>, Error> {
        self.hear(HINTS).await
    }

    /// Hints for a scheduler.
    pub(super) async fn ended_parents(&self) -> Result<Box<dyn Hints>, Error> {
        self.hear(PARENTS).await
    }

    async fn hear(&self, channel: &'static str) -> Result<Box<dyn Hints>, Error> {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let mut sink = self.sink.lock().await;
        self.listening(&mut sink).await?;
        self.subscribe(&mut sink, &[channel.to_owned()]).await?;
        let mut watchers = self.watchers.lock();
        watchers.next += 1;
        let number = watchers.next;
        watchers.hints.insert(number, (channel, sender));
        drop(watchers);
        Ok(Box::new(HintStream(receiver)))
    }

    async fn subscribe(&self, ear: &mut Option<Ear>, channels: &[String]) -> Result<(), Error> {
        let Some(open) = ear else {
            return Err(Error::Closed);
        };
        open.sink.subscribe(channels).await.map_err(|error| {
            *ear = None;
            of_dialing(&error, self.target.hosts())
        })
    }

    /// Opens the connection unless it is open.
    async fn listening(&self, ear: &mut Option<Ear>) -> Result<(), Error> {
        let life = {
            let watchers = self.watchers.lock();
            if watchers.closed {
                return Err(Error::Closed);
            }
            watchers.life
        };
        if ear.as_ref().is_some_and(|open| open.life == life) {
            return Ok(());
        }
        *ear = None;
        let target = self.target.clone();
        let dialled = self.runtime.spawn(async move { target.listen().await }).await;
        let (sink, stream) = dialled.unwrap_or(Err(Error::Closed))?.split();
        let life = {
            let mut watchers = self.watchers.lock();
            watchers.life += 1;
            watchers.life
        };
        *ear = Some(Ear { sink, life });
        self.runtime.spawn(hear(stream, Arc::clone(&self.watchers), life));
        Ok(())
    }
}

/// Passes messages on until the connection ends.
async fn hear(mut stream: PubSubStream, watchers: Arc<Mutex<Watchers>>, life: u64) {
    while let Some(message) = stream.next().await {
        let channel = message.get_channel_name();
        if channel == HINTS {
            watchers.lock().hint(HINTS, &hint_of(message.get_payload_bytes()));
        } else if channel == PARENTS {
            watchers.lock().hint(PARENTS, &Hint::ParentEnded);
        } else if let Some(Ok(id)) = channel.strip_prefix(JOB).map(|id| parse_id(id.as_bytes())) {
            watchers.lock().wake(id);
        }
    }
    let mut watchers = watchers.lock();
    if watchers.life == life {
        watchers.end();
    }
}

impl Watchers {
    /// Adds a watcher; answers its number and the jobs that nobody watched before.
    fn enter(&mut self, ids: &[JobId], sender: &mpsc::Sender<JobId>) -> (u64, Vec<JobId>) {
        self.next += 1;
        let mut fresh = Vec::new();
        for id in ids {
            let watching = self.jobs.entry(*id).or_default();
            if watching.is_empty() {
                fresh.push(*id);
            }
            watching.push((self.next, sender.clone()));
        }
        (self.next, fresh)
    }

    /// Takes a watcher out; answers the jobs that nobody watches any more.
    fn leave(&mut self, number: u64, ids: &[JobId]) -> Vec<JobId> {
        let mut unwatched = Vec::new();
        for id in ids {
            if let Some(watching) = self.jobs.get_mut(id) {
                watching.retain(|(other, _)| *other != number);
                if watching.is_empty() {
                    self.jobs.remove(id);
                    unwatched.push(*id);
                }
            }
        }
        unwatched
    }

    fn wake(&self, id: JobId) {
        for (_, sender) in self.jobs.get(&id).into_iter().flatten() {
            // Full or gone: the watcher polls.
            sender.try_send(id).ok();
        }
    }

    fn hint(&mut self, channel: &str, hint: &Hint) {
        self.hints.retain(|_, (heard, sender)| {
            *heard != channel
                || !matches!(
                    sender.try_send(hint.clone()),
                    Err(mpsc::error::TrySendError::Closed(_))
                )
        });
    }

    /// Every watcher's stream ends: they ask for new ones.
    fn end(&mut self) {
        self.life += 1;
        self.jobs.clear();
        self.hints.clear();
    }
}

fn hint_of(payload: &[u8]) -> Hint {
    match parse_id(payload) {
        Ok(id) => Hint::Cancel(id),
        Err(_) => Hint::QueuesChanged,
    }
}

fn channel(id: &JobId) -> String {
    format!("{JOB}{}", id.to_hex())
}

struct Watch {
    watchers: Arc<Mutex<Watchers>>,
    sink: Arc<tokio::sync::Mutex<Option<Ear>>>,
    runtime: Handle,
    number: u64,
    ids: Vec<JobId>,
    receiver: mpsc::Receiver<JobId>,
}

impl Wakes for Watch {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<JobId>> + Send + '_>> {
        Box::pin(self.receiver.recv())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let unwatched = self.watchers.lock().leave(self.number, &self.ids);
        if unwatched.is_empty() {
            return;
        }
        let (sink, watchers) = (Arc::clone(&self.sink), Arc::clone(&self.watchers));
        self.runtime.spawn(async move {
            let mut ear = sink.lock().await;
            // Somebody may have begun to watch meanwhile.
            let channels: Vec<_> = {
                let watchers = watchers.lock();
                let still = unwatched.iter().filter(|id| !watchers.jobs.contains_key(*id));
                still.map(channel).collect()
            };
            if let Some(open) = ear.as_mut().filter(|_| !channels.is_empty()) {
                // What still comes for a job that nobody watches is passed over.
                open.sink.unsubscribe(&channels).await.ok();
            }
        });
    }
}

struct HintStream(mpsc::Receiver<Hint>);

impl Hints for HintStream {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Hint>> + Send + '_>> {
        Box::pin(self.0.recv())
    }
}
