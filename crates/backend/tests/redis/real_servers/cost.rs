//! What jobs cost in Redis: memory and time.

use std::time::Duration;

use longshore_backend::redis::Store;
use longshore_core::clock::{Clock as _, SystemClock};
use longshore_core::limits::SCRIPT_JOBS_MAX;
use longshore_core::port::attempt::{Claimed, Finished};
use longshore_core::port::enqueue::{Enqueued, NewJob};
use longshore_core::port::{AttemptPort as _, EnqueuePort as _, InspectPort as _};
use longshore_core::view::JobFilter;
use longshore_core::{FunctionName, JobId, JobStatus};
use longshore_testkit::factory::Factory;
use longshore_testkit::servers::Redis;
use tokio::time::Instant;

use super::rig::{claim, complete, store};

fn jobs(factory: &Factory, count: usize) -> Vec<NewJob> {
    (0..count).map(|_| factory.job(0, |_| {})).collect()
}

fn factory() -> Factory {
    Factory::new(std::sync::Arc::new(SystemClock), SystemClock.now().millis())
}

/// Bytes of all keys but payloads and results, by `MEMORY USAGE` of every element.
async fn bytes(redis: &Redis) -> u64 {
    let sum = "local sum = 0
        for _, key in ipairs(redis.call('KEYS', '*')) do
          if not string.find(key, ':[pr]:') then sum = sum + redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0) end
        end
        return sum";
    redis.cli(&["EVAL", sum, "0"]).await.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_queued_job_takes_under_700_bytes_and_a_finished_one_under_500() {
    const COUNT: usize = 10_240;
    let (redis, store) = store().await;
    let jobs = jobs(&factory(), COUNT);
    let empty = bytes(&redis).await;
    let per_job = async |what: &str| {
        let bytes = (bytes(&redis).await - empty) / COUNT as u64;
        println!("{what}: {bytes} bytes a job");
        bytes
    };
    store.enqueue(0, jobs.clone()).await.unwrap();
    let in_outbox = per_job("in the outbox").await;
    let published = jobs.iter().map(|job| (job.id, 1)).collect();
    store.mark_published(0, published).await.unwrap();
    let queued = per_job("queued").await;
    let claims: Vec<_> = jobs.iter().map(claim).collect();
    store.step(0, Vec::new(), claims.clone()).await.unwrap();
    let running = per_job("running").await;
    store
        .step(0, claims.iter().map(complete).collect(), Vec::new())
        .await
        .unwrap();
    let finished = per_job("finished").await;
    assert!(
        in_outbox.max(queued) < 700 && finished < 500,
        "running: {running}"
    );
}

#[tokio::test]
async fn a_vector_of_256_is_one_call() {
    let (redis, store) = store().await;
    let jobs = jobs(&factory(), SCRIPT_JOBS_MAX);
    redis.cli(&["CONFIG", "RESETSTAT"]).await.unwrap();
    let reply = store.enqueue(0, jobs.clone()).await.unwrap();
    assert!(
        reply
            .jobs
            .iter()
            .all(|reply| matches!(reply, Enqueued::Created { gen_: 1, .. }))
    );
    let claims: Vec<_> = jobs.iter().map(claim).collect();
    let (_, claimed) = store.step(0, Vec::new(), claims.clone()).await.unwrap();
    assert!(claimed.iter().all(|claimed| matches!(claimed, Claimed::Run(_))));
    let finishes = claims.iter().map(complete).collect();
    let (finished, _) = store.step(0, finishes, Vec::new()).await.unwrap();
    assert_eq!(finished.len(), SCRIPT_JOBS_MAX);
    assert!(
        finished
            .iter()
            .all(|finished| matches!(finished, Finished::Accepted(_)))
    );
    let stats = redis.cli(&["INFO", "commandstats"]).await.unwrap();
    let calls = |command: &str| {
        let line = stats
            .lines()
            .find(|line| line.starts_with(command))
            .unwrap_or("calls=0,");
        let calls = line.split_once("calls=").unwrap().1.split(',').next().unwrap();
        calls.parse::<u32>().unwrap()
    };
    // The first of each kind is sent by its text.
    assert_eq!(
        calls("cmdstat_eval:") + calls("cmdstat_evalsha:"),
        3 + 2,
        "{stats}"
    );
    assert_eq!(calls("cmdstat_eval:"), 2);
}

/// All jobs of a status, page by page, and how many pages that took.
async fn listed(store: &Store, status: JobStatus) -> (Vec<JobId>, usize) {
    let (mut ids, mut pages, mut after) = (Vec::new(), 0, None);
    loop {
        let filter = JobFilter {
            statuses: vec![status],
            ..JobFilter::default()
        };
        let page = store.inspect_port().list(filter, after, 50).await.unwrap();
        ids.extend(page.jobs.into_iter().map(|job| job.id));
        pages += 1;
        match page.next {
            Some(next) => after = Some(next),
            None => return (ids, pages),
        }
    }
}

