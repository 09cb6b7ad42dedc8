//! A parent with as many children as one may have.

use std::time::Duration;

use longshore::{Batch, JobStatus, Priority};
use longshore_backend::Profile;
use longshore_scheduler::Intervals;
use longshore_testkit::servers::SharedServers;
use longshore_testkit::wait::eventually;
use tokio::time::Instant;

use crate::rig::{Pace, Rig, Step, seed};

const CHILDREN: u64 = 100_000;
/// Children of one batch.
const BATCH: usize = 5_000;
/// How long all of them may take on a machine that is busy.
const VERY_LONG: Duration = Duration::from_secs(1_800);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn soak_a_hundred_thousand_children_start_once_when_their_parent_completes() {
    let servers = SharedServers::get().await.unwrap();
    let mut rig = Rig::servers(servers.amqp_url(), &servers.redis_url(), Profile::Quorum).await;
    for _ in 0..2 {
        rig.scheduler(Intervals::default()).await;
        rig.worker(32).await;
    }
    let parent = rig.enqueue(0..1, Pace::Gated, Priority::Normal).await.remove(0);
    rig.book.started(1).await;
    for from in (1..=CHILDREN).step_by(BATCH) {
        let mut batch = Batch::new();
        for number in from..from + BATCH as u64 {
            let step = Step {
                number,
                pace: Pace::Quick,
            };
            batch.add(step).depends_on([&parent]);
        }
        rig.client.enqueue_many(batch).await.unwrap();
    }
    let counts = rig.counts().await.unwrap();
    assert_eq!(counts.get(&JobStatus::Blocked), Some(&CHILDREN), "{counts:?}");
    assert_eq!(rig.book.starts(), [0], "a child started before its parent ended");
    rig.book.open(1);
    let began = Instant::now();
    eventually(VERY_LONG, "all children are done", || async {
        let counts = rig.counts().await.map_err(|error| error.to_string())?;
        // A look costs the store something: the children have the time.
        tokio::time::sleep(Duration::from_millis(500)).await;
        if counts.get(&JobStatus::Completed) == Some(&(CHILDREN + 1)) && counts.len() == 1 {
            Ok(())
        } else {
            Err(format!("{counts:?}"))
        }
    })
    .await
    .unwrap();
    let recovery = began.elapsed().as_secs_f64();
    let (jobs, runs) = rig.book.runs();
    let all = usize::try_from(CHILDREN + 1).unwrap();
    eprintln!(
        "figures: seed={} acknowledged={all} starts={} lost={} doubled={} excused=0 recovery={recovery:.1}",
        seed(),
        rig.book.starts().len(),
        all - jobs,
        runs - jobs,
    );
    assert_eq!((jobs, runs), (all, all));
    rig.stop().await;
}
