//! Sending acknowledgements: a task for each channel, which ends with its subscription.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use lapin::Channel;
use lapin::options::BasicAckOptions;
use longshore_core::port::broker::AckSink;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::runs::{Ack, Runs};
use crate::amqp::RPC_TIMEOUT;

/// How long acknowledgements wait for what holds the run up before they are sent one by one.
const HOLD: Duration = Duration::from_millis(3);
/// AMQP's reply codes.
const REPLY_SUCCESS: u16 = 200;
const INTERNAL_ERROR: u16 = 541;
/// So many are held at most, whatever the time.
const HELD_MAX: usize = 64;

/// Takes the tickets of one channel. Tickets of a channel that has ended go nowhere: their messages come again.
#[derive(Debug)]
struct Sink(
    /// Not bounded by itself: the prefetch bounds how many deliveries can be acknowledged.
    mpsc::UnboundedSender<u64>,
);

impl AckSink for Sink {
    fn ack(&self, ticket: u64) {
        if self.0.send(ticket).is_err() {
            tracing::trace!(ticket, "acknowledged after its channel had ended");
        }
    }
}

/// Where receipts of this channel go, and what ends its task: dropping the second, which also closes the channel once
/// everything acknowledged so far is sent.
///
/// `closing` ends it as well. The task holds the receiver until the last acknowledgement is sent.
pub(super) fn start(
    channel: Channel,
    closing: watch::Receiver<bool>,
) -> (Arc<dyn AckSink>, oneshot::Sender<()>) {
    let (tickets, taken) = mpsc::unbounded_channel();
    let (alive, ended) = oneshot::channel();
    tokio::spawn(send(channel, taken, ended, closing));
    (Arc::new(Sink(tickets)), alive)
}

async fn send(
    channel: Channel,
    mut tickets: mpsc::UnboundedReceiver<u64>,
    mut ended: oneshot::Receiver<()>,
    mut closing: watch::Receiver<bool>,
) {
    let mut runs = Runs::default();
    let mut patience: Option<Instant> = None;
    let mut is_well = true;
    while is_well {
        tokio::select! {
            biased;
            _ = &mut ended => break,
            Ok(()) = closing.changed() => break,
            ticket = tickets.recv() => match ticket {
                Some(ticket) => runs.add(ticket),
                None => break,
            },
            () = tokio::time::sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() => {
                is_well = acknowledge(&channel, runs.singles()).await;
            }
        }
        // Whoever finishes at the same moment joins the run.
        tokio::task::yield_now().await;
        drain(&mut tickets, &mut runs);
        is_well &= acknowledge(&channel, runs.run().into_iter().collect()).await;
        if runs.held() >= HELD_MAX {
            is_well &= acknowledge(&channel, runs.singles()).await;
        }
        patience = match runs.held() {
            0 => None,
            _ => Some(
                patience
                    .filter(|until| *until > Instant::now())
                    .unwrap_or_else(|| Instant::now() + HOLD),
            ),
        };
    }
    drain(&mut tickets, &mut runs);
    let last = runs.run().into_iter().chain(runs.singles()).collect();
    let (code, why) = if is_well && acknowledge(&channel, last).await {
        (REPLY_SUCCESS, "done")
    } else {
        // Nothing more can be acknowledged on it: its subscription must end, or the queue is deaf until the broker's
        // consumer time-out.
        (INTERNAL_ERROR, "acknowledgements failed")
    };
    drop(tokio::time::timeout(RPC_TIMEOUT, channel.close(code, why.into())).await);
}

fn drain(tickets: &mut mpsc::UnboundedReceiver<u64>, runs: &mut Runs) {
    while let Ok(ticket) = tickets.try_recv() {
        runs.add(ticket);
    }
}

/// Sends them all at once. Answers whether the channel is well: after a failure nothing more can be acknowledged on it.
async fn acknowledge(channel: &Channel, acks: Vec<Ack>) -> bool {
    if acks.is_empty() {
        return true;
    }
    let sending = acks.into_iter().map(|ack| {
        let options = BasicAckOptions {
            multiple: ack.multiple,
        };
        channel.basic_ack(ack.tag, options)
    });
    let sent = tokio::time::timeout(RPC_TIMEOUT, join_all(sending)).await;
    let is_well = sent.is_ok_and(|results| results.iter().all(Result::is_ok));
    if !is_well {
        tracing::debug!("acknowledgements were not sent; their messages come again");
    }
    is_well
}
