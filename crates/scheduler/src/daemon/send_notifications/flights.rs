//! Letters under way. Each has a task and a time-out of its own, and outlives the pass that sent it: a channel that
//! hangs holds up no other. A pass waits a moment for what it has sent; what is still under way then is marked by a later
//! one, and takes up the room of its channel alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use longshore_core::notice::post::Fate;
use longshore_core::notice::{Letter, State};
use longshore_core::port::notify::{ChannelPort, NotSent, Retry, Sent};
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;

use super::mark;
use crate::context::Context;
use crate::error::Error;
use crate::notifications::pause;

/// Letters of one channel that are under way at once; none waits in line while its lease runs out.
pub(super) const EACH: usize = 4;
/// How long a pass waits for the letters that it has sent.
const PATIENCE: Duration = Duration::from_secs(1);

/// What came of a letter.
type End = (Letter, Result<Sent, NotSent>);

/// The letters under way.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    tasks: JoinSet<End>,
    /// The channel of each.
    channels: HashMap<Id, String>,
}

impl Flights {
    /// How many more letters of each channel may be sent now.
    pub(super) fn room(&self) -> impl Fn(&str) -> usize + use<> {
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        for channel in self.channels.values() {
            *taken.entry(channel.clone()).or_default() += 1;
        }
        move |channel| EACH.saturating_sub(taken.get(channel).copied().unwrap_or(0))
    }

    fn begin(&mut self, letter: Letter, channel: Arc<dyn ChannelPort>, limit: Duration) -> Id {
        let name = letter.channel.clone();
        let task = self.tasks.spawn(async move {
            let end = tokio::time::timeout(limit, channel.send(letter.clone())).await;
            let silent = |_| {
                Err(NotSent {
                    reason: format!("no answer within {limit:?}"),
                    retry: Retry::Later,
                })
            };
            (letter, end.unwrap_or_else(silent))
        });
        self.channels.insert(task.id(), name);
        task.id()
    }

    /// The next that has ended; `None` when none is under way. A send that panicked is tried again when its lease is
    /// over.
    async fn next(&mut self) -> Option<(Id, Option<End>)> {
        let (id, end) = match self.tasks.join_next_with_id().await? {
            Ok((id, end)) => (id, Some(end)),
            Err(error) => {
                tracing::error!(%error, "sending a notification failed in an unexpected way");
                (error.id(), None)
            }
        };
        self.channels.remove(&id);
        Some((id, end))
    }
}

/// What a pass has seen end.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Letters that were taken.
    pub(super) sent: u64,
    /// The first error of a mark.
    pub(super) failed: Option<Error>,
}

impl Seen {
    async fn take_in(&mut self, cx: &Context, end: Option<End>) {
        let Some((letter, end)) = end else { return };
        match note(cx, letter, end).await {
            Ok(sent) => self.sent += u64::from(sent),
            Err(error) => self.failed = self.failed.take().or(Some(error)),
        }
    }
}

/// Sends letters, each at once, and waits a moment for them.
pub(super) async fn send_all(cx: &Context, letters: Vec<Letter>) -> Seen {
    let mut seen = Seen::default();
    let mut flights = cx.notifier.flights.lock().await;
    let limit = cx.notifier.policy.send_timeout;
    let mut fresh = HashSet::new();
    for letter in letters {
        if let Some(channel) = cx.notifier.channel(&letter.channel) {
            fresh.insert(flights.begin(letter, channel, limit));
        }
    }
    let until = Instant::now() + PATIENCE;
    while !fresh.is_empty() {
        let Ok(Some((id, end))) = tokio::time::timeout_at(until, flights.next()).await else {
            break;
        };
        fresh.remove(&id);
        seen.take_in(cx, end).await;
    }
    seen
}

/// Marks what has ended since the last pass, without waiting.
pub(super) async fn settle(cx: &Context) -> Seen {
    settle_until(cx, Instant::now()).await
}

/// Marks what is under way as it ends, until all has or the time is over.
pub(super) async fn settle_until(cx: &Context, until: Instant) -> Seen {
    let mut seen = Seen::default();
    let mut flights = cx.notifier.flights.lock().await;
    while let Ok(Some((_, end))) = tokio::time::timeout_at(until, flights.next()).await {
        seen.take_in(cx, end).await;
    }
    seen
}

/// Marks what came of a letter. Answers whether it was taken.
async fn note(cx: &Context, letter: Letter, end: Result<Sent, NotSent>) -> Result<bool, Error> {
    match end {
        Ok(sent) => {
            mark(cx, |post| post.sent(&letter.id)).await?;
            let (channel, id, events) = (&letter.channel, &letter.id, letter.count);
            if let Some(note) = sent.note {
                tracing::warn!(channel, id, events, note, "notification sent, but not to all");
            } else {
                tracing::info!(channel, id, events, "notification sent");
            }
            Ok(true)
        }
        Err(error) => {
            let attempts = match letter.state {
                State::Closed { attempts, .. } => attempts.saturating_add(1),
                _ => 1,
            };
            let pause = pause(error.retry, attempts);
            let policy = &cx.notifier.policy;
            let fate = mark(cx, |post| post.failed(&letter.id, &error.reason, pause, policy)).await?;
            tell(&letter, attempts, &error.reason, fate);
            Ok(false)
        }
    }
}

fn tell(letter: &Letter, attempts: u32, reason: &str, fate: Fate) {
    let (channel, id, events) = (&letter.channel, &letter.id, letter.count);
    match fate {
        Fate::GivenUp => tracing::error!(
            channel,
            id,
            events,
            attempts,
            reason,
            "a notification was GIVEN UP: nobody was told by this channel; `longshore notify ls` lists it"
        ),
        Fate::Again => tracing::warn!(
            channel,
            id,
            events,
            attempts,
            reason,
            "a notification was not taken; it is tried again"
        ),
        Fate::Nothing => {}
    }
}
