//! A record as people see it.

use super::Record;
use crate::id::JobId;
use crate::outcome::{ErrorInfo, Progress};
use crate::view::{FullView, JobView};

impl Record {
    /// The view of this record, with the parts that are stored elsewhere. `full` carries the envelope and result;
    /// the history is added to it.
    pub fn view(
        &self,
        id: JobId,
        progress: Progress,
        error: Option<ErrorInfo>,
        full: Option<FullView>,
    ) -> JobView {
        JobView {
            id,
            function_name: self.function_name.clone(),
            name: self
                .name
                .clone()
                .unwrap_or_else(|| self.function_name.to_string()),
            queue: self.queue.clone(),
            priority: self.priority,
            status: self.status,
            gen_: self.gen_,
            attempts: self.attempts,
            retries: self.retries,
            losts: self.losts,
            tags: self.tags.clone(),
            created_at: self.created_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            run_at: self.run_at,
            published_at: self.published_at,
            outbox_at: self.outbox,
            parked: self.parked.clone(),
            worker: self.worker.clone(),
            lease_until: self.lease_until,
            cancel_reason: self.cancel.clone(),
            open_parents: self
                .open_parents
                .iter()
                .map(|(id, policy)| (*id, *policy))
                .collect(),
            progress,
            error,
            full: full.map(|full| FullView {
                history: self.history.clone(),
                ..full
            }),
        }
    }
}
