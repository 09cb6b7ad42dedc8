//! Records for the pages' own tests.

use longshore::{JobId, JobStatus, JobView, Priority, Progress, QueueName, Timestamp};
use longshore_core::FunctionName;

/// A job in this status, created one second after the epoch.
pub(crate) fn job(status: JobStatus) -> JobView {
    JobView {
        id: JobId::from_idempotency_key("sample"),
        function_name: FunctionName::new("resize_image").unwrap(),
        name: "Resize an image".to_owned(),
        queue: QueueName::default(),
        priority: Priority::Normal,
        status,
        gen_: 1,
        attempts: 1,
        retries: 0,
        losts: 0,
        tags: vec!["user:1".to_owned()],
        created_at: Timestamp(1_000),
        started_at: None,
        finished_at: None,
        run_at: None,
        published_at: None,
        outbox_at: None,
        parked: None,
        worker: None,
        lease_until: None,
        cancel_reason: None,
        open_parents: Vec::new(),
        progress: Progress::default(),
        error: None,
        full: None,
    }
}
