//! A job that is claimed again when its delivery has ended.

use std::pin::Pin;
use std::sync::Arc;

use longshore_core::message::MessageJob;
use longshore_core::port::broker::{Delivery, Depth, Source, Subscription};
use longshore_core::port::enqueue::NewJob;
use longshore_core::port::{ConsumePort, Ports, Reply};
use longshore_core::random::SystemRandom;
use longshore_core::{Clock, Envelope, JobError, JobId, JobStatus, QueueName, SystemClock};
use longshore_worker::Worker;
use tokio::sync::watch;

use crate::cut::{Cut, Fault};
use crate::rig::{Echo, Rig, Running, echo, publish, until, until_known};

/// A broker whose subscriptions end when a test says so.
struct Ending {
    broker: Arc<dyn ConsumePort>,
    ends: watch::Sender<()>,
}

struct EndingSubscription {
    inner: Box<dyn Subscription>,
    ended: watch::Receiver<()>,
}

impl Subscription for EndingSubscription {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Delivery>> + Send + '_>> {
        Box::pin(async {
            tokio::select! {
                delivery = self.inner.next() => delivery,
                _ = self.ended.changed() => None,
            }
        })
    }

    fn quiet(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.inner.quiet()
    }
}

impl ConsumePort for Ending {
    fn subscribe(&self, source: Source, prefetch: u16) -> Reply<'_, Box<dyn Subscription>> {
        Box::pin(async move {
            let inner = self.broker.subscribe(source, prefetch).await?;
            let ended = self.ends.subscribe();
            Ok(Box::new(EndingSubscription { inner, ended }) as Box<dyn Subscription>)
        })
    }

    fn depths(&self, queues: Vec<QueueName>) -> Reply<'_, Vec<Depth>> {
        self.broker.depths(queues)
    }

    fn archived(&self) -> Reply<'_, u64> {
        self.broker.archived()
    }

    fn consumer_timeout(&self) -> std::time::Duration {
        self.broker.consumer_timeout()
    }
}

/// Two jobs in one message.
async fn enqueue_two(rig: &Rig) -> [JobId; 2] {
    let now = SystemClock.now();
    let envelopes = ["first", "second"]
        .map(|text| Envelope::from_spec(&echo(text), JobId::generate(now, 0, &SystemRandom), now));
    let encoded = envelopes.each_ref().map(|envelope| envelope.encode().unwrap());
    let new = std::iter::zip(&envelopes, &encoded)
        .map(|(envelope, encoded)| NewJob::from_envelope(envelope, encoded.clone()))
        .collect();
    let reply = rig.ports.enqueue.enqueue(0, new).await.unwrap();
    let jobs = std::iter::zip(&envelopes, encoded).map(|(envelope, encoded)| MessageJob {
        id: envelope.id,
        gen_: 1,
        attempts: 0,
        retries: 0,
        losts: 0,
        envelope: encoded,
    });
    publish(&rig.ports, 0, reply.epoch, &envelopes[0], jobs.collect()).await;
    envelopes.map(|envelope| envelope.id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_delivery_ended_with_its_sibling_is_not_put_aside_when_the_store_is_wiped() {
    let rig = Rig::new();
    let cut = Cut::new(&rig);
    let broker = Arc::new(Ending {
        broker: rig.ports.consume.clone(),
        ends: watch::Sender::new(()),
    });
    let ports = Ports {
        consume: broker.clone(),
        ..cut.ports(&rig)
    };
    cut.set(Fault::Mute(0));
    let handler = async |job: Echo| Ok::<_, JobError>(job.text);
    let worker = Worker::builder(ports).max_workers(1).prefetch(4);
    let worker = Running::start(worker.register(handler));
    let ids = enqueue_two(&rig).await;
    until("a claim is in doubt", || worker.stats.snapshot().store_errors > 0).await;
    broker.ends.send_replace(());
    // The one in doubt, and both of the new delivery; its sibling of the old one is forgotten.
    until("the message has come again", || {
        worker.stats.snapshot().waiting == 3
    })
    .await;
    rig.store.wipe().unwrap();
    cut.set(Fault::None);
    for id in ids {
        until_known(&rig, id).await;
        rig.until(id, JobStatus::Completed).await;
    }
    assert_eq!(worker.stop().await.stats.quarantined, 0);
}
