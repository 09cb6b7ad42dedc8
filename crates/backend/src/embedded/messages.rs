//! Messages out and in.

use std::future::{Future, ready};
use std::pin::Pin;
use std::time::Duration;

use longshore_core::message::Message;
use longshore_core::name::QueueName;
use longshore_core::port::Reply;
use longshore_core::port::broker::{ConsumePort, Depth, PublishPort, Published, Source, Subscription};
use longshore_core::port::schedule::DeadLetter;

use super::core::Core;

/// There is no time-out here; a bound keeps what is computed from it in range.
const CONSUMER_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

impl PublishPort for Core {
    fn publish(&self, messages: Vec<Message>) -> Pin<Box<dyn Future<Output = Vec<Published>> + Send + '_>> {
        Box::pin(ready(self.broker.publish(messages)))
    }

    fn is_ready(&self) -> bool {
        self.broker.is_open()
    }

    fn archive(&self, letters: Vec<DeadLetter>) -> Pin<Box<dyn Future<Output = Vec<Published>> + Send + '_>> {
        Box::pin(async move {
            let published = self.broker.archive(letters);
            let Ok(disk) = self.disk() else { return published };
            match self.synced(disk).await {
                Ok(()) => published,
                Err(_) => vec![Published::Unknown; published.len()],
            }
        })
    }
}

impl ConsumePort for Core {
    fn subscribe(&self, source: Source, prefetch: u16) -> Reply<'_, Box<dyn Subscription>> {
        Box::pin(ready(self.broker.subscribe(&source, prefetch)))
    }

    fn depths(&self, queues: Vec<QueueName>) -> Reply<'_, Vec<Depth>> {
        Box::pin(ready(Ok(self.broker.depths(queues))))
    }

    fn archived(&self) -> Reply<'_, u64> {
        Box::pin(ready(Ok(self.broker.archived())))
    }

    fn consumer_timeout(&self) -> Duration {
        CONSUMER_TIMEOUT
    }
}
