//! What a process of ours tells of itself: log lines, traces and metrics.
//!
//! Traces and metrics are off unless the configuration names a receiver or a place for `/metrics`; then the parts tell
//! nobody, and no layer looks at spans. On, nothing waits for a receiver: spans and numbers gather in bounded memory, a
//! thread exports them, and what finds no room is dropped.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::time::Duration;

use longshore_core::telemetry::Telemetry;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry};

use crate::config::Config;
use crate::metrics::Metrics;

mod idle;
mod ids;
pub(crate) mod log;
mod observer;
pub(crate) mod otlp;

/// Target of the spans that are for traces alone; logs do not show them unless asked.
pub const TRACE_TARGET: &str = "longshore::trace";
/// Target of what handlers say with `ctx.log`: events of their attempts' spans, and no lines of the worker's log unless its
/// filter asks for them.
const JOB_LOG_TARGET: &str = "longshore::job_log";

/// Why telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A filter that does not parse.
    #[error(
        "log.level: \"{filter}\" is not a filter ({reason}); use a level such as info, or target=level pairs"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody installed a subscriber before.
    #[error("the log is set up already")]
    Installed,
    /// The receiver's endpoint or headers cannot be used.
    #[error("telemetry.{field}: {reason}")]
    Exporter {
        /// The key.
        field: &'static str,
        /// What is wrong with it, without what is secret.
        reason: String,
    },
    /// The metrics cannot be set up.
    #[error("metrics: {0}")]
    Metrics(String),
}

/// The telemetry of this process, while it runs.
#[derive(Clone, Debug)]
pub struct Observed {
    telemetry: Telemetry,
    metrics: Option<Metrics>,
    tracer: Option<SdkTracerProvider>,
    flush_timeout: Duration,
}

/// Installs the log of this process, a panic hook that writes to it, and what the configuration asks for of traces and
/// metrics. Call it once, in `main`, on the runtime that lives as long as the process. Every line goes to a writer that
/// `out` gives: stderr, or what keeps its lines apart from what else is drawn there. `role` is what the process does, and
/// names it to receivers: `worker` is `longshore-worker`.
///
/// # Errors
/// When the level does not parse, the log is set up already, or the receiver's endpoint cannot be used. A receiver that
/// does not answer is no error.
pub fn install<W: io::Write + 'static>(
    config: &Config,
    role: &str,
    out: impl Fn() -> W + Send + Sync + 'static,
) -> Result<Observed, Error> {
    let otlp = otlp::Receiver::of(&config.telemetry)?;
    let resource = otlp::resource(&config.telemetry, role);
    let tracer = match &otlp {
        Some(receiver) => Some(otlp::tracer(
            receiver,
            resource.clone(),
            config.telemetry.sample_ratio,
        )?),
        None => None,
    };
    let metrics = if otlp.is_some() || config.health.listen.is_some() {
        let interval = config.telemetry.metrics_interval;
        Some(Metrics::new(resource, otlp.as_ref(), interval)?)
    } else {
        None
    };
    let lines = log::layer(&config.log, io::stderr().is_terminal(), out)?;
    let spans = tracer.as_ref().map(|tracer| {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer.tracer("longshore"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false);
        layer.with_filter(traced())
    });
    let subscriber = Registry::default().with(spans).with(lines);
    subscriber.try_init().map_err(|_| Error::Installed)?;
    std::panic::set_hook(Box::new(log::log_panic));
    let telemetry = metrics.as_ref().map_or_else(Telemetry::off, |metrics| {
        let observer = observer::Observer::new(metrics.instruments(), tracer.is_some());
        Telemetry::new(Arc::new(observer))
    });
    Ok(Observed {
        telemetry,
        metrics,
        tracer,
        flush_timeout: config.telemetry.flush_timeout,
    })
}

/// What becomes a span or an event of one: what an application says at `info` and above, and our own spans. What the
/// exporters do is no part of it, or every export would be one more.
fn traced() -> Targets {
    let mut targets = Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target(TRACE_TARGET, LevelFilter::DEBUG)
        .with_target(JOB_LOG_TARGET, LevelFilter::DEBUG);
    for library in [
        "opentelemetry",
        "opentelemetry_sdk",
        "opentelemetry_otlp",
        "h2",
        "hyper",
        "hyper_util",
        "reqwest",
        "tonic",
        "tower",
    ] {
        targets = targets.with_target(library, LevelFilter::OFF);
    }
    targets
}

impl Observed {
    /// What the parts are handed.
    pub fn telemetry(&self) -> Telemetry {
        self.telemetry.clone()
    }

    /// The metrics, when somebody reads them.
    pub const fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_ref()
    }

    /// Exports what has gathered, for at most `telemetry.flush_timeout`, and ends. What a receiver does not take in that
    /// time is lost.
    pub async fn close(&self) {
        if self.tracer.is_none() && self.metrics.is_none() {
            return;
        }
        let (tracer, metrics, limit) = (self.tracer.clone(), self.metrics.clone(), self.flush_timeout);
        // Both wait for their threads: on a thread of its own, so that this one's time limit holds.
        let closing = tokio::task::spawn_blocking(move || {
            let spans = std::thread::scope(|scope| {
                let closing = tracer.map(|tracer| scope.spawn(move || tracer.shutdown_with_timeout(limit)));
                if let Some(metrics) = metrics {
                    metrics.close();
                }
                closing.map(std::thread::ScopedJoinHandle::join)
            });
            drop(spans);
        });
        if tokio::time::timeout(limit, closing).await.is_err() {
            tracing::debug!(?limit, "not everything was exported before the end");
        }
    }
}
