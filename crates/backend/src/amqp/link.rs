//! One connection that is rebuilt for ever: state on a watch channel, epochs counted, backoff with jitter.
//!
//! lapin's own recovery stays off: a consumer that it recovers shows no error and voids deliveries in flight.

mod error;
mod watchman;

use std::sync::Arc;

use lapin::Connection;
use longshore_core::clock::{Clock as _, SystemClock, Timestamp};
use tokio::sync::watch;

pub use error::Error;

use super::dial::Dialer;

/// How a link stands.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// There is a connection.
    Connected(Live),
    /// There is none; another attempt follows.
    Away {
        /// Since when.
        since: Timestamp,
        /// Why, without credentials.
        reason: String,
    },
    /// Closed by [`Link::close`]; nothing follows.
    Closed,
}

/// A connection and its epoch. What belongs to another epoch is void.
#[derive(Clone, Debug)]
pub(super) struct Live {
    /// Counts connections, from 1.
    pub(super) epoch: u64,
    /// The connection.
    pub(super) connection: Arc<Connection>,
    /// Why the broker holds publishers back, while it does (memory or disk alarm).
    pub(super) blocked: Option<Arc<str>>,
}

/// Handle to a link. Cheap to clone; the connection closes with [`Link::close`] or with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    state: watch::Receiver<State>,
    stop: Arc<watch::Sender<bool>>,
}

impl Link {
    /// Dials once; then keeps a connection up from a task on the current runtime.
    ///
    /// # Errors
    /// When the first attempt fails, unless `wait` says to go on trying and trying can help.
    pub(super) async fn start(dialer: Dialer, goes_on: impl Fn(&Error) -> bool) -> Result<Self, Error> {
        let first = match dialer.dial().await {
            Ok(connection) => Ok(connection),
            Err(error) if goes_on(&error) => Err(error),
            Err(error) => return Err(error),
        };
        let (state, watched) = watch::channel(State::Away {
            since: SystemClock.now(),
            reason: "not connected yet".to_owned(),
        });
        let (stop, stopped) = watch::channel(false);
        let link = Self {
            state: watched,
            stop: Arc::new(stop),
        };
        tokio::spawn(watchman::keep(dialer, first, state, stopped));
        // The outcome of the first attempt is known already: whoever holds the link sees it from the start.
        let mut watched = link.state.clone();
        drop(watched.changed().await);
        Ok(link)
    }

    /// A receiver of every change.
    pub(super) fn watch(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// The connection, if there is one.
    pub(super) fn live(&self) -> Option<Live> {
        match &*self.state.borrow() {
            State::Connected(live) => Some(live.clone()),
            _ => None,
        }
    }

    /// The connection now, or why there is none.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn now(&self) -> Result<Live, longshore_core::port::Error> {
        match &*self.state.borrow() {
            State::Connected(live) => Ok(live.clone()),
            State::Away { since, reason } => Err(longshore_core::port::Error::Unavailable {
                server: error::SERVER,
                reason: format!("{reason} (for {} s)", SystemClock.now().since(*since).as_secs()),
            }),
            State::Closed => Err(longshore_core::port::Error::Closed),
        }
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// When the link was closed.
    pub(super) async fn connected(&self) -> Result<Live, longshore_core::port::Error> {
        let mut watched = self.watch();
        let settled = watched
            .wait_for(|state| !matches!(state, State::Away { .. }))
            .await;
        match settled.as_deref() {
            Ok(State::Connected(live)) => Ok(live.clone()),
            _ => Err(longshore_core::port::Error::Closed),
        }
    }

    /// Closes the connection and waits until it is, so that what was sent is written.
    pub(super) async fn close(&self) {
        self.stop.send_replace(true);
        // The task holds the only receiver, to its end.
        self.stop.closed().await;
    }
}
