//! One lap of the archive: every twin is looked at once; stale ones and second copies go.
//!
//! A twin that stays is held unacknowledged, and goes back to its place when the lap's subscription ends. An archive
//! that is larger than what may be held is moved on instead: published anew with confirms, then acknowledged. The lap
//! has come around when it has taken as many letters as there were when it began, and meets one that was moved. Before
//! that, a letter that was moved has come in a second copy, and the lap goes on. A lap that ends before it has taken as
//! many letters as there were is none: it is begun anew.

use std::collections::{BTreeMap, BTreeSet};

use longshore_core::JobId;
use longshore_core::message::{Epoch, Gen};
use longshore_core::port;
use longshore_core::port::attempt::Quarantined;
use longshore_core::port::broker::{Delivery, Payload, Receipt, Source, Subscription};
use longshore_core::port::schedule::{DeadLetter, TwinState};

use super::{LATE, Next, QUIET, next, next_within, subscribe};
use crate::context::Context;
use crate::error::Error;
use crate::publisher;
use crate::status::Done;

/// Twins that are looked at together.
const PAGE: usize = 100;
/// Twins that are held before they are moved on.
const HELD_MAX: usize = 500;
/// Unacknowledged deliveries at once; above what is held and looked at.
const PREFETCH: u16 = 1_000;
/// Twins that are looked at for a sign of a wipe.
const SIGNS: usize = 64;

type Twin = (DeadLetter, Receipt);
/// A dead letter and its twins.
pub(super) type Key = (JobId, Gen);

/// Whether the oldest twins are of an epoch that their shards have no more.
///
/// # Errors
/// [`Error::LapCutShort`] when not all of the `archived` twins that it should see came.
pub(super) async fn meets_another_epoch(
    cx: &Context,
    epochs: &[Epoch],
    archived: u64,
) -> Result<bool, Error> {
    let prefetch = u16::try_from(SIGNS).unwrap_or(PREFETCH);
    let mut archive = subscribe(cx, Source::Archive, prefetch).await?;
    let shards = cx.ports.enqueue.shards();
    // Held to the end, so that none of them comes twice.
    let mut seen = Vec::new();
    while seen.len() < SIGNS {
        let of = archived.min(SIGNS as u64);
        let Some(delivery) = next_of(cx, archive.as_mut(), seen.len() as u64, of).await? else {
            break;
        };
        if let Payload::Dead(letter) = &delivery.payload
            && epochs.get(usize::from(shards.of(&letter.id))) != Some(&letter.epoch)
        {
            return Ok(true);
        }
        seen.push(delivery);
    }
    Ok(false)
}

/// The next delivery of an archive that had `of` letters, of which `seen` have come; `None` when no other is to be
/// expected, or the scheduler stops.
///
/// # Errors
/// [`Error::LapCutShort`] when one that is to be expected does not come.
async fn next_of(
    cx: &Context,
    archive: &mut dyn Subscription,
    seen: u64,
    of: u64,
) -> Result<Option<Box<Delivery>>, Error> {
    let quiet = if seen < of { LATE } else { QUIET };
    let came = tokio::select! {
        came = next_within(quiet, archive) => came,
        () = cx.stop.cancelled() => return Ok(None),
    };
    match came {
        Next::Delivery(delivery) => Ok(Some(delivery)),
        Next::Quiet | Next::Ended if seen < of => Err(Error::LapCutShort { seen, of }),
        Next::Quiet | Next::Ended => Ok(None),
    }
}

/// Makes a lap of an archive that has `archived` twins. Answers how many twins were dropped or moved on, and which it saw.
///
/// # Errors
/// [`Error::LapCutShort`] when it did not come around. A lap that ends because the scheduler stops is no error, and not
/// complete either.
pub(super) async fn run(
    cx: &Context,
    epochs: &[Epoch],
    archived: u64,
) -> Result<(Done, BTreeSet<Key>), Error> {
    let mut archive = subscribe(cx, Source::Archive, PREFETCH).await?;
    let mut lap = Lap {
        cx,
        epochs,
        archived,
        held: Vec::new(),
        strays: Vec::new(),
        seen: BTreeSet::new(),
        moved: BTreeMap::new(),
        dropped: 0,
    };
    let mut page = Vec::with_capacity(PAGE);
    let mut taken = 0;
    loop {
        // A page that waits is looked at before a letter that is late is waited for.
        let over = match next(archive.as_mut()).await {
            Next::Delivery(delivery) => lap.take(*delivery, &mut page, &mut taken).await?,
            Next::Quiet | Next::Ended => {
                lap.look(std::mem::take(&mut page)).await?;
                match next_of(cx, archive.as_mut(), taken, archived).await? {
                    Some(delivery) => lap.take(*delivery, &mut page, &mut taken).await?,
                    None => true,
                }
            }
        };
        if over || page.len() >= PAGE {
            lap.look(std::mem::take(&mut page)).await?;
        }
        if over || cx.is_stopping() {
            break;
        }
    }
    let rows = lap.dropped + lap.moved.len() as u64;
    if rows > 0 {
        tracing::info!(
            dropped = lap.dropped,
            moved = lap.moved.len(),
            kept = lap.held.len(),
            "a lap of the archive"
        );
    }
    Ok((Done::rows(rows), lap.seen))
}

