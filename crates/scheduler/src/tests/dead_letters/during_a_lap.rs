//! What is removed while a lap is under way.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_core::port::broker::{Delivery, Depth, Source, Subscription};
use longshore_core::port::{ConsumePort, Reply, SchedulePort};
use longshore_core::{JobId, QueueName, Timestamp};

use super::{Rig, failed, rig_over};

/// The next lap has a letter requeued that it has looked at already.
struct Meddler {
    inner: Arc<dyn ConsumePort>,
    schedule: Arc<dyn SchedulePort>,
    next: Mutex<Option<JobId>>,
}

struct Meddled {
    inner: Box<dyn Subscription>,
    schedule: Arc<dyn SchedulePort>,
    id: Option<JobId>,
    asked: usize,
}

impl ConsumePort for Meddler {
    fn subscribe(&self, source: Source, prefetch: u16) -> Reply<'_, Box<dyn Subscription>> {
        Box::pin(async move {
            let is_lap = source == Source::Archive;
            let inner = self.inner.subscribe(source, prefetch).await?;
            let id = self.next.lock().unwrap().take_if(|_| is_lap);
            Ok(Box::new(Meddled {
                inner,
                schedule: Arc::clone(&self.schedule),
                id,
                asked: 0,
            }) as Box<dyn Subscription>)
        })
    }

    fn depths(&self, queues: Vec<QueueName>) -> Reply<'_, Vec<Depth>> {
        self.inner.depths(queues)
    }

    fn archived(&self) -> Reply<'_, u64> {
        self.inner.archived()
    }

    fn consumer_timeout(&self) -> Duration {
        self.inner.consumer_timeout()
    }
}

impl Subscription for Meddled {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Delivery>> + Send + '_>> {
        Box::pin(async move {
            // Two letters, then silence, in which the lap looks at them.
            if self.asked == 3
                && let Some(id) = self.id.take()
            {
                let requeued = self.schedule.requeue(0, vec![id], Timestamp(u64::MAX));
                requeued.await.unwrap();
            }
            self.asked += 1;
            self.inner.next().await
        })
    }

    fn quiet(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.inner.quiet()
    }
}

fn rig() -> (Rig, Arc<Meddler>) {
    let mut meddler = None;
    let rig = rig_over(
        |builder| builder,
        |ports| {
            let port = Arc::new(Meddler {
                inner: Arc::clone(&ports.consume),
                schedule: Arc::clone(&ports.schedule),
                next: Mutex::default(),
            });
            ports.consume = port.clone();
            meddler = Some(port);
        },
    );
    (rig, meddler.unwrap())
}

#[tokio::test]
async fn a_letter_that_is_requeued_after_a_lap_has_looked_at_it_is_a_reason_for_another() {
    let (rig, meddler) = rig();
    let (before, during) = (rig.ended(failed()).await, rig.ended(failed()).await);
    rig.keep().await;
    rig.requeue(before.id).await;
    *meddler.next.lock().unwrap() = Some(during.id);
    assert_eq!(rig.keep().await, 1);
    assert_eq!(rig.removals().await, 1);
    assert_eq!(rig.keep().await, 1);
    assert_eq!((rig.archived().await, rig.removals().await), (Vec::new(), 0));
}
