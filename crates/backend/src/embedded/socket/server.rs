//! The owner's end.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Weak};

use longshore_core::id::JobId;
use longshore_core::port::broker::{ConsumePort, PublishPort};
use longshore_core::port::checkup::CheckupPort;
use longshore_core::port::cron::CronPort;
use longshore_core::port::enqueue::EnqueuePort;
use longshore_core::port::inspect::InspectPort;
use longshore_core::port::notify::NotifyPort;
use longshore_core::port::schedule::SchedulePort;
use longshore_core::port::{self};
use tokio::io::BufReader;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

use super::place::{Place, bind};
use super::{Answer, Down, Request, Up, frame};
use crate::embedded::core::Core;

/// Requests of one connection that are worked on at once.
const REQUESTS_MAX: usize = 64;
/// Frames that wait to be written.
const FRAMES_WAITING_MAX: usize = 256;

/// The running server. Dropping it ends every connection and takes the socket away.
#[derive(Debug)]
pub(in crate::embedded) struct Server {
    task: JoinHandle<()>,
    _place: Place,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves a store on the socket of its folder. It holds no strong reference: when the store goes, it goes.
pub(in crate::embedded) fn serve(core: &Arc<Core>, folder: &Path) -> io::Result<Server> {
    let (listener, place) = bind(folder, core.random.next_u64())?;
    let task = tokio::spawn(accept(listener, Arc::downgrade(core)));
    Ok(Server { task, _place: place })
}

async fn accept(listener: UnixListener, core: Weak<Core>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, core.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection to the embedded store's socket was not accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: UnixStream, core: Weak<Core>) {
    if let Err(error) = try_converse(stream, core).await {
        tracing::debug!(%error, "a connection to the embedded store's socket ended");
    }
}

async fn try_converse(stream: UnixStream, core: Weak<Core>) -> Result<(), frame::FrameError> {
    let (from, to) = stream.into_split();
    let mut from = BufReader::new(from);
    let (out, frames) = mpsc::channel(FRAMES_WAITING_MAX);
    let mut tasks = JoinSet::new();
    tasks.spawn(write_all(to, frames));
    let Some(shards) = core.upgrade().map(|core| core.shards) else {
        return Ok(());
    };
    send(&out, &Down::Hello(shards.count())).await;
    let places = Arc::new(Semaphore::new(REQUESTS_MAX));
    let mut watches: HashMap<u64, AbortHandle> = HashMap::new();
    while let Some(Up { number, request }) = frame::read::<Up>(&mut from).await? {
        while tasks.try_join_next().is_some() {}
        match request {
            Request::Watch(ids) => {
                watches.retain(|_, watch| !watch.is_finished());
                watches.insert(number, tasks.spawn(watch(core.clone(), number, ids, out.clone())));
            }
            Request::Unwatch(watch) => {
                if let Some(watch) = watches.remove(&watch) {
                    watch.abort();
                }
            }
            request => {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                    return Ok(());
                };
                let (core, out) = (core.clone(), out.clone());
                tasks.spawn(async move {
                    let reply = match core.upgrade() {
                        Some(core) => answer(&core, request).await,
                        None => Err(port::Error::Closed),
                    };
                    send(&out, &Down::Reply(number, Box::new(reply.map_err(Into::into)))).await;
                    drop(place);
                });
            }
        }
    }
    Ok(())
}

async fn write_all(mut to: tokio::net::unix::OwnedWriteHalf, mut frames: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = frames.recv().await {
        if frame::write(&mut to, &bytes).await.is_err() {
            return;
        }
    }
}

/// Queues a frame; a connection that is gone needs none. An answer that is too large becomes an error.
async fn send(out: &mpsc::Sender<Vec<u8>>, down: &Down) {
    let bytes = match (frame::encode(down), down) {
        (Ok(bytes), _) => Some(bytes),
        (Err(error), Down::Reply(number, _)) => {
            let failure = super::Failure::Refused(error.to_string());
            frame::encode(&Down::Reply(*number, Box::new(Err(failure)))).ok()
        }
        (Err(_), _) => None,
    };
    if let Some(bytes) = bytes {
        out.send(bytes).await.ok();
    }
}

async fn watch(core: Weak<Core>, number: u64, ids: Vec<JobId>, out: mpsc::Sender<Vec<u8>>) {
    let wakes = match core.upgrade() {
        Some(core) => core.watch(ids).await,
        None => Err(port::Error::Closed),
    };
    match wakes {
        Ok(mut wakes) => {
            send(&out, &Down::Reply(number, Box::new(Ok(Answer::Done)))).await;
            while let Some(id) = wakes.next().await {
                send(&out, &Down::Wake(number, id)).await;
            }
            send(&out, &Down::WatchEnded(number)).await;
        }
        Err(error) => send(&out, &Down::Reply(number, Box::new(Err(error.into())))).await,
    }
}

