//! The task behind a link: dials, watches, dials again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::{Connection, Event};
use longshore_core::clock::{Clock as _, SystemClock, Timestamp};
use tokio::sync::watch;

use super::{Error, Live, State};
use crate::amqp::dial::Dialer;
use crate::amqp::pauses::Pauses;

/// First and longest pause between two attempts, before jitter.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Not every end of a connection is told as an event: its status is looked at this often.
const LOOK: Duration = Duration::from_secs(1);
/// How long a polite goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Keeps a connection up until told to stop, or until every handle of the link is gone.
pub(super) async fn keep(
    dialer: Dialer,
    first: Result<Connection, Error>,
    state: watch::Sender<State>,
    mut stop: watch::Receiver<bool>,
) {
    let stopped = async {
        // An error means that no handle is left, which is a stop as well.
        drop(stop.wait_for(|stop| *stop).await);
    };
    tokio::select! {
        () = stopped => {}
        () = keep_up(&dialer, first, &state) => {}
    }
    let last = state.send_replace(State::Closed);
    if let State::Connected(live) = last {
        let goodbye = live.connection.close(200, "goodbye".into());
        if !matches!(tokio::time::timeout(GOODBYE, goodbye).await, Ok(Ok(()))) {
            tracing::debug!(url = %dialer.url(), "the connection ended without a goodbye");
        }
    }
    // Dropping `stop` tells `Link::close` that this is over.
}

async fn keep_up(dialer: &Dialer, first: Result<Connection, Error>, state: &watch::Sender<State>) {
    let mut attempt = Some(first);
    let mut epoch = 0;
    let mut away_since = SystemClock.now();
    let mut pauses = Pauses::new(PAUSE_MIN, PAUSE_MAX);
    // Told once an outage.
    let mut is_told = false;
    loop {
        let dialled = match attempt.take() {
            Some(first) => first,
            None => dialer.dial().await,
        };
        let reason = match dialled {
            Ok(connection) => {
                epoch += 1;
                if epoch > 1 || is_told {
                    let away = SystemClock.now().since(away_since);
                    tracing::info!(connection = dialer.name(), ?away, "connected to RabbitMQ again");
                }
                is_told = false;
                let from = tokio::time::Instant::now();
                dialer.tell_connected(true);
                let reason = watch_over(dialer, epoch, connection, state).await;
                dialer.tell_connected(false);
                away_since = SystemClock.now();
                // A connection that never held starts no new round of short pauses.
                if from.elapsed() > PAUSE_MAX {
                    pauses.reset();
                }
                tracing::warn!(connection = dialer.name(), url = %dialer.url(), %reason, "lost the connection to RabbitMQ");
                reason
            }
            Err(error) => {
                if is_told {
                    tracing::debug!(connection = dialer.name(), %error, "cannot connect to RabbitMQ");
                } else {
                    tracing::warn!(connection = dialer.name(), %error, "cannot connect to RabbitMQ; trying on");
                    is_told = true;
                }
                error.to_string()
            }
        };
        state.send_replace(away(away_since, reason));
        tokio::time::sleep(pauses.next()).await;
    }
}

fn away(since: Timestamp, reason: String) -> State {
    State::Away { since, reason }
}

/// Publishes the connection as the link's state and returns when it has ended, with the reason.
async fn watch_over(
    dialer: &Dialer,
    epoch: u64,
    connection: Connection,
    state: &watch::Sender<State>,
) -> String {
    let events = connection.events_listener();
    let mut events = std::pin::pin!(events);
    let connection = Arc::new(connection);
    let live = |blocked: Option<Arc<str>>| {
        State::Connected(Live {
            epoch,
            connection: Arc::clone(&connection),
            blocked,
        })
    };
    state.send_replace(live(None));
    let mut reason = "the connection was closed".to_owned();
    while connection.status().connected() {
        match tokio::time::timeout(LOOK, events.next()).await {
            Ok(Some(Event::ConnectionBlocked(why))) => {
                tracing::warn!(reason = %why, "RabbitMQ holds publishers back");
                dialer.tell_blocked(true);
                state.send_replace(live(Some(why.into())));
            }
            Ok(Some(Event::ConnectionUnblocked)) => {
                tracing::info!("RabbitMQ takes messages again");
                dialer.tell_blocked(false);
                state.send_replace(live(None));
            }
            // Also told when a channel alone was closed.
            Ok(Some(Event::Error(error))) => reason = error.to_string(),
            Ok(Some(_)) | Err(_) => {}
            Ok(None) => break,
        }
    }
    // Whoever held publishers back says so again on the next connection.
    dialer.tell_blocked(false);
    reason
}
