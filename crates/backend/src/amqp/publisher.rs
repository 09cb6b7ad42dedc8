//! Messages out: encoded by the caller, sorted by broker queue, and pipelined by a lane for each broker queue.
//!
//! A lane has a confirm channel, a window and a task of its own, so a queue that does not confirm or cannot be declared
//! holds up and fails its own messages alone. All lanes share one connection.

mod driver;
mod flight;
mod lanes;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use longshore_core::Priority;
use longshore_core::message::Message;
use longshore_core::name::QueueName;
use longshore_core::port::PublishPort;
use longshore_core::port::broker::Published;
use longshore_core::port::schedule::DeadLetter;
use tokio::sync::oneshot;

use super::declare::Declarer;
use super::link::{Link, State};
use super::topology::{self, Queue};
use crate::config::Profile;
use crate::wire::{self, Encoded};
use lanes::Lanes;

/// Most confirms outstanding in a lane.
const WINDOW: usize = 1_000;
/// How long a confirm may take. Then the message counts as unknown, and stays in the outbox.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls that may wait for a lane; more wait in their callers.
const CALLS_MAX: usize = 256;

/// The publishing side of a broker.
#[derive(Debug)]
pub struct Publisher {
    link: Link,
    profile: Profile,
    lanes: Lanes,
}

/// Messages for one lane, and where the answers go.
#[derive(Debug)]
struct Call {
    items: Vec<Encoded>,
    reply: oneshot::Sender<Vec<Published>>,
}

/// Where a message goes: what tells lanes apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Target {
    Jobs(QueueName, Priority),
    Archive,
}

impl Target {
    /// One target for each broker queue: a classic one takes every priority.
    fn jobs(profile: Profile, queue: QueueName, priority: Priority) -> Self {
        match profile {
            Profile::Quorum => Self::Jobs(queue, priority),
            Profile::Classic => Self::Jobs(queue, Priority::default()),
        }
    }

    fn queue(&self, profile: Profile) -> Queue {
        match self {
            Self::Jobs(queue, priority) => topology::queue(profile, queue, *priority),
            Self::Archive => {
                let [_, dead] = topology::dead_letter_queues(profile);
                dead
            }
        }
    }
}

/// Messages of one call for one lane, and their places in the call.
type Share = (Vec<usize>, Vec<Encoded>);

impl Publisher {
    pub(super) fn start(link: Link, declarer: Arc<Declarer>) -> Self {
        Self {
            profile: declarer.profile(),
            lanes: Lanes::new(link.clone(), declarer),
            link,
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

    /// Sends what is well-formed, each message on its lane, and puts each answer in its place.
    async fn send(&self, items: Vec<Result<(Target, Encoded), String>>) -> Vec<Published> {
        if let Some(obstacle) = self.obstacle() {
            return vec![Published::Refused(obstacle); items.len()];
        }
        let mut answers = vec![Published::Unknown; items.len()];
        let mut shares: HashMap<Target, Share> = HashMap::new();
        for ((place, item), answer) in items.into_iter().enumerate().zip(&mut answers) {
            match item {
                Ok((target, encoded)) => {
                    let (places, items) = shares.entry(target).or_default();
                    places.push(place);
                    items.push(encoded);
                }
                Err(reason) => *answer = Published::Refused(reason),
            }
        }
        let sent = shares
            .into_iter()
            .map(async |(target, (places, items))| places.into_iter().zip(self.call(target, items).await));
        for (place, published) in join_all(sent).await.into_iter().flatten() {
            if let Some(answer) = answers.get_mut(place) {
                *answer = published;
            }
        }
        answers
    }

    async fn call(&self, target: Target, items: Vec<Encoded>) -> Vec<Published> {
        let count = items.len();
        let (reply, answers) = oneshot::channel();
        let mut call = Call { items, reply };
        loop {
            // Looked at each time round: lanes end with the link.
            if let Some(obstacle) = self.obstacle() {
                return vec![Published::Refused(obstacle); count];
            }
            let Some(lane) = self.lanes.lane(&target) else {
                let reason = format!("more than {} queues are published to at once", lanes::LANES_MAX);
                return vec![Published::Refused(reason); count];
            };
            match lane.send(call).await {
                Ok(()) => break,
                // It has just gone to rest.
                Err(back) => call = back.0,
            }
        }
        // A lane ends with its runtime only; what it had in hand may have been sent.
        answers.await.unwrap_or_else(|_| vec![Published::Unknown; count])
    }
}

impl PublishPort for Publisher {
    fn publish(&self, messages: Vec<Message>) -> Pin<Box<dyn Future<Output = Vec<Published>> + Send + '_>> {
        let items = messages
            .iter()
            .map(|message| {
                let encoded = wire::encode(message).map_err(|error| error.to_string())?;
                let target = Target::jobs(self.profile, message.queue.clone(), message.priority);
                Ok((target, encoded))
            })
            .collect();
        Box::pin(self.send(items))
    }

    fn is_ready(&self) -> bool {
        self.obstacle().is_none()
    }

    fn archive(&self, letters: Vec<DeadLetter>) -> Pin<Box<dyn Future<Output = Vec<Published>> + Send + '_>> {
        let items = letters
            .into_iter()
            .map(|letter| {
                let encoded = wire::encode_dead(letter).map_err(|error| error.to_string())?;
                Ok((Target::Archive, encoded))
            })
            .collect();
        Box::pin(self.send(items))
    }
}
