//! The jobs of a measurement, and what their handler saw.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use longshore::Job;
use longshore_core::JobError;
use longshore_worker::{JobContext, State};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// How long a job of a backlog takes.
const BACKLOG_JOB: Duration = Duration::from_millis(20);

/// A job that does nothing, or updates its progress for a while.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct BenchJob {
    pub(super) text: String,
    pub(super) number: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) updates: Option<Updates>,
    /// It takes a while, unless everything is to end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_slow: bool,
}

/// Progress updates of one job.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Updates {
    pub(super) count: u32,
    pub(super) every_ms: u64,
}

impl Job for BenchJob {
    const FUNCTION_NAME: &'static str = "longshore.bench";
    type Output = usize;
}

/// What the handler saw. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    done: AtomicUsize,
    /// How many of them are asked for.
    most: AtomicUsize,
    hurries: AtomicBool,
    called: Mutex<Vec<Instant>>,
    waits: Mutex<Vec<Duration>>,
    starts: Mutex<Option<Vec<Instant>>>,
}

impl Seen {
    /// Another worker begins, which is to end so many jobs at most.
    pub(super) fn count_anew(&self, most: usize) {
        self.0.most.store(most, Ordering::Relaxed);
        self.0.done.store(0, Ordering::Relaxed);
    }

    /// Whether a handler that is about to end is one of those that were asked for.
    fn end(&self) -> bool {
        self.0.done.fetch_add(1, Ordering::Relaxed) < self.0.most.load(Ordering::Relaxed)
    }

    fn start(&self, number: usize) {
        let called = self.0.called.lock().get(number).copied();
        if let Some(called) = called {
            self.0.waits.lock().push(called.elapsed());
        }
        if let Some(starts) = self.0.starts.lock().as_mut() {
            starts.push(Instant::now());
        }
    }

    pub(super) fn called_now(&self) {
        self.0.called.lock().push(Instant::now());
    }

    pub(super) fn take_waits(&self) -> Vec<Duration> {
        self.0.called.lock().clear();
        std::mem::take(&mut self.0.waits.lock())
    }

    /// Remembers from now on when jobs start.
    pub(super) fn watch_starts(&self) {
        *self.0.starts.lock() = Some(Vec::new());
    }

    /// When the jobs started since then, in order.
    pub(super) fn take_starts(&self) -> Vec<Instant> {
        self.0.starts.lock().take().unwrap_or_default()
    }

    /// Jobs of a backlog take no time from now on.
    pub(super) fn hurry(&self) {
        self.0.hurries.store(true, Ordering::Relaxed);
    }

    /// They take their time from now on.
    pub(super) fn take_time(&self) {
        self.0.hurries.store(false, Ordering::Relaxed);
    }

    /// How many handlers have come to their end since [`Self::count_anew`].
    pub(super) fn done(&self) -> usize {
        self.0.done.load(Ordering::Relaxed)
    }
}

pub(super) async fn work(
    job: BenchJob,
    ctx: JobContext,
    State(seen): State<Seen>,
) -> Result<usize, JobError> {
    seen.start(job.number);
    if job.is_slow && !seen.0.hurries.load(Ordering::Relaxed) {
        tokio::time::sleep(BACKLOG_JOB).await;
    }
    if let Some(updates) = job.updates {
        let mut ticks = tokio::time::interval(Duration::from_millis(updates.every_ms));
        for step in 1..=updates.count {
            ticks.tick().await;
            ctx.check_cancelled()?;
            ctx.progress(f64::from(step) / f64::from(updates.count), "measuring");
        }
    }
    if !seen.end() {
        // It goes back to its queue when the worker stops, which is now.
        ctx.cancelled().await;
        return Err(JobError::cancelled());
    }
    Ok(job.number)
}
