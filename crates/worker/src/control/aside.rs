//! Jobs that go back unstarted, and messages that go into quarantine.

use std::collections::BTreeMap;

use longshore_core::message::Gen;
use longshore_core::port::attempt::{GiveBack, GiveBackReason, Quarantined};
use longshore_core::port::{Error, Ports};
use longshore_core::view::Detail;
use longshore_core::{JobId, JobStatus};
use tokio::time::Instant;

use super::Control;
use super::arrive::Held;
use super::delivery::{DeliveryKey, Place};
use super::flights::{Answer, in_time};
use longshore_core::limits::SCRIPT_JOBS_MAX;

/// Messages put aside in one call; their bodies may be large.
const ASIDES_MAX: usize = 16;

/// A job on its way back.
#[derive(Debug)]
pub(super) struct Back {
    delivery: DeliveryKey,
    place: Place,
    what: GiveBack,
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
    pub(super) fn give_back(&mut self, held: &Held, reason: GiveBackReason) {
        let (id, gen_) = (held.id(), held.gen_);
        self.give_back_as(held.delivery, held.place, held.shard, id, gen_, reason);
    }

    pub(super) fn give_back_as(
        &mut self,
        delivery: DeliveryKey,
        place: Place,
        shard: u16,
        id: JobId,
        gen_: Gen,
        reason: GiveBackReason,
    ) {
        let what = GiveBack { id, gen_, reason };
        let back = Back {
            delivery,
            place,
            what,
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
            },
        });
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

    pub(super) fn on_backed(&mut self, shard: u16, answer: Result<(), Error>) {
        let now = Instant::now();
        let lane = self.backs.entry(shard).or_default();
        match answer {
            Ok(()) => {
                for back in lane.landed() {
                    self.stats.given_back.one();
                    self.deliveries.settle(back.delivery, back.place);
                }
            }
            Err(error @ Error::Corrupt(_)) => {
                if let Some(back) = lane.refused(now, &*self.random) {
                    tracing::error!(id = %back.what.id, %error, "job cannot be given back; its message is kept");
                    self.deliveries.abandon(back.delivery);
                }
            }
            Err(error) => {
                lane.failed(now, &*self.random);
                self.note_failure("give jobs back", &error);
            }
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
                    self.stats.quarantined.add(usize::from(!aside.newer_schema));
                    self.deliveries.settle(aside.delivery, aside.place);
                }
            }
            Err(error @ Error::Corrupt(_)) => {
                if let Some(aside) = self.asides.refused(now, &*self.random) {
                    let message = aside.message.message_id;
                    tracing::error!(message, %error, "message cannot be put into quarantine; it is kept");
                    self.deliveries.abandon(aside.delivery);
                }
            }
            Err(error) => {
                self.asides.failed(now, &*self.random);
                self.note_failure("put messages into quarantine", &error);
            }
        }
    }
}

/// Hands jobs of newer schemas back where their records tell the gen, and puts everything else into quarantine.
async fn put_aside(ports: &Ports, messages: Vec<(bool, Quarantined)>) -> Result<(), Error> {
    let mut rest = Vec::with_capacity(messages.len());
    for (newer_schema, mut message) in messages {
        if newer_schema {
            message.jobs = hand_back_known(ports, message.jobs).await?;
        }
        if !newer_schema || !message.jobs.is_empty() {
            rest.push(message);
        }
    }
    if rest.is_empty() {
        return Ok(());
    }
    ports.attempt.quarantine(rest).await
}

/// Hands back those of `ids` that are Queued; answers which are unknown.
async fn hand_back_known(ports: &Ports, ids: Vec<JobId>) -> Result<Vec<JobId>, Error> {
    let shards = ports.enqueue.shards();
    let mut by_shard: BTreeMap<u16, Vec<JobId>> = BTreeMap::new();
    for id in ids {
        by_shard.entry(shards.of(&id)).or_default().push(id);
    }
    let mut unknown = Vec::new();
    for (shard, ids) in by_shard {
        let views = ports.inspect.jobs(shard, ids.clone(), Detail::Summary).await?;
        let mut backs = Vec::new();
        for (id, view) in ids.into_iter().zip(views) {
            match view {
                Some(job) if job.status == JobStatus::Queued => backs.push(GiveBack {
                    id,
                    gen_: job.gen_,
                    reason: GiveBackReason::NotRunnable,
                }),
                Some(_) => {}
                None => unknown.push(id),
            }
        }
        if !backs.is_empty() {
            ports.attempt.give_back(shard, backs).await?;
        }
    }
    Ok(unknown)
}
