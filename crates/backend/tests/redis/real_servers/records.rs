//! Records as they stand in Redis, where builds of another version read them too.

use std::sync::Arc;

use longshore_core::clock::{Clock as _, SystemClock};
use longshore_core::outcome::{ErrorInfo, Outcome};
use longshore_core::port::attempt::{Finish, Finished};
use longshore_core::port::enqueue::NewJob;
use longshore_core::port::{AttemptPort as _, EnqueuePort as _};
use longshore_core::{JobId, JobStatus};
use longshore_testkit::factory::Factory;
use longshore_testkit::servers::Redis;

use super::rig::{claim, complete, store};

fn jobs<const N: usize>() -> [NewJob; N] {
    let factory = Factory::new(Arc::new(SystemClock), SystemClock.now().millis());
    std::array::from_fn(|_| factory.job(0, |_| {}))
}

/// The names of the fields of a record.
async fn fields(redis: &Redis, id: JobId) -> Vec<String> {
    let key = format!("{{s00}}:j:{}", id.to_hex());
    let names = redis.cli(&["HKEYS", &key]).await.unwrap();
    names.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_confirmed_dispatch_has_a_time_of_publishing_and_none_of_the_outbox() {
    let (redis, store) = store().await;
    let [job] = jobs();
    let has = async |field: &str| fields(&redis, job.id).await.iter().any(|name| name == field);
    store.enqueue(0, vec![job.clone()]).await.unwrap();
    assert_eq!((has("x").await, has("p").await), (true, false));
    store.mark_published(0, vec![(job.id, 1)]).await.unwrap();
    assert_eq!((has("x").await, has("p").await), (false, true));
}

/// Where the two ways of ending a job differ: by hand its owner stays as who finished it.
#[tokio::test]
async fn a_plain_end_behind_a_failed_one_is_written_by_hand() {
    let (redis, store) = store().await;
    let [failed, plain] = jobs();
    store
        .enqueue(0, vec![failed.clone(), plain.clone()])
        .await
        .unwrap();
    let claims = [claim(&failed), claim(&plain)];
    store.step(0, Vec::new(), claims.to_vec()).await.unwrap();
    let first = Finish {
        outcome: Outcome::Failed {
            error: ErrorInfo::new("io", "the disk is on fire"),
        },
        ..complete(&claims[0])
    };
    let finishes = vec![first, complete(&claims[1])];
    let (finished, _) = store.step(0, finishes.clone(), Vec::new()).await.unwrap();
    let ended = [JobStatus::Failed, JobStatus::Completed].map(Finished::Accepted);
    assert_eq!(finished, ended);
    let names = fields(&redis, plain.id).await;
    assert!(
        names.contains(&"o".to_owned()) && !names.contains(&"n".to_owned()),
        "{names:?}"
    );
    let (again, _) = store.step(0, finishes, Vec::new()).await.unwrap();
    assert_eq!(again, ended);
}
