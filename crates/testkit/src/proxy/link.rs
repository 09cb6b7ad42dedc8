//! One connection through the proxy.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::{Policy, Shared};

const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks on their way in one direction; more are left to the sender's socket.
const CHUNKS_IN_FLIGHT: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Requests,
    Replies,
}

/// Whether bytes of this connection were swallowed.
#[derive(Default)]
struct Hole {
    open: AtomicBool,
    news: Notify,
}

/// Forwards between `client` and the server until both have ended, or until something resets the connection.
pub(super) async fn serve(mut client: TcpStream, shared: Arc<Shared>, mut cuts: watch::Receiver<u64>) {
    let Ok(mut server) = TcpStream::connect(shared.upstream).await else {
        reset(&client);
        return;
    };
    // Small frames must not wait for acknowledgements on either side.
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let hole = Hole::default();
    let orderly = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        let both = async {
            tokio::try_join!(
                pump(client_read, server_write, Direction::Requests, &shared, &hole),
                pump(server_read, client_write, Direction::Replies, &shared, &hole),
            )
        };
        tokio::select! {
            ended = both => ended.is_ok(),
            _ = cuts.changed() => false,
            () = healed_with_a_hole(&shared, &hole) => false,
        }
    };
    if !orderly {
        reset(&client);
        reset(&server);
    }
}

/// Makes the coming close a reset.
fn reset(socket: &TcpStream) {
    // It fails only for a socket that is gone already.
    drop(socket.set_zero_linger());
}

async fn healed_with_a_hole(shared: &Shared, hole: &Hole) {
    let mut policy = shared.policy.subscribe();
    loop {
        let healed = !policy.borrow_and_update().swallows();
        if healed && hole.open.load(Ordering::SeqCst) {
            return;
        }
        tokio::select! {
            _ = policy.changed() => {}
            () = hole.news.notified() => {}
        }
    }
}

/// One direction: read at once, write when due, so that latency does not limit the throughput.
async fn pump(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    direction: Direction,
    shared: &Shared,
    hole: &Hole,
) -> io::Result<()> {
    let (chunks, due) = mpsc::channel(CHUNKS_IN_FLIGHT);
    tokio::try_join!(
        read(from, chunks, direction, shared, hole),
        write(to, due, direction, shared)
    )?;
    Ok(())
}

async fn read(
    mut from: ReadHalf<'_>,
    chunks: mpsc::Sender<(Instant, Vec<u8>)>,
    direction: Direction,
    shared: &Shared,
    hole: &Hole,
) -> io::Result<()> {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let read = from.read_buf(&mut chunk).await;
        let policy = *shared.policy.borrow();
        if direction.swallowed_by(policy) {
            hole.open.store(true, Ordering::SeqCst);
            hole.news.notify_one();
            if matches!(read, Ok(0) | Err(_)) {
                // Not even the end passes.
                return pending().await;
            }
        } else if read? == 0 {
            return Ok(());
        } else if chunks
            .send((Instant::now() + policy.latency, chunk))
            .await
            .is_err()
        {
            // The writer has failed and ends the connection.
            return Ok(());
        }
    }
}

async fn write(
    mut to: WriteHalf<'_>,
    mut due: mpsc::Receiver<(Instant, Vec<u8>)>,
    direction: Direction,
    shared: &Shared,
) -> io::Result<()> {
    while let Some((at, chunk)) = due.recv().await {
        sleep_until(at).await;
        let (allowed, last) = match direction {
            Direction::Requests => shared.spend(chunk.len() as u64),
            Direction::Replies => (chunk.len() as u64, false),
        };
        let allowed = usize::try_from(allowed).unwrap_or(usize::MAX).min(chunk.len());
        to.write_all(chunk.get(..allowed).unwrap_or_default()).await?;
        if last {
            shared.cut();
            return pending().await;
        }
    }
    to.shutdown().await
}

impl Direction {
    fn swallowed_by(self, policy: Policy) -> bool {
        match self {
            Self::Requests => policy.swallow_requests,
            Self::Replies => policy.swallow_replies,
        }
    }
}
