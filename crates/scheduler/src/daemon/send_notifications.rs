//! Makes letters of notices and has them sent.
//!
//! What a letter says, and its id, is in the store before it is sent; so is every try before it begins. A crash between
//! the channel's acceptance and the mark sends the same letter again, once its try must be over; a crash anywhere else
//! sends nothing twice. One replica at a time does it, the one that has the lease of shard 0; two that do it at once for
//! the moment of a handover change the mailbox one after the other, and one of them does so in vain.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use longshore_core::Timestamp;
use longshore_core::limits::{BEAT, NOTICES_WANTED_FOR};
use longshore_core::name::QueueName;
use longshore_core::notice::post::{Fate, Post, QueueState};
use longshore_core::notice::{Letter, State};
use longshore_core::port::notify::{Mailbox, NotSent, Retry};

use crate::context::Context;
use crate::error::Error;
use crate::notifications::{Memory, pause};
use crate::status::Done;

/// Notices of a shard that one pass takes.
const BITE: usize = 200;
/// Letters that one pass takes, and sends at once: none waits in line while its lease runs out.
const AT_ONCE: usize = 4;
/// How often the store is told that notices are wanted.
const WANT_EVERY: Duration = Duration::from_secs(600);
/// How often queues and workers are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A longer time between two looks is an outage.
const LOOK_GAP: Duration = Duration::from_secs(15);
/// How often a change of the mailbox is made anew because another came between.
const TRIES: usize = 20;

