//! The worker's side.

use std::time::Duration;

use longshore_core::clock::{Timestamp, duration_millis};
use longshore_core::id::{JobId, Nonce, WorkerId};
use longshore_core::limits::BEAT;
use longshore_core::message::Gen;
use longshore_core::name::QueueName;
use longshore_core::outcome::{ErrorInfo, Outcome, Progress};
use longshore_core::port::attempt::{
    AttemptPort, Beaten, Claim, Claimed, Finish, Finished, GiveBack, GiveBackReason, GivenBack, Grant, Hints,
    Over, ProgressWrite, Quarantined, Rebuild, SlotsWanted, Then,
};
use longshore_core::port::enqueue::ParentOutcome;
use longshore_core::port::{Error, Reply};
use longshore_core::view::WorkerView;

use super::Store;
use super::call::{Call, calls, light, prefix};
use super::enqueue::{odd, outcome};
use super::reply::{Reader, pack, parse_id, status};
use super::script;

mod aside;
mod workers;

pub(super) use aside::QUARANTINE;
pub(super) use workers::{Pauses, WORKERS};

impl AttemptPort for Store {
    fn step(
        &self,
        shard: u16,
        finishes: Vec<Finish>,
        claims: Vec<Claim>,
    ) -> Reply<'_, (Vec<Finished>, Vec<Claimed>)> {
        Box::pin(self.step_in_calls(shard, finishes, claims))
    }

    fn rebuild(&self, shard: u16, jobs: Vec<Rebuild>) -> Reply<'_, Vec<Claimed>> {
        Box::pin(async move {
            let mut claimed = Vec::with_capacity(jobs.len());
            for jobs in calls(&jobs, |ask| ask.job.envelope.len()) {
                let mut call = Self::script(&script::REBUILD, shard);
                for ask in jobs {
                    call.job(&ask.job)
                        .arg(ask.gen_)
                        .arg(ask.attempts)
                        .arg(ask.retries)
                        .arg(ask.losts)
                        .nonce(ask.nonce)
                        .arg(ask.worker.0.as_str())
                        .arg(match ask.then {
                            Then::Claim => "claim",
                            Then::GoOn => "go_on",
                            Then::GiveBack => "give_back",
                        });
                }
                let mut answer = self.run(&call).await?;
                for _ in jobs {
                    claimed.push(claim_answer(&mut answer)?);
                }
            }
            Ok(claimed)
        })
    }

    fn beat(&self, shard: u16, claims: Vec<(JobId, Nonce)>) -> Reply<'_, Vec<Beaten>> {
        Box::pin(async move {
            let mut beaten = Vec::with_capacity(claims.len());
            for claims in calls(&claims, light) {
                let mut call = Self::script(&script::BEAT, shard);
                for (id, nonce) in claims {
                    call.id(*id).nonce(*nonce);
                }
                let mut answer = self.run(&call).await?;
                for _ in claims {
                    beaten.push(match answer.signed()? {
                        -2 => Beaten::Missing,
                        -1 => Beaten::Lost,
                        flag => Beaten::Alive {
                            cancel_requested: flag == 1,
                        },
                    });
                }
            }
            Ok(beaten)
        })
    }

    fn give_back(&self, shard: u16, jobs: Vec<GiveBack>) -> Reply<'_, Vec<GivenBack>> {
        Box::pin(async move {
            let mut given = Vec::with_capacity(jobs.len());
            for jobs in calls(&jobs, light) {
                let mut call = Self::script(&script::GIVE_BACK, shard);
                for job in jobs {
                    let (reason, function) = match &job.reason {
                        GiveBackReason::Unstarted => ("unstarted", ""),
                        GiveBackReason::NotRunnable => ("not_runnable", ""),
                        GiveBackReason::Elsewhere => ("elsewhere", ""),
                        GiveBackReason::Park(function) => ("park", function.as_str()),
                    };
                    call.id(job.id).arg(job.gen_).arg(reason).arg(function);
                }
                let mut answer = self.run(&call).await?;
                let epoch = answer.number()?;
                for _ in jobs {
                    given.push(match answer.signed()? {
                        -1 => GivenBack::Missing { epoch },
                        0 => GivenBack::Stale,
                        _ => GivenBack::Back,
                    });
                }
            }
            Ok(given)
        })
    }

    fn progress(&self, shard: u16, updates: Vec<ProgressWrite>) -> Reply<'_, ()> {
        Box::pin(async move {
            for updates in calls(&updates, |update| log_bytes(&update.progress)) {
                let mut call = Self::script(&script::PROGRESS, shard);
                for update in updates {
                    call.id(update.id).nonce(update.nonce).arg(pack(&update.progress));
                    put_lines(&mut call, Some(&update.progress));
                }
                self.0.link.run(&call).await?;
            }
            Ok(())
        })
    }

    fn parents(&self, shard: u16, child: JobId) -> Reply<'_, Vec<(JobId, ParentOutcome)>> {
        Box::pin(async move {
            let mut get = redis::cmd("HGETALL");
            get.arg(format!("{}pr:{}", prefix(shard), child.to_hex()));
            parent_outcomes(self.0.link.command(&get).await?)
        })
    }

    fn quarantine(&self, messages: Vec<Quarantined>) -> Reply<'_, ()> {
        Box::pin(self.put_aside(messages))
    }

    fn worker_beat(&self, worker: WorkerView) -> Reply<'_, Vec<QueueName>> {
        Box::pin(self.beat_of_worker(worker))
    }

    fn worker_load(&self, worker: WorkerView) -> Reply<'_, ()> {
        Box::pin(async move { self.register(&worker, true).await })
    }

    fn take_slots(&self, worker: WorkerId, wanted: Vec<SlotsWanted>) -> Reply<'_, Vec<u32>> {
        Box::pin(async move { self.slots_of_others(&worker, &wanted).await })
    }

    fn worker_gone(&self, worker: WorkerId) -> Reply<'_, ()> {
        Box::pin(self.forget_worker(worker))
    }

    fn hints(&self) -> Reply<'_, Box<dyn Hints>> {
        Box::pin(async move { self.0.hub.hints().await })
    }
}

