//! Messages out: encoded by the caller, gathered by one task, pipelined on one confirm channel.

mod driver;
mod flight;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use longshore_core::message::Message;
use longshore_core::name::QueueName;
use longshore_core::port::PublishPort;
use longshore_core::port::broker::Published;
use longshore_core::port::schedule::DeadLetter;
use tokio::sync::{mpsc, oneshot};

use super::declare::Declarer;
use super::link::{Link, State};
use super::topology;
use crate::wire::{self, Encoded};

/// Most confirms outstanding.
const WINDOW: usize = 1_000;
/// How long a confirm may take. Then the message counts as unknown, and stays in the outbox.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls of `publish` that may wait for the task; more wait in their callers.
const CALLS_MAX: usize = 256;

/// The publishing side of a broker.
#[derive(Debug)]
pub struct Publisher {
    link: Link,
    declarer: Arc<Declarer>,
    calls: mpsc::Sender<Call>,
    open: Arc<AtomicBool>,
}

/// One call of `publish` or `archive`: what goes out, and where the answers go.
#[derive(Debug)]
struct Call {
    items: Vec<Item>,
    reply: oneshot::Sender<Vec<Published>>,
}

/// One message on its way.
#[derive(Debug)]
struct Item {
    encoded: Encoded,
    key: String,
    target: Target,
}

/// What must be declared before a message is published.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Jobs(QueueName),
    Archive,
}

impl Target {
    const fn exchange(&self) -> &'static str {
        match self {
            Self::Jobs(_) => topology::JOBS,
            Self::Archive => topology::DLX,
        }
    }
}

impl Publisher {
    pub(super) fn start(link: Link, declarer: Arc<Declarer>) -> Self {
        let (calls, waiting) = mpsc::channel(CALLS_MAX);
        let open = Arc::new(AtomicBool::new(link.live().is_some()));
        tokio::spawn(driver::run(
            link.watch(),
            Arc::clone(&declarer),
            waiting,
            Arc::clone(&open),
        ));
        Self {
            link,
            declarer,
            calls,
            open,
        }
    }

    /// Why nothing can be published now, if so.
    fn obstacle(&self) -> Option<String> {
        match &*self.link.watch().borrow() {
            State::Connected(live) => live
                .blocked
                .as_ref()
                .map(|why| format!("RabbitMQ takes no messages now: {why}")),
            State::Away { reason, .. } => Some(format!("RabbitMQ is away: {reason}")),
            State::Closed => Some("the connection was closed".to_owned()),
        }
    }

    /// Sends what is well-formed, and puts each answer in its place.
    async fn send(&self, items: Vec<Result<Item, String>>) -> Vec<Published> {
        if items.is_empty() {
            return Vec::new();
        }
        if let Some(obstacle) = self.obstacle() {
            return vec![Published::Refused(obstacle); items.len()];
        }
        let mut answers = Vec::with_capacity(items.len());
        let mut sound = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Ok(item) => {
                    sound.push(item);
                    answers.push(None);
                }
                Err(reason) => answers.push(Some(Published::Refused(reason))),
            }
        }
        let mut sent = self.call(sound).await.into_iter();
        answers
            .into_iter()
            .map(|answer| answer.or_else(|| sent.next()).unwrap_or(Published::Unknown))
            .collect()
    }

    async fn call(&self, items: Vec<Item>) -> Vec<Published> {
        if items.is_empty() {
            return Vec::new();
        }
        let count = items.len();
        let (reply, answers) = oneshot::channel();
        if self.calls.send(Call { items, reply }).await.is_err() {
            return vec![Published::Refused("the connection was closed".to_owned()); count];
        }
        // The task ends with its runtime only; what it had in hand may have been sent.
        answers.await.unwrap_or_else(|_| vec![Published::Unknown; count])
    }
}

impl PublishPort for Publisher {
    fn publish(&self, messages: Vec<Message>) -> Pin<Box<dyn Future<Output = Vec<Published>> + Send + '_>> {
        let profile = self.declarer.profile();
        let items = messages
            .iter()
            .map(|message| {
                let encoded = wire::encode(message).map_err(|error| error.to_string())?;
                Ok(Item {
                    encoded,
                    key: topology::key(profile, &message.queue, message.priority),
                    target: Target::Jobs(message.queue.clone()),
                })
            })
            .collect();
        Box::pin(self.send(items))
    }

    fn is_ready(&self) -> bool {
        self.obstacle().is_none() && self.open.load(Ordering::Relaxed)
    }

    fn archive(&self, letters: Vec<DeadLetter>) -> Pin<Box<dyn Future<Output = Vec<Published>> + Send + '_>> {
        let items = letters
            .into_iter()
            .map(|letter| {
                let encoded = wire::encode_dead(letter).map_err(|error| error.to_string())?;
                Ok(Item {
                    encoded,
                    key: topology::DEAD_KEY.to_owned(),
                    target: Target::Archive,
                })
            })
            .collect();
        Box::pin(self.send(items))
    }
}