#[tokio::test]
async fn a_listing_by_a_status_that_few_jobs_have_passes_the_others_over() {
    let (redis, store) = store().await;
    let mut jobs = jobs(&factory(), 1_400);
    // Each of its own function: their rows are in one index all the same.
    for (number, job) in jobs.iter_mut().skip(1_370).enumerate() {
        job.function_name = FunctionName::new(format!("work-{number}")).unwrap();
    }
    store.enqueue(0, jobs.clone()).await.unwrap();
    let (many, few) = jobs.split_at(1_370);
    let marks = few.iter().map(|job| (job.id, 1)).collect();
    store.mark_published(0, marks).await.unwrap();
    let claims: Vec<_> = many.iter().map(claim).collect();
    store.step(0, Vec::new(), claims.clone()).await.unwrap();
    store
        .step(0, claims.iter().map(complete).collect(), Vec::new())
        .await
        .unwrap();

    redis.cli(&["CONFIG", "RESETSTAT"]).await.unwrap();
    let (mut ids, pages) = listed(&store, JobStatus::Queued).await;
    let stats = redis.cli(&["INFO", "commandstats"]).await.unwrap();
    let reads = stats.lines().find(|line| line.starts_with("cmdstat_get:"));
    let reads = reads.map_or("0", |line| line.split(['=', ',']).nth(1).unwrap());
    // Of each that is shown: to choose it, and its record, progress and error.
    assert_eq!(reads.parse::<usize>().unwrap(), 4 * few.len());
    assert_eq!(pages, 1);
    ids.sort_unstable();
    let mut queued: Vec<_> = few.iter().map(|job| job.id).collect();
    queued.sort_unstable();
    assert_eq!(ids, queued);

    let (mut ids, _) = listed(&store, JobStatus::Completed).await;
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(
        ids.len(),
        many.len(),
        "more than the indexes are asked for: all are found"
    );
    assert_eq!(listed(&store, JobStatus::Failed).await, (Vec::new(), 1));
}

/// Prints rates; asserts only what any machine must reach.
#[tokio::test]
async fn steps_of_64_jobs_are_quick() {
    const ROUNDS: usize = 60;
    let (redis, store) = store().await;
    let jobs = jobs(&factory(), 64 * ROUNDS);
    let cpu = async || {
        let info = redis.cli(&["INFO", "cpu"]).await.unwrap();
        let seconds = |name: &str| {
            let line = info.lines().find(|line| line.starts_with(name)).unwrap();
            line.trim().split_once(':').unwrap().1.parse::<f64>().unwrap()
        };
        seconds("used_cpu_sys:") + seconds("used_cpu_user:")
    };
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let tell = |what: &str, took: Duration, cpu: f64| {
        let total = (64 * ROUNDS) as f64;
        println!(
            "{what}: {:.0} jobs/s, {:.0} scripts/s, Redis CPU {:.1} us a job",
            total / took.as_secs_f64(),
            ROUNDS as f64 / took.as_secs_f64(),
            cpu / total * 1e6
        );
    };
    let (start, used) = (Instant::now(), cpu().await);
    for jobs in jobs.chunks(64) {
        store.enqueue(0, jobs.to_vec()).await.unwrap();
    }
    tell("enqueue", start.elapsed(), cpu().await - used);
    let (start, used) = (Instant::now(), cpu().await);
    for jobs in jobs.chunks(64) {
        let published = jobs.iter().map(|job| (job.id, 1)).collect();
        store.mark_published(0, published).await.unwrap();
    }
    tell("mark_published", start.elapsed(), cpu().await - used);
    let (start, used) = (Instant::now(), cpu().await);
    let mut held = Vec::new();
    for jobs in jobs.chunks(64) {
        let claims: Vec<_> = jobs.iter().map(claim).collect();
        let finishes = std::mem::replace(&mut held, claims.iter().map(complete).collect());
        store.step(0, finishes, claims).await.unwrap();
    }
    let took = start.elapsed();
    tell("step (64 finishes, 64 claims)", took, cpu().await - used);
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[tokio::test]
async fn changes_are_told_only_while_somebody_watches_a_job_of_the_shard() {
    let (redis, store) = store().await;
    let jobs = jobs(&factory(), 2);
    let told = async || {
        let stats = redis.cli(&["INFO", "commandstats"]).await.unwrap();
        stats.contains("cmdstat_publish:")
    };
    let run = async |job: &NewJob| {
        let claim = claim(job);
        store.enqueue(0, vec![job.clone()]).await.unwrap();
        store.step(0, Vec::new(), vec![claim.clone()]).await.unwrap();
        store.step(0, vec![complete(&claim)], Vec::new()).await.unwrap();
    };
    run(&jobs[0]).await;
    assert!(!told().await);
    let mut wakes = store.watch(vec![jobs[1].id]).await.unwrap();
    run(&jobs[1]).await;
    assert_eq!(wakes.next().await, Some(jobs[1].id));
    assert!(told().await);
}
