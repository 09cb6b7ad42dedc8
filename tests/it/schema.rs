//! Messages of builds that are newer or older than the worker that gets them.

use std::time::Duration;

use longshore::{JobStatus, Priority};
use longshore_backend::Profile;
use longshore_core::port::broker::message_id;
use longshore_core::port::enqueue::NewJob;
use longshore_core::random::SystemRandom;
use longshore_core::view::Detail;
use longshore_core::{
    Clock as _, Envelope, Job as _, JobId, JobSpec, SystemClock, envelope, message::Message,
    message::MessageJob, value,
};
use longshore_scheduler::Intervals;
use longshore_testkit::servers::SharedServers;
use longshore_testkit::wait::eventually;

use crate::rig::{LONG, Pace, Rig, Step};

/// Records and publishes a job whose envelope says that it has this schema, as a producer of that build would.
async fn enqueue(rig: &Rig, number: u64, schema: u16) -> JobId {
    let step = Step {
        number,
        pace: Pace::Quick,
    };
    let args = value::encode("args", &step).unwrap();
    let spec = JobSpec::new(Step::FUNCTION_NAME.parse().unwrap(), args);
    let now = SystemClock.now();
    let id = JobId::generate(now, 0, &SystemRandom);
    let mut envelope = Envelope::from_spec(&spec, id, now);
    envelope.schema = schema;
    let encoded = envelope.encode().unwrap();
    let ports = rig.client_ports();
    let job = NewJob::from_envelope(&envelope, encoded.clone());
    let reply = ports.enqueue.enqueue(0, vec![job]).await.unwrap();
    let message = Message {
        traceparent: None,
        id: message_id(),
        queue: envelope.queue.clone(),
        priority: envelope.priority,
        shard: 0,
        epoch: reply.epoch,
        published_at: now,
        norecord: false,
        jobs: vec![MessageJob {
            id,
            gen_: 1,
            attempts: 0,
            retries: 0,
            losts: 0,
            envelope: encoded,
        }],
    };
    // A queue that was declared just now refuses what comes before it has chosen its leader; the outbox tries again too.
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let published = ports.publish.publish(vec![message.clone()]).await;
        if published[0].is_confirmed() {
            break;
        }
        assert!(tokio::time::Instant::now() < end, "{published:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ports.enqueue.mark_published(0, vec![(id, 1)]).await.unwrap();
    id
}

async fn status(rig: &Rig, id: JobId) -> (JobStatus, u32) {
    let views = rig
        .client_ports()
        .inspect
        .jobs(0, vec![id], Detail::Summary)
        .await
        .unwrap();
    let view = views.into_iter().next().flatten().unwrap();
    (view.status, view.attempts)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_newer_schema_waits_for_a_newer_worker_and_one_of_an_older_runs() {
    let servers = SharedServers::get().await.unwrap();
    let mut rig = Rig::servers(servers.amqp_url(), &servers.redis_url(), Profile::Quorum).await;
    rig.scheduler(Intervals::default()).await;
    let stats = rig.worker(2).await;
    let newer = enqueue(&rig, 0, envelope::SCHEMA + 1).await;
    let older = enqueue(&rig, 1, envelope::SCHEMA - 1).await;
    rig.enqueue(2..10, Pace::Quick, Priority::Normal).await;
    let others = eventually(LONG, "all others are done", || async {
        let ends = rig.book.ends().len();
        (ends == 9 && status(&rig, older).await.0 == JobStatus::Completed).then_some(())
    });
    others.await.unwrap();
    // It was handed back at least once, lost no attempt and is in no quarantine.
    eventually(LONG, "it was handed back", || async {
        stats.snapshot().given_back > 0
    })
    .await
    .unwrap();
    let (waits, attempts) = status(&rig, newer).await;
    assert!(!waits.is_terminal(), "{waits}");
    assert_eq!((attempts, stats.snapshot().quarantined), (0, 0));
    assert!(!rig.book.starts().contains(&0));
    rig.client
        .cancel(newer, "nobody has the newer build")
        .await
        .unwrap();
    assert_eq!(status(&rig, newer).await.0, JobStatus::Cancelled);
    rig.stop().await;
}
