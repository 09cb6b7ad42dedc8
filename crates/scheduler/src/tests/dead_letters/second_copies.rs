//! Second copies of twins that come after the first was moved on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use longshore_core::port::broker::{Depth, Source, Subscription};
use longshore_core::port::schedule::DeadLetter;
use longshore_core::port::{ConsumePort, Reply};
use longshore_core::{JobId, JobStatus, QueueName};

use super::{Rig, failed, rig, rig_over};

/// More twins than a lap looks at together, as a wipe leaves them; none of them is in the archive yet.
async fn outlived(rig: &Rig) -> Vec<DeadLetter> {
    rig.ended(failed()).await;
    rig.keep().await;
    let like = rig.archive().await.remove(0);
    (0..150).map(|_| rig.outlived(&like)).collect()
}

async fn all_are_back(rig: &Rig, lost: &[DeadLetter]) {
    let archived = rig.archived().await;
    for letter in lost {
        let status = rig.find(letter.id).await.map(|job| job.status);
        assert_eq!(status, Some(JobStatus::Failed));
        let twins = archived.iter().filter(|id| **id == letter.id).count();
        assert_eq!(twins, 1);
    }
}

#[tokio::test]
async fn a_second_copy_in_a_later_page_keeps_no_job_from_coming_back_after_a_wipe() {
    let rig = rig();
    let lost = outlived(&rig).await;
    let (before, behind) = lost.split_at(120);
    let letters = [before, &lost[..1], behind].concat();
    rig.ports.publish.archive(letters).await;
    rig.keep_anew().await;
    all_are_back(&rig, &lost).await;
}

async fn dead(rig: &Rig, count: usize) -> Vec<JobId> {
    let mut dead = Vec::new();
    for _ in 0..count {
        dead.push(rig.ended(failed()).await.id);
    }
    rig.keep().await;
    dead
}

#[tokio::test]
async fn a_second_copy_of_a_twin_that_was_moved_on_keeps_no_stale_twin_in_the_archive() {
    let rig = rig();
    let mut kept = dead(&rig, 600).await;
    let twice = rig.archive().await.remove(0);
    rig.ports.publish.archive(vec![twice.clone()]).await;
    let late = dead(&rig, 100).await;
    let (requeued, later) = (late[0], late[1]);
    kept.extend_from_slice(&late[2..]);
    rig.requeue(requeued).await;
    rig.keep().await;
    let mut expected = [kept.clone(), vec![later, twice.id]].concat();
    expected.sort_unstable();
    assert_eq!(
        sorted(&rig).await,
        expected,
        "the second copy may be the only one"
    );
    assert_eq!(rig.removals().await, 0);
    rig.requeue(later).await;
    rig.keep().await;
    kept.sort_unstable();
    assert_eq!(sorted(&rig).await, kept, "it goes with the next lap");
}

async fn sorted(rig: &Rig) -> Vec<JobId> {
    let mut archived = rig.archived().await;
    archived.sort_unstable();
    archived
}

/// Counts letters of the archive that have gone since.
struct Overcounting {
    inner: Arc<dyn ConsumePort>,
    gone: AtomicU64,
}

impl ConsumePort for Overcounting {
    fn subscribe(&self, source: Source, prefetch: u16) -> Reply<'_, Box<dyn Subscription>> {
        self.inner.subscribe(source, prefetch)
    }

    fn depths(&self, queues: Vec<QueueName>) -> Reply<'_, Vec<Depth>> {
        self.inner.depths(queues)
    }

    fn archived(&self) -> Reply<'_, u64> {
        Box::pin(async move {
            let there = self.inner.archived().await?;
            Ok(there + self.gone.load(Ordering::SeqCst))
        })
    }

    fn consumer_timeout(&self) -> Duration {
        self.inner.consumer_timeout()
    }
}

#[tokio::test]
async fn a_lap_that_counted_letters_which_have_gone_ends_and_loses_no_twin() {
    let mut counting = None;
    let rig = rig_over(
        |builder| builder,
        |ports| {
            let port = Arc::new(Overcounting {
                inner: Arc::clone(&ports.consume),
                gone: AtomicU64::new(0),
            });
            ports.consume = port.clone();
            counting = Some(port);
        },
    );
    let lost = outlived(&rig).await;
    rig.ports.publish.archive(lost.clone()).await;
    counting.unwrap().gone.store(3, Ordering::SeqCst);
    rig.keep_anew().await;
    all_are_back(&rig, &lost).await;
}
