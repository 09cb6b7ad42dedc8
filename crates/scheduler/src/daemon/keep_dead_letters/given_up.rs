//! What the broker itself gave up: messages over their delivery limit, or refused by their queue.

use std::collections::BTreeSet;

use longshore_core::JobId;
use longshore_core::QueueName;
use longshore_core::message::Message;
use longshore_core::port;
use longshore_core::port::attempt::Quarantined;
use longshore_core::port::broker::{Delivery, Payload, Source, Subscription, Undecodable};

use super::{Next, next, subscribe};
use crate::context::Context;
use crate::daemon::Daemon;
use crate::error::Error;
use crate::publisher;
use crate::status::Done;

/// Unacknowledged deliveries at once.
const PREFETCH: u16 = 100;
/// Deliveries that one pass takes.
const PASS: u64 = 10_000;

/// Hands every message to the store, or to quarantine, and acknowledges it then. The subscription is kept for the next
/// pass unless something failed.
pub(super) async fn drain(cx: &Context, kept: &mut Option<Box<dyn Subscription>>) -> Result<Done, Error> {
    let mut subscription = match kept.take() {
        Some(subscription) => subscription,
        None => subscribe(cx, Source::GivenUp, PREFETCH).await?,
    };
    let (mut rows, mut refused) = (0, false);
    while rows < PASS && !cx.is_stopping() {
        match next(subscription.as_mut()).await {
            Next::Delivery(delivery) => match take(cx, *delivery).await {
                // No room in the quarantine: it comes again with the next subscription, and the others go on.
                Err(Error::Port(error @ (port::Error::Refused { .. } | port::Error::Forbidden { .. }))) => {
                    tracing::warn!(%error, "a message that the broker gave up cannot be put aside");
                    refused = true;
                }
                taken => taken?,
            },
            Next::Quiet => break,
            Next::Ended => return Ok(Done::rows(rows)),
        }
        rows += 1;
    }
    if !refused {
        *kept = Some(subscription);
    }
    if rows > 0 {
        tracing::warn!(messages = rows, "the broker had given messages up");
        cx.wakes.wake(Daemon::DispatchOutbox);
    }
    Ok(Done {
        rows,
        more: rows >= PASS,
        unconfirmed: 0,
    })
}

pub(crate) async fn take(cx: &Context, delivery: Delivery) -> Result<(), Error> {
    match delivery.payload {
        Payload::Jobs(message) => jobs(cx, message).await?,
        Payload::Dead(letter) => publisher::check(&cx.ports.publish.archive(vec![letter]).await)?,
        Payload::Undecodable(message) => cx.ports.attempt.quarantine(vec![undecodable(message)]).await?,
    }
    delivery.receipt.ack();
    Ok(())
}

async fn jobs(cx: &Context, message: Message) -> Result<(), Error> {
    let gens: Vec<_> = message.jobs.iter().map(|job| (job.id, job.gen_)).collect();
    let unknown = cx.ports.schedule.broker_gave_up(message.shard, gens).await?;
    let unknown: BTreeSet<JobId> = unknown.into_iter().collect();
    if !unknown.is_empty() {
        cx.ports.attempt.quarantine(strays(message, &unknown)).await?;
    }
    Ok(())
}

/// Jobs that no record knows, one entry a job, so that each keeps its own envelope.
fn strays(message: Message, unknown: &BTreeSet<JobId>) -> Vec<Quarantined> {
    let headers = vec![
        ("epoch".to_owned(), message.epoch.to_string()),
        ("priority".to_owned(), message.priority.to_string()),
        (
            "published_at".to_owned(),
            message.published_at.millis().to_string(),
        ),
    ];
    let strays = message.jobs.into_iter().filter(|job| unknown.contains(&job.id));
    let entry = |job: longshore_core::message::MessageJob| Quarantined {
        message_id: format!("{}:{}", message.id, job.id),
        queue: message.queue.clone(),
        reason: "the broker gave the message up, and the store does not know the job".to_owned(),
        body: job.envelope,
        headers: [headers.clone(), vec![("gen".to_owned(), job.gen_.to_string())]].concat(),
        jobs: vec![job.id],
        dispatches: Vec::new(),
    };
    strays.map(entry).collect()
}

fn undecodable(message: Undecodable) -> Quarantined {
    // Jobs of a newer schema are sound: a newer worker runs them once the audit publishes them again.
    let dispatches = if message.newer_schema {
        Vec::new()
    } else {
        message.jobs
    };
    Quarantined {
        message_id: message.message_id,
        queue: QueueName::default(),
        reason: format!(
            "the broker gave the message up, and it cannot be read: {}",
            message.reason
        ),
        body: message.body,
        headers: message.headers,
        jobs: dispatches.iter().map(|(id, _)| *id).collect(),
        dispatches,
    }
}
