//! Cancels that race the ends of their jobs, ten thousand times on real servers.

use std::collections::BTreeMap;
use std::time::Duration;

use longshore::{CancelReply, JobHandle, JobId, JobStatus, Priority};
use longshore_backend::Profile;
use longshore_core::random::Random as _;
use longshore_core::view::Detail;
use longshore_scheduler::Intervals;
use longshore_testkit::factory::SeededRandom;
use longshore_testkit::servers::SharedServers;
use longshore_testkit::wait::eventually;
use serde_json::Value;
use tokio::time::Instant;

use crate::rig::{LONG, Pace, Rig, seed};

const RACES: u64 = 10_000;
/// Jobs that are raced at once.
const HEAT: u64 = 500;

/// Cancels every job at a moment of its own; gives what each was told.
async fn cancel(handles: Vec<JobHandle<Value>>, random: &SeededRandom) -> Vec<(JobId, CancelReply)> {
    let mut races = tokio::task::JoinSet::new();
    for handle in handles {
        let moment = Duration::from_micros(random.next_u64() % 700_000);
        races.spawn(async move {
            tokio::time::sleep(moment).await;
            (handle.id(), handle.cancel("raced").await.unwrap())
        });
    }
    races.join_all().await
}

/// How the jobs stand.
async fn ends(rig: &Rig, ids: &[JobId]) -> BTreeMap<JobId, JobStatus> {
    let ports = rig.client_ports();
    let mut shards: BTreeMap<u16, Vec<JobId>> = BTreeMap::new();
    for id in ids {
        shards.entry(ports.enqueue.shards().of(id)).or_default().push(*id);
    }
    let mut ends = BTreeMap::new();
    for (shard, ids) in shards {
        for page in ids.chunks(250) {
            let views = ports
                .inspect
                .jobs(shard, page.to_vec(), Detail::Summary)
                .await
                .unwrap();
            ends.extend(views.into_iter().flatten().map(|view| (view.id, view.status)));
        }
    }
    ends
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn soak_ten_thousand_cancels_that_race_a_finish_have_one_winner_each() {
    let servers = SharedServers::get().await.unwrap();
    let mut rig = Rig::servers(servers.amqp_url(), &servers.redis_url(), Profile::Quorum).await;
    rig.scheduler(Intervals::default()).await;
    for _ in 0..2 {
        rig.worker(16).await;
    }
    let random = SeededRandom::new(seed());
    let mut told = Vec::new();
    for from in (0..RACES).step_by(usize::try_from(HEAT).unwrap()) {
        let pace = Pace::Takes(random.next_u64() % 20);
        let handles = rig.enqueue(from..from + HEAT, pace, Priority::Normal).await;
        told.extend(cancel(handles, &random).await);
    }
    let began = Instant::now();
    let total = usize::try_from(RACES).unwrap();
    let ids: Vec<_> = told.iter().map(|(id, _)| *id).collect();
    let ended = eventually(LONG, "every job has ended", || async {
        let ends = ends(&rig, &ids).await;
        let count = ends.values().filter(|status| status.is_terminal()).count();
        if count == total {
            Ok(ends)
        } else {
            Err(format!("{count} of {total}"))
        }
    });
    let ended = ended.await.unwrap();
    let recovery = began.elapsed().as_secs_f64();
    let mut replies = [0; 3];
    for (id, reply) in &told {
        let end = ended[id];
        match reply {
            CancelReply::Cancelled => assert_eq!(end, JobStatus::Cancelled, "{id}"),
            CancelReply::AlreadyFinished(status) => assert_eq!(end, *status, "{id}"),
            CancelReply::Requested => assert!(
                matches!(end, JobStatus::Cancelled | JobStatus::Completed),
                "{id} is {end}"
            ),
            CancelReply::Unknown => panic!("{id} is unknown"),
        }
        replies[match reply {
            CancelReply::Cancelled => 0,
            CancelReply::Requested => 1,
            _ => 2,
        }] += 1;
    }
    let completed = ended
        .values()
        .filter(|status| **status == JobStatus::Completed)
        .count();
    let (jobs, runs) = rig.book.runs();
    eprintln!("cancelled, asked to stop, already over: {replies:?}; {completed} completed");
    eprintln!(
        "figures: seed={} acknowledged={RACES} starts={} lost={} doubled={} excused=0 recovery={recovery:.1}",
        seed(),
        rig.book.starts().len(),
        total - ended.len(),
        runs - jobs,
    );
    assert!(replies.iter().all(|count| *count > 0), "{replies:?} raced");
    assert_eq!(runs, jobs, "a job ran to its end twice");
    assert!(
        jobs >= completed,
        "{completed} completed and {jobs} ran to their end"
    );
    rig.stop().await;
}
