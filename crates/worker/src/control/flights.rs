//! Calls to the store that are under way, and what to do with their answers.

use std::future::Future;
use std::time::Duration;

use longshore_core::limits::SCRIPT_JOBS_MAX;
use longshore_core::port::Error;
use longshore_core::port::attempt::{
    Beaten, Claim, Claimed, Finish, Finished, GivenBack, Rebuild, SlotsWanted, Then,
};
use longshore_core::port::enqueue::NewJob;
use longshore_core::telemetry::{Event, Repair};
use longshore_core::view::WorkerView;
use longshore_core::{Nonce, QueueName, WorkerId};
use tokio::time::Instant;

use super::Control;
use super::arrive::Held;
use super::running::{Attempt, Doing};

/// A call that takes longer counts as one whose outcome is unknown. Backends have shorter limits of their own; this
/// one keeps a call that never ends from stopping its lane.
const CALL_MAX: Duration = Duration::from_secs(15);

/// What a call of a shard carries: the ends of attempts and the claims for free slots.
#[derive(Debug)]
pub(super) enum Step {
    /// The end of this attempt.
    Finish(u64),
    /// A claim.
    Claim(Claiming),
}

/// A claim under way; it has a slot.
#[derive(Debug)]
pub(super) struct Claiming {
    pub(super) held: Box<Held>,
    /// The same for every try of the claim.
    pub(super) nonce: Nonce,
}

/// A record to be made anew.
#[derive(Debug)]
pub(super) enum Rebuilding {
    /// For a job that was delivered.
    Claim(Claiming),
    /// For a job that was given back.
    Back(Box<Held>),
    /// For an attempt whose beat found it missing, or (`then_finish`) whose end did.
    Attempt {
        /// The attempt.
        key: u64,
        /// Its end is told afterwards.
        then_finish: bool,
    },
}

/// Answers of calls.
#[derive(Debug)]
pub(super) enum Answer {
    Stepped(u16, Instant, Result<(Vec<Finished>, Vec<Claimed>), Error>),
    Rebuilt(u16, Instant, Result<Vec<Claimed>, Error>),
    Backed(u16, Result<Vec<GivenBack>, Error>),
    PutAside(Result<(), Error>),
    Beat(u16, Instant, Vec<u64>, Result<Vec<Beaten>, Error>),
    Progress(u16, Vec<u64>, Result<(), Error>),
    WorkerBeat(Result<Vec<QueueName>, Error>),
    Load(Result<(), Error>),
    Workers(Result<Vec<WorkerView>, Error>),
    Slots(Vec<SlotsWanted>, Result<Vec<u32>, Error>),
    /// The spans of parents were linked.
    Linked,
}

/// Awaits a call, but not for ever.
pub(super) async fn in_time<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match tokio::time::timeout(CALL_MAX, call).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::OutcomeUnknown { server: "the store" }),
    }
}

impl Control {
    pub(super) fn on_answer(&mut self, answer: Answer) {
        match answer {
            Answer::Stepped(shard, began, answer) => self.on_stepped(shard, began, answer),
            Answer::Rebuilt(shard, began, answer) => self.on_rebuilt(shard, began, answer),
            Answer::Backed(shard, answer) => self.on_backed(shard, answer),
            Answer::PutAside(answer) => self.on_put_aside(answer),
            Answer::Beat(shard, began, keys, answer) => self.on_beat(shard, began, &keys, answer),
            Answer::Progress(shard, keys, answer) => self.on_progress_written(shard, keys, &answer),
            Answer::WorkerBeat(answer) => self.on_worker_beat(answer),
            Answer::Load(answer) => self.on_load(answer),
            Answer::Linked => {}
            Answer::Slots(wanted, answer) => self.on_slots(&wanted, answer),
            Answer::Workers(answer) => {
                let workers = answer
                    .inspect_err(|error| self.note_failure("list workers", error))
                    .ok();
                self.peers.told(workers, &self.me, Instant::now());
                self.wake_by(Instant::now());
            }
        }
    }

    /// Makes every call that has something to carry.
    pub(super) fn launch(&mut self, now: Instant) {
        self.gathers_until = None;
        for shard in Self::shards_of(&self.steps) {
            if !self.gathers(shard, now) {
                self.launch_step(shard, now);
            }
        }
        for shard in Self::shards_of(&self.rebuilds) {
            self.launch_rebuild(shard, now);
        }
        self.launch_backs(now);
        self.launch_asides(now);
    }

