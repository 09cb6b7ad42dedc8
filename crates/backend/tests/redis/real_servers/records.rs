//! Records as they stand in Redis, where builds of another version read them too.

use std::sync::Arc;

use bytes::Bytes;
use longshore_core::clock::{Clock as _, SystemClock};
use longshore_core::outcome::{ErrorInfo, Outcome};
use longshore_core::port::attempt::{Beaten, Claimed, Finish, Finished};
use longshore_core::port::enqueue::NewJob;
use longshore_core::port::{AttemptPort as _, EnqueuePort as _};
use longshore_core::view::Detail;
use longshore_core::{JobId, JobStatus};
use longshore_testkit::factory::Factory;
use longshore_testkit::servers::Redis;

use super::rig::{claim, complete, store};

/// The words that read and write a record.
const BASE: &str = concat!(
    include_str!("../../../src/redis/lua/base.lua"),
    include_str!("../../../src/redis/lua/record.lua"),
);

/// What these lines of Lua answer, which have the key of a record in `key`.
async fn with_record(redis: &Redis, id: JobId, lines: &str) -> String {
    let script = format!("{BASE}\nlocal key = P .. 'j:{}'\n{lines}", id.to_hex());
    redis.cli(&["EVAL", &script, "1", "{s00}:meta"]).await.unwrap()
}

/// Changes a record, `r`, behind the scripts' back.
pub(crate) async fn change_record(redis: &Redis, id: JobId, change: &str) {
    let lines = format!("local r = decode(call('GET', key))\n{change}\nreturn call('SET', key, encode(r))");
    assert_eq!(with_record(redis, id, &lines).await.trim(), "OK");
}

fn jobs<const N: usize>() -> [NewJob; N] {
    let factory = Factory::new(Arc::new(SystemClock), SystemClock.now().millis());
    std::array::from_fn(|_| factory.job(0, |_| {}))
}

#[tokio::test]
async fn a_confirmed_dispatch_has_a_time_of_publishing_and_none_of_the_outbox() {
    let (redis, store) = store().await;
    let [job] = jobs();
    let has = async |field: &str| {
        let line = format!("return decode(call('GET', key)).{field} and 1 or 0");
        with_record(&redis, job.id, &line).await.trim() == "1"
    };
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
    let line = "local r = decode(call('GET', key)) return (r.o and 1 or 0) .. (r.n and 1 or 0)";
    assert_eq!(with_record(&redis, plain.id, line).await.trim(), "10");
    let (again, _) = store.step(0, finishes, Vec::new()).await.unwrap();
    assert_eq!(again, ended);
}

/// What a record was before it was one text: a hash of its fields.
const AS_A_HASH: &str = "
    local r = decode(call('GET', key))
    call('DEL', key)
    for field, value in pairs(r) do call('HSET', key, field, type(value) == 'number' and text(value) or value) end
    return 'OK'";

#[tokio::test]
async fn a_record_of_an_earlier_build_is_read_and_written_anew() {
    let (redis, store) = store().await;
    let all: [_; 4] = jobs();
    let [waiting, marked, running, ended] = &all;
    store.enqueue(0, all.to_vec()).await.unwrap();
    let begun = [claim(running), claim(ended)];
    store.step(0, Vec::new(), begun.to_vec()).await.unwrap();
    let end = complete(&begun[1]);
    store.step(0, vec![end.clone()], Vec::new()).await.unwrap();
    let look = async || {
        let ids = all.iter().map(|job| job.id).collect();
        let views = store.inspect_port().jobs(0, ids, Detail::Full).await.unwrap();
        assert!(views.iter().all(Option::is_some));
        views
    };
    let before = look().await;
    for job in &all {
        assert_eq!(with_record(&redis, job.id, AS_A_HASH).await.trim(), "OK");
    }
    // A start left this behind in such a record; it means nothing while the job runs.
    with_record(&redis, running.id, "return call('HSET', key, 'x', 5)").await;
    assert_eq!(look().await, before, "it is read as it was");

    store.mark_published(0, vec![(marked.id, 1)]).await.unwrap();
    let claims = vec![claim(waiting), claim(marked)];
    let finishes = vec![complete(&begun[0]), end];
    let (finished, claimed) = store.step(0, finishes, claims.clone()).await.unwrap();
    assert_eq!(
        finished,
        [Finished::Accepted(JobStatus::Completed); 2],
        "one again, one now"
    );
    assert!(
        claimed.iter().all(|claimed| matches!(claimed, Claimed::Run(_))),
        "{claimed:?}"
    );
    let (finished, _) = store
        .step(0, claims.iter().map(complete).collect(), Vec::new())
        .await
        .unwrap();
    assert_eq!(finished, [Finished::Accepted(JobStatus::Completed); 2]);
    for (job, view) in all.iter().zip(look().await) {
        let view = view.unwrap();
        assert_eq!(view.status, JobStatus::Completed);
        assert_eq!(view.full.unwrap().result, Some(Bytes::from_static(&[42])));
        let is_text = "return type(redis.pcall('GET', key)) == 'string' and 1 or 0";
        assert!(job.id == ended.id || with_record(&redis, job.id, is_text).await.trim() == "1");
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_stops_no_beat_and_no_sweep() {
    let (redis, store) = store().await;
    let all: [_; 2] = jobs();
    store.enqueue(0, all.to_vec()).await.unwrap();
    let claims = [claim(&all[0]), claim(&all[1])];
    store.step(0, Vec::new(), claims.to_vec()).await.unwrap();
    with_record(&redis, all[0].id, "return call('SET', key, 'no record')").await;
    let beats = claims.iter().map(|claim| (claim.id, claim.nonce)).collect();
    let alive = Beaten::Alive {
        cancel_requested: false,
    };
    assert_eq!(store.beat(0, beats).await.unwrap(), [Beaten::Lost, alive]);
    // Its lease is over, and so is the pause of a sweep that has just begun.
    let over =
        "call('ZADD', P .. 'running', 1, key:sub(-32)) return call('HSET', KEYS[1], 'seen', NOW, 'pause', 0)";
    with_record(&redis, all[0].id, over).await;
    let swept = store.schedule_port().expire_leases(0, 10).await.unwrap();
    assert_eq!((swept.requeued, swept.failed), (0, 0));
}
