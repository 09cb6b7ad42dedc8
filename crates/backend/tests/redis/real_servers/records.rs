//! Records as they stand in Redis, where builds of another version read them too.

use std::sync::Arc;

use longshore_core::clock::{Clock as _, SystemClock};
use longshore_core::port::enqueue::NewJob;
use longshore_core::port::EnqueuePort as _;
use longshore_core::JobId;
use longshore_testkit::factory::Factory;
use longshore_testkit::servers::Redis;

use super::rig::store;

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