/// Takes notices, makes letters of them, and sends what is due.
pub(super) async fn pass(cx: &Context) -> Result<Done, Error> {
    if cx.notifier.channels.is_empty() || !cx.held.borrow().is_first {
        return Ok(Done::default());
    }
    want(cx).await?;
    let Some(taken) = collect(cx).await? else {
        // Another replica was faster; what it left comes with the next pass.
        return Ok(Done::default());
    };
    for (shard, epoch, up_to) in taken.notices {
        cx.ports.notify.notices_taken(shard, epoch, up_to).await?;
    }
    let full = taken.letters.len() == AT_ONCE || taken.full;
    let sends = taken.letters.into_iter().map(|letter| Box::pin(send(cx, letter)));
    let mut ends = stream::iter(sends).buffer_unordered(AT_ONCE);
    let (mut rows, mut failed) = (0, None);
    while let Some(end) = ends.next().await {
        match end {
            Ok(sent) => rows += u64::from(sent),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or(
        Ok(Done {
            more: full,
            ..Done::rows(rows)
        }),
        Err,
    )
}

/// From now on somebody wants notices.
async fn want(cx: &Context) -> Result<(), Error> {
    let now = cx.clock.now();
    let mut memory = cx.notifier.memory.lock().await;
    if memory
        .wanted_at
        .is_some_and(|at| now.since(at) < WANT_EVERY && at <= now)
    {
        return Ok(());
    }
    for shard in cx.ports.enqueue.shards().all() {
        cx.ports.notify.want_notices(shard, NOTICES_WANTED_FOR).await?;
    }
    memory.wanted_at = Some(now);
    Ok(())
}

/// What a change of the mailbox came to.
struct Taken {
    /// Up to which number each shard's notices are in it.
    notices: Vec<(u16, u64, u64)>,
    /// Letters that this replica sends now.
    letters: Vec<Letter>,
    /// A shard had more notices than one pass takes.
    full: bool,
}

/// Brings everything that is new into the mailbox, in one change. `None` when another change came between.
async fn collect(cx: &Context) -> Result<Option<Taken>, Error> {
    let (to, policy) = (&cx.notifier.addressees, &cx.notifier.policy);
    // Read before all else: whoever changes it from now on makes this change one in vain.
    let mailbox = cx.ports.notify.mailbox().await?;
    let now = mailbox.now;
    let look = is_time_to_look(cx, now).await;
    let mut post = Post::read(mailbox, cx.random.as_ref());
    let mut taken = Taken {
        notices: Vec::new(),
        letters: Vec::new(),
        full: false,
    };
    for shard in cx.ports.enqueue.shards().all() {
        let notices = cx.ports.notify.notices(shard, BITE).await?;
        taken.full |= notices.rows.len() == BITE;
        if let Some(up_to) = post.collect(to, policy, shard, &notices) {
            taken.notices.push((shard, notices.epoch, up_to));
        }
    }
    if look {
        let workers = cx.ports.inspect.workers().await?;
        post.watch_workers(to, policy, &workers, may_judge(cx, now).await);
        post.watch_queues(to, policy, &queues(cx).await?);
    }
    post.close_due(to, policy);
    taken.letters = post.take(to, policy, AT_ONCE);
    if let Some(change) = post.change()
        && !cx.ports.notify.change_mailbox(change).await?
    {
        return Ok(None);
    }
    if look {
        let mut memory = cx.notifier.memory.lock().await;
        if !has_looked_lately(&memory, now) {
            memory.looks_since = Some(now);
        }
        memory.looked_at = Some(now);
    }
    Ok(Some(taken))
}

async fn is_time_to_look(cx: &Context, now: Timestamp) -> bool {
    let memory = cx.notifier.memory.lock().await;
    memory
        .looked_at
        .is_none_or(|at| now.since(at) >= LOOK_EVERY || at > now)
}

fn has_looked_lately(memory: &Memory, now: Timestamp) -> bool {
    memory
        .looked_at
        .is_some_and(|at| at <= now && now.since(at) <= LOOK_GAP)
}

/// Whether a worker that is not there is lost: after an outage, or a start, every one gets its time to beat first.
async fn may_judge(cx: &Context, now: Timestamp) -> bool {
    let memory = cx.notifier.memory.lock().await;
    let since = memory.looks_since.filter(|_| has_looked_lately(&memory, now));
    since.is_some_and(|since| now.since(since) >= BEAT * 3)
}

/// The queues that have a limit.
async fn queues(cx: &Context) -> Result<BTreeMap<QueueName, QueueState>, Error> {
    let policy = &cx.notifier.policy;
    let mut queues = BTreeMap::new();
    if !policy.has_limits() {
        return Ok(queues);
    }
    for (queue, view) in cx.ports.inspect.queues().await? {
        let oldest = match policy.limits(&queue).age {
            // A paused queue waits because somebody wants it to.
            Some(_) if !view.paused => cx.ports.notify.oldest_waiting(queue.clone()).await?,
            _ => None,
        };
        let length = view.size();
        queues.insert(queue, QueueState { length, oldest });
    }
    Ok(queues)
}

/// Sends one letter and marks what came of it. Answers whether it was taken.
async fn send(cx: &Context, letter: Letter) -> Result<bool, Error> {
    let Some(channel) = cx.notifier.channel(&letter.channel) else {
        return Ok(false);
    };
    let limit = cx.notifier.policy.send_timeout;
    let end = tokio::time::timeout(limit, channel.send(letter.clone())).await;
    let end = end.unwrap_or_else(|_| {
        Err(NotSent {
            reason: format!("no answer within {limit:?}"),
            retry: Retry::Later,
        })
    });
    match end {
        Ok(()) => {
            mark(cx, |post| post.sent(&letter.id)).await?;
            tracing::info!(
                channel = letter.channel,
                id = letter.id,
                events = letter.count,
                "notification sent"
            );
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

/// Changes the mailbox, as often as others come between.
async fn mark<R>(cx: &Context, act: impl Fn(&mut Post<'_>) -> R) -> Result<R, Error> {
    let _one = cx.notifier.marking.lock().await;
    for _ in 0..TRIES {
        let mailbox: Mailbox = cx.ports.notify.mailbox().await?;
        let mut post = Post::read(mailbox, cx.random.as_ref());
        let reply = act(&mut post);
        let done = match post.change() {
            Some(change) => cx.ports.notify.change_mailbox(change).await?,
            None => true,
        };
        if done {
            return Ok(reply);
        }
    }
    Err(Error::MailboxBusy)
}