async fn answer(core: &Core, request: Request) -> Result<Answer, port::Error> {
    Ok(match request {
        Request::Enqueue(shard, jobs) => Answer::Enqueued(core.enqueue(shard, jobs).await?),
        Request::MarkPublished(shard, jobs) => done(core.mark_published(shard, jobs).await)?,
        Request::Statuses(shard, ids) => Answer::Statuses(core.statuses(shard, ids).await?),
        Request::Register(shard, edges) => Answer::Parents(core.register(shard, edges).await?),
        Request::SettleEdges(shard, edges, within) => {
            Answer::Edges(core.settle_edges(shard, edges, within).await?)
        }
        Request::EdgesVerified(shard, children) => Answer::Known(core.edges_verified(shard, children).await?),
        Request::FailBlocked(shard, children) => done(core.fail_blocked(shard, children).await)?,
        Request::Abort(shard, children) => done(core.abort(shard, children).await)?,
        Request::Cancel(shard, jobs) => Answer::Cancelled(core.cancel(shard, jobs).await?),
        Request::Jobs(shard, ids, detail) => Answer::Jobs(core.jobs(shard, ids, detail).await?),
        Request::Log(shard, id, after) => Answer::Log(core.log(shard, id, after).await?),
        Request::List(filter, after, limit) => Answer::Page(core.list(filter, after, limit).await?),
        Request::Queues => Answer::Queues(core.queues().await?),
        Request::SetPaused(queue, paused) => done(core.set_paused(queue, paused).await)?,
        Request::Workers => Answer::Workers(core.workers().await?),
        Request::Depths(queues) => Answer::Depths(core.depths(queues).await?),
        Request::Publish(messages) => Answer::Published(core.publish(messages).await),
        Request::Requeue(shard, ids, before) => Answer::Changes(core.requeue(shard, ids, before).await?),
        Request::Discard(shard, ids, before) => Answer::Changes(core.discard(shard, ids, before).await?),
        Request::CronPut(entry) => Answer::CronWritten(core.cron_put(entry).await?),
        Request::CronRemove(name) => Answer::CronKnown(core.cron_remove(name).await?),
        Request::CronPause(name, paused, next_at) => {
            Answer::CronKnown(core.cron_pause(name, paused, next_at).await?)
        }
        Request::CronEntry(name) => Answer::CronEntry(core.cron_entry(name).await?),
        Request::CronEntries(shard, after, limit) => {
            Answer::CronEntries(core.cron_entries(shard, after, limit).await?)
        }
        Request::CronRun(name, job) => Answer::CronMade(core.cron_run(name, job).await?),
        Request::RequeueEdited(shard, letters) => Answer::Changes(core.requeue_edited(shard, letters).await?),
        Request::Prune(shard, retention, limit) => Answer::Pruned(core.prune(shard, retention, limit).await?),
        Request::Quarantined(after, limit) => Answer::Quarantined(core.quarantined(after, limit).await?),
        Request::DropQuarantined(ids) => Answer::Known(core.drop_quarantined(ids).await?),
        Request::BeginOperation(operation) => Answer::Operation(core.begin_operation(operation).await?),
        Request::SaveOperation(operation) => done(core.save_operation(operation).await)?,
        Request::Operations => Answer::Operations(core.operations().await?),
        Request::Access(request) => Answer::Access(super::access::answer(core, request).await?),
        Request::Statistics(query) => Answer::Statistics(Box::new(core.statistics(query).await?)),
        Request::Standing => Answer::Standing(core.standing().await?),
        Request::Notices(shard, limit) => Answer::Notices(core.notices(shard, limit).await?),
        Request::Mailbox => Answer::Mailbox(core.mailbox().await?),
        Request::CompareIndex(shard, from, limit, repair) => {
            Answer::IndexLook(core.compare_index(shard, from, limit, repair).await?)
        }
        Request::ShardState(shard) => Answer::ShardState(core.shard_state(shard).await?),
        Request::NextInLine(shard, queue, limit) => {
            Answer::Ids(core.next_in_line(shard, queue, limit).await?)
        }
        Request::QuarantineFill => Answer::QuarantineFill(core.quarantine_fill().await?),
        Request::Archived => Answer::Archived(core.archived().await?),
        Request::Ping | Request::Watch(_) | Request::Unwatch(_) => done(core.ping().await)?,
    })
}

fn done(reply: Result<(), port::Error>) -> Result<Answer, port::Error> {
    reply.map(|()| Answer::Done)
}
