//! Progress is written at most ten times a second a job, in one call a shard for all jobs.

use std::collections::BTreeMap;
use std::time::Duration;

use longshore_core::port::Error;
use longshore_core::port::attempt::ProgressWrite;
use tokio::time::Instant;

use super::Control;
use super::flights::{Answer, in_time};

/// Between two writes.
const EVERY: Duration = Duration::from_millis(100);
/// After a write that failed.
const AGAIN: Duration = Duration::from_secs(1);

/// Attempts with progress to write.
#[derive(Debug, Default)]
pub(super) struct Flushes {
    keys: Vec<u64>,
    next: Option<Instant>,
    flying: usize,
}

impl Flushes {
    /// An attempt has something to write; answers when it is written.
    pub(super) fn mark(&mut self, key: u64, now: Instant) -> Instant {
        self.keys.push(key);
        self.next.map_or(now, |next| next.max(now))
    }

    /// When the next write is due.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.keys.is_empty() || self.flying > 0 {
            return None;
        }
        self.next
    }

    /// Starts a write: its attempts, each once.
    fn start(&mut self, now: Instant) -> Option<Vec<u64>> {
        if self.keys.is_empty() || self.flying > 0 || self.next.is_some_and(|next| next > now) {
            return None;
        }
        self.next = Some(now + EVERY);
        let mut keys = std::mem::take(&mut self.keys);
        keys.sort_unstable();
        keys.dedup();
        Some(keys)
    }
}

impl Control {
    pub(super) fn flush_progress(&mut self, now: Instant) {
        let Some(keys) = self.flushes.start(now) else {
            return;
        };
        let said_at = self.clock.now();
        let mut shards: BTreeMap<u16, (Vec<u64>, Vec<ProgressWrite>)> = BTreeMap::new();
        for key in keys {
            let Some(attempt) = self.running.get(key).filter(|attempt| attempt.is_active()) else {
                continue;
            };
            if let Some(progress) = attempt.ctx.inner().progress.take(said_at) {
                let (keys, writes) = shards.entry(attempt.shard()).or_default();
                keys.push(key);
                writes.push(ProgressWrite {
                    id: attempt.id(),
                    nonce: attempt.nonce,
                    progress,
                });
            }
        }
        for (shard, (keys, writes)) in shards {
            self.flushes.flying += 1;
            let port = self.ports.attempt.clone();
            self.calls.push(Box::pin(async move {
                Answer::Progress(shard, keys, in_time(port.progress(shard, writes)).await)
            }));
        }
    }

    pub(super) fn on_progress_written(&mut self, _shard: u16, keys: Vec<u64>, answer: &Result<(), Error>) {
        let now = Instant::now();
        self.flushes.flying -= 1;
        if let Err(error) = answer {
            self.note_failure("write progress", error);
            self.flushes.next = Some(now + AGAIN);
        }
        for key in keys {
            let Some(attempt) = self.running.get(key).filter(|attempt| attempt.is_active()) else {
                continue;
            };
            if answer.is_ok() {
                attempt.ctx.inner().progress.written();
            } else {
                attempt.ctx.inner().progress.put_back();
                self.flushes.keys.push(key);
            }
        }
        if let Some(due) = self.flushes.due() {
            self.wake_by(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_between_two_writes_travel_together_and_not_before_their_time() {
        let start = Instant::now();
        let mut flushes = Flushes::default();
        assert_eq!(flushes.mark(1, start), start);
        assert_eq!(flushes.start(start), Some(vec![1]));
        assert_eq!(flushes.mark(2, start), start + EVERY);
        flushes.mark(1, start);
        flushes.mark(2, start);
        assert_eq!(flushes.start(start + EVERY / 2), None);
        assert_eq!(flushes.start(start + EVERY), Some(vec![1, 2]));
        assert_eq!(flushes.due(), None);
    }

    #[test]
    fn nothing_is_written_while_a_write_is_under_way() {
        let start = Instant::now();
        let mut flushes = Flushes::default();
        flushes.mark(1, start);
        flushes.flying = 1;
        assert_eq!(flushes.start(start), None);
    }
}
