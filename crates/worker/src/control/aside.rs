//! Jobs that go back unstarted, and messages that go into quarantine.

use std::collections::BTreeMap;

use bytes::Bytes;
use longshore_core::limits::SCRIPT_JOBS_MAX;
use longshore_core::message::{Epoch, Gen};
use longshore_core::port::attempt::{GiveBack, GiveBackReason, GivenBack, Quarantined};
use longshore_core::port::{Error, Ports};
use longshore_core::view::Detail;
use longshore_core::{JobId, JobStatus};
use tokio::time::Instant;

use super::Control;
use super::arrive::Held;
use super::delivery::{DeliveryKey, Place};
use super::flights::{Answer, Rebuilding, in_time};

/// Messages put aside in one call; their bodies may be large.
const ASIDES_MAX: usize = 16;
/// Why a job without a record is put aside.
const RECORD_LOST: &str = "its record is lost";

/// A job on its way back.
#[derive(Debug)]
pub(super) struct Back {
    delivery: DeliveryKey,
    place: Place,
    what: GiveBack,
    body: Body,
}

/// What a job is made from again when its record turns out to be lost.
#[derive(Debug)]
enum Body {
    /// Its envelope.
    Read(Box<Held>),
    /// Nothing: its envelope is of a newer schema, and a person must decide.
    Newer(Quarantined),
}

/// A message on its way aside.
#[derive(Debug)]
pub(super) struct Aside {
    pub(super) delivery: DeliveryKey,
    pub(super) place: Place,
    /// Its jobs are handed back where their records are known.
    pub(super) newer_schema: bool,
    pub(super) message: Quarantined,
}

impl Control {
    /// Gives a job back that waits here.
    pub(super) fn give_back(&mut self, held: Box<Held>, reason: GiveBackReason) {
        let shard = held.shard;
        let back = Back {
            delivery: held.delivery,
            place: held.place,
            what: GiveBack {
                id: held.id(),
                gen_: held.gen_,
                reason,
            },
            body: Body::Read(held),
        };
        self.backs.entry(shard).or_default().push(back);
    }

    /// Gives a job of a newer schema back; `message` goes into quarantine if it has no record.
    pub(super) fn give_back_newer(
        &mut self,
        delivery: DeliveryKey,
        shard: u16,
        (id, gen_): (JobId, Gen),
        message: Quarantined,
    ) {
        let back = Back {
            delivery,
            place: Place::Waiting,
            what: GiveBack {
                id,
                gen_,
                reason: GiveBackReason::NotRunnable,
            },
            body: Body::Newer(message),
        };
        self.backs.entry(shard).or_default().push(back);
    }

    /// Puts a job that waits here into quarantine.
    pub(super) fn quarantine(&mut self, held: Held, reason: &str) {
        tracing::warn!(id = %held.id(), reason, "job is put into quarantine");
        self.asides.push(Aside {
            delivery: held.delivery,
            place: held.place,
            newer_schema: false,
            message: Quarantined {
                message_id: format!("job/{}/{}", held.envelope.id, held.gen_),
                queue: held.envelope.queue.clone(),
                reason: reason.to_owned(),
                body: held.raw,
                headers: Vec::new(),
                jobs: vec![held.envelope.id],
                dispatches: vec![(held.envelope.id, held.gen_)],
            },
        });
    }

    /// Puts a job that was claimed and has no record into quarantine. One whose delivery has ended with its subscription
    /// is forgotten instead: its message comes again, and tells when it was published and in which epoch.
    pub(super) fn put_lost_aside(&mut self, held: Held) {
        if self.deliveries.origin(held.delivery).is_some() {
            self.quarantine(held, RECORD_LOST);
        }
    }

    /// Puts a job into quarantine whose attempt has ended and whose end cannot be told. Its message is acknowledged
    /// after that; the record is left alone, since whatever it says cannot be read.
    pub(super) fn quarantine_attempt(&mut self, key: u64, reason: &str) {
        let Some(attempt) = self.running.remove(key) else {
            return;
        };
        let envelope = attempt.envelope();
        tracing::error!(id = %envelope.id, reason, "job is put into quarantine");
        self.asides.push(Aside {
            delivery: attempt.delivery,
            place: Place::Running,
            newer_schema: false,
            message: Quarantined {
                message_id: format!("job/{}/{}", envelope.id, attempt.gen_),
                queue: envelope.queue.clone(),
                reason: reason.to_owned(),
                body: attempt.raw.clone(),
                headers: Vec::new(),
                jobs: Vec::new(),
                dispatches: Vec::new(),
            },
        });
        self.look_again(attempt.id());
    }

    pub(super) fn launch_backs(&mut self, now: Instant) {
        for (&shard, lane) in &mut self.backs {
            let Some(backs) = lane.depart(now, SCRIPT_JOBS_MAX) else {
                continue;
            };
            let jobs: Vec<_> = backs.iter().map(|back| back.what.clone()).collect();
            let port = self.ports.attempt.clone();
            self.calls.push(Box::pin(async move {
                Answer::Backed(shard, in_time(port.give_back(shard, jobs)).await)
            }));
        }
    }

    pub(super) fn on_backed(&mut self, shard: u16, answer: Result<Vec<GivenBack>, Error>) {
        let now = Instant::now();
        let lane = self.backs.entry(shard).or_default();
        match answer {
            Ok(given) => {
                for (back, given) in lane.landed().into_iter().zip(given) {
                    match given {
                        GivenBack::Back | GivenBack::Stale => {
                            self.count_given_back();
                            self.deliveries.settle(back.delivery, back.place);
                        }
                        GivenBack::Missing { epoch } => self.on_back_missing(back, epoch),
                    }
                }
            }
            Err(error @ Error::Corrupt(_)) => {
                if let Some(back) = lane.refused(now, &*self.random) {
                    self.quarantine_back(back, &format!("its record cannot be read: {error}"));
                }
            }
            Err(error) => {
                lane.failed(now, &*self.random);
                self.note_failure("give jobs back", &error);
            }
        }
    }

