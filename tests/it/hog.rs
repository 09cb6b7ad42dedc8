//! A handler that blocks every thread of its runtime for longer than a lease, on real servers.

use std::time::Duration;

use longshore::{JobError, JobSpec, JobStatus};
use longshore_backend::Profile;
use longshore_core::limits::LEASE;
use longshore_core::view::Detail;
use longshore_scheduler::Intervals;
use longshore_testkit::servers::SharedServers;
use longshore_testkit::wait::eventually;
use longshore_worker::Worker;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::rig::{LONG, Rig};

/// Takes its runtime's only thread, as a handler that computes does.
#[expect(clippy::disallowed_methods, reason = "the case is about handlers that block")]
async fn hog(_: Value) -> Result<(), JobError> {
    std::thread::sleep(LEASE + Duration::from_secs(5));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn soak_a_handler_that_blocks_its_runtime_is_not_taken_over() {
    let servers = SharedServers::get().await.unwrap();
    let mut rig = Rig::servers(servers.amqp_url(), &servers.redis_url(), Profile::Quorum).await;
    rig.scheduler(Intervals::default()).await;
    let stop = CancellationToken::new();
    let worker = Worker::builder((servers.amqp_url().to_owned(), servers.redis_url()))
        .register_named("hog", hog)
        .max_workers(1)
        .shutdown(stop.clone())
        .build()
        .unwrap();
    let theirs = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(worker.run()).unwrap()
    });
    let args = longshore_core::value::encode("args", &Value::Null).unwrap();
    let spec = JobSpec::new("hog".parse().unwrap(), args);
    let job = rig.client.enqueue_spec(spec).await.unwrap();
    let ports = rig.client_ports();
    let shard = ports.enqueue.shards().of(&job.id());
    let view = eventually(LONG, "it is done", || async {
        let views = ports
            .inspect
            .jobs(shard, vec![job.id()], Detail::Summary)
            .await
            .unwrap();
        let view = views.into_iter().next().flatten().unwrap();
        if view.status == JobStatus::Completed {
            Ok(view)
        } else {
            Err(view.status)
        }
    });
    let view = view.await.unwrap();
    assert_eq!((view.attempts, view.losts), (1, 0));
    stop.cancel();
    tokio::task::spawn_blocking(|| theirs.join().unwrap())
        .await
        .unwrap();
    rig.stop().await;
}
