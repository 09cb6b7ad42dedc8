//! Connections: how many, and how long a client may dawdle at each step.

mod crowd;
mod patience;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use crate::settings::ConnectionLimits;
use crowd::Crowd;
use patience::Patient;

/// Who is at the other end of the connection: a client, or a proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Most headers of a request.
const HEADERS_MAX: usize = 64;
/// Largest head of a request, and what is read ahead of its body, in bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// How long to wait when the system has no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown`, then lets requests end.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    limits: ConnectionLimits,
    shutdown: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(limits.connections_max));
    let crowd = Crowd::new(limits.per_address);
    while let Some((stream, peer, permit)) = next(&listener, &room, &shutdown).await {
        let Some(member) = crowd.join(peer.ip()) else {
            tokio::spawn(hold(permit, crowd::refuse(stream)));
            continue;
        };
        let permit = (permit, member);
        let served = connection(stream, peer, app.clone(), limits, graceful.watcher());
        tokio::spawn(hold(permit, served));
    }
    drop(listener);
    if tokio::time::timeout(limits.drain_timeout, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests did not end in time; their connections are closed");
    }
}

/// The next connection, once there is room for it; `None` after a stop.
async fn next(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let accepting = async {
        let permit = Arc::clone(room).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return Some((stream, peer, permit)),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        accepted = accepting => accepted,
        () = shutdown.cancelled() => None,
    }
}

async fn hold(permit: impl Send, served: impl Future<Output = ()>) {
    served.await;
    drop(permit);
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    app: Router,
    limits: ConnectionLimits,
    watcher: Watcher,
) {
    // A small answer should not wait for more to come.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the connection keeps small writes back");
    }
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        app.clone().call(request)
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let io = TokioIo::new(Patient::new(stream, limits.write_timeout));
    let serving = watcher.watch(builder.serve_connection(io, service));
    if let Err(error) = serving.await {
        // What a client does wrong is no news for an operator.
        tracing::debug!(%error, "a connection ended");
    }
}
