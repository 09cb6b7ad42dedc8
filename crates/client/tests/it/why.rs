//! Why a job does not run: each answer in a scenario of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use longshore::{Job, JobId, JobStatus, Reason, Why, secs};
use serde::{Deserialize, Serialize};

use crate::rig::{Fail, Forever, Join, PATIENCE, Rig, Stubborn, echo};

/// No worker of the rig has it.
#[derive(Serialize, Deserialize)]
struct Rare;

impl Job for Rare {
    const FUNCTION_NAME: &'static str = "rare";
    type Output = ();
}

async fn why(rig: &Rig, id: JobId) -> Why {
    rig.client.why(id).await.unwrap()
}

/// The reasons, without their words.
async fn reasons(rig: &Rig, id: JobId) -> Vec<Reason> {
    let why = why(rig, id).await;
    why.obstacles
        .into_iter()
        .map(|obstacle| obstacle.reason)
        .collect()
}

/// Waits until the first reason is this one.
async fn until(rig: &Rig, id: JobId, wanted: impl Fn(&Reason) -> bool) -> Why {
    let began = tokio::time::Instant::now();
    loop {
        let why = why(rig, id).await;
        if wanted(&why.obstacles[0].reason) {
            return why;
        }
        assert!(began.elapsed() < PATIENCE, "still {why:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_job_that_is_due_later_says_when_and_a_late_one_misses_its_scheduler() {
    let rig = Rig::new();
    let later = rig.client.enqueue(echo("a")).delay(secs(3_600)).await.unwrap();
    let view = rig.client.view(later.id()).await.unwrap().unwrap();
    let told = later.why().await.unwrap();
    assert_eq!(told.status, Some(JobStatus::Scheduled));
    assert_eq!(
        told.obstacles[0].reason,
        Reason::DueLater {
            due_at: view.run_at.unwrap()
        }
    );
    assert!(matches!(
        told.obstacles[1].reason,
        Reason::NoWorkerHasFunction { live: 0, .. }
    ));
    let late = rig.client.enqueue(echo("b")).delay(Duration::from_millis(10));
    let late = late.await.unwrap();
    until(&rig, late.id(), |reason| matches!(reason, Reason::Overdue { .. })).await;
}

#[tokio::test]
async fn a_blocked_job_names_its_parents_and_how_they_stand_by_page() {
    let rig = Rig::new();
    let mut parents = Vec::new();
    for number in 0..120 {
        parents.push(rig.client.enqueue(echo(&number.to_string())).await.unwrap());
    }
    let child = rig.client.enqueue(Join).depends_on(&parents).await.unwrap();
    let page = |first: &Reason| match first {
        Reason::WaitsForParents { parents, total, next } => {
            assert!(
                parents
                    .iter()
                    .all(|parent| parent.status == Some(JobStatus::Queued))
            );
            (parents.len(), *total, *next)
        }
        other => panic!("{other:?}"),
    };
    let first = reasons(&rig, child.id()).await;
    assert_eq!(page(&first[0]), (100, 120, Some(100)));
    let rest = child.why().parents_from(100).await.unwrap();
    assert_eq!(page(&rest.obstacles[0].reason), (20, 120, None));
}

#[tokio::test]
async fn a_paused_queue_and_a_fleet_without_the_function_or_the_queue_are_told() {
    let mut rig = Rig::new();
    let nobody = rig.client.enqueue(echo("a")).await.unwrap();
    // Until its mark is written, it is also said to wait for its publish.
    rig.client.flush().await;
    assert!(matches!(
        reasons(&rig, nobody.id()).await[..],
        [Reason::NoWorkerHasFunction { live: 0, .. }]
    ));
    rig.client.pause("default").await.unwrap();
    rig.run_fleet();
    until(&rig, nobody.id(), |reason| {
        matches!(reason, Reason::QueuePaused { .. })
    })
    .await;
    let other = rig.client.enqueue(echo("b")).queue("other").await.unwrap();
    let why = until(&rig, other.id(), |reason| {
        matches!(reason, Reason::NoWorkerHasQueue { .. })
    })
    .await;
    assert!(why.obstacles[0].remedy.contains("other"), "{why:?}");
    until(&rig, nobody.id(), |_| true).await;
    assert!(matches!(
        reasons(&rig, nobody.id()).await[..],
        [Reason::QueuePaused { .. }]
    ));
}

#[tokio::test]
async fn a_job_that_no_worker_can_run_is_parked() {
    let mut rig = Rig::new();
    rig.run_fleet();
    let job = rig.client.enqueue(Rare).await.unwrap();
    let why = until(&rig, job.id(), |reason| matches!(reason, Reason::Parked { .. })).await;
    assert!(matches!(
        why.obstacles[1].reason,
        Reason::NoWorkerHasFunction { live: 1, .. }
    ));
}

#[tokio::test]
async fn a_job_behind_busy_slots_knows_about_its_place() {
    let mut rig = Rig::new();
    rig.run_fleet();
    for _ in 0..4 {
        let blocker = rig.client.enqueue(Forever).await.unwrap();
        rig.until(blocker.id(), JobStatus::Running).await;
    }
    let first = rig.client.enqueue(echo("a")).await.unwrap();
    let urgent = rig.client.enqueue(echo("b"));
    let urgent = urgent.priority(longshore::Priority::High).await.unwrap();
    let last = rig.client.enqueue(echo("c")).await.unwrap();
    until(&rig, last.id(), |reason| {
        matches!(reason, Reason::SlotsBusy { .. })
    })
    .await;
    let ahead = async |id| match &reasons(&rig, id).await[0] {
        Reason::SlotsBusy {
            workers: 1,
            slots: 4,
            line,
        } => (line.ahead, line.or_more),
        other => panic!("{other:?}"),
    };
    assert_eq!(ahead(urgent.id()).await, (0, false));
    assert_eq!(ahead(first.id()).await, (1, false));
    assert_eq!(ahead(last.id()).await, (2, false));
}

#[tokio::test]
async fn a_job_in_backoff_says_until_when_and_after_which_error() {
    let mut rig = Rig::new();
    rig.run_fleet();
    let job = rig.client.enqueue(Fail { for_good: false });
    let job = job.max_retries(3).retry_delay(secs(600)).await.unwrap();
    let view = rig.until(job.id(), JobStatus::Retrying).await;
    assert_eq!(
        reasons(&rig, job.id()).await,
        [Reason::InBackoff {
            due_at: view.run_at.unwrap(),
            attempt: 2,
            last_error: Some("not yet".to_owned())
        }]
    );
}

#[tokio::test]
async fn a_job_that_the_broker_did_not_take_waits_in_the_outbox() {
    let rig = Rig::new();
    rig.broker.set_refuses(true);
    let job = rig.client.enqueue(echo("a")).await.unwrap();
    assert!(job.is_deferred());
    let told = reasons(&rig, job.id()).await;
    assert!(
        matches!(told[1], Reason::InOutbox { publish_at: Some(_) }),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_running_job_says_where_and_one_that_is_told_to_stop_why() {
    let mut rig = Rig::new();
    rig.run_fleet();
    let job = rig.client.enqueue(Stubborn { millis: 3_000 }).await.unwrap();
    let view = rig.until(job.id(), JobStatus::Running).await;
    assert_eq!(
        reasons(&rig, job.id()).await,
        [Reason::Running {
            worker: view.worker.clone(),
            since: view.started_at,
            attempt: 1,
            lease_until: view.lease_until,
        }]
    );
    job.cancel("by hand").await.unwrap();
    assert_eq!(
        reasons(&rig, job.id()).await,
        [Reason::BeingCancelled {
            worker: view.worker,
            cancel_reason: "by hand".to_owned()
        }]
    );
}

#[tokio::test]
async fn a_job_that_has_ended_says_how_also_when_only_its_tombstone_is_left() {
    let mut rig = Rig::new();
    let expiring = rig.client.enqueue(echo("a")).queue("other");
    let expiring = expiring.expires_in(Duration::from_millis(50)).await.unwrap();
    rig.run_fleet();
    rig.until(expiring.id(), JobStatus::Expired).await;
    assert!(matches!(
        reasons(&rig, expiring.id()).await[..],
        [Reason::Expired { finished_at: Some(_) }]
    ));
    let dead = rig.client.enqueue(Fail { for_good: true }).await.unwrap();
    rig.until(dead.id(), JobStatus::Failed).await;
    let [Reason::Finished { ended, detail, .. }] = &reasons(&rig, dead.id()).await[..] else {
        panic!("it has ended");
    };
    assert_eq!(
        (*ended, detail.as_deref()),
        (JobStatus::Failed, Some("the ledger is torn"))
    );
    let done = rig.client.enqueue(echo("b")).await.unwrap();
    done.wait_timeout(PATIENCE).await.unwrap();
    let schedule = rig.ports().schedule;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let retention = BTreeMap::from([(JobStatus::Completed, Duration::ZERO)]);
    for shard in rig.ports().enqueue.shards().all() {
        schedule.prune(shard, retention.clone(), 100).await.unwrap();
    }
    assert_eq!(
        reasons(&rig, done.id()).await,
        [Reason::Pruned {
            ended: JobStatus::Completed
        }]
    );
    let stranger = JobId::from_idempotency_key("nobody");
    assert_eq!(reasons(&rig, stranger).await, [Reason::Unknown]);
}

#[tokio::test]
async fn a_store_that_is_away_is_the_answer() {
    let rig = Rig::new();
    let job = rig.client.enqueue(echo("a")).await.unwrap();
    rig.looks.set_away(true);
    let told = why(&rig, job.id()).await;
    assert_eq!(told.status, None);
    assert!(
        matches!(&told.obstacles[0].reason, Reason::StoreUnreachable { problem } if problem.contains("injected"))
    );
}
