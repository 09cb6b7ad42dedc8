//! What a folder keeps, and who may have it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use longshore_backend::embedded::{OpenError, Options, Store, Sync};
use longshore_core::name::CronName;
use longshore_core::outcome::{ErrorInfo, Outcome, Progress};
use longshore_core::port;
use longshore_core::port::attempt::{Finish, Finished, ProgressWrite, Quarantined};
use longshore_core::port::broker::{Payload, Source};
use longshore_core::port::cron::CronPut;
use longshore_core::port::enqueue::{EdgeSettlement, ParentOutcome, ParentState, Registration};
use longshore_core::shard::Shards;
use longshore_core::spec::{EdgePolicy, Start};
use longshore_core::view::JobFilter;
use longshore_core::{JobStatus, Nonce, QueueName, Timestamp};

use crate::rig::{self, claim, delivery, enqueued, factory, finish, open, published, start, subscribe, view};

/// The folder of the child process that enqueues until it is killed.
const FOLDER: &str = "LONGSHORE_TEST_FOLDER";

fn completed() -> Outcome {
    Outcome::Completed {
        result: Bytes::from_static(&[7]),
    }
}

fn failed() -> Outcome {
    Outcome::Failed {
        error: ErrorInfo::new("Broken", "it broke"),
    }
}

#[tokio::test]
async fn a_folder_opened_again_has_every_job_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let ports = store.ports();
    let later = enqueued(&ports, |spec| spec.start = Start::After(Duration::from_secs(600))).await;
    let waiting = enqueued(&ports, |_| {}).await;
    let done = published(&ports, |spec| spec.tags = ["kept".to_owned()].into()).await;
    start(&ports, done.id, 1, 1).await;
    finish(&ports, done.id, 1, completed()).await;
    let dead = published(&ports, |_| {}).await;
    start(&ports, dead.id, 1, 1).await;
    finish(&ports, dead.id, 1, failed()).await;
    let retrying = published(&ports, |_| {}).await;
    start(&ports, retrying.id, 1, 1).await;
    let error = ErrorInfo::new("Busy", "later");
    finish(
        &ports,
        retrying.id,
        1,
        Outcome::Retry {
            delay: Duration::from_secs(60),
            error,
        },
    )
    .await;
    let all = [&later, &waiting, &done, &dead, &retrying];
    let mut before = Vec::new();
    for job in all {
        before.push(view(&ports, job.id).await.unwrap());
    }
    let counts = ports.inspect.queues().await.unwrap();
    store.close().unwrap();
    assert_eq!(ports.inspect.ping().await, Err(port::Error::Closed));

    let store = open(folder.path());
    let ports = store.ports();
    for (job, before) in all.iter().zip(before) {
        assert_eq!(view(&ports, job.id).await.unwrap(), before);
    }
    assert_eq!(ports.inspect.queues().await.unwrap(), counts);
    let page = ports.inspect.list(JobFilter::default(), None, 10).await.unwrap();
    assert_eq!(page.jobs.len(), 5);
    let again = finish(&ports, done.id, 1, failed()).await;
    assert_eq!(
        again,
        Finished::Accepted(JobStatus::Completed),
        "the finish is remembered"
    );
}

#[tokio::test]
async fn a_folder_opened_again_has_everything_that_is_no_job() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let ports = store.ports();
    let queue = QueueName::new("reports").unwrap();
    ports.inspect.set_paused(queue.clone(), true).await.unwrap();
    let name = CronName::new("nightly").unwrap();
    let entry = CronPut {
        name: name.clone(),
        definition: Bytes::from_static(b"0 3 * * *"),
        next_at: Timestamp(5),
        if_version: None,
    };
    ports.cron.cron_put(entry).await.unwrap();
    let kept = ports.cron.cron_entry(name).await.unwrap().unwrap();
    let strange = Quarantined {
        message_id: "m-1".to_owned(),
        queue: queue.clone(),
        reason: "not MessagePack".to_owned(),
        body: Bytes::from_static(b"\xc1"),
        headers: vec![("a".to_owned(), "b".to_owned())],
        jobs: Vec::new(),
        dispatches: Vec::new(),
    };
    ports.attempt.quarantine(vec![strange.clone()]).await.unwrap();
    let epoch = ports.schedule.lease_outbox(0, 1).await.unwrap().epoch;
    store.close().unwrap();

    let store = open(folder.path());
    let ports = store.ports();
    assert!(ports.inspect.queues().await.unwrap()[&queue].paused);
    let shard = ports.enqueue.shards().of_bytes(b"nightly");
    let due = ports.schedule.cron_due(shard, 10).await.unwrap();
    assert_eq!(due.entries, [kept]);
    let aside = ports.inspect.quarantined(None, 8).await.unwrap();
    assert_eq!((aside.len(), &aside[0].message), (1, &strange));
    assert!(aside[0].at.is_some());
    assert_eq!(ports.schedule.lease_outbox(0, 1).await.unwrap().epoch, epoch);
}

