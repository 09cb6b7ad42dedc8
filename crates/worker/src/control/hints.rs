//! Hints from the store: cancels and changes of queues. They may be lost; beats carry the truth.

use std::sync::Arc;

use longshore_core::port::AttemptPort;
use longshore_core::port::attempt::Hint;
use longshore_core::random::Random;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Control;
use super::lane::backoff;
use super::settle::StopReason;

/// Hints between the store and the control loop.
const HINTS_MAX: usize = 256;

/// Starts the task that listens.
pub(super) fn start(
    port: &Arc<dyn AttemptPort>,
    random: &Arc<dyn Random>,
    tasks: &mut JoinSet<()>,
) -> mpsc::Receiver<Hint> {
    let (sender, hints) = mpsc::channel(HINTS_MAX);
    tasks.spawn(listen(Arc::clone(port), Arc::clone(random), sender));
    hints
}

async fn listen(port: Arc<dyn AttemptPort>, random: Arc<dyn Random>, sender: mpsc::Sender<Hint>) {
    let mut failures = 0;
    loop {
        match port.hints().await {
            Ok(mut hints) => {
                // What changed before this is told by the worker's beat, which may have been made already.
                if sender.send(Hint::QueuesChanged).await.is_err() {
                    return;
                }
                failures = 0;
                while let Some(hint) = hints.next().await {
                    if sender.send(hint).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "failed to listen for hints; trying again"),
        }
        tokio::time::sleep(backoff(failures, &*random)).await;
        failures += 1;
    }
}

impl Control {
    pub(super) fn on_hint(&mut self, hint: &Hint) {
        let now = Instant::now();
        match hint {
            Hint::Cancel(id) if self.running.has(*id) => {
                for key in self.running.keys_where(|attempt| attempt.id() == *id) {
                    self.stop(key, StopReason::Cancel, now);
                }
            }
            Hint::Cancel(_) | Hint::ParentEnded => {}
            Hint::QueuesChanged => {
                self.beats.hurry(now);
                self.wake_by(now);
            }
        }
    }
}
