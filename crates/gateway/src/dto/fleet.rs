//! Queues and workers.

use std::collections::BTreeMap;

use longshore::{QueueView, WorkerView};
use longshore_core::{JobId, QueueName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Whether no job of it starts.
    pub paused: bool,
    /// Jobs that wait to be run now.
    pub size: u64,
    /// Jobs by status; ended ones count until they are pruned.
    pub counts: BTreeMap<String, u64>,
}

impl Queue {
    pub(crate) fn of(name: &QueueName, view: &QueueView) -> Self {
        let counts = view
            .counts
            .iter()
            .map(|(status, count)| (status.to_string(), *count));
        Self {
            name: name.to_string(),
            paused: view.paused,
            size: view.size(),
            counts: counts.collect(),
        }
    }
}

/// A live worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Worker {
    /// Its id.
    pub id: String,
    /// Host name.
    pub host: String,
    /// Process id.
    pub pid: u32,
    /// Longshore version.
    pub version: String,
    /// Functions that it has.
    pub functions: Vec<String>,
    /// Queues that it consumes.
    pub queues: Vec<String>,
    /// Slots.
    pub slots: u32,
    /// Slots in use.
    pub busy: u32,
    /// Jobs that it runs, at most 100 listed.
    pub running: Vec<String>,
    /// Whether it stops.
    pub draining: bool,
    /// When it started.
    pub started_at_ms: u64,
    /// When it last beat.
    pub seen_at_ms: u64,
}

impl Worker {
    pub(crate) fn of(view: &WorkerView) -> Self {
        Self {
            id: view.id.to_string(),
            host: view.host.clone(),
            pid: view.pid,
            version: view.version.clone(),
            functions: view.functions.iter().map(ToString::to_string).collect(),
            queues: view.queues.iter().map(ToString::to_string).collect(),
            slots: view.slots,
            busy: view.busy,
            running: view.running.iter().map(JobId::to_string).collect(),
            draining: view.draining,
            started_at_ms: view.started_at.millis(),
            seen_at_ms: view.seen_at.millis(),
        }
    }
}
