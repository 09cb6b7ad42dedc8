//! A worker of a measurement while it runs.

use longshore_service::exit::ExitCode;
use longshore_worker::{Attachment, Error, HealthView, RunReport, Worker};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::rig::LOOK;
use crate::failure::Failure;

/// A worker that runs.
#[derive(Debug)]
pub(super) struct Running {
    stop: CancellationToken,
    task: JoinHandle<Result<RunReport, Error>>,
}

impl Running {
    /// Starts it, and waits until it consumes.
    pub(super) async fn begin(worker: Worker, stop: CancellationToken) -> Result<Self, Failure> {
        let health = worker.health();
        let running = Self {
            stop,
            task: tokio::spawn(worker.run()),
        };
        while !is_attached(&health.view()) {
            if running.task.is_finished() {
                running.end().await?;
                return Err(Failure::new(
                    ExitCode::Failure,
                    "the worker ended before it consumed",
                ));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(running)
    }

    /// Stops it, and waits for its end.
    pub(super) async fn end(mut self) -> Result<(), Failure> {
        self.stop.cancel();
        let ended = (&mut self.task).await;
        ended.map_err(|error| Failure::new(ExitCode::Failure, error))??;
        Ok(())
    }
}

fn is_attached(health: &HealthView) -> bool {
    let mut queues = health.queues.iter();
    queues.all(|(_, attachment, _)| *attachment == Attachment::Attached)
}

/// One of a measurement that breaks off takes no further jobs.
impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
