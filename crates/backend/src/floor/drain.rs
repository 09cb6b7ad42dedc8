//! The worker's half: what has arrived is started together, ended together, and acknowledged in a run.

use std::sync::LazyLock;

use futures_util::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use redis::Script;
use redis::aio::MultiplexedConnection;
use tokio::sync::mpsc;

use super::{Error, GATHER, PAYLOAD, PREFETCH, key};

/// Bytes of one job in a body.
const JOB: usize = 8 + PAYLOAD.len();

/// How a record stands, of many at once.
static STEP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "for i, key in ipairs(KEYS) do
           redis.call('HSET', key, 's', ARGV[1], ARGV[2], ARGV[3])
         end
         return #KEYS",
    )
});

/// The jobs in a body.
fn numbers(body: &[u8]) -> impl Iterator<Item = u64> + '_ {
    body.chunks(JOB)
        .filter_map(|job| job.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes)))
}

async fn step(
    redis: &mut MultiplexedConnection,
    jobs: &[u64],
    status: &str,
    field: &str,
) -> Result<(), Error> {
    let mut call = STEP.prepare_invoke();
    for number in jobs {
        call.key(key(*number));
    }
    call.arg(status).arg(field).arg(1);
    let _: u64 = call.invoke_async(redis).await?;
    Ok(())
}

/// Works off `jobs` jobs from all queues; `started` is told the number of each at its start.
pub(super) async fn run(
    channels: Vec<Channel>,
    redis: &MultiplexedConnection,
    queues: &[String],
    jobs: usize,
    mut started: impl FnMut(u64),
) -> Result<(), Error> {
    let (told, mut seen) = mpsc::channel(GATHER);
    let mut lanes = Vec::new();
    for (channel, queue) in channels.into_iter().zip(queues) {
        let consumer = consume(&channel, queue).await?;
        lanes.push(tokio::spawn(lane(channel, consumer, redis.clone(), told.clone())));
    }
    drop(told);
    let mut left = jobs;
    while left > 0 {
        match seen.recv().await {
            Some(Seen::Started(numbers)) => numbers.into_iter().for_each(&mut started),
            Some(Seen::Ended(count)) => left = left.saturating_sub(count),
            None => break,
        }
    }
    for lane in lanes {
        lane.abort();
        if let Ok(Err(error)) = lane.await {
            return Err(error);
        }
    }
    if left == 0 {
        Ok(())
    } else {
        Err(Error::Ended(jobs - left))
    }
}

enum Seen {
    Started(Vec<u64>),
    Ended(usize),
}

async fn consume(channel: &Channel, queue: &str) -> Result<Consumer, Error> {
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let consumer = channel.basic_consume(
        queue.into(),
        "".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    Ok(consumer.await?)
}

async fn lane(
    channel: Channel,
    mut consumer: Consumer,
    mut redis: MultiplexedConnection,
    told: mpsc::Sender<Seen>,
) -> Result<(), Error> {
    while let Some(first) = consumer.next().await {
        let first = first?;
        let mut tag = first.delivery_tag;
        let mut jobs: Vec<u64> = numbers(&first.data).collect();
        while jobs.len() < GATHER {
            let Some(Some(next)) = consumer.next().now_or_never() else {
                break;
            };
            let next: Delivery = next?;
            tag = next.delivery_tag;
            jobs.extend(numbers(&next.data));
        }
        step(&mut redis, &jobs, "running", "S").await?;
        if told.send(Seen::Started(jobs.clone())).await.is_err() {
            break;
        }
        step(&mut redis, &jobs, "completed", "f").await?;
        channel.basic_ack(tag, BasicAckOptions { multiple: true }).await?;
        if told.send(Seen::Ended(jobs.len())).await.is_err() {
            break;
        }
    }
    Ok(())
}