#[tokio::test]
async fn families_survive() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let ports = store.ports();
    let (one, two) = (published(&ports, |_| {}).await, published(&ports, |_| {}).await);
    let child = enqueued(&ports, |spec| {
        spec.depends_on = vec![one.id.into(), two.id.into()];
    })
    .await;
    let edge = |parent| Registration {
        parent,
        child: child.id,
        policy: EdgePolicy::default(),
    };
    let states = ports
        .enqueue
        .register(0, vec![edge(one.id), edge(two.id)])
        .await
        .unwrap();
    assert_eq!(states, [ParentState::Open, ParentState::Open]);
    let done = ParentOutcome::Completed {
        result: Some(Bytes::from_static(&[7])),
    };
    let told = EdgeSettlement {
        child: child.id,
        parent: one.id,
        outcome: done.clone(),
    };
    ports
        .enqueue
        .settle_edges(0, vec![told], Duration::ZERO)
        .await
        .unwrap();
    store.close().unwrap();

    let store = open(folder.path());
    let ports = store.ports();
    assert_eq!(
        ports.attempt.parents(0, child.id).await.unwrap(),
        [(one.id, done)]
    );
    assert_eq!(
        view(&ports, child.id).await.unwrap().open_parents,
        [(two.id, EdgePolicy::default())]
    );
    start(&ports, two.id, 1, 1).await;
    finish(&ports, two.id, 1, completed()).await;
    let relations = ports.schedule.relations(0, 10).await.unwrap();
    assert_eq!((relations.len(), &relations[0].children), (1, &vec![child.id]));
}

#[tokio::test]
async fn what_was_in_the_broker_is_delivered_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let ports = store.ports();
    let held = published(&ports, |_| {}).await;
    let large = published(&ports, |spec| {
        spec.args = longshore_core::value::encode("args", &"x".repeat(100_000)).unwrap();
    })
    .await;
    let mut subscription = subscribe(&ports, rig::default_queue()).await;
    let unacknowledged = delivery(subscription.as_mut()).await;
    assert_eq!(rig::jobs(&unacknowledged).jobs[0].id, held.id);
    drop((unacknowledged, subscription));
    store.close().unwrap();

    let store = open(folder.path());
    let ports = store.ports();
    let mut subscription = subscribe(&ports, rig::default_queue()).await;
    let mut missing = vec![&held, &large];
    while !missing.is_empty() {
        let came = delivery(subscription.as_mut()).await;
        let travelling = &rig::jobs(&came).jobs[0];
        let at = missing.iter().position(|job| job.id == travelling.id).unwrap();
        let job = missing.remove(at);
        assert_eq!((travelling.gen_, &travelling.envelope), (1, &job.envelope));
        start(&ports, job.id, 1, 1).await;
        came.receipt.ack();
    }
    assert!(
        store
            .ports()
            .schedule
            .lease_outbox(0, 10)
            .await
            .unwrap()
            .jobs
            .is_empty()
    );
}

#[tokio::test]
async fn what_ran_in_the_last_owners_process_has_its_lease_over() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let job = published(&store.ports(), |_| {}).await;
    start(&store.ports(), job.id, 1, 1).await;
    store.close().unwrap();

    let store = open(folder.path());
    let ports = store.ports();
    assert_eq!(view(&ports, job.id).await.unwrap().status, JobStatus::Running);
    let done = ports.schedule.expire_leases(0, 10).await.unwrap();
    assert_eq!((done.requeued, done.paused_for), (1, Duration::ZERO));
    assert_eq!(finish(&ports, job.id, 1, completed()).await, Finished::Lost);
    assert_eq!(start(&ports, job.id, 2, 2).await.losts, 1);
}

