//! A subscription: the consumers of one channel, merged, the most urgent first.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, Stream as _, StreamExt as _};
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use longshore_core::port::broker::{AckSink, Delivery, Receipt, Subscription};
use tokio::sync::{oneshot, watch};

use super::acks;
use crate::amqp::RPC_TIMEOUT;
use crate::amqp::declare::answered;
use crate::amqp::link::{Error, State};
use crate::amqp::scout::{Asked, Scout};
use crate::wire;

/// A subscription on a channel of its own. Its deliveries are void when the channel ends.
pub(super) struct Channelled {
    channel: Channel,
    /// By rank, the most urgent first.
    streams: Vec<Stream>,
    opener: Opener,
    /// Queues that did not answer when this was opened; they join when they do.
    asked: Asked,
    /// Queues that answer by now and are being opened.
    opening: FuturesUnordered<Opening>,
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

type Opening = Pin<Box<dyn Future<Output = Result<Stream, Error>> + Send>>;

/// The consumer of one broker queue.
pub(super) struct Stream {
    /// Its place among the queues of the subscription; 0 is the most urgent.
    rank: usize,
    deliveries: Consumer,
}

/// Opens consumers on one channel.
#[derive(Clone)]
pub(super) struct Opener {
    pub(super) channel: Channel,
    /// Broker queues by rank.
    pub(super) queues: Arc<[String]>,
    pub(super) prefetch: u16,
    pub(super) scout: Arc<Scout>,
}

impl Opener {
    /// Opens the consumer of the queue with this rank.
    ///
    /// # Errors
    /// When it does not answer, or the connection ends.
    pub(super) async fn open(&self, name: &str) -> Result<Stream, Error> {
        let rank = self
            .queues
            .iter()
            .position(|queue| queue == name)
            .unwrap_or_default();
        let opened = self.consume(name).await;
        if opened.is_err() {
            self.scout.suspect(name);
        }
        Ok(Stream {
            rank,
            deliveries: opened?,
        })
    }

    async fn consume(&self, name: &str) -> Result<Consumer, Error> {
        // Holds for the consumers that are made after it, each by itself.
        let qos = BasicQosOptions { global: false };
        answered(name, self.channel.basic_qos(self.prefetch.max(1), qos)).await?;
        let consuming = self.channel.basic_consume(
            name.into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        answered(name, consuming).await
    }
}

impl Channelled {
    pub(super) fn new(
        opener: Opener,
        streams: Vec<Stream>,
        asked: Asked,
        closing: watch::Receiver<bool>,
        link: watch::Receiver<State>,
        epoch: u64,
    ) -> Self {
        let channel = opener.channel.clone();
        let (sink, alive) = acks::start(channel.clone(), closing);
        Self {
            channel,
            streams,
            opener,
            asked,
            opening: FuturesUnordered::new(),
            sink,
            link,
            epoch,
            phase: Phase::Running,
            _alive: alive,
        }
    }

    /// The first delivery in order of rank; `None` once any of the consumers has ended, because then some
    /// priority would starve.
    fn poll_delivery(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        if self.poll_joining(cx).is_err() {
            self.phase = Phase::Over;
            return Poll::Ready(None);
        }
        for stream in &mut self.streams {
            match Pin::new(&mut stream.deliveries).poll_next(cx) {
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

    /// Takes in the queues that answer by now.
    fn poll_joining(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        while let Poll::Ready(Some(name)) = self.asked.poll_next(cx) {
            let opener = self.opener.clone();
            self.opening
                .push(Box::pin(async move { opener.open(&name).await }));
        }
        while let Poll::Ready(Some(opened)) = self.opening.poll_next_unpin(cx) {
            self.join(opened?);
        }
        Ok(())
    }

    fn join(&mut self, stream: Stream) {
        let place = self.streams.partition_point(|other| other.rank < stream.rank);
        self.streams.insert(place, stream);
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
        self.asked.stop();
        // A consumer that is half open is finished first: it could not be cancelled.
        while let Some(opened) = self.opening.next().await {
            match opened {
                Ok(stream) => self.join(stream),
                Err(error) => tracing::debug!(%error, "a queue failed while its subscription was stopped"),
            }
        }
        let cancels = self.streams.iter().map(|stream| {
            self.channel
                .basic_cancel(stream.deliveries.tag(), BasicCancelOptions::default())
        });
        let cancelled = futures_util::future::join_all(cancels);
        drop(tokio::time::timeout(RPC_TIMEOUT, cancelled).await);
        // What was pushed and not handed out goes back at once, rather than when this subscription is dropped.
        for stream in &mut self.streams {
            while let Some(Some(Ok(delivery))) = stream.deliveries.next().now_or_never() {
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
