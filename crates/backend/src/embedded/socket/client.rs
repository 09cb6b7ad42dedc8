//! The client's end: one connection, made anew when it breaks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use longshore_core::id::JobId;
use longshore_core::port;
use longshore_core::shard::Shards;
use parking_lot::Mutex;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{Answer, Down, Request, Up, frame, place};
use crate::embedded::disk::SERVER;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take: a batch that the disk is slow to take still comes within it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Requests that wait to be written.
const REQUESTS_WAITING_MAX: usize = 256;
/// Wake-ups that wait for one watcher; more are dropped.
const WAKES_WAITING_MAX: usize = 1_024;

/// A client of the process that owns a folder.
#[derive(Debug)]
pub(super) struct Remote {
    folder: PathBuf,
    pub(super) shards: Shards,
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
    alive: Arc<AtomicBool>,
}

/// Connects to the owner of a folder.
pub(in crate::embedded) async fn connect(folder: &Path) -> Result<port::Ports, port::Error> {
    let alive = Arc::new(AtomicBool::new(false));
    let connection = Connection::open(folder, &alive).await?;
    let remote = Arc::new(Remote {
        folder: folder.to_owned(),
        shards: connection.shards,
        connection: tokio::sync::Mutex::new(Some(Arc::new(connection))),
        alive,
    });
    Ok(super::remote::ports(remote))
}

impl Remote {
    pub(super) fn is_connected(&self) -> bool {
        self.alive.load(Ordering::SeqCst)
    }

    async fn connection(&self) -> Result<Arc<Connection>, port::Error> {
        let mut current = self.connection.lock().await;
        if let Some(connection) = current
            .as_ref()
            .filter(|connection| !connection.requests.is_closed())
        {
            return Ok(Arc::clone(connection));
        }
        let fresh = Arc::new(Connection::open(&self.folder, &self.alive).await?);
        *current = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    pub(super) async fn call(&self, request: Request) -> Result<Answer, port::Error> {
        let connection = self.connection().await?;
        connection.call(connection.number(), request).await
    }

    pub(super) async fn watch(&self, ids: Vec<JobId>) -> Result<RemoteWatch, port::Error> {
        let connection = self.connection().await?;
        let number = connection.number();
        let (sender, receiver) = mpsc::channel(WAKES_WAITING_MAX);
        connection.pending.lock().watches.insert(number, sender);
        let watch = RemoteWatch {
            connection,
            number,
            receiver,
        };
        watch.connection.call(number, Request::Watch(ids)).await?;
        Ok(watch)
    }
}

/// A running watch; dropping it ends it.
pub(super) struct RemoteWatch {
    connection: Arc<Connection>,
    number: u64,
    pub(super) receiver: mpsc::Receiver<JobId>,
}

impl Drop for RemoteWatch {
    fn drop(&mut self) {
        self.connection.pending.lock().watches.remove(&self.number);
        let up = Up {
            number: self.connection.number(),
            request: Request::Unwatch(self.number),
        };
        if let Ok(bytes) = frame::encode(&up) {
            // No room, or no connection: the owner ends the watch with the connection.
            self.connection.requests.try_send(bytes).ok();
        }
    }
}

#[derive(Debug)]
struct Connection {
    shards: Shards,
    last_number: AtomicU64,
    requests: mpsc::Sender<Vec<u8>>,
    pending: Arc<Mutex<Pending>>,
    reader: JoinHandle<()>,
}

/// Who waits for what on a connection.
#[derive(Debug, Default)]
struct Pending {
    closed: bool,
    calls: HashMap<u64, oneshot::Sender<Result<Answer, port::Error>>>,
    watches: HashMap<u64, mpsc::Sender<JobId>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Connection {
    async fn open(folder: &Path, alive: &Arc<AtomicBool>) -> Result<Self, port::Error> {
        let unavailable = |reason: String| port::Error::Unavailable {
            server: SERVER,
            reason: format!("{}: {reason}", folder.display()),
        };
        let open = async {
            let socket = place::find(folder)?;
            let (from, to) = UnixStream::connect(socket).await?.into_split();
            let mut from = BufReader::new(from);
            let hello = frame::read::<Down>(&mut from).await?;
            Ok::<_, frame::FrameError>((hello, from, to))
        };
        let (hello, from, to) = tokio::time::timeout(CONNECT_TIMEOUT, open)
            .await
            .map_err(|_| unavailable("its owner does not answer".to_owned()))?
            .map_err(|error| unavailable(error.to_string()))?;
        let Some(Down::Hello(shards)) = hello else {
            return Err(unavailable("its owner ended the connection".to_owned()));
        };
        let shards = Shards::new(u64::from(shards)).map_err(|error| unavailable(error.to_string()))?;
        alive.store(true, Ordering::SeqCst);
        Ok(Self::start(shards, from, to, Arc::clone(alive)))
    }

    fn start(
        shards: Shards,
        from: BufReader<OwnedReadHalf>,
        to: OwnedWriteHalf,
        alive: Arc<AtomicBool>,
    ) -> Self {
        let pending = Arc::new(Mutex::new(Pending::default()));
        let (requests, waiting) = mpsc::channel(REQUESTS_WAITING_MAX);
        let known = Arc::clone(&pending);
        let reader = tokio::spawn(async move {
            let _end = End {
                pending: Arc::clone(&known),
                alive,
            };
            tokio::select! {
                () = read_all(from, &known) => {}
                () = write_all(to, waiting) => {}
            }
        });
        Self {
            shards,
            last_number: AtomicU64::new(0),
            requests,
            pending,
            reader,
        }
    }

    fn number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }

