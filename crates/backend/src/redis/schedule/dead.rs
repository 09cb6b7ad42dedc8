//! Dead letters and their durable twins.

use longshore_core::envelope::Envelope;
use longshore_core::outcome::ErrorInfo;
use longshore_core::port::Error;
use longshore_core::port::enqueue::NewJob;
use longshore_core::port::schedule::{DeadLetter, DeadLetterChange, EditedLetter, Removals, TwinState};

use crate::redis::Store;
use crate::redis::call::{Call, calls};
use crate::redis::enqueue::odd;
use crate::redis::reply::{Reader, pack, unpack};
use crate::redis::script;

impl Store {
    pub(super) async fn dead_letters(&self, shard: u16, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        let mut answer = self.bite(&script::DEAD_UNCOPIED, shard, limit).await?;
        let epoch = answer.number()?;
        let mut letters = Vec::new();
        while !answer.is_empty() {
            letters.extend(letter(&mut answer, epoch)?);
        }
        Ok(letters)
    }

    pub(super) async fn twins(&self, shard: u16, twins: &[DeadLetter]) -> Result<Vec<TwinState>, Error> {
        let mut states = Vec::with_capacity(twins.len());
        for twins in calls(twins, |twin| twin.envelope.len()) {
            let mut call = Self::script(&script::DEAD_TWINS, shard);
            for twin in twins {
                put_twin(&mut call, twin);
            }
            let mut answer = self.run(&call).await?;
            for _ in twins {
                states.push(match answer.text()?.as_str() {
                    "keep" => TwinState::Keep,
                    "stale" => TwinState::Stale,
                    "dropped" => TwinState::Dropped,
                    "rebuilt" => TwinState::Rebuilt,
                    other => return Err(odd(other)),
                });
            }
        }
        Ok(states)
    }

    pub(super) async fn stale_twins(&self, shard: u16, swept: u64) -> Result<Removals, Error> {
        let mut call = Self::script(&script::REMOVALS, shard);
        call.arg(swept);
        let mut answer = self.run(&call).await?;
        Ok(Removals {
            counted: answer.number()?,
            pending: answer.number()?,
        })
    }

    pub(super) async fn change_edited(
        &self,
        shard: u16,
        letters: &[EditedLetter],
    ) -> Result<Vec<DeadLetterChange>, Error> {
        let mut changes = Vec::with_capacity(letters.len());
        for letters in calls(letters, |letter| letter.envelope.len()) {
            let mut call = Self::script(&script::REQUEUE_EDITED, shard);
            for letter in letters {
                call.id(letter.id).arg(letter.gen_).arg(&*letter.envelope);
            }
            let mut answer = self.run_strictly(&call).await?;
            for _ in letters {
                changes.push(change(&mut answer)?);
            }
        }
        Ok(changes)
    }
}

/// What a requeue or discard did to one letter.
pub(super) fn change(answer: &mut Reader) -> Result<DeadLetterChange, Error> {
    Ok(match answer.text()?.as_str() {
        "done" => DeadLetterChange::Done,
        "not_dead" => DeadLetterChange::NotDead,
        "children" => DeadLetterChange::HasChildren,
        "past_deadline" => DeadLetterChange::PastDeadline,
        other => return Err(odd(other)),
    })
}

/// One letter; `None` when its envelope is missing, which nothing but a hand in the store can do.
fn letter(answer: &mut Reader, epoch: u64) -> Result<Option<DeadLetter>, Error> {
    let (id, gen_, dead_at, queue) = (answer.id()?, answer.small()?, answer.time()?, answer.queue()?);
    let (envelope, error) = (answer.bytes_or_none()?, answer.bytes_or_none()?);
    let (attempts, rows) = (answer.small()?, answer.size()?);
    let history = (0..rows)
        .map(|_| unpack("history", &answer.bytes()?))
        .collect::<Result<_, Error>>()?;
    let Some(envelope) = envelope else {
        tracing::error!(job = %id, "its envelope is missing in Redis; its dead letter cannot be copied");
        return Ok(None);
    };
    let error = error
        .map(|error| unpack::<ErrorInfo>("error", &error))
        .transpose()?;
    Ok(Some(DeadLetter {
        id,
        gen_,
        epoch,
        dead_at,
        queue,
        envelope,
        error: error.unwrap_or_default(),
        attempts,
        history,
    }))
}

fn put_twin(call: &mut Call, twin: &DeadLetter) {
    call.id(twin.id)
        .arg(twin.gen_)
        .arg(twin.epoch)
        .time(twin.dead_at)
        .arg(twin.attempts)
        .opt(twin.history.last().map(|attempt| attempt.started_at.millis()))
        .arg(pack(&twin.error))
        .arg(twin.history.len());
    for row in &twin.history {
        call.arg(pack(row));
    }
    let envelope = Envelope::decode(&twin.envelope)
        .ok()
        .filter(|envelope| envelope.id == twin.id);
    match envelope {
        Some(envelope) => call
            .arg(1)
            .job(&NewJob::from_envelope(&envelope, twin.envelope.clone())),
        None => call.arg(0),
    };
}
