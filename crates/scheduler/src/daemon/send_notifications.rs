//! Makes letters of notices and has them sent.
//!
//! What a letter says, and its id, is in the store before it is sent; so is every try before it begins. A crash between
//! the channel's acceptance and the mark sends the same letter again, once its try must be over, and so do a lost answer
//! and a mark that failed; a crash anywhere else sends nothing twice. One replica at a time does it, the one that has the
//! lease of shard 0; two that do it at once for the moment of a handover change the mailbox one after the other, and one
//! of them does so in vain.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, future, stream};
use longshore_core::Timestamp;
use longshore_core::limits::{BEAT, NOTICES_WANTED_FOR};
use longshore_core::message::Epoch;
use longshore_core::name::QueueName;
use longshore_core::notice::post::{Fate, Post, QueueState};
use longshore_core::notice::{Letter, State};
use longshore_core::port;
use longshore_core::port::notify::{Mailbox, NotSent, Retry};

use crate::context::Context;
use crate::error::Error;
use crate::notifications::{Memory, Wanted, pause};
use crate::status::Done;

/// Notices of a shard that one pass takes.
const BITE: usize = 200;
/// Letters that one pass takes, and sends at once: none waits in line while its lease runs out.
const AT_ONCE: usize = 4;
/// How often a pass takes letters in which something failed.
const ROUNDS_MAX: usize = 8;
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
    let failed = want(cx).await;
    let Some(taken) = collect(cx).await? else {
        // Another replica was faster; what it left comes with the next pass.
        return failed.map_or(Ok(Done::default()), Err);
    };
    let letters = if taken.failed.is_some() {
        // Waiting for a server that failed took its time, which is not to be that of the letters' leases.
        take(cx).await?
    } else {
        taken.letters
    };
    let failed = failed.or(taken.failed);
    let mut are_more = letters.len() == AT_ONCE;
    let ((rows, unmarked), left) = future::join(send_all(cx, letters), take_off(cx, taken.notices)).await;
    let Some(error) = failed.or(left).or(unmarked) else {
        return Ok(Done {
            more: are_more || taken.full,
            ..Done::rows(rows)
        });
    };
    // A daemon that fails rests for a while; letters that are due do not wait for that.
    for _ in 1..ROUNDS_MAX {
        if !are_more {
            break;
        }
        let letters = take(cx).await?;
        are_more = letters.len() == AT_ONCE;
        send_all(cx, letters).await;
    }
    Err(error)
}

/// Takes letters that are due, by a mailbox that is read anew.
async fn take(cx: &Context) -> Result<Vec<Letter>, Error> {
    let (to, policy) = (&cx.notifier.addressees, &cx.notifier.policy);
    mark(cx, |post| post.take(to, policy, AT_ONCE)).await
}

/// Sends letters at once. Answers how many were taken, and the first error of a mark.
async fn send_all(cx: &Context, letters: Vec<Letter>) -> (u64, Option<Error>) {
    let sends = letters.into_iter().map(|letter| Box::pin(send(cx, letter)));
    let mut ends = stream::iter(sends).buffer_unordered(AT_ONCE);
    let (mut rows, mut failed) = (0, None);
    while let Some(end) = ends.next().await {
        match end {
            Ok(sent) => rows += u64::from(sent),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    (rows, failed)
}

/// Takes off the shards what is in the mailbox; what stays is known by its number when it comes again. Answers the first
/// error.
async fn take_off(cx: &Context, notices: Vec<(u16, Epoch, u64)>) -> Option<Error> {
    let mut failed = None;
    for (shard, epoch, up_to) in notices {
        if let Err(error) = cx.ports.notify.notices_taken(shard, epoch, up_to).await {
            go_on(&mut failed, shard, error);
        }
    }
    failed
}

/// A shard that fails does not silence the others; the first error is told when all had their turn.
fn go_on(failed: &mut Option<Error>, shard: u16, error: port::Error) {
    tracing::debug!(shard, %error, "a shard's notices cannot be looked after now");
    if failed.is_none() {
        *failed = Some(error.into());
    }
}

/// From now on somebody wants notices. Answers the first error.
async fn want(cx: &Context) -> Option<Error> {
    let now = cx.clock.now();
    let mut memory = cx.notifier.memory.lock().await;
    let mut failed = None;
    for shard in cx.ports.enqueue.shards().all() {
        let is_known = |wanted: &Wanted| now.since(wanted.at) < WANT_EVERY && wanted.at <= now;
        if memory.wanted.get(&shard).is_some_and(is_known) {
            continue;
        }
        match cx.ports.notify.want_notices(shard, NOTICES_WANTED_FOR).await {
            Ok(()) => {
                let wanted = Wanted { at: now, epoch: None };
                memory.wanted.insert(shard, wanted);
            }
            Err(error) => go_on(&mut failed, shard, error),
        }
    }
    failed
}

/// A shard that was wiped does not know any more that its notices are wanted: the next pass says so again.
async fn note_epoch(cx: &Context, shard: u16, epoch: Epoch) {
    let mut memory = cx.notifier.memory.lock().await;
    let known = memory.wanted.get(&shard).and_then(|wanted| wanted.epoch);
    if known.is_some_and(|known| known != epoch) {
        memory.wanted.remove(&shard);
    } else if let Some(wanted) = memory.wanted.get_mut(&shard) {
        wanted.epoch = Some(epoch);
    }
}

/// What a change of the mailbox came to.
struct Taken {
    /// Up to which number each shard's notices are in it.
    notices: Vec<(u16, Epoch, u64)>,
    /// Letters that this replica sends now; none when something failed.
    letters: Vec<Letter>,
    /// A shard had more notices than one pass takes.
    full: bool,
    /// The first error of what was read; what it left comes with a later pass.
    failed: Option<Error>,
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
        failed: None,
    };
    for shard in cx.ports.enqueue.shards().all() {
        let notices = match cx.ports.notify.notices(shard, BITE).await {
            Ok(notices) => notices,
            Err(error) => {
                go_on(&mut taken.failed, shard, error);
                continue;
            }
        };
        note_epoch(cx, shard, notices.epoch).await;
        taken.full |= notices.rows.len() == BITE;
        if let Some(up_to) = post.collect(to, policy, shard, &notices) {
            taken.notices.push((shard, notices.epoch, up_to));
        }
    }
    let looked = if look {
        look_at(cx, &mut post, now).await
    } else {
        Ok(())
    };
    let look = look && looked.is_ok();
    taken.failed = taken.failed.or(looked.err());
    post.close_due(to, policy);
    if taken.failed.is_none() {
        taken.letters = post.take(to, policy, AT_ONCE);
    }
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

/// Looks at what has no script of its own to write a notice.
async fn look_at(cx: &Context, post: &mut Post<'_>, now: Timestamp) -> Result<(), Error> {
    let (to, policy) = (&cx.notifier.addressees, &cx.notifier.policy);
    let workers = cx.ports.inspect.workers().await?;
    post.watch_workers(to, policy, &workers, may_judge(cx, now).await);
    post.watch_queues(to, policy, &queues(cx).await?);
    Ok(())
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
