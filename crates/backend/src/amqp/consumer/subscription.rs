//! A subscription: the consumers of one channel, merged, the most urgent first.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::{FutureExt as _, Stream as _, StreamExt as _};
use lapin::options::{BasicCancelOptions, BasicNackOptions};
use lapin::{Channel, Consumer};
use longshore_core::port::broker::{AckSink, Delivery, Receipt, Subscription};
use tokio::sync::{oneshot, watch};

use super::acks;
use crate::amqp::RPC_TIMEOUT;
use crate::amqp::link::State;
use crate::wire;

/// A subscription on a channel of its own. Its deliveries are void when the channel ends.
pub(super) struct Channelled {
    channel: Channel,
    /// By priority, the most urgent first.
    streams: Vec<Consumer>,
    sink: Arc<dyn AckSink>,
    link: watch::Receiver<State>,
    epoch: u64,
    phase: Phase,
    /// Dropped last: the channel is closed once what was acknowledged is sent.
    _alive: oneshot::Sender<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// No new deliveries; acknowledgements go on.
    Quiet,
    /// A consumer was cancelled or the channel lost.
    Over,
}

impl Channelled {
    pub(super) fn new(
        channel: Channel,
        streams: Vec<Consumer>,
        link: watch::Receiver<State>,
        epoch: u64,
    ) -> Self {
        let (sink, alive) = acks::start(channel.clone());
        Self {
            channel,
            streams,
            sink,
            link,
            epoch,
            phase: Phase::Running,
            _alive: alive,
        }
    }

    /// The first delivery in order of priority; `None` once any of the consumers has ended, because then some
    /// priority would starve.
    fn poll_delivery(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        for stream in &mut self.streams {
            match Pin::new(stream).poll_next(cx) {
                Poll::Ready(Some(Ok(delivery))) => return Poll::Ready(Some(self.delivered(delivery))),
                Poll::Ready(Some(Err(_)) | None) => {
                    self.phase = Phase::Over;
                    return Poll::Ready(None);
                }
                Poll::Pending => {}
            }
        }
        Poll::Pending
    }

    fn delivered(&self, delivery: lapin::message::Delivery) -> Delivery {
        Delivery {
            redelivered: delivery.redelivered,
            payload: wire::decode(&delivery.properties, delivery.data.into()),
            receipt: Receipt::new(Arc::clone(&self.sink), delivery.delivery_tag),
        }
    }

    /// Waits until the connection of this subscription is gone.
    async fn lost(&mut self) {
        let epoch = self.epoch;
        let ended = self
            .link
            .wait_for(|state| !matches!(state, State::Connected(live) if live.epoch == epoch));
        drop(ended.await);
    }

    async fn cancel(&mut self) {
        let cancels = self.streams.iter().map(|stream| {
            self.channel
                .basic_cancel(stream.tag(), BasicCancelOptions::default())
        });
        let cancelled = futures_util::future::join_all(cancels);
        drop(tokio::time::timeout(RPC_TIMEOUT, cancelled).await);
        // What was pushed and not handed out goes back at once, rather than when this subscription is dropped.
        for stream in &mut self.streams {
            while let Some(Some(Ok(delivery))) = stream.next().now_or_never() {
                let requeue = delivery.acker.nack(BasicNackOptions {
                    multiple: false,
                    requeue: true,
                });
                drop(tokio::time::timeout(RPC_TIMEOUT, requeue).await);
            }
        }
    }
}

impl Subscription for Channelled {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Delivery>> + Send + '_>> {
        match self.phase {
            Phase::Running => Box::pin(poll_fn(|cx| self.poll_delivery(cx))),
            Phase::Quiet => Box::pin(async {
                self.lost().await;
                None
            }),
            Phase::Over => Box::pin(std::future::ready(None)),
        }
    }

    fn quiet(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            if self.phase == Phase::Running {
                self.phase = Phase::Quiet;
                self.cancel().await;
            }
        })
    }
}
