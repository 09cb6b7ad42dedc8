//! Wakes whoever watches a job, and tells workers what has changed. Both may be lost; polls and beats carry the truth.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use longshore_core::id::JobId;
use longshore_core::port::attempt::{Hint, Hints};
use longshore_core::port::inspect::Wakes;
use parking_lot::Mutex;
use tokio::sync::{broadcast, mpsc};

/// Wake-ups that wait for one watcher; more are dropped, because a watcher that is that far behind polls anyway.
const WAKES_WAITING_MAX: usize = 1_024;
/// Hints that wait for one worker.
const HINTS_WAITING_MAX: usize = 1_024;

/// Who watches what.
#[derive(Debug)]
pub(super) struct Watches {
    jobs: Arc<Jobs>,
    hints: Mutex<Option<broadcast::Sender<Hint>>>,
}

#[derive(Debug, Default)]
struct Jobs {
    /// How many watches there are: a store that nobody watches takes no lock.
    count: AtomicUsize,
    watchers: Mutex<Watchers>,
}

#[derive(Debug, Default)]
struct Watchers {
    next: u64,
    closed: bool,
    by_job: HashMap<JobId, Vec<u64>>,
    channels: HashMap<u64, mpsc::Sender<JobId>>,
}

impl Watches {
    pub(super) fn new() -> Self {
        Self {
            jobs: Arc::default(),
            hints: Mutex::new(Some(broadcast::Sender::new(HINTS_WAITING_MAX))),
        }
    }

    pub(super) fn watch(&self, ids: Vec<JobId>) -> Box<dyn Wakes> {
        let (sender, receiver) = mpsc::channel(WAKES_WAITING_MAX);
        let mut watchers = self.jobs.watchers.lock();
        watchers.next += 1;
        let number = watchers.next;
        if !watchers.closed {
            for id in &ids {
                watchers.by_job.entry(*id).or_default().push(number);
            }
            watchers.channels.insert(number, sender);
        }
        drop(watchers);
        self.jobs.count.fetch_add(1, Ordering::SeqCst);
        Box::new(Watch {
            jobs: Arc::clone(&self.jobs),
            number,
            ids,
            receiver,
        })
    }

    pub(super) fn wake(&self, ids: &[JobId]) {
        if ids.is_empty() || self.jobs.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let watchers = self.jobs.watchers.lock();
        for id in ids {
            for number in watchers.by_job.get(id).into_iter().flatten() {
                if let Some(channel) = watchers.channels.get(number) {
                    // Full or gone: the watcher polls.
                    channel.try_send(*id).ok();
                }
            }
        }
    }

    pub(super) fn hint(&self, hints: Vec<Hint>) {
        if let Some(sender) = self.hints.lock().as_ref() {
            for hint in hints {
                // Nobody listens: nobody needs it.
                sender.send(hint).ok();
            }
        }
    }

    pub(super) fn hints(&self) -> Option<Box<dyn Hints>> {
        let receiver = self.hints.lock().as_ref()?.subscribe();
        Some(Box::new(HintStream(receiver)))
    }

    /// Ends every watch.
    pub(super) fn close(&self) {
        let mut watchers = self.jobs.watchers.lock();
        watchers.closed = true;
        watchers.channels.clear();
        watchers.by_job.clear();
        drop(watchers);
        self.hints.lock().take();
    }
}

struct Watch {
    jobs: Arc<Jobs>,
    number: u64,
    ids: Vec<JobId>,
    receiver: mpsc::Receiver<JobId>,
}

impl Wakes for Watch {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<JobId>> + Send + '_>> {
        Box::pin(self.receiver.recv())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watchers = self.jobs.watchers.lock();
        watchers.channels.remove(&self.number);
        for id in &self.ids {
            if let Some(numbers) = watchers.by_job.get_mut(id) {
                numbers.retain(|number| *number != self.number);
                if numbers.is_empty() {
                    watchers.by_job.remove(id);
                }
            }
        }
        drop(watchers);
        self.jobs.count.fetch_sub(1, Ordering::SeqCst);
    }
}

struct HintStream(broadcast::Receiver<Hint>);

impl Hints for HintStream {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Hint>> + Send + '_>> {
        Box::pin(async move {
            match self.0.recv().await {
                Ok(hint) => Some(hint),
                // What was passed over may have been a pause; that is asked for anew.
                Err(broadcast::error::RecvError::Lagged(_)) => Some(Hint::QueuesChanged),
                Err(broadcast::error::RecvError::Closed) => None,
            }
        })
    }
}
