//! The whole fleet, as a scheduler sees it: queues, workers, and how long what waits will take.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore_core::port::broker::Depth;
use longshore_core::port::{Error, Ports};
use longshore_core::view::{QueueView, WorkerView};
use longshore_core::{Clock, JobStatus, QueueName, Timestamp};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Metrics;
use super::bounded::NAMES_MAX;
use super::names::{self, Metric};

/// How often the fleet is read.
const EVERY: Duration = Duration::from_secs(10);
/// How long a reading counts when none follows.
const FRESH: Duration = Duration::from_secs(45);
/// What a reading may take.
const PATIENCE: Duration = Duration::from_secs(8);
/// The run time that is assumed until a worker has measured one.
const RUN_UNKNOWN: f64 = 1.0;

/// One reading.
#[derive(Debug, Default)]
struct Reading {
    at: Option<Instant>,
    queues: BTreeMap<QueueName, QueueReading>,
}

/// What is told of one queue.
#[derive(Debug, Default)]
struct QueueReading {
    jobs: Vec<(JobStatus, u64)>,
    messages: Vec<(&'static str, u64)>,
    paused: bool,
    workers: u64,
    slots: u64,
    busy: u64,
    run_mean: f64,
    oldest: f64,
    parked: u64,
    backlog: f64,
}

/// Reads the fleet now and every ten seconds until `stop`, for the metrics of its queues. One process a fleet is enough;
/// more tell the same.
pub async fn read_fleet(metrics: &Metrics, ports: Ports, clock: Arc<dyn Clock>, stop: CancellationToken) {
    let last = Arc::new(Mutex::new(Reading::default()));
    gauges(&metrics.meter(), &last);
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        let reading = tokio::time::timeout(PATIENCE, read(&ports, clock.now()));
        let Some(reading) = stop.run_until_cancelled(reading).await else {
            return;
        };
        match reading {
            Ok(Ok(queues)) => {
                let reading = Reading {
                    at: Some(Instant::now()),
                    queues,
                };
                *last.lock().unwrap_or_else(PoisonError::into_inner) = reading;
            }
            Ok(Err(error)) => tracing::debug!(%error, "the fleet cannot be read for its metrics"),
            Err(_) => tracing::debug!("the fleet took too long to be read for its metrics"),
        }
    }
}

async fn read(ports: &Ports, now: Timestamp) -> Result<BTreeMap<QueueName, QueueReading>, Error> {
    let queues = ports.inspect.queues().await?;
    let standing = ports.inspect.standing().await?;
    let workers = ports.inspect.workers().await?;
    let parked = standing.parked_by_queue();
    let names: Vec<_> = queues.keys().take(NAMES_MAX).cloned().collect();
    // The broker may be away; what the store knows is told all the same.
    let depths = ports.consume.depths(names).await.unwrap_or_default();
    Ok(queues
        .into_iter()
        .take(NAMES_MAX)
        .map(|(queue, view)| {
            let since = standing.oldest.get(&queue).copied();
            let oldest = since.map(|since| now.since(since));
            let parked = parked.get(&queue).copied().unwrap_or(0);
            let reading = of_queue(&queue, &view, parked, &workers, &depths, oldest);
            (queue, reading)
        })
        .collect())
}

fn of_queue(
    queue: &QueueName,
    view: &QueueView,
    parked: u64,
    workers: &[WorkerView],
    depths: &[Depth],
    oldest: Option<Duration>,
) -> QueueReading {
    let serving = || {
        workers
            .iter()
            .filter(|worker| !worker.draining && worker.queues.contains(queue))
    };
    let sum = |of: fn(&WorkerView) -> u32| serving().map(|worker| u64::from(of(worker))).sum();
    let slots: u64 = sum(|worker| worker.slots);
    let run_mean = run_mean(queue, workers);
    let of_queue = depths.iter().filter(|depth| depth.queue == *queue);
    QueueReading {
        jobs: view
            .counts
            .iter()
            .map(|(status, count)| (*status, *count))
            .collect(),
        messages: of_queue
            .map(|depth| {
                (
                    depth.priority.map_or("all", |priority| priority.as_str()),
                    depth.ready,
                )
            })
            .collect(),
        paused: view.paused,
        workers: serving().count() as u64,
        slots,
        busy: sum(|worker| worker.busy),
        run_mean,
        oldest: oldest.map_or(0.0, |age| age.as_secs_f64()),
        parked,
        // Further workers of the same kind would not start what is parked.
        backlog: backlog(view.size().saturating_sub(parked), run_mean, slots),
    }
}

/// How long the slots need for what is queued. Without a worker there is one slot, so that there is something to scale up
/// from.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn backlog(queued: u64, run_mean: f64, slots: u64) -> f64 {
    queued as f64 * run_mean / slots.max(1) as f64
}

/// The mean run time of a queue's jobs, over what its workers have measured.
#[expect(clippy::cast_precision_loss, reason = "weights of a mean")]
fn run_mean(queue: &QueueName, workers: &[WorkerView]) -> f64 {
    let measured = workers.iter().flat_map(|worker| &worker.run_times);
    let (mut sum, mut weight) = (0.0, 0.0);
    for (of, run_time) in measured {
        if of == queue && run_time.seconds.is_finite() {
            sum += run_time.seconds * run_time.count as f64;
            weight += run_time.count as f64;
        }
    }
    if weight > 0.0 { sum / weight } else { RUN_UNKNOWN }
}

