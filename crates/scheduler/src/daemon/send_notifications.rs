//! Makes letters of notices and has them sent.
//!
//! What a letter says, and its id, is in the store before it is sent; so is every try before it begins. A crash between
//! the channel's acceptance and the mark sends the same letter again, once its try must be over, and so do a lost answer
//! and a mark that failed; a crash anywhere else sends nothing twice. One replica at a time does it, the one that has the
//! lease of shard 0; two that do it at once for the moment of a handover change the mailbox one after the other, and one
//! of them does so in vain.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future;
use longshore_core::Timestamp;
use longshore_core::limits::{BEAT, NOTICES_WANTED_FOR};
use longshore_core::message::Epoch;
use longshore_core::name::QueueName;
use longshore_core::notice::Letter;
use longshore_core::notice::post::{Post, QueueState};
use longshore_core::port;
use longshore_core::port::notify::Mailbox;
use tokio::time::Instant;

use crate::context::Context;
use crate::error::Error;
use crate::notifications::{Memory, Wanted};
use crate::status::Done;

use self::flights::EACH;

pub(crate) mod flights;

/// Notices of a shard that one pass takes.
const BITE: usize = 200;
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
    if cx.notifier.channels.is_empty() {
        return Ok(Done::default());
    }
    // What ended since the last pass is marked first, whoever has the lease now: nobody else knows of it.
    let before = flights::settle(cx).await;
    if !cx.held.borrow().is_first {
        return before.failed.map_or(Ok(Done::rows(before.sent)), Err);
    }
    let failed = before.failed.or(want(cx).await);
    let Some(taken) = collect(cx).await? else {
        // Another replica was faster; what it left comes with the next pass.
        return failed.map_or(Ok(Done::rows(before.sent)), Err);
    };
    let letters = if taken.failed.is_some() {
        // Waiting for a server that failed took its time, which is not to be that of the letters' leases.
        take(cx).await?
    } else {
        taken.letters
    };
    let failed = failed.or(taken.failed);
    let mut are_more = fills(&letters);
    let (seen, left) = future::join(flights::send_all(cx, letters), take_off(cx, taken.notices)).await;
    let Some(error) = failed.or(left).or(seen.failed) else {
        return Ok(Done {
            more: are_more || taken.full,
            ..Done::rows(before.sent + seen.sent)
        });
    };
    // A daemon that fails rests for a while; letters that are due do not wait for that.
    for _ in 1..ROUNDS_MAX {
        if !are_more {
            break;
        }
        let letters = take(cx).await?;
        are_more = fills(&letters);
        flights::send_all(cx, letters).await;
    }
    Err(error)
}

/// Waits for the letters under way when the scheduler stops, so that what was accepted is marked.
pub(crate) async fn finish(cx: &Context, limit: Duration) {
    let seen = flights::settle_until(cx, Instant::now() + limit).await;
    if let Some(error) = seen.failed {
        tracing::warn!(%error, "what came of a notification cannot be stored: it may be sent again, with the same id");
    }
}

/// Whether a channel has as many letters as are sent at once: there may be more.
fn fills(letters: &[Letter]) -> bool {
    let of = |channel: &str| letters.iter().filter(|letter| letter.channel == channel).count();
    letters.iter().any(|letter| of(&letter.channel) == EACH)
}

/// Takes letters that are due, by a mailbox that is read anew.
async fn take(cx: &Context) -> Result<Vec<Letter>, Error> {
    let (to, policy) = (&cx.notifier.addressees, &cx.notifier.policy);
    let room = cx.notifier.flights.lock().await.room();
    mark(cx, |post| post.take(to, policy, &room)).await
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
    let room = cx.notifier.flights.lock().await.room();
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
        taken.letters = post.take(to, policy, &room);
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
    if !cx.notifier.policy.has_limits() {
        return Ok(BTreeMap::new());
    }
    let standing = cx.ports.inspect.standing().await?;
    let state = |(queue, length)| {
        // A paused queue waits because somebody wants it to.
        let oldest = standing.oldest.get(&queue).copied();
        let oldest = oldest.filter(|_| !standing.paused.contains(&queue));
        (queue, QueueState { length, oldest })
    };
    Ok(standing.lengths().into_iter().map(state).collect())
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
