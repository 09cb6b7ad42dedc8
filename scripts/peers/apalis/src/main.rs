//! apalis-redis as a peer: `work WARM JOBS` or `produce COUNT`. PEER_REDIS_URL says where.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use apalis::layers::WorkerBuilderExt;
use apalis::prelude::*;
use apalis_redis::{Config, RedisStorage};
use serde::{Deserialize, Serialize};

static DONE: AtomicUsize = AtomicUsize::new(0);
static MARKS: OnceLock<[usize; 2]> = OnceLock::new();
/// Jobs of one push, which is one round trip.
const BULK: usize = 500;
/// Jobs at once, and jobs fetched at once.
const CONCURRENCY: usize = 100;
/// How often it asks for more. As it comes it asks seldom: 165 jobs a second came through.
const POLL: Duration = Duration::from_millis(5);

#[derive(Debug, Serialize, Deserialize)]
struct Nothing {
    text: String,
    number: u64,
}

async fn nothing(job: Nothing) -> Result<u64, BoxDynError> {
    let done = DONE.fetch_add(1, Ordering::Relaxed) + 1;
    if MARKS.get().is_some_and(|marks| marks.contains(&done)) {
        println!("done {}", now());
    }
    Ok(job.number)
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

#[tokio::main]
async fn main() -> Result<(), BoxDynError> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| {
        words
            .get(at)
            .and_then(|word| word.parse::<usize>().ok())
            .unwrap_or(0)
    };
    let connection = apalis_redis::connect(std::env::var("PEER_REDIS_URL")?).await?;
    let queue = std::env::var("PEER_QUEUE")?;
    let config = Config::default().queue(&queue).batch_size(CONCURRENCY);
    let mut storage = RedisStorage::new(connection).with_config(config);
    if words.first().is_some_and(|word| word == "work") {
        let _ = MARKS.set([number(1), number(1) + number(2)]);
        println!("ready");
        let worker = WorkerBuilder::new("peer")
            .backend(storage.poll_with_interval(POLL))
            .concurrency(CONCURRENCY)
            .build(nothing);
        worker.run().await?;
    } else {
        println!("start {}", now());
        let count = number(1) as u64;
        for first in (0..count).step_by(BULK) {
            let last = count.min(first + BULK as u64);
            let bulk = (first..last).map(|number| Nothing {
                text: "x".repeat(24),
                number,
            });
            storage.push_bulk(bulk.collect()).await?;
        }
        println!("sent {}", now());
    }
    Ok(())
}
