//! A TCP proxy that misbehaves on command.

mod link;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::process::{Error, PortLease};

/// Stands between a client and a server on loopback. Dropping it resets every connection.
///
/// *Requests* are the bytes from the side that connected, *replies* those from the server.
#[derive(Debug)]
pub struct Proxy {
    port: PortLease,
    shared: Arc<Shared>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    policy: watch::Sender<Policy>,
    /// Raised to reset every connection.
    cuts: watch::Sender<u64>,
    /// Request bytes that may still pass before the next cut.
    budget: AtomicU64,
    opened: AtomicU64,
}

/// What happens to the bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Policy {
    swallow_requests: bool,
    swallow_replies: bool,
    latency: Duration,
}

impl Policy {
    fn swallows(self) -> bool {
        self.swallow_requests || self.swallow_replies
    }
}

const UNLIMITED: u64 = u64::MAX;

impl Proxy {
    /// Listens on a free loopback port and forwards to `upstream`.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub async fn start(upstream: SocketAddr) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            upstream,
            policy: watch::Sender::default(),
            cuts: watch::Sender::default(),
            budget: AtomicU64::new(UNLIMITED),
            opened: AtomicU64::new(0),
        });
        let this = Self {
            port: PortLease::take()?,
            shared,
            accepting: Mutex::new(None),
        };
        this.listen().await?;
        Ok(this)
    }

    /// Where clients connect.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// How many connections have been accepted so far.
    pub fn connections(&self) -> u64 {
        self.shared.opened.load(Ordering::Relaxed)
    }

    /// Resets every open connection, on both sides. New ones are accepted.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Swallows all bytes both ways; the connections look alive, and new ones are accepted.
    pub fn half_open(&self) {
        self.shared.change(|policy| {
            policy.swallow_requests = true;
            policy.swallow_replies = true;
        });
    }

    /// Forwards requests and swallows replies: what was asked happens, and nobody hears of it.
    pub fn drop_replies(&self) {
        self.shared.change(|policy| policy.swallow_replies = true);
    }

    /// Swallows requests and forwards replies: what the server says by itself arrives, and it hears nothing.
    pub fn drop_requests(&self) {
        self.shared.change(|policy| policy.swallow_requests = true);
    }

    /// Delays every byte by `latency`, each way.
    pub fn latency(&self, latency: Duration) {
        self.shared.change(|policy| policy.latency = latency);
    }

    /// Forwards exactly `bytes` more bytes of requests, over all connections, and then resets them all, once.
    pub fn cut_after(&self, bytes: u64) {
        self.shared.budget.store(bytes, Ordering::SeqCst);
        if bytes == 0 {
            self.shared.spend(0);
        }
    }

    /// Refuses new connections until [`Proxy::heal`]. Open ones go on: add [`Proxy::cut`] to end them.
    pub async fn refuse(&self) {
        if let Some(task) = self.accepting.lock().await.take() {
            task.abort();
            // Only its end closes the port; that it was cancelled is what we asked for.
            drop(task.await);
        }
    }

    /// Ends every fault. A connection of which bytes were swallowed is reset: its stream has a hole.
    ///
    /// # Errors
    ///
    /// The port cannot be opened again after [`Proxy::refuse`].
    pub async fn heal(&self) -> Result<(), Error> {
        self.shared.budget.store(UNLIMITED, Ordering::SeqCst);
        self.shared.change(|policy| *policy = Policy::default());
        self.listen().await
    }

    async fn listen(&self) -> Result<(), Error> {
        let mut accepting = self.accepting.lock().await;
        if accepting.is_none() {
            let addr = self.addr();
            let name = addr.to_string();
            let listener = TcpListener::bind(addr)
                .await
                .map_err(Error::io("listen on", &name))?;
            *accepting = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
        }
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(task) = self.accepting.get_mut().take() {
            task.abort();
        }
        self.shared.cut();
    }
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut Policy)) {
        self.policy.send_modify(change);
    }

    fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Takes up to `wanted` bytes from the budget; the taker of the last byte has to call [`Shared::cut`], which
    /// the second value says.
    fn spend(&self, wanted: u64) -> (u64, bool) {
        let mut allowed = wanted;
        let taken = self
            .budget
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |budget| {
                if budget == UNLIMITED {
                    return None;
                }
                allowed = wanted.min(budget);
                Some(if allowed == budget {
                    UNLIMITED
                } else {
                    budget - allowed
                })
            });
        let last = taken.is_ok_and(|budget| budget == allowed);
        (allowed, last)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        // An error here concerns one connection that has gone again.
        if let Ok((client, _)) = listener.accept().await {
            shared.opened.fetch_add(1, Ordering::Relaxed);
            // Subscribed before the task runs, so that no cut from here on is missed.
            let cuts = shared.cuts.subscribe();
            tokio::spawn(link::serve(client, Arc::clone(&shared), cuts));
        }
    }
}
