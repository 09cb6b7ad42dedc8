//! `longshore queue`: list, peek, pause, resume, purge.

mod peek;
mod purge;

use std::collections::BTreeMap;

use longshore::{Client, QueueView};
use longshore_core::port::Ports;
use longshore_core::{JobStatus, QueueName};
use serde_json::json;

use crate::args::queue::Queue;
use crate::failure::Failure;
use crate::output::{Column, Format, Give, Out, warn};

/// Runs one of the commands.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn run(
    client: &Client,
    ports: &Ports,
    command: Queue,
    out: &mut Out,
) -> Result<(), Failure> {
    match command {
        Queue::Ls => list(client, out).await,
        Queue::Peek(options) => peek::run(client, ports, &options, out).await,
        Queue::Purge(options) => purge::run(client, ports, options, out).await,
        Queue::Pause { queue } => {
            if !client.queues().await?.contains_key(&queue) {
                warn("no job and no worker has named this queue; paused all the same");
            }
            client.pause(queue.as_str()).await?;
            told(&queue, true, out)
        }
        Queue::Resume { queue } => {
            client.resume(queue.as_str()).await?;
            told(&queue, false, out)
        }
    }
}

fn told(queue: &QueueName, paused: bool, out: &mut Out) -> Result<(), Failure> {
    Ok(match (out.format, paused) {
        (Format::Json | Format::Jsonl, _) => out.json(&json!({ "queue": queue.as_str(), "paused": paused })),
        (Format::Table, true) => out.line(format!(
            "{queue} is paused; resume it with `longshore queue resume {queue}`"
        )),
        (Format::Table, false) => out.line(format!("{queue} is resumed")),
    }?)
}

async fn list(client: &Client, out: &mut Out) -> Result<(), Failure> {
    let queues = client.queues().await?;
    let rows: Vec<_> = queues
        .iter()
        .map(|(queue, view)| json!({ "queue": queue.as_str(), "paused": view.paused, "counts": view.counts }))
        .collect();
    let cells = queues.iter().map(|(queue, view)| {
        let state = if view.paused { "paused" } else { "open" };
        let counts = JobStatus::ALL
            .into_iter()
            .map(|status| count(view, status).to_string());
        [queue.to_string(), state.to_owned()]
            .into_iter()
            .chain(counts)
            .collect()
    });
    let heads: Vec<String> = JobStatus::ALL
        .into_iter()
        .map(|status| status.as_str().to_uppercase())
        .collect();
    let counts = JobStatus::ALL
        .into_iter()
        .zip(0..)
        .zip(&heads)
        .map(|((status, place), head)| Column::new(head, Give::All(rank(&queues, status, place))));
    let columns: Vec<Column<'_>> = [
        Column::new("QUEUE", Give::DownTo(12)),
        Column::new("STATE", Give::Nothing),
    ]
    .into_iter()
    .chain(counts)
    .collect();
    Ok(out.rows(&columns, &rows, cells)?)
}

/// A narrow terminal does without the counts that are zero everywhere, then without those of jobs that have ended.
fn rank(queues: &BTreeMap<QueueName, QueueView>, status: JobStatus, place: u8) -> u8 {
    let is_used = queues.values().any(|view| count(view, status) > 0);
    place + if status.is_terminal() { 0 } else { 50 } + if is_used { 100 } else { 0 }
}

fn count(view: &QueueView, status: JobStatus) -> u64 {
    view.counts.get(&status).copied().unwrap_or(0)
}