#[tokio::test]
async fn a_running_job_is_taken_over_by_a_redelivery_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let job = published(&store.ports(), |_| {}).await;
    let first = start(&store.ports(), job.id, 1, 1).await;
    store.close().unwrap();
    let store = open(folder.path());
    let second = start(&store.ports(), job.id, 1, 2).await;
    assert_eq!((second.attempt, second.losts), (2, 1));
    assert!(second.fence > first.fence);
}

#[tokio::test]
async fn the_archive_survives_and_forgets_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let ports = store.ports();
    for _ in 0..3 {
        let job = published(&ports, |_| {}).await;
        start(&ports, job.id, 1, 1).await;
        finish(&ports, job.id, 1, failed()).await;
    }
    let letters = ports.schedule.dead_uncopied(0, 10).await.unwrap();
    assert!(
        ports
            .publish
            .archive(letters.clone())
            .await
            .iter()
            .all(longshore_core::port::broker::Published::is_confirmed)
    );
    let mut archive = subscribe(&ports, Source::Archive).await;
    delivery(archive.as_mut()).await.receipt.ack();
    drop(archive);
    store.close().unwrap();

    let store = open(folder.path());
    let ports = store.ports();
    let mut archive = subscribe(&ports, Source::Archive).await;
    for letter in &letters[1..] {
        match delivery(archive.as_mut()).await.payload {
            Payload::Dead(found) => assert_eq!(found, *letter),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_last_progress_is_kept_when_a_job_ends() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let ports = store.ports();
    let job = published(&ports, |_| {}).await;
    start(&ports, job.id, 1, 1).await;
    let progress = |seq| Progress {
        fraction: Some(0.5),
        seq,
        ..Progress::default()
    };
    let write = ProgressWrite {
        id: job.id,
        nonce: Nonce(1),
        progress: progress(1),
    };
    ports.attempt.progress(0, vec![write]).await.unwrap();
    let outcome = failed();
    let last = Finish {
        id: job.id,
        nonce: Nonce(1),
        outcome,
        progress: Some(progress(2)),
    };
    ports.attempt.step(0, vec![last], vec![]).await.unwrap();
    store.close().unwrap();
    let store = open(folder.path());
    assert_eq!(view(&store.ports(), job.id).await.unwrap().progress.seq, 2);
}

#[tokio::test]
async fn a_dropped_store_frees_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let job = enqueued(&open(folder.path()).ports(), |_| {}).await;
    assert!(view(&open(folder.path()).ports(), job.id).await.is_some());
}

#[tokio::test]
async fn changes_that_wait_for_the_disk_share_their_wait() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        sync: Sync::Always,
        ..Options::default()
    };
    let store = Store::open(folder.path(), options).unwrap();
    let ports = store.ports();
    let jobs: Vec<_> = (0..64).map(|_| factory().job(0, |_| {})).collect();
    futures_util::future::join_all(jobs.iter().map(|job| rig::enqueue(&ports, job))).await;
    store.close().unwrap();
    let store = open(folder.path());
    for job in jobs {
        assert!(view(&store.ports(), job.id).await.is_some());
    }
}

#[test]
fn a_folder_that_is_owned_names_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let _store = open(folder.path());
    let error = Store::open(folder.path(), Options::default()).unwrap_err();
    assert!(
        matches!(error, OpenError::Owned { pid: Some(pid), .. } if pid == std::process::id()),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains(&folder.path().display().to_string()), "{text}");
    assert!(text.contains(&std::process::id().to_string()), "{text}");
}

#[test]
fn the_number_of_shards_is_the_folders() {
    let folder = tempfile::tempdir().unwrap();
    let one = |count| Options {
        shards: Some(Shards::new(count).unwrap()),
        ..Options::default()
    };
    Store::open(folder.path(), one(1)).unwrap().close().unwrap();
    let store = open(folder.path());
    assert_eq!(store.ports().enqueue.shards().count(), 1);
    store.close().unwrap();
    let error = Store::open(folder.path(), one(4)).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Shards {
                found: 1,
                wanted: 4,
                ..
            }
        ),
        "{error}"
    );
}

/// Not a test of its own: run by the next one in a process of its own. Enqueues and prints what was acknowledged.
#[tokio::test]
#[ignore = "the child process of the test below"]
async fn child_that_enqueues_until_it_is_killed() {
    use std::io::Write;
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let store = open(&folder);
    let (ports, factory) = (store.ports(), factory());
    let mut out = std::io::stdout();
    loop {
        let jobs: Vec<_> = (0..8).map(|_| factory.job(0, |_| {})).collect();
        ports.enqueue.enqueue(0, jobs.clone()).await.unwrap();
        for job in jobs {
            writeln!(out, "acknowledged {}", job.id).unwrap();
        }
        out.flush().unwrap();
    }
}