fn key(letter: &DeadLetter) -> Key {
    (letter.id, letter.gen_)
}

/// What is in the archive and no dead letter.
async fn stray(cx: &Context, payload: Payload) -> Result<(), Error> {
    let message = match payload {
        Payload::Undecodable(message) => message,
        // A message of jobs in the archive: nobody of ours puts one there, and its jobs have their records.
        Payload::Jobs(_) | Payload::Dead(_) => return Ok(()),
    };
    let entry = Quarantined {
        message_id: message.message_id,
        queue: longshore_core::QueueName::default(),
        reason: format!("a dead letter in the archive cannot be read: {}", message.reason),
        body: message.body,
        headers: message.headers,
        jobs: Vec::new(),
        dispatches: Vec::new(),
    };
    Ok(cx.ports.attempt.quarantine(vec![entry]).await?)
}

struct Lap<'a> {
    cx: &'a Context,
    epochs: &'a [Epoch],
    /// Letters that were there when it began. Our own copies stand behind them.
    archived: u64,
    held: Vec<Twin>,
    /// Kept unacknowledged: they go back to their places.
    strays: Vec<Receipt>,
    seen: BTreeSet<Key>,
    /// What was published anew and confirmed, with the epochs that our copies have.
    moved: BTreeMap<Key, Epoch>,
    dropped: u64,
}

impl Lap<'_> {
    /// Takes a delivery. Answers whether the lap has come around.
    async fn take(
        &mut self,
        delivery: Delivery,
        page: &mut Vec<Twin>,
        taken: &mut u64,
    ) -> Result<bool, Error> {
        match delivery.payload {
            // Our own copy. It is left where it is: it goes back unacknowledged.
            Payload::Dead(letter) if *taken >= self.archived && self.moved.contains_key(&key(&letter)) => {
                return Ok(true);
            }
            Payload::Dead(letter) => page.push((letter, delivery.receipt)),
            other => {
                match stray(self.cx, other).await {
                    Ok(()) => delivery.receipt.ack(),
                    // No room in the quarantine: it stays here, and the lap goes on.
                    Err(Error::Port(
                        error @ (port::Error::Refused { .. } | port::Error::Forbidden { .. }),
                    )) => {
                        tracing::warn!(%error, "a letter in the archive cannot be read, nor put aside");
                        self.strays.push(delivery.receipt);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        *taken += 1;
        Ok(false)
    }

    /// Looks at a page of twins.
    async fn look(&mut self, page: Vec<Twin>) -> Result<(), Error> {
        let shards = self.cx.ports.enqueue.shards();
        let mut by_shard: BTreeMap<u16, Vec<Twin>> = BTreeMap::new();
        for (letter, receipt) in page {
            if self.seen.insert(key(&letter)) {
                by_shard
                    .entry(shards.of(&letter.id))
                    .or_default()
                    .push((letter, receipt));
            } else if self.moved.get(&key(&letter)) == Some(&letter.epoch) {
                // A second copy, unless letters have gone since they were counted: then it may be our own, and the only
                // one. It stays, and what is one too many goes with a later lap.
                self.held.push((letter, receipt));
            } else {
                // The first copy is held, or was moved with a confirm into the new life of its shard.
                self.drop_twin(receipt);
            }
        }
        for (shard, twins) in by_shard {
            let letters = twins.iter().map(|(letter, _)| letter.clone()).collect();
            let states = self.cx.ports.schedule.dead_twins(shard, letters).await?;
            let mut rebuilt = Vec::new();
            for ((mut letter, receipt), state) in twins.into_iter().zip(states) {
                match state {
                    TwinState::Stale | TwinState::Dropped => self.drop_twin(receipt),
                    TwinState::Keep => self.held.push((letter, receipt)),
                    TwinState::Rebuilt => {
                        // It belongs to the new life of its shard: a later discard must find it.
                        letter.epoch = self
                            .epochs
                            .get(usize::from(shard))
                            .copied()
                            .unwrap_or(letter.epoch);
                        rebuilt.push((letter, receipt));
                    }
                }
            }
            self.move_on(rebuilt).await?;
        }
        if self.held.len() >= HELD_MAX {
            let held = std::mem::take(&mut self.held);
            self.move_on(held).await?;
        }
        Ok(())
    }

    fn drop_twin(&mut self, receipt: Receipt) {
        receipt.ack();
        self.dropped += 1;
    }

    /// Publishes twins anew, and acknowledges the old copies of those that were confirmed.
    async fn move_on(&mut self, twins: Vec<Twin>) -> Result<(), Error> {
        if twins.is_empty() {
            return Ok(());
        }
        let (letters, receipts): (Vec<_>, Vec<_>) = twins.into_iter().unzip();
        let copies: Vec<_> = letters.iter().map(|letter| (key(letter), letter.epoch)).collect();
        let answers = self.cx.ports.publish.archive(letters).await;
        for (((key, epoch), receipt), answer) in copies.into_iter().zip(receipts).zip(&answers) {
            if answer.is_confirmed() {
                receipt.ack();
                self.moved.insert(key, epoch);
            }
        }
        publisher::check(&answers)
    }
}
