//! Other processes at an owned folder.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use longshore_backend::embedded::{Embedded, OpenError, Options, Role, connect, open_or_connect};
use longshore_core::outcome::{ErrorInfo, Outcome};
use longshore_core::port;
use longshore_core::port::broker::Published;
use longshore_core::port::enqueue::{CancelReply, CancelRequest};
use longshore_core::port::schedule::DeadLetterChange;
use longshore_core::view::{Detail, JobFilter};
use longshore_core::{JobStatus, QueueName};
use longshore_testkit::wait::eventually;

use crate::rig::{
    default_queue, delivery, enqueued, finish, jobs, message, open, published, start, subscribe, view,
};

async fn join(folder: &Path) -> Embedded {
    open_or_connect(folder, Options::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_owns_and_the_second_is_its_guest() {
    let folder = tempfile::tempdir().unwrap();
    let (owner, guest) = (join(folder.path()).await, join(folder.path()).await);
    assert_eq!((owner.role, guest.role), (Role::Owner, Role::Guest));
    assert_eq!(guest.ports.enqueue.shards(), owner.ports.enqueue.shards());
    assert!(guest.ports.publish.is_ready());
    guest.ports.inspect.ping().await.unwrap();

    let job = published(&guest.ports, |spec| spec.tags = ["t".to_owned()].into()).await;
    let mut subscription = subscribe(&owner.ports, default_queue()).await;
    let came = delivery(subscription.as_mut()).await;
    assert_eq!(jobs(&came), &message_of(&came, &job));
    assert_eq!(view(&guest.ports, job.id).await, view(&owner.ports, job.id).await);
    let page = guest
        .ports
        .inspect
        .list(JobFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(
        page,
        owner
            .ports
            .inspect
            .list(JobFilter::default(), None, 10)
            .await
            .unwrap()
    );
    assert_eq!(
        guest.ports.inspect.queues().await,
        owner.ports.inspect.queues().await
    );
    let request = CancelRequest {
        id: job.id,
        reason: "no".to_owned(),
    };
    assert_eq!(
        guest.ports.enqueue.cancel(0, vec![request]).await.unwrap(),
        [CancelReply::Cancelled]
    );
    assert_eq!(
        guest.ports.enqueue.statuses(0, vec![job.id]).await.unwrap(),
        [Some(JobStatus::Cancelled)]
    );
}

fn message_of(
    came: &longshore_core::port::broker::Delivery,
    job: &longshore_core::port::enqueue::NewJob,
) -> longshore_core::message::Message {
    longshore_core::message::Message {
        traceparent: None,
        id: jobs(came).id,
        ..message(job)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_is_woken_by_what_happens_at_the_owner() {
    let folder = tempfile::tempdir().unwrap();
    let (owner, guest) = (join(folder.path()).await, join(folder.path()).await);
    let job = enqueued(&owner.ports, |_| {}).await;
    let mut wakes = guest.ports.inspect.watch(vec![job.id]).await.unwrap();
    start(&owner.ports, job.id, 1, 1).await;
    let woken = tokio::time::timeout(Duration::from_secs(5), wakes.next()).await;
    assert_eq!(woken.unwrap(), Some(job.id));
    owner.close().unwrap();
    let rest = async { while wakes.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(5), rest)
        .await
        .expect("the watch ends with its owner");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_requeues_and_discards_dead_letters() {
    let folder = tempfile::tempdir().unwrap();
    let (owner, guest) = (join(folder.path()).await, join(folder.path()).await);
    let mut dead = Vec::new();
    for _ in 0..2 {
        let job = published(&owner.ports, |_| {}).await;
        start(&owner.ports, job.id, 1, 1).await;
        finish(
            &owner.ports,
            job.id,
            1,
            Outcome::Failed {
                error: ErrorInfo::new("Broken", "it broke"),
            },
        )
        .await;
        dead.push(job.id);
    }
    let before = longshore_core::Timestamp(u64::MAX);
    let schedule = &guest.ports.schedule;
    assert_eq!(
        schedule.requeue(0, vec![dead[0]], before).await.unwrap(),
        [DeadLetterChange::Done]
    );
    assert_eq!(
        schedule.discard(0, vec![dead[1]], before).await.unwrap(),
        [DeadLetterChange::Done]
    );
    assert_eq!(
        view(&owner.ports, dead[0]).await.unwrap().status,
        JobStatus::Queued
    );
    assert_eq!(view(&owner.ports, dead[1]).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_runs_no_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let (_owner, guest) = (join(folder.path()).await, join(folder.path()).await);
    let refused = guest.ports.attempt.step(0, vec![], vec![]).await.unwrap_err();
    assert!(refused.to_string().contains("longshore dev"), "{refused}");
    assert!(guest.ports.consume.subscribe(default_queue(), 1).await.is_err());
    assert!(matches!(
        guest.ports.schedule.promote(0, 1).await,
        Err(port::Error::Refused { .. })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_of_a_guest_are_under_way_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (_owner, guest) = (join(folder.path()).await, join(folder.path()).await);
    let calls = (0..500).map(|_| enqueued(&guest.ports, |_| {}));
    let all = futures_util::future::join_all(calls).await;
    let ids: Vec<_> = all.iter().map(|job| job.id).collect();
    let views = guest.ports.inspect.jobs(0, ids, Detail::Summary).await.unwrap();
    assert!(views.iter().all(Option::is_some));
    let large = longshore_core::value::encode("args", &"x".repeat(1_000_000)).unwrap();
    let job = enqueued(&guest.ports, |spec| spec.args = large).await;
    assert_eq!(
        view(&guest.ports, job.id).await.unwrap().full.unwrap().envelope,
        job.envelope
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_finds_the_next_owner() {
    let folder = tempfile::tempdir().unwrap();
    let (owner, guest) = (join(folder.path()).await, join(folder.path()).await);
    let job = enqueued(&guest.ports, |_| {}).await;
    owner.close().unwrap();
    eventually(Duration::from_secs(5), "the end to be seen", || async {
        !guest.ports.publish.is_ready()
    })
    .await
    .unwrap();
    let error = guest.ports.inspect.ping().await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(matches!(
        guest.ports.publish.publish(vec![message(&job)]).await[0],
        Published::Refused(_)
    ));
    let next = join(folder.path()).await;
    assert_eq!(next.role, Role::Owner);
    assert!(view(&guest.ports, job.id).await.is_some());
    assert!(guest.ports.publish.is_ready());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_socket_is_the_users_alone_and_goes_with_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let owner = join(folder.path()).await;
    let socket = folder.path().join("socket");
    assert_eq!(
        std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
        0o600
    );
    owner.close().unwrap();
    assert!(!socket.exists());
    assert!(connect(folder.path()).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_with_a_long_path_has_its_socket_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("a-folder-whose-name-is-long".repeat(5));
    let (owner, guest) = (join(&long).await, join(&long).await);
    assert_eq!((owner.role, guest.role), (Role::Owner, Role::Guest));
    let place = std::fs::read_to_string(long.join("socket.path")).unwrap();
    let private = Path::new(&place).parent().unwrap().to_owned();
    assert_eq!(
        std::fs::metadata(&private).unwrap().permissions().mode() & 0o777,
        0o700
    );
    enqueued(&guest.ports, |spec| {
        spec.queue = QueueName::new("reports").unwrap();
    })
    .await;
    owner.close().unwrap();
    assert!(!private.exists() && !long.join("socket.path").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_does_not_answer_is_named() {
    let folder = tempfile::tempdir().unwrap();
    // Owned, and not served.
    let _store = open(folder.path());
    let error = open_or_connect(folder.path(), Options::default())
        .await
        .unwrap_err();
    assert!(matches!(error, OpenError::Silent { pid: Some(_), .. }), "{error}");
}
