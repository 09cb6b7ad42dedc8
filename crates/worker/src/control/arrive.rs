//! Deliveries come in and are sorted: to wait for a slot, to be handed back, to be put aside.

use bytes::Bytes;
use longshore_core::message::{Gen, Message, MessageJob};
use longshore_core::port::attempt::{GiveBackReason, Quarantined};
use longshore_core::port::broker::{Delivery, Payload, Undecodable};
use longshore_core::port::schedule::DeadLetter;
use longshore_core::{Envelope, JobId, Nonce, QueueName, envelope};
use tokio::time::Instant;

use super::Control;
use super::aside::Aside;
use super::delivery::{DeliveryKey, Life, Origin, Place};

/// What a feed tells.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A delivery.
    Came {
        /// The queue it came from.
        queue: QueueName,
        /// Its subscription.
        life: Life,
        /// What came.
        delivery: Box<Delivery>,
    },
    /// A subscription ended: what it delivered and was not acknowledged comes again.
    Ended {
        /// Its number.
        generation: u64,
    },
}

/// A delivered job that waits here.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) delivery: DeliveryKey,
    /// Where its delivery counts it.
    pub(super) place: Place,
    pub(super) shard: u16,
    pub(super) envelope: Envelope,
    pub(super) raw: Bytes,
    pub(super) gen_: Gen,
    pub(super) attempts: u32,
    pub(super) retries: u32,
    pub(super) losts: u32,
    pub(super) since: Instant,
    /// How often it was found busy.
    pub(super) looks: u32,
    /// Its record was made anew here.
    pub(super) rebuilt: bool,
    /// The nonce of a claim that may have been granted.
    pub(super) asked: Option<Nonce>,
}

impl Held {
    pub(super) const fn id(&self) -> JobId {
        self.envelope.id
    }
}

/// A delivered job that another owner runs, until its lease may be over.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) held: Box<Held>,
    pub(super) until: Instant,
}

