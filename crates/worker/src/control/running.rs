//! Attempts: those that hold a slot, and those whose end is being told.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use bytes::Bytes;
use longshore_core::limits::{FENCE_MARGIN, LEASE};
use longshore_core::message::Gen;
use longshore_core::port::attempt::Finish;
use longshore_core::spec::Fencing;
use longshore_core::{Envelope, JobId, Nonce};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::Map;
use super::delivery::DeliveryKey;
use super::settle::StopReason;
use crate::context::JobContext;

/// What an attempt does now.
#[derive(Debug)]
pub(super) enum Doing {
    /// Its claim was granted just now. Holds a slot.
    Granted,
    /// Its handler runs. Holds a slot.
    Work(AbortHandle),
    /// Its handler has ended; the store is being told.
    Finish(Box<Finish>),
}

/// One granted claim.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) ctx: JobContext,
    pub(super) nonce: Nonce,
    pub(super) gen_: Gen,
    pub(super) retries: u32,
    pub(super) losts: u32,
    pub(super) raw: Bytes,
    pub(super) delivery: DeliveryKey,
    pub(super) doing: Doing,
    /// Why it was told to stop.
    pub(super) stop: Option<StopReason>,
    /// How long it may run.
    pub(super) limit: Duration,
    /// When its time is over, and what that is then called.
    pub(super) stop_at: (Instant, StopReason),
    /// When it is to be aborted.
    pub(super) kill_at: Option<Instant>,
    /// When it was aborted.
    pub(super) killed_at: Option<Instant>,
    /// It was told to stop because no beat succeeded.
    pub(super) fenced: bool,
    /// Start of the last call that extended the lease.
    pub(super) good_beat: Instant,
    /// When it started.
    pub(super) began: Instant,
    /// How long its handler ran, once that has ended.
    pub(super) ran: Option<Duration>,
    /// The span of its finish, while that is told.
    pub(super) finish_span: tracing::Span,
}

impl Attempt {
    pub(super) fn id(&self) -> JobId {
        self.ctx.id()
    }

    pub(super) fn shard(&self) -> u16 {
        self.ctx.inner().shard
    }

    pub(super) fn envelope(&self) -> &Envelope {
        self.ctx.envelope()
    }

    pub(super) const fn is_active(&self) -> bool {
        !matches!(self.doing, Doing::Finish(_))
    }

    /// When the attempt must stop unless a beat succeeds before, whatever else it was told.
    pub(super) fn fence_at(&self) -> Option<Instant> {
        let strict = self.is_active() && self.envelope().fencing == Fencing::Strict;
        (strict && !self.fenced && self.killed_at.is_none())
            .then(|| self.good_beat + LEASE.saturating_sub(FENCE_MARGIN))
    }

    /// When something is to be done about this attempt.
    pub(super) fn due_at(&self) -> Option<Instant> {
        if !self.is_active() || self.killed_at.is_some() {
            return None;
        }
        let timeout = self.stop.is_none().then_some(self.stop_at.0);
        timeout
            .into_iter()
            .chain(self.kill_at)
            .chain(self.fence_at())
            .min()
    }
}

/// Attempts by key.
#[derive(Debug, Default)]
pub(super) struct Running {
    attempts: Map<Attempt>,
    /// How many attempts each job has here: a second one waits until the first, which was lost, has ended.
    ids: HashMap<JobId, u32>,
    last: u64,
    active: usize,
}

impl Running {
    /// The key of the next attempt.
    pub(super) const fn next_key(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Takes in an attempt.
    pub(super) fn insert(&mut self, key: u64, attempt: Attempt) {
        self.active += usize::from(attempt.is_active());
        *self.ids.entry(attempt.id()).or_default() += 1;
        self.attempts.insert(key, attempt);
    }

    pub(super) fn get(&self, key: u64) -> Option<&Attempt> {
        self.attempts.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: u64) -> Option<&mut Attempt> {
        self.attempts.get_mut(&key)
    }

    /// The handler of this attempt has ended: its slot is free.
    pub(super) fn finishes(&mut self, key: u64, finish: Box<Finish>) {
        if let Some(attempt) = self.attempts.get_mut(&key)
            && attempt.is_active()
        {
            attempt.doing = Doing::Finish(finish);
            self.active -= 1;
        }
    }

    pub(super) fn remove(&mut self, key: u64) -> Option<Attempt> {
        let attempt = self.attempts.remove(&key)?;
        self.active -= usize::from(attempt.is_active());
        if let Entry::Occupied(mut count) = self.ids.entry(attempt.id()) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        Some(attempt)
    }

    /// The key of the last attempt that began.
    pub(super) const fn last_key(&self) -> u64 {
        self.last
    }

    /// Slots in use.
    pub(super) const fn active(&self) -> usize {
        self.active
    }

    /// Attempts whose end is being told.
    pub(super) fn finishing(&self) -> usize {
        self.attempts.len() - self.active
    }

    /// Whether this job has an attempt here.
    pub(super) fn has(&self, id: JobId) -> bool {
        self.ids.contains_key(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Attempt)> {
        self.attempts.iter().map(|(key, attempt)| (*key, attempt))
    }

    /// Keys of attempts for which `wanted` holds.
    pub(super) fn keys_where(&self, wanted: impl Fn(&Attempt) -> bool) -> Vec<u64> {
        let chosen = self.attempts.iter().filter(|(_, attempt)| wanted(attempt));
        chosen.map(|(key, _)| *key).collect()
    }
}