impl Store {
    async fn step_in_calls(
        &self,
        shard: u16,
        finishes: Vec<Finish>,
        claims: Vec<Claim>,
    ) -> Result<(Vec<Finished>, Vec<Claimed>), Error> {
        let mut finished = Vec::with_capacity(finishes.len());
        let mut claimed = Vec::with_capacity(claims.len());
        let bytes = |ask: &Finish| outcome_bytes(&ask.outcome) + ask.progress.as_ref().map_or(0, log_bytes);
        let mut finishing = calls(&finishes, bytes).into_iter().peekable();
        // A call names one worker.
        let of_one = claims.chunk_by(|one, other| one.worker == other.worker);
        let mut claiming = of_one.flat_map(|claims| calls(claims, light));
        // The last finishes and the first claims travel together.
        while let Some(finishes) = finishing.next() {
            let claims = match finishing.peek() {
                None => claiming.next().unwrap_or_default(),
                Some(_) => &[],
            };
            self.step_once(shard, finishes, claims, &mut finished, &mut claimed)
                .await?;
        }
        for claims in claiming {
            self.step_once(shard, &[], claims, &mut finished, &mut claimed)
                .await?;
        }
        Ok((finished, claimed))
    }

    async fn step_once(
        &self,
        shard: u16,
        finishes: &[Finish],
        claims: &[Claim],
        finished: &mut Vec<Finished>,
        claimed: &mut Vec<Claimed>,
    ) -> Result<(), Error> {
        let mut call = Self::script(&script::STEP, shard);
        call.arg(claims.first().map_or("", |ask| ask.worker.0.as_str()));
        put_finishes(&mut call, finishes);
        for ask in claims {
            call.id(ask.id).arg(ask.gen_).nonce(ask.nonce);
        }
        // A claim alone promises nothing that a lost write could break.
        let mut answer = match finishes {
            [] => self.run(&call).await?,
            _ => self.run_strictly(&call).await?,
        };
        let now_us = answer.number()?;
        for _ in finishes {
            finished.push(match answer.signed()? {
                -2 => Finished::Missing,
                -1 => Finished::Lost,
                code => Finished::Accepted(status(code.unsigned_abs())?),
            });
        }
        for ask in claims {
            claimed.push(step_answer(&mut answer, ask.gen_, now_us)?);
        }
        Ok(())
    }
}

/// The finishes of a call: the plain ones that lead them, then the others.
fn put_finishes(call: &mut Call, finishes: &[Finish]) {
    let plain = finishes
        .iter()
        .position(|ask| plain_result(ask).is_none())
        .unwrap_or(finishes.len());
    let (plain, others) = finishes.split_at(plain);
    call.arg(plain.len());
    for ask in plain {
        call.id(ask.id)
            .nonce(ask.nonce)
            .arg(plain_result(ask).unwrap_or_default());
    }
    call.arg(others.len());
    for ask in others {
        put_finish(call, ask);
    }
}