#[tokio::test]
async fn a_process_that_is_killed_loses_no_acknowledged_enqueue() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "folder::child_that_enqueues_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    let id = |line: &str| {
        line.split_once("acknowledged ")
            .map(|(_, id)| id.parse::<longshore_core::JobId>().unwrap())
    };
    while acknowledged.len() < 3_000 {
        let line = lines.next().expect("the child goes on").unwrap();
        acknowledged.extend(id(&line));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it still said before it died. A line that was cut by the kill acknowledges nothing.
    let whole = |line: &String| line.len() >= "acknowledged ".len() + 36;
    acknowledged.extend(
        lines
            .map_while(Result::ok)
            .filter(whole)
            .filter_map(|line| id(&line)),
    );
    let store = open(folder.path());
    let found = store
        .ports()
        .enqueue
        .statuses(0, acknowledged.clone())
        .await
        .unwrap();
    assert_eq!(found, vec![Some(JobStatus::Queued); acknowledged.len()]);
    let last = *acknowledged.last().unwrap();
    start(&store.ports(), last, 1, 1).await;
    assert!(matches!(
        claim(&store.ports(), last, 1, 2).await,
        longshore_core::port::attempt::Claimed::Busy { .. }
    ));
}

#[tokio::test]
async fn a_write_that_failed_loses_itself_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let ports = store.ports();
    let before = published(&ports, |_| {}).await;
    let running = published(&ports, |_| {}).await;
    start(&ports, running.id, 1, 7).await;
    let write = ProgressWrite {
        id: running.id,
        nonce: Nonce(7),
        progress: Progress {
            message: "half".to_owned(),
            ..Progress::default()
        },
    };
    ports.attempt.progress(0, vec![write]).await.unwrap();
    store.fail_next_write();
    let job = factory().job(0, |_| {});
    let refused = ports.enqueue.enqueue(0, vec![job.clone()]).await;
    assert!(matches!(refused, Err(port::Error::Refused { .. })), "{refused:?}");
    assert!(ports.inspect.ping().await.is_ok(), "it was read anew");
    assert_eq!(view(&ports, job.id).await, None);
    assert_eq!(view(&ports, before.id).await.unwrap().status, JobStatus::Queued);
    let seen = view(&ports, running.id).await.unwrap();
    assert_eq!(
        (seen.status, seen.progress.message.as_str()),
        (JobStatus::Running, "half")
    );
    rig::enqueue(&ports, &job).await;
    let finished = finish(&ports, running.id, 7, completed()).await;
    assert_eq!(finished, Finished::Accepted(JobStatus::Completed));
    // Messages that were there are there.
    let mut queue = subscribe(&ports, rig::default_queue()).await;
    delivery(queue.as_mut()).await;
    drop((queue, ports));
    store.close().unwrap();
    let store = open(folder.path());
    assert_eq!(
        view(&store.ports(), job.id).await.unwrap().status,
        JobStatus::Queued
    );
}

#[tokio::test]
async fn a_store_that_cannot_be_read_anew_says_so_and_keeps_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let ports = store.ports();
    let job = enqueued(&ports, |_| {}).await;
    store.fail_next_write();
    let other = factory().job(0, |_| {});
    ports.enqueue.enqueue(0, vec![other]).await.unwrap_err();
    let (there, away) = (folder.path().join("store"), folder.path().join("away"));
    std::fs::rename(&there, &away).unwrap();
    std::fs::write(&there, b"no folder").unwrap();
    let error = ports.inspect.ping().await.unwrap_err();
    assert!(matches!(error, port::Error::Unavailable { .. }), "{error:?}");
    assert!(!ports.publish.is_ready());
    assert!(matches!(
        Store::open(folder.path(), Options::default()),
        Err(OpenError::Owned { .. })
    ));
    std::fs::remove_file(&there).unwrap();
    std::fs::rename(&away, &there).unwrap();
    longshore_testkit::wait::eventually(Duration::from_secs(20), "the store", async || {
        ports.inspect.ping().await.is_ok()
    })
    .await
    .unwrap();
    assert!(view(&ports, job.id).await.is_some());
}