    async fn call(&self, number: u64, request: Request) -> Result<Answer, port::Error> {
        let refused = |error: frame::FrameError| port::Error::Refused {
            server: SERVER,
            reason: error.to_string(),
        };
        let bytes = frame::encode(&Up { number, request }).map_err(refused)?;
        let (sender, receiver) = oneshot::channel();
        {
            let mut pending = self.pending.lock();
            if pending.closed {
                return Err(gone());
            }
            pending.calls.insert(number, sender);
        }
        let _forget = Forget {
            pending: &self.pending,
            number,
        };
        if self.requests.send(bytes).await.is_err() {
            return Err(gone());
        }
        let unknown = port::Error::OutcomeUnknown { server: SERVER };
        match tokio::time::timeout(ANSWER_TIMEOUT, receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(unknown),
        }
    }
}

fn gone() -> port::Error {
    port::Error::Unavailable {
        server: SERVER,
        reason: "the process that owns the folder has ended".to_owned(),
    }
}

/// A caller that gave up waits no more.
struct Forget<'a> {
    pending: &'a Mutex<Pending>,
    number: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.pending.lock().calls.remove(&self.number);
    }
}

/// The connection has ended: whoever waits is told by the closing of its channel.
struct End {
    pending: Arc<Mutex<Pending>>,
    alive: Arc<AtomicBool>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.alive.store(false, Ordering::SeqCst);
        let mut pending = self.pending.lock();
        pending.closed = true;
        pending.calls.clear();
        pending.watches.clear();
    }
}

async fn read_all(mut from: BufReader<OwnedReadHalf>, pending: &Mutex<Pending>) {
    loop {
        match frame::read::<Down>(&mut from).await {
            Ok(Some(Down::Reply(number, reply))) => {
                if let Some(call) = pending.lock().calls.remove(&number) {
                    call.send((*reply).map_err(Into::into)).ok();
                }
            }
            Ok(Some(Down::Wake(number, id))) => {
                if let Some(watch) = pending.lock().watches.get(&number) {
                    watch.try_send(id).ok();
                }
            }
            Ok(Some(Down::WatchEnded(number))) => {
                pending.lock().watches.remove(&number);
            }
            Ok(Some(Down::Hello(_))) => {}
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "the connection to the owner of the folder broke");
                return;
            }
        }
    }
}

async fn write_all(mut to: OwnedWriteHalf, mut requests: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = requests.recv().await {
        if frame::write(&mut to, &bytes).await.is_err() {
            return;
        }
    }
}