/// The result of a finish that completes a job and says nothing else.
fn plain_result(ask: &Finish) -> Option<&[u8]> {
    match &ask.outcome {
        Outcome::Completed { result } if ask.progress.is_none() => Some(result),
        _ => None,
    }
}

fn outcome_bytes(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Completed { result } => result.len(),
        _ => 0,
    }
}

fn put_finish(call: &mut Call, ask: &Finish) {
    call.id(ask.id).nonce(ask.nonce);
    match &ask.outcome {
        Outcome::Completed { result } => put_outcome(call, "completed", Duration::ZERO, result, None),
        Outcome::Failed { error } => put_outcome(call, "failed", Duration::ZERO, &pack(error), Some(error)),
        Outcome::Retry { delay, error } => put_outcome(call, "retry", *delay, &pack(error), Some(error)),
        Outcome::Snooze { delay } => put_outcome(call, "snooze", *delay, &[], None),
        Outcome::Released => put_outcome(call, "released", Duration::ZERO, &[], None),
        Outcome::Cancelled => put_outcome(call, "cancelled", Duration::ZERO, &[], None),
        Outcome::Expired => put_outcome(call, "expired", Duration::ZERO, &[], None),
    }
    call.opt(ask.progress.as_ref().map(pack));
    put_lines(call, ask.progress.as_ref());
}

/// The lines of an update, as `read_lines` in the scripts reads them.
fn put_lines(call: &mut Call, progress: Option<&Progress>) {
    let lines = progress.map_or(&[][..], |progress| &progress.log);
    call.arg(lines.len());
    for line in lines {
        call.arg(line.number).arg(pack(line));
    }
}

fn log_bytes(progress: &Progress) -> usize {
    progress.log.iter().map(|line| line.text.len()).sum()
}

fn put_outcome(call: &mut Call, name: &str, delay: Duration, data: &[u8], error: Option<&ErrorInfo>) {
    call.arg(name)
        .arg(duration_millis(delay))
        .arg(data)
        .opt(error.map(ErrorInfo::line));
}

/// The answer to a claim of this gen in a call that ran at `now_us`.
fn step_answer(answer: &mut Reader, gen_: Gen, now_us: u64) -> Result<Claimed, Error> {
    let word = answer.bytes()?;
    if &*word != b"first" {
        return claimed(&String::from_utf8_lossy(&word), answer);
    }
    Ok(Claimed::Run(Grant {
        attempt: 1,
        retries: 0,
        losts: 0,
        fence: now_us,
        gen_,
        started_at: Timestamp(now_us / 1_000),
        cancel_requested: false,
    }))
}

fn claim_answer(answer: &mut Reader) -> Result<Claimed, Error> {
    let word = answer.text()?;
    claimed(&word, answer)
}

fn claimed(word: &str, answer: &mut Reader) -> Result<Claimed, Error> {
    match word {
        "run" => Ok(Claimed::Run(Grant {
            attempt: answer.small()?,
            retries: answer.small()?,
            losts: answer.small()?,
            fence: answer.number()?,
            gen_: answer.small()?,
            started_at: answer.time()?,
            cancel_requested: answer.number()? == 1,
        })),
        "ended" => Ok(Claimed::Over(Over::Ended(answer.status()?))),
        "stale" => Ok(Claimed::Over(Over::Stale)),
        "busy" => Ok(Claimed::Busy {
            retry_in: Duration::from_millis(answer.number()?),
        }),
        "missing" => Ok(Claimed::Missing {
            epoch: answer.number()?,
        }),
        "paused" => Ok(Claimed::Paused),
        other => Err(odd(other)),
    }
}

fn parent_outcomes(value: redis::Value) -> Result<Vec<(JobId, ParentOutcome)>, Error> {
    let rows: Vec<(Vec<u8>, Vec<u8>)> = redis::from_redis_value(value)
        .map_err(|error| Error::Corrupt(format!("outcomes of parents: {error}")))?;
    let mut outcomes = rows
        .iter()
        .map(|(parent, kept)| {
            let (letter, result) = kept.split_at_checked(1).unwrap_or_default();
            let result = (!result.is_empty()).then(|| result.to_vec().into());
            Ok((
                parse_id(parent)?,
                outcome(&String::from_utf8_lossy(letter), result)?,
            ))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    outcomes.sort_unstable_by_key(|(parent, _)| *parent);
    Ok(outcomes)
}

/// A worker counts as live for three beats.
pub(super) fn live_for() -> u64 {
    duration_millis(BEAT * 3)
}
