//! Queues and workers.

use std::collections::BTreeMap;

use longshore::{QueueView, WorkerView};
use longshore_core::{JobId, QueueName};
use serde::Serialize;
use utoipa::ToSchema;

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Queue {
    /// Its name.
    pub(crate) name: String,
    /// Whether no job of it starts.
    pub(crate) paused: bool,
    /// Jobs that wait to be run now.
    pub(crate) size: u64,
    /// Jobs by status; ended ones count until they are pruned.
    pub(crate) counts: BTreeMap<String, u64>,
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
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Worker {
    /// Its id.
    pub(crate) id: String,
    /// Host name.
    pub(crate) host: String,
    /// Process id.
    pub(crate) pid: u32,
    /// Longshore version.
    pub(crate) version: String,
    /// Functions that it has.
    pub(crate) functions: Vec<String>,
    /// Queues that it consumes.
    pub(crate) queues: Vec<String>,
    /// Slots.
    pub(crate) slots: u32,
    /// Slots in use.
    pub(crate) busy: u32,
    /// Jobs that it runs, at most 100 listed.
    pub(crate) running: Vec<String>,
    /// Whether it stops.
    pub(crate) draining: bool,
    /// When it started.
    pub(crate) started_at_ms: u64,
    /// When it last beat.
    pub(crate) seen_at_ms: u64,
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
