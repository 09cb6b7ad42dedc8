//! Beats: leases are extended in one call a shard, and the worker tells that it lives.

use std::collections::BTreeMap;
use std::time::Duration;

use longshore_core::limits::{BEAT, LEASE};
use longshore_core::port::Error;
use longshore_core::port::attempt::{Beaten, GiveBackReason};
use longshore_core::view::WorkerView;
use longshore_core::{QueueName, Timestamp};
use tokio::time::Instant;

use super::Control;
use super::drain::Phase;
use super::flights::{Answer, Rebuilding, in_time};
use super::settle::StopReason;

/// After a beat that failed.
const AGAIN: Duration = Duration::from_secs(1);
/// How often a worker tells its load between two beats, while that changes.
const LOAD_EVERY: Duration = Duration::from_secs(1);
/// Running jobs that a worker lists.
const LISTED_MAX: usize = 100;

#[derive(Debug)]
struct Pulse {
    due: Instant,
    flying: bool,
}

/// When which beat is due.
#[derive(Debug)]
pub(super) struct Beats {
    shards: BTreeMap<u16, Pulse>,
    worker: Pulse,
    failing: bool,
    /// When the worker's own beat last succeeded.
    answered: Instant,
    /// The store has been given up since.
    given_up: bool,
    load: Told,
}

/// What a worker has last told of its load, and when a change of it is told.
#[derive(Debug)]
struct Told {
    load: Load,
    at: Instant,
    due: Option<Instant>,
}

/// Slots in use, those that would take a job of another, queues that are not consumed, and the last attempt that began: a
/// worker that changes in none of them runs the same jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) busy: usize,
    pub(super) free: usize,
    pub(super) unattached: Vec<QueueName>,
    pub(super) last: u64,
}

impl Beats {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            shards: BTreeMap::new(),
            worker: Pulse {
                due: now,
                flying: false,
            },
            failing: false,
            answered: now,
            given_up: false,
            load: Told {
                load: Load::default(),
                at: now,
                due: None,
            },
        }
    }

    /// The load is this now. Answers when it is told, if it has changed.
    pub(super) fn note_load(&mut self, load: &Load) -> Option<Instant> {
        let changed = *load != self.load.load && !self.failing;
        self.load.due = changed.then_some(self.load.at + LOAD_EVERY);
        self.load.due.filter(|_| !self.worker.flying)
    }

    fn tells(&mut self, load: Load, now: Instant) {
        self.load = Told {
            load,
            at: now,
            due: None,
        };
    }

    /// An attempt of this shard runs: its lease needs beats.
    pub(super) fn expect(&mut self, shard: u16, now: Instant) {
        self.shards.entry(shard).or_insert(Pulse {
            due: now + BEAT,
            flying: false,
        });
    }

    /// Whether the worker's own beat failed.
    pub(super) const fn is_failing(&self) -> bool {
        self.failing
    }

    /// Whether the store is given up: it has not answered for a lease, and not since.
    pub(super) const fn have_given_up(&self) -> bool {
        self.given_up
    }

    /// Gives the store up when it has not answered for a lease. Answers whether it was given up just now.
    pub(super) fn give_up(&mut self, now: Instant) -> bool {
        let gives_up = self.failing && !self.given_up && now.duration_since(self.answered) >= LEASE;
        self.given_up |= gives_up;
        gives_up
    }

    /// The worker's own beat was answered, or failed.
    const fn worker_beat(&mut self, succeeded: bool, now: Instant) {
        self.failing = !succeeded;
        if succeeded {
            self.answered = now;
            self.given_up = false;
        }
    }

    /// The worker's own beat is due now.
    pub(super) const fn hurry(&mut self, now: Instant) {
        self.worker.due = now;
    }

    /// When the next is due.
    pub(super) fn due(&self) -> Option<Instant> {
        let pulses = self.shards.values().chain([&self.worker]);
        let beats = pulses.filter(|pulse| !pulse.flying).map(|pulse| pulse.due);
        beats.chain(self.load.due.filter(|_| !self.worker.flying)).min()
    }
}

