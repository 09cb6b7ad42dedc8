//! The producer's half: records in gathered writes, messages pipelined, confirms awaited in a window.

use std::sync::LazyLock;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};
use parking_lot::Mutex;
use redis::Script;
use redis::aio::MultiplexedConnection;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Error, GATHER, PAYLOAD, key};

/// Confirms outstanding.
const WINDOW: usize = 1_000;
/// Gathered writes ahead of their messages.
const AHEAD: usize = 8;
/// A persistent message.
const PERSISTENT: u8 = 2;

/// A record each: what is to be run, and how it stands.
static WRITE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "for i, key in ipairs(KEYS) do
           redis.call('HSET', key, 's', 'queued', 'fn', 'noop', 'q', 'default', 'C', ARGV[1], 'p', ARGV[2])
         end
         return #KEYS",
    )
});

/// When each job was handed over.
#[derive(Debug, Default)]
pub(super) struct Called(Mutex<Vec<Instant>>);

impl Called {
    fn now(&self) {
        self.0.lock().push(Instant::now());
    }

    /// How long ago the job of this number was handed over.
    pub(super) fn since(&self, number: u64) -> Option<Duration> {
        let at = usize::try_from(number).ok()?;
        self.0.lock().get(at).map(Instant::elapsed)
    }
}

/// Writes the records of these numbers.
async fn write(redis: &mut MultiplexedConnection, from: u64, to: u64) -> Result<(), Error> {
    let mut call = WRITE.prepare_invoke();
    for number in from..to {
        call.key(key(number));
    }
    call.arg(from).arg(PAYLOAD);
    let _: u64 = call.invoke_async(redis).await?;
    Ok(())
}

/// The body: the numbers, eight bytes each, each with its payload.
fn body(from: u64, to: u64) -> Vec<u8> {
    (from..to)
        .flat_map(|number| number.to_be_bytes().into_iter().chain(PAYLOAD.iter().copied()))
        .collect()
}

async fn publish(channel: &Channel, queue: &str, from: u64, to: u64) -> Result<PublisherConfirm, Error> {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    let body = body(from, to);
    let sent = channel.basic_publish("".into(), queue.into(), options, &body, properties);
    Ok(sent.await?)
}

fn accepted(confirmation: lapin::Result<Confirmation>) -> Result<(), Error> {
    match confirmation? {
        Confirmation::Ack(None) => Ok(()),
        _ => Err(Error::Refused),
    }
}

/// Hands jobs over as fast as the servers take them.
pub(super) async fn run(
    channel: &Channel,
    redis: &MultiplexedConnection,
    queues: &[String],
    jobs: usize,
    bundle: usize,
) -> Result<(), Error> {
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let (written, mut to_publish) = mpsc::channel(AHEAD);
    let mut redis = redis.clone();
    let records = async move {
        for from in (0..jobs).step_by(GATHER) {
            let range = (from as u64, jobs.min(from + GATHER) as u64);
            write(&mut redis, range.0, range.1).await?;
            if written.send(range).await.is_err() {
                break;
            }
        }
        Ok::<_, Error>(())
    };
    let messages = async {
        let mut confirms = FuturesUnordered::new();
        let mut turns = queues.iter().cycle();
        while let Some((from, to)) = to_publish.recv().await {
            for first in (from..to).step_by(bundle) {
                let last = to.min(first + bundle as u64);
                let queue = turns.next().map_or("", String::as_str);
                confirms.push(publish(channel, queue, first, last).await?);
                while confirms.len() >= WINDOW {
                    confirms.next().await.map_or(Ok(()), accepted)?;
                }
            }
        }
        while let Some(confirmation) = confirms.next().await {
            accepted(confirmation)?;
        }
        Ok::<_, Error>(())
    };
    tokio::try_join!(records, messages)?;
    Ok(())
}

/// Hands jobs over one by one, each on its own way.
pub(super) async fn at_a_rate(
    channel: &Channel,
    redis: &MultiplexedConnection,
    queues: &[String],
    jobs: usize,
    every: Duration,
    called: &Called,
) -> Result<(), Error> {
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut ticks = tokio::time::interval(every);
    let mut ways = FuturesUnordered::new();
    let mut turns = queues.iter().cycle();
    for number in 0..jobs as u64 {
        loop {
            tokio::select! {
                _ = ticks.tick() => break,
                Some(way) = ways.next() => way?,
            }
        }
        called.now();
        let (mut redis, queue) = (redis.clone(), turns.next().map_or("", String::as_str));
        ways.push(async move {
            write(&mut redis, number, number + 1).await?;
            accepted(publish(channel, queue, number, number + 1).await?.await)
        });
    }
    while let Some(way) = ways.next().await {
        way?;
    }
    Ok::<_, Error>(())
}
