//! `longshore queue`: list, pause, resume.

use longshore::Client;
use longshore_core::{JobStatus, QueueName};
use serde_json::json;

use crate::args::Queue;
use crate::failure::Failure;
use crate::output::{Format, Out};

/// Runs one of the commands.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn run(client: &Client, command: Queue, out: &mut Out) -> Result<(), Failure> {
    match command {
        Queue::Ls => list(client, out).await,
        Queue::Pause { queue } => {
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
    let count =
        |view: &longshore::QueueView, status: JobStatus| view.counts.get(&status).copied().unwrap_or(0);
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
    let names: Vec<String> = JobStatus::ALL
        .into_iter()
        .map(|status| status.as_str().to_uppercase())
        .collect();
    let head: Vec<&str> = ["QUEUE", "STATE"]
        .into_iter()
        .chain(names.iter().map(String::as_str))
        .collect();
    Ok(out.rows(&head, &rows, cells)?)
}