    /// The message of a job without a record may be all that is left of it.
    fn on_back_missing(&mut self, back: Back, epoch: Epoch) {
        match back.body {
            // The broker has it again once its subscription ends, for whoever comes next.
            _ if !self.phase.is_working() => self.deliveries.abandon(back.delivery),
            Body::Read(held) if self.may_rebuild(&held, epoch) => {
                let lane = self.rebuilds.entry(held.shard).or_default();
                lane.push(Rebuilding::Back(held));
            }
            // As of a claim: the message comes again.
            _ if self.deliveries.origin(back.delivery).is_none() => {}
            body => self.quarantine_back(Back { body, ..back }, RECORD_LOST),
        }
    }

    fn quarantine_back(&mut self, back: Back, reason: &str) {
        match back.body {
            Body::Read(held) => self.quarantine(*held, reason),
            Body::Newer(message) => self.asides.push(Aside {
                delivery: back.delivery,
                place: back.place,
                newer_schema: false,
                message,
            }),
        }
    }

    pub(super) fn launch_asides(&mut self, now: Instant) {
        let Some(asides) = self.asides.depart(now, ASIDES_MAX) else {
            return;
        };
        let messages = asides
            .iter()
            .map(|aside| (aside.newer_schema, aside.message.clone()))
            .collect();
        let ports = self.ports.clone();
        self.calls.push(Box::pin(async move {
            Answer::PutAside(in_time(put_aside(&ports, messages)).await)
        }));
    }

    pub(super) fn on_put_aside(&mut self, answer: Result<(), Error>) {
        let now = Instant::now();
        match answer {
            Ok(()) => {
                for aside in self.asides.landed() {
                    let count = usize::from(!aside.newer_schema);
                    self.stats.quarantined.add(count);
                    self.ports
                        .telemetry
                        .repaired(longshore_core::telemetry::Repair::Quarantined, count);
                    self.deliveries.settle(aside.delivery, aside.place);
                }
            }
            Err(error @ Error::Corrupt(_)) => {
                if let Some(mut aside) = self.asides.refused(now, &*self.random) {
                    let message = &aside.message.message_id;
                    tracing::error!(message, %error, "message cannot be put into quarantine as it is; its body is cut");
                    aside.newer_schema = false;
                    aside.message.body = Bytes::new();
                    aside.message.headers.clear();
                    aside.message.jobs.clear();
                    aside.message.dispatches.clear();
                    self.asides.push_late(aside, now);
                }
            }
            Err(error @ (Error::Refused { .. } | Error::Forbidden { .. })) => {
                // One that finds no room stays in the broker, and the others go past it.
                if let Some(aside) = self.asides.refused(now, &*self.random) {
                    self.asides.push_late(aside, now);
                }
                self.note_failure("put messages into quarantine", &error);
            }
            Err(error) => {
                self.asides.failed(now, &*self.random);
                self.note_failure("put messages into quarantine", &error);
            }
        }
    }
}

/// Hands jobs of newer schemas back where their records tell the gen, and puts everything else into quarantine. That
/// first: it is the same when it is repeated, a job handed back again would come later and later.
async fn put_aside(ports: &Ports, messages: Vec<(bool, Quarantined)>) -> Result<(), Error> {
    let (mut rest, mut backs) = (Vec::with_capacity(messages.len()), BTreeMap::new());
    for (newer_schema, mut message) in messages {
        if newer_schema {
            message.jobs = unknown_of(ports, message.jobs, &mut backs).await?;
            // None of them waits for it.
            message.dispatches.clear();
        }
        if !newer_schema || !message.jobs.is_empty() {
            rest.push(message);
        }
    }
    if !rest.is_empty() {
        ports.attempt.quarantine(rest).await?;
    }
    for (shard, backs) in backs {
        let given = ports.attempt.give_back(shard, backs).await?;
        if given
            .iter()
            .any(|given| matches!(given, GivenBack::Missing { .. }))
        {
            // The record went away between the two calls: its message is looked at again.
            return Err(Error::OutcomeUnknown { server: "the store" });
        }
    }
    Ok(())
}

/// Those of `ids` that no record knows. Those that are Queued are added to what is handed back, by shard.
async fn unknown_of(
    ports: &Ports,
    ids: Vec<JobId>,
    backs: &mut BTreeMap<u16, Vec<GiveBack>>,
) -> Result<Vec<JobId>, Error> {
    let shards = ports.enqueue.shards();
    let mut by_shard: BTreeMap<u16, Vec<JobId>> = BTreeMap::new();
    for id in ids {
        by_shard.entry(shards.of(&id)).or_default().push(id);
    }
    let mut unknown = Vec::new();
    for (shard, ids) in by_shard {
        let views = ports.inspect.jobs(shard, ids.clone(), Detail::Summary).await?;
        for (id, view) in ids.into_iter().zip(views) {
            match view {
                Some(job) if job.status == JobStatus::Queued => {
                    backs.entry(shard).or_default().push(GiveBack {
                        id,
                        gen_: job.gen_,
                        reason: GiveBackReason::NotRunnable,
                    });
                }
                Some(_) => {}
                None => unknown.push(id),
            }
        }
    }
    Ok(unknown)
}