impl Control {
    pub(super) fn on_arrival(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Ended { generation } => self.forget_generation(generation),
            Arrival::Came {
                queue,
                life,
                delivery,
            } => {
                let Delivery {
                    redelivered,
                    payload,
                    receipt,
                } = *delivery;
                let now = Instant::now();
                match payload {
                    Payload::Jobs(mut message) => {
                        if !redelivered {
                            self.watermarks
                                .saw(&message.queue, message.priority, message.published_at);
                        }
                        let origin = Some(Origin::from(&message));
                        let key = self
                            .deliveries
                            .insert(receipt, life, origin, message.jobs.len(), now);
                        self.deliveries.published_by(key, message.traceparent.take());
                        self.sort_message(key, message, now);
                    }
                    Payload::Undecodable(what) => {
                        let key = self.deliveries.insert(receipt, life, None, 1, now);
                        self.put_undecodable_aside(key, queue, what);
                    }
                    Payload::Dead(letter) => {
                        let key = self.deliveries.insert(receipt, life, None, 1, now);
                        self.asides.push(Aside::letter(key, queue, letter));
                    }
                }
            }
        }
    }

    fn sort_message(&mut self, delivery: DeliveryKey, message: Message, now: Instant) {
        let Message {
            id,
            queue,
            shard,
            jobs,
            ..
        } = message;
        let shards = self.ports.enqueue.shards();
        self.ahead.came(&queue, jobs.len());
        for job in jobs {
            let home = shards.of(&job.id);
            if home != shard {
                let reason = format!("the message is of shard {shard}, and the job's is {home}");
                self.put_job_aside(delivery, &queue, id, job, reason);
                continue;
            }
            match Envelope::decode(&job.envelope) {
                Ok(envelope) if envelope.id == job.id => {
                    let held = Box::new(hold(delivery, shard, envelope, job, now));
                    self.sort_job(held);
                }
                Ok(envelope) => {
                    let reason = format!(
                        "the envelope is of job {}, the message names {}",
                        envelope.id, job.id
                    );
                    self.put_job_aside(delivery, &queue, id, job, reason);
                }
                Err(envelope::Error::NewerSchema { found }) => {
                    tracing::warn!(id = %job.id, schema = found, "job of a newer schema is handed back");
                    let dispatch = (job.id, job.gen_);
                    let reason =
                        format!("its record is lost, and its envelope is of the newer schema {found}");
                    let message = job_aside(&queue, id, job, reason);
                    self.give_back_newer(delivery, shard, dispatch, message);
                }
                Err(error) => self.put_job_aside(delivery, &queue, id, job, error.to_string()),
            }
        }
    }

    /// A job of a readable envelope: waits for a slot, or goes back.
    fn sort_job(&mut self, held: Box<Held>) {
        if !self.phase.is_working() || self.paused.contains(&held.envelope.queue) {
            self.give_back(held, GiveBackReason::Unstarted);
        } else if self.registry.get(&held.envelope.function_name).is_none() {
            self.foreign.push(held);
            self.wake_by(Instant::now());
        } else {
            self.buffer.push(held.envelope.priority, held);
            self.wake_by(Instant::now() + super::relief::HOLD);
        }
    }

    fn put_job_aside(
        &mut self,
        delivery: DeliveryKey,
        queue: &QueueName,
        message_id: impl std::fmt::Display,
        job: MessageJob,
        reason: String,
    ) {
        tracing::warn!(id = %job.id, reason, "job is put into quarantine");
        self.asides.push(Aside {
            delivery,
            place: Place::Waiting,
            newer_schema: false,
            message: job_aside(queue, message_id, job, reason),
        });
    }

    fn put_undecodable_aside(&mut self, delivery: DeliveryKey, queue: QueueName, what: Undecodable) {
        tracing::warn!(
            message = what.message_id,
            reason = what.reason,
            "message cannot be read"
        );
        self.asides.push(Aside {
            delivery,
            place: Place::Waiting,
            newer_schema: what.newer_schema,
            message: Quarantined {
                message_id: what.message_id,
                queue,
                reason: what.reason,
                body: what.body,
                headers: what.headers,
                jobs: what.jobs.iter().map(|(id, _)| *id).collect(),
                dispatches: what.jobs,
            },
        });
    }

    /// Forgets what waits of a subscription that ended: it comes again.
    fn forget_generation(&mut self, generation: u64) {
        let deliveries = &self.deliveries;
        // One whose claim may have been granted is asked for again: nobody else would beat for it.
        let over = |held: &Held| {
            let of = deliveries.generation(held.delivery);
            held.asked.is_none() && of.is_none_or(|of| of == generation)
        };
        let mut gone = self.buffer.take_if(|held| over(held));
        gone.extend(self.foreign.extract_if(.., |held| over(held)));
        gone.extend(
            self.parked
                .extract_if(.., |parked| over(&parked.held))
                .map(|parked| parked.held),
        );
        gone.extend(self.solo.take_if(|solo| over(&solo.held)).map(|solo| solo.held));
        for held in gone {
            self.deliveries.abandon(held.delivery);
        }
    }
}

fn hold(delivery: DeliveryKey, shard: u16, envelope: Envelope, job: MessageJob, now: Instant) -> Held {
    Held {
        delivery,
        place: Place::Waiting,
        shard,
        envelope,
        raw: job.envelope,
        gen_: job.gen_,
        attempts: job.attempts,
        retries: job.retries,
        losts: job.losts,
        since: now,
        looks: 0,
        rebuilt: false,
        asked: None,
    }
}

/// One job of a message, for a person.
fn job_aside(
    queue: &QueueName,
    message_id: impl std::fmt::Display,
    job: MessageJob,
    reason: String,
) -> Quarantined {
    Quarantined {
        message_id: format!("{message_id}/{}", job.id),
        queue: queue.clone(),
        reason,
        body: job.envelope,
        headers: Vec::new(),
        jobs: vec![job.id],
        dispatches: vec![(job.id, job.gen_)],
    }
}

impl Aside {
    /// A dead letter does not belong in a queue of jobs.
    fn letter(delivery: DeliveryKey, queue: QueueName, letter: DeadLetter) -> Self {
        Self {
            delivery,
            place: Place::Waiting,
            newer_schema: false,
            message: Quarantined {
                message_id: format!("dead/{}/{}", letter.id, letter.gen_),
                queue,
                reason: "a dead letter came from a queue of jobs".to_owned(),
                body: letter.envelope,
                headers: Vec::new(),
                jobs: vec![letter.id],
                dispatches: Vec::new(),
            },
        }
    }
}