impl Control {
    /// Makes the beats that are due.
    pub(super) fn beat(&mut self, now: Instant) {
        let due = |pulse: &Pulse| pulse.due <= now && !pulse.flying;
        let shards: Vec<u16> = self
            .beats
            .shards
            .iter()
            .filter(|(_, pulse)| due(pulse))
            .map(|(shard, _)| *shard)
            .collect();
        for shard in shards {
            self.beat_shard(shard, now);
        }
        if due(&self.beats.worker) {
            // Whoever hurries it from now on gets another.
            self.beats.worker = Pulse {
                due: now + BEAT,
                flying: true,
            };
            self.beats.tells(self.load(), now);
            let view = self.view(now);
            let port = self.ports.attempt.clone();
            self.calls.push(Box::pin(async move {
                Answer::WorkerBeat(in_time(port.worker_beat(view)).await)
            }));
        } else if self.beats.load.due.is_some_and(|at| at <= now) && !self.beats.worker.flying {
            self.beats.worker.flying = true;
            self.beats.tells(self.load(), now);
            let view = self.view(now);
            let port = self.ports.attempt.clone();
            self.calls.push(Box::pin(async move {
                Answer::Load(in_time(port.worker_load(view)).await)
            }));
        }
    }

    fn load(&self) -> Load {
        Load {
            busy: self.running.active(),
            free: self.free_slots(),
            unattached: self.health.unattached(),
            last: self.running.last_key(),
        }
    }

    /// Sees to it that a change of the load is told soon: whoever looks at workers sees what they run now.
    pub(super) fn note_load(&mut self) {
        let load = self.load();
        if let Some(due) = self.beats.note_load(&load) {
            self.wake_by(due);
        }
    }

    /// The load was told. When it was not, the next beat tells it.
    pub(super) fn on_load(&mut self, answer: Result<(), Error>) {
        self.beats.worker.flying = false;
        if let Err(error) = answer {
            tracing::debug!(%error, "the load of this worker cannot be told now");
        }
        let due = self.beats.worker.due;
        self.wake_by(due);
    }

    fn beat_shard(&mut self, shard: u16, now: Instant) {
        let keys = self.running.keys_where(|attempt| attempt.shard() == shard);
        if keys.is_empty() {
            self.beats.shards.remove(&shard);
            return;
        }
        if let Some(pulse) = self.beats.shards.get_mut(&shard) {
            pulse.flying = true;
        }
        let claims = keys
            .iter()
            .filter_map(|key| self.running.get(*key))
            .map(|attempt| (attempt.id(), attempt.nonce))
            .collect();
        let port = self.ports.attempt.clone();
        self.calls.push(Box::pin(async move {
            Answer::Beat(shard, now, keys, in_time(port.beat(shard, claims)).await)
        }));
    }

    pub(super) fn on_beat(
        &mut self,
        shard: u16,
        began: Instant,
        keys: &[u64],
        answer: Result<Vec<Beaten>, Error>,
    ) {
        let now = Instant::now();
        let due = if answer.is_ok() { began + BEAT } else { now + AGAIN };
        self.beats.shards.insert(shard, Pulse { due, flying: false });
        self.wake_by(due);
        match answer {
            Ok(beaten) => {
                for (key, beaten) in keys.iter().zip(beaten) {
                    self.on_beaten(*key, beaten, began, now);
                }
            }
            Err(error) => self.note_failure("beat", &error),
        }
    }

