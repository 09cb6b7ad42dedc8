//! Messages in: subscriptions, each on a channel of its own, and how much waits.

mod acks;
mod runs;
mod subscription;

use std::sync::Arc;
use std::time::Duration;

use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use longshore_core::name::QueueName;
use longshore_core::port::broker::{Depth, Source, Subscription};
use longshore_core::port::{ConsumePort, Reply};

use super::declare::{Declarer, answered};
use super::link::{Error, Link, Live};
use super::topology;
use subscription::Channelled;

/// The consuming side of a broker.
#[derive(Debug)]
pub struct Consumer {
    link: Link,
    declarer: Arc<Declarer>,
    timeout: Duration,
}

impl Consumer {
    pub(super) fn new(link: Link, declarer: Arc<Declarer>, timeout: Duration) -> Self {
        Self {
            link,
            declarer,
            timeout,
        }
    }

    /// Declares what the source needs. Answers its broker queues, the most urgent first.
    async fn queues(&self, live: &Live, source: &Source) -> Result<Vec<String>, Error> {
        self.declarer.base(&live.connection).await?;
        let logical = match source {
            Source::Jobs(queue) => queue,
            Source::Archive => return Ok(vec![topology::DEAD.to_owned()]),
            Source::GivenUp => return Ok(vec![topology::GIVEN_UP.to_owned()]),
        };
        self.declarer.queue(&live.connection, logical).await?;
        let queues = topology::queues(self.declarer.profile(), logical);
        Ok(queues.into_iter().map(|queue| queue.name).collect())
    }

    async fn open(&self, live: &Live, source: &Source, prefetch: u16) -> Result<Channelled, Error> {
        let queues = self.queues(live, source).await?;
        let channel = answered("a channel", live.connection.create_channel()).await?;
        let mut streams = Vec::with_capacity(queues.len());
        for queue in queues {
            // Holds for the consumers that are made after it, each by itself.
            let qos = channel.basic_qos(prefetch.max(1), BasicQosOptions { global: false });
            answered(&queue, qos).await?;
            let consuming = channel.basic_consume(
                queue.as_str().into(),
                "".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            );
            streams.push(answered(&queue, consuming).await?);
        }
        Ok(Channelled::new(channel, streams, self.link.watch(), live.epoch))
    }

    async fn subscribed(
        &self,
        source: Source,
        prefetch: u16,
    ) -> Result<Box<dyn Subscription>, longshore_core::port::Error> {
        /// Between two attempts on a connection that is there and fails.
        const PAUSE: Duration = Duration::from_millis(200);
        loop {
            let live = self.link.connected().await?;
            match self.open(&live, &source, prefetch).await {
                Ok(subscription) => return Ok(Box::new(subscription)),
                Err(error) if error.may_pass() => {
                    tracing::warn!(%error, "cannot subscribe yet");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn waiting(&self, queues: Vec<QueueName>) -> Result<Vec<Depth>, longshore_core::port::Error> {
        let live = self.link.now()?;
        let mut depths = Vec::new();
        for logical in queues {
            let found = self.declarer.depths(&live.connection, &logical).await?;
            depths.extend(found.into_iter().map(|(queue, waiting, recreated_at)| Depth {
                queue: logical.clone(),
                priority: queue.priority,
                ready: waiting.ready,
                consumers: waiting.consumers,
                recreated_at,
            }));
        }
        Ok(depths)
    }
}

impl ConsumePort for Consumer {
    fn subscribe(&self, source: Source, prefetch: u16) -> Reply<'_, Box<dyn Subscription>> {
        Box::pin(self.subscribed(source, prefetch))
    }

    fn depths(&self, queues: Vec<QueueName>) -> Reply<'_, Vec<Depth>> {
        Box::pin(self.waiting(queues))
    }

    fn archived(&self) -> Reply<'_, u64> {
        Box::pin(async move {
            let live = self.link.now()?;
            Ok(self.declarer.archived(&live.connection).await?)
        })
    }

    fn consumer_timeout(&self) -> Duration {
        self.timeout
    }
}