    /// Whether a call of the shard waits for more: handlers run that are soon over, and their ends and successors may
    /// travel with it.
    fn gathers(&mut self, shard: u16, now: Instant) -> bool {
        let until = self.steps.get(&shard).and_then(|lane| lane.gathers_until(now));
        let Some(until) = until.filter(|_| self.running.active() > 0 && self.run_times.are_short()) else {
            return false;
        };
        self.gathers_until = Some(self.gathers_until.map_or(until, |known| known.min(until)));
        true
    }

    fn launch_step(&mut self, shard: u16, now: Instant) {
        let Some(steps) = self
            .steps
            .get_mut(&shard)
            .and_then(|lane| lane.depart(now, SCRIPT_JOBS_MAX))
        else {
            return;
        };
        let (mut finishes, mut claims) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Finish(key) => {
                    if let Some(Doing::Finish(finish)) = self.running.get(*key).map(|attempt| &attempt.doing)
                    {
                        finishes.push(Finish::clone(finish));
                    }
                }
                Step::Claim(claiming) => claims.push(Claim {
                    id: claiming.held.id(),
                    gen_: claiming.held.gen_,
                    nonce: claiming.nonce,
                    worker: self.me.clone(),
                }),
            }
        }
        let port = self.ports.attempt.clone();
        self.calls.push(Box::pin(async move {
            Answer::Stepped(shard, now, in_time(port.step(shard, finishes, claims)).await)
        }));
    }

    fn on_stepped(
        &mut self,
        shard: u16,
        began: Instant,
        answer: Result<(Vec<Finished>, Vec<Claimed>), Error>,
    ) {
        let lane = self.steps.entry(shard).or_default();
        let now = Instant::now();
        match answer {
            Ok((finished, claimed)) => {
                if !claimed.is_empty() {
                    self.ahead.took(now.duration_since(began));
                }
                let (mut finished, mut claimed) = (finished.into_iter(), claimed.into_iter());
                for step in lane.landed() {
                    match step {
                        Step::Finish(key) => match finished.next() {
                            Some(finished) => self.on_finished(key, finished),
                            None => self.steps.entry(shard).or_default().push(Step::Finish(key)),
                        },
                        Step::Claim(claiming) => match claimed.next() {
                            Some(claimed) => self.on_claimed(claiming, claimed, began),
                            None => self.steps.entry(shard).or_default().push(Step::Claim(claiming)),
                        },
                    }
                }
            }
            Err(error @ Error::Corrupt(_)) => {
                if let Some(step) = lane.refused(now, &*self.random) {
                    self.drop_step(step, &error);
                }
            }
            Err(error @ Error::Refused { .. }) => {
                lane.isolate(now, &*self.random);
                self.give_claims_up(shard, false);
                self.note_failure("claim and finish", &error);
            }
            Err(error @ Error::Forbidden { .. }) => {
                lane.isolate(now, &*self.random);
                // A right may lack in the middle of a script.
                self.give_claims_up(shard, true);
                self.note_failure("claim and finish", &error);
            }
            Err(error) => {
                lane.failed(now, &*self.random);
                self.give_claims_up(shard, matches!(error, Error::OutcomeUnknown { .. }));
                self.note_failure("claim and finish", &error);
                // Its answer tells whether the shard is away or the store.
                self.beats.hurry(now);
                self.wake_by(now);
            }
        }
    }

    /// Slots are for jobs of shards that answer: claims of one that does not go back to the buffer.
    fn give_claims_up(&mut self, shard: u16, is_unknown: bool) {
        // A draining worker has nothing else to start, and must learn what became of its claims.
        if !self.phase.is_working() {
            return;
        }
        let lane = self.steps.entry(shard).or_default();
        for step in lane
            .take_waiting(|step| matches!(step, Step::Claim(_)))
            .into_iter()
            .rev()
        {
            if let Step::Claim(claiming) = step {
                self.claim_failed(claiming, is_unknown);
            }
        }
    }

    /// One request that the store can never answer must not hold up the others of its shard.
    fn drop_step(&mut self, step: Step, error: &Error) {
        match step {
            Step::Finish(key) => {
                self.quarantine_attempt(key, &format!("its end cannot be recorded: {error}"));
            }
            Step::Claim(claiming) => {
                self.claim_over(&claiming.held);
                self.quarantine(*claiming.held, &format!("its record cannot be read: {error}"));
            }
        }
    }

    fn launch_rebuild(&mut self, shard: u16, now: Instant) {
        let Some(lane) = self.rebuilds.get_mut(&shard) else {
            return;
        };
        let running = &self.running;
        lane.retain_waiting(|job| match job {
            Rebuilding::Claim(_) | Rebuilding::Back(_) => true,
            Rebuilding::Attempt { key, .. } => running.get(*key).is_some(),
        });
        let Some(jobs) = self
            .rebuilds
            .get_mut(&shard)
            .and_then(|lane| lane.depart(now, SCRIPT_JOBS_MAX))
        else {
            return;
        };
        let (running, me) = (&self.running, &self.me);
        let requests = jobs
            .iter()
            .filter_map(|job| match job {
                Rebuilding::Claim(claiming) => {
                    Some(rebuild_held(&claiming.held, me, claiming.nonce, Then::Claim))
                }
                Rebuilding::Back(held) => Some(rebuild_held(held, me, Nonce(0), Then::GiveBack)),
                Rebuilding::Attempt { key, .. } => {
                    running.get(*key).map(|attempt| rebuild_attempt(attempt, me))
                }
            })
            .collect();
        let port = self.ports.attempt.clone();
        self.calls.push(Box::pin(async move {
            Answer::Rebuilt(shard, now, in_time(port.rebuild(shard, requests)).await)
        }));
    }

    fn on_rebuilt(&mut self, shard: u16, began: Instant, answer: Result<Vec<Claimed>, Error>) {
        let lane = self.rebuilds.entry(shard).or_default();
        let now = Instant::now();
        match answer {
            Ok(claimed) => {
                for (job, claimed) in lane.landed().into_iter().zip(claimed) {
                    if matches!(claimed, Claimed::Run(_)) {
                        self.stats.rebuilt.one();
                        self.ports.telemetry.repaired(Repair::RecordRebuilt, 1);
                    }
                    match job {
                        Rebuilding::Claim(claiming) => self.on_claimed(claiming, claimed, began),
                        Rebuilding::Back(held) => {
                            self.count_given_back();
                            self.deliveries.settle(held.delivery, held.place);
                        }
                        Rebuilding::Attempt { key, then_finish } => {
                            self.on_attempt_rebuilt(key, then_finish, &claimed, began);
                        }
                    }
                }
            }
            Err(error @ Error::Corrupt(_)) => match lane.refused(now, &*self.random) {
                Some(Rebuilding::Claim(claiming)) => self.drop_step(Step::Claim(claiming), &error),
                Some(Rebuilding::Back(held)) => {
                    self.quarantine(*held, &format!("its record cannot be made anew: {error}"));
                }
                Some(Rebuilding::Attempt {
                    key,
                    then_finish: true,
                }) => self.quarantine_attempt(key, &format!("its record cannot be made anew: {error}")),
                Some(Rebuilding::Attempt { key, .. }) => self.stop(key, super::settle::StopReason::Lost, now),
                None => {}
            },
            Err(error) => {
                lane.failed(now, &*self.random);
                self.note_failure("rebuild records", &error);
            }
        }
    }

    /// A job was given back without a start.
    pub(super) fn count_given_back(&self) {
        self.stats.given_back.one();
        self.ports.telemetry.observe(&Event::GivenBack { jobs: 1 });
    }

    /// A call to the store failed; it is made again.
    pub(super) fn note_failure(&self, what: &'static str, error: &Error) {
        self.stats.store_errors.one();
        tracing::warn!(%error, "failed to {what}; trying again");
    }

    /// Whether nothing can be claimed: the worker's own beat failed, or the last call of every shard.
    pub(super) fn store_is_away(&self, now: Instant) -> bool {
        let fails = |shard: u16| self.steps.get(&shard).is_some_and(|lane| lane.is_failing(now));
        self.beats.is_failing() || self.ports.enqueue.shards().all().all(fails)
    }
}

fn rebuild_attempt(attempt: &Attempt, me: &WorkerId) -> Rebuild {
    Rebuild {
        job: NewJob::from_envelope(attempt.envelope(), attempt.raw.clone()),
        gen_: attempt.gen_,
        attempts: attempt.ctx.attempt(),
        retries: attempt.retries,
        losts: attempt.losts,
        nonce: attempt.nonce,
        worker: me.clone(),
        then: Then::GoOn,
    }
}

fn rebuild_held(held: &Held, me: &WorkerId, nonce: Nonce, then: Then) -> Rebuild {
    Rebuild {
        job: NewJob::from_envelope(&held.envelope, held.raw.clone()),
        gen_: held.gen_,
        attempts: held.attempts,
        retries: held.retries,
        losts: held.losts,
        nonce,
        worker: me.clone(),
        then,
    }
}