/// Makes the gauges that tell the last reading.
fn gauges(meter: &Meter, last: &Arc<Mutex<Reading>>) {
    gauge(meter, last, &names::QUEUE_JOBS, |queue| {
        let jobs = queue.jobs.iter();
        jobs.map(|(status, count)| (Some((names::STATUS, status.as_str())), count_of(*count)))
            .collect()
    });
    gauge(meter, last, &names::QUEUE_MESSAGES, |queue| {
        let messages = queue.messages.iter();
        messages
            .map(|(priority, count)| (Some((names::PRIORITY, *priority)), count_of(*count)))
            .collect()
    });
    gauge(meter, last, &names::QUEUE_OLDEST, |queue| {
        vec![(None, queue.oldest)]
    });
    gauge(meter, last, &names::QUEUE_JOBS_PARKED, |queue| {
        vec![(None, count_of(queue.parked))]
    });
    gauge(meter, last, &names::QUEUE_BACKLOG, |queue| {
        vec![(None, queue.backlog)]
    });
    gauge(meter, last, &names::QUEUE_RUN_MEAN, |queue| {
        vec![(None, queue.run_mean)]
    });
    gauge(meter, last, &names::QUEUE_SLOTS, |queue| {
        vec![(None, count_of(queue.slots))]
    });
    gauge(meter, last, &names::QUEUE_SLOTS_BUSY, |queue| {
        vec![(None, count_of(queue.busy))]
    });
    gauge(meter, last, &names::QUEUE_WORKERS, |queue| {
        vec![(None, count_of(queue.workers))]
    });
    gauge(meter, last, &names::QUEUE_PAUSED, |queue| {
        vec![(None, f64::from(u8::from(queue.paused)))]
    });
}

/// An attribute besides the queue, and a value.
type Point = (Option<(&'static str, &'static str)>, f64);

fn gauge(
    meter: &Meter,
    last: &Arc<Mutex<Reading>>,
    metric: &Metric,
    points: impl Fn(&QueueReading) -> Vec<Point> + Send + Sync + 'static,
) {
    let last = Arc::clone(last);
    meter
        .f64_observable_gauge(metric.name)
        .with_unit(metric.unit)
        .with_description(metric.meaning)
        .with_callback(move |observer| {
            let reading = last.lock().unwrap_or_else(PoisonError::into_inner);
            if reading.at.is_none_or(|at| at.elapsed() > FRESH) {
                return;
            }
            for (name, queue) in &reading.queues {
                for (attribute, value) in points(queue) {
                    let mut attributes = vec![KeyValue::new(names::QUEUE, name.as_str().to_owned())];
                    attributes.extend(attribute.map(|(name, text)| KeyValue::new(name, text)));
                    observer.observe(value, &attributes);
                }
            }
        })
        .build();
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn count_of(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::view::RunTime;
    use longshore_core::{Priority, Timestamp, WorkerId};

    fn worker(queues: &[&str], slots: u32, busy: u32, mean: Option<(f64, u64)>) -> WorkerView {
        let queues: Vec<_> = queues.iter().map(|name| QueueName::new(name).unwrap()).collect();
        let run_time = |(seconds, count)| (queues[0].clone(), RunTime { seconds, count });
        WorkerView {
            id: WorkerId("w".to_owned()),
            host: String::new(),
            pid: 1,
            version: String::new(),
            functions: Vec::new(),
            run_times: mean.map(run_time).into_iter().collect(),
            watermarks: vec![(queues[0].clone(), Priority::Normal, Timestamp(40_000))],
            queues,
            slots,
            busy,
            free: 0,
            unattached: Vec::new(),
            running: Vec::new(),
            draining: false,
            started_at: Timestamp(0),
            seen_at: Timestamp(0),
        }
    }

    fn reading(queued: u64, workers: &[WorkerView]) -> QueueReading {
        with_parked(queued, 0, workers)
    }

    fn with_parked(queued: u64, parked: u64, workers: &[WorkerView]) -> QueueReading {
        let view = QueueView {
            counts: [(JobStatus::Queued, queued)].into(),
            paused: false,
        };
        of_queue(&QueueName::default(), &view, parked, workers, &[], None)
    }

    fn close(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9
    }

    #[test]
    fn the_backlog_is_what_is_queued_by_its_run_time_over_the_slots() {
        let workers = [
            worker(&["default"], 8, 3, Some((2.0, 30))),
            worker(&["default", "mail"], 2, 2, Some((6.0, 10))),
            worker(&["mail"], 100, 0, Some((99.0, 100))),
        ];
        let reading = reading(100, &workers);
        assert!(close(reading.run_mean, 3.0), "{reading:?}");
        assert_eq!((reading.workers, reading.slots, reading.busy), (2, 10, 5));
        assert!(close(reading.backlog, 30.0), "{reading:?}");
    }

    #[test]
    fn what_is_parked_asks_for_no_further_workers() {
        let workers = [worker(&["default"], 4, 0, Some((2.0, 30)))];
        let reading = with_parked(100, 98, &workers);
        assert_eq!(reading.parked, 98);
        assert!(close(reading.backlog, 1.0), "{reading:?}");
    }

    #[test]
    fn a_queue_without_workers_has_a_backlog() {
        let waiting = reading(7, &[]);
        assert!(close(waiting.backlog, 7.0), "{waiting:?}");
        let draining = WorkerView {
            draining: true,
            ..worker(&["default"], 8, 8, None)
        };
        assert_eq!(reading(7, &[draining]).slots, 0);
    }
}