    fn on_beaten(&mut self, key: u64, beaten: Beaten, began: Instant, now: Instant) {
        let Some(attempt) = self.running.get_mut(key) else {
            return;
        };
        match beaten {
            Beaten::Alive { cancel_requested } => {
                attempt.good_beat = began;
                if cancel_requested {
                    self.stop(key, StopReason::Cancel, now);
                }
            }
            // An attempt whose end is being told learns it from that.
            Beaten::Lost | Beaten::Missing if !attempt.is_active() => {}
            Beaten::Lost => {
                tracing::warn!(id = %attempt.id(), "the job has another owner; its attempt here stops");
                self.stop(key, StopReason::Lost, now);
            }
            Beaten::Missing => {
                let lane = self.rebuilds.entry(attempt.shard()).or_default();
                lane.push(Rebuilding::Attempt {
                    key,
                    then_finish: false,
                });
            }
        }
    }

    fn view(&mut self, now: Instant) -> WorkerView {
        let active = self.running.iter().filter(|(_, attempt)| attempt.is_active());
        let running = active.take(LISTED_MAX).map(|(_, attempt)| attempt.id()).collect();
        WorkerView {
            id: self.me.clone(),
            host: self.host.clone(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            functions: self.registry.names(),
            queues: self.settings.queues.clone(),
            slots: u32::try_from(self.settings.slots).unwrap_or(u32::MAX),
            busy: u32::try_from(self.running.active()).unwrap_or(u32::MAX),
            free: u32::try_from(self.free_slots()).unwrap_or(u32::MAX),
            unattached: self.health.unattached(),
            running,
            draining: !self.phase.is_working(),
            started_at: self.began,
            seen_at: Timestamp::ZERO,
            watermarks: self.watermarks.tell(now),
            run_times: self.run_times.tell(),
        }
    }

    pub(super) fn on_worker_beat(&mut self, answer: Result<Vec<QueueName>, Error>) {
        let now = Instant::now();
        self.beats.worker.flying = false;
        self.beats.worker_beat(answer.is_ok(), now);
        let pulse = &mut self.beats.worker;
        if answer.is_err() {
            pulse.due = pulse.due.min(now + AGAIN).max(now + AGAIN / 4);
        }
        let due = pulse.due;
        self.wake_by(due);
        match answer {
            Ok(paused) => self.follow(paused),
            Err(error) => self.note_failure("register the worker", &error),
        }
    }

    /// Consumes what is not paused, and nothing else.
    fn follow(&mut self, paused: Vec<QueueName>) {
        if !matches!(self.phase, Phase::Working) {
            return;
        }
        self.paused = paused.into_iter().collect();
        for feed in &mut self.feeds {
            feed.consume(!self.paused.contains(feed.queue()));
        }
        self.empty_paused();
    }

    /// A claim found this queue paused.
    pub(super) fn pause(&mut self, queue: QueueName) {
        for feed in self.feeds.iter_mut().filter(|feed| *feed.queue() == queue) {
            feed.consume(false);
        }
        self.paused.insert(queue);
        self.empty_paused();
        let now = Instant::now();
        self.beats.hurry(now);
        self.wake_by(now);
    }

    /// Hands back what waits of paused queues.
    fn empty_paused(&mut self) {
        if self.paused.is_empty() {
            return;
        }
        let paused = &self.paused;
        let mut back = self.buffer.take_if(|held| paused.contains(&held.envelope.queue));
        back.extend(
            self.foreign
                .extract_if(.., |held| paused.contains(&held.envelope.queue)),
        );
        let solo = self
            .solo
            .take_if(|solo| paused.contains(&solo.held.envelope.queue));
        back.extend(solo.map(|solo| solo.held));
        for held in back {
            self.hand_back(held, GiveBackReason::Unstarted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_given_up_once_a_lease_after_its_last_answer() {
        let now = Instant::now();
        let mut beats = Beats::new(now);
        assert!(!beats.give_up(now + LEASE), "no beat failed");
        beats.worker_beat(true, now + BEAT);
        beats.worker_beat(false, now + BEAT * 2);
        assert!(!beats.give_up(now + LEASE));
        assert!(beats.give_up(now + BEAT + LEASE));
        assert!(!beats.give_up(now + LEASE * 9) && beats.have_given_up());
        beats.worker_beat(true, now + LEASE * 9);
        assert!(!beats.have_given_up());
    }
}
