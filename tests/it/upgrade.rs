//! Two builds side by side, as far as one build can show it: what a newer producer sends is left to newer workers, and what
//! an older one sends is done. `scripts/test upgrade` does the same with processes of two builds.

use std::sync::Arc;

use longshore::JobStatus;
use longshore_backend::Profile;
use longshore_core::envelope::SCHEMA;
use longshore_core::port::enqueue::{Enqueued, NewJob};
use longshore_core::view::{Detail, JobView};
use longshore_core::{Envelope, FunctionName, JobId, JobSpec, SystemClock, value};
use longshore_scheduler::Intervals;
use longshore_testkit::factory::Factory;
use longshore_testkit::servers::SharedServers;
use longshore_testkit::wait::eventually;

use crate::rig::{LONG, Pace, Rig, Step};

/// A job as a producer writes it whose envelopes have this schema.
fn of_schema(factory: &Factory, schema: u16, number: u64) -> NewJob {
    let step = Step {
        number,
        pace: Pace::Quick,
    };
    let args = value::encode("args", &step).unwrap();
    let id = factory.job(0, |_| {}).id;
    let spec = JobSpec::new(FunctionName::new("step").unwrap(), args);
    let mut envelope = Envelope::from_spec(&spec, id, longshore_core::Clock::now(&SystemClock));
    envelope.schema = schema;
    let encoded = envelope.encode().unwrap();
    NewJob::from_envelope(&envelope, encoded)
}

async fn enqueue(rig: &Rig, job: NewJob) -> JobId {
    let id = job.id;
    let said = rig.client_ports().enqueue.enqueue(0, vec![job]).await.unwrap();
    assert!(matches!(said.jobs[..], [Enqueued::Created { .. }]), "{said:?}");
    id
}

async fn view(rig: &Rig, id: JobId) -> JobView {
    let inspect = &rig.client_ports().inspect;
    let found = inspect.jobs(0, vec![id], Detail::Summary).await.unwrap();
    found.into_iter().next().flatten().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_newer_build_waits_for_a_newer_worker_and_one_of_an_older_build_runs() {
    let servers = SharedServers::get().await.unwrap();
    let mut rig = Rig::servers(servers.amqp_url(), &servers.redis_url(), Profile::Quorum).await;
    rig.scheduler(Intervals::default()).await;
    rig.worker(4).await;
    let factory = Factory::new(Arc::new(SystemClock), 11);
    let newer = enqueue(&rig, of_schema(&factory, SCHEMA + 1, 1)).await;
    let older = enqueue(&rig, of_schema(&factory, SCHEMA - 1, 2)).await;
    let current = enqueue(&rig, of_schema(&factory, SCHEMA, 3)).await;

    for id in [older, current] {
        eventually(LONG, "what this build knows is done", || async {
            view(&rig, id).await.status == JobStatus::Completed
        })
        .await
        .unwrap();
    }
    // It is given back, and comes again, and again: with no attempt, no error, and no end.
    eventually(LONG, "the newer one was given back twice", || async {
        let job = view(&rig, newer).await;
        if job.gen_ >= 3 {
            Ok(())
        } else {
            Err(format!("{job:?}"))
        }
    })
    .await
    .unwrap();
    let job = view(&rig, newer).await;
    assert_eq!((job.status, job.attempts), (JobStatus::Queued, 0), "{job:?}");
    let aside = rig.client_ports().inspect.quarantined(None, 10).await.unwrap();
    assert!(aside.is_empty(), "{aside:?}");
    let mut done = rig.book.ends();
    done.sort_unstable();
    assert_eq!(done, [2, 3]);
    // The others are not held up by it.
    rig.enqueue(10..30, Pace::Quick, longshore::Priority::Normal)
        .await;
    let ended = eventually(LONG, "the rest is done", || async { rig.book.ends().len() == 22 });
    ended.await.unwrap();
    // Who has no newer build can still get rid of it.
    rig.client
        .cancel(newer, "nobody has the newer build")
        .await
        .unwrap();
    assert_eq!(view(&rig, newer).await.status, JobStatus::Cancelled);
    rig.stop().await;
}
