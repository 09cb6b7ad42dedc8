//! `longshore quarantine`: messages that nobody could handle.

use std::fmt::Write as _;

use longshore_core::port::inspect::QuarantineEntry;
use longshore_core::{Clock, SystemClock};
use longshore_service::exit::ExitCode;
use serde_json::{Value, json};

use crate::args::dlq::Quarantine;
use crate::board::{short, short_time};
use crate::dlq::confirm;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::output::{Column, Format, Give, Out, plain, warn};

/// Bytes of a line of the dump.
const DUMP_WIDTH: usize = 16;
/// Bytes of a body that people see; `-o json` has all.
const DUMP_BYTES: usize = 4_096;

/// Runs one of the commands.
///
/// # Errors
/// When a message is unknown, a deletion is not confirmed, or the store does not answer.
pub(crate) async fn run(fleet: &Fleet, command: Quarantine, out: &mut Out) -> Result<(), Failure> {
    match command {
        Quarantine::Ls => list(fleet, out).await,
        Quarantine::Show { message_id } => show(fleet, &message_id, out).await,
        Quarantine::Drop {
            message_ids,
            all,
            dry_run,
            yes,
        } => {
            let ids = if all || dry_run {
                let known = all_ids(fleet).await?;
                known
                    .into_iter()
                    .filter(|id| all || message_ids.contains(id))
                    .collect()
            } else {
                message_ids
            };
            if dry_run {
                return tell(&ids, out);
            }
            confirm(format!("delete {} messages for good", ids.len()), yes).await?;
            delete(fleet, ids, out).await
        }
    }
}

/// What a deletion would take.
fn tell(ids: &[String], out: &mut Out) -> Result<(), Failure> {
    Ok(match out.format {
        Format::Table => out.line(format!(
            "would delete {} messages; nothing was changed",
            ids.len()
        )),
        Format::Json | Format::Jsonl => out.json(&json!({ "dry_run": true, "message_ids": ids })),
    }?)
}

async fn list(fleet: &Fleet, out: &mut Out) -> Result<(), Failure> {
    let mut entries = Vec::new();
    let mut quarantine = fleet.quarantine();
    while let Some(entry) = quarantine.next().await? {
        entries.push(Line::of(&entry));
    }
    entries.sort_by_key(|line| std::cmp::Reverse(line.at));
    if entries.is_empty() && out.format == Format::Table {
        warn("Nothing is in quarantine.");
        return Ok(());
    }
    let rows: Vec<&Value> = entries.iter().map(|line| &line.document).collect();
    let cells = entries.iter().map(|line| line.cells.clone());
    Ok(out.rows(
        &[
            Column::new("MESSAGE", Give::Nothing),
            Column::new("SINCE", Give::All(1)),
            Column::new("QUEUE", Give::All(2)),
            Column::new("BYTES", Give::All(0)),
            Column::new("JOBS", Give::All(3)),
            Column::new("REASON", Give::DownTo(20)),
        ],
        &rows,
        cells,
    )?)
}

async fn all_ids(fleet: &Fleet) -> Result<Vec<String>, Failure> {
    let mut ids = Vec::new();
    let mut quarantine = fleet.quarantine();
    while let Some(entry) = quarantine.next().await? {
        ids.push(entry.message.message_id);
    }
    Ok(ids)
}

/// What a listing keeps of a message: not its body.
struct Line {
    at: Option<longshore_core::Timestamp>,
    document: Value,
    cells: Vec<String>,
}

impl Line {
    fn of(entry: &QuarantineEntry) -> Self {
        let message = &entry.message;
        let since = |at| format!("{} ago", short_time(SystemClock.now().since(at)));
        Self {
            at: entry.at,
            document: document(entry),
            cells: vec![
                message.message_id.clone(),
                entry.at.map_or("?".to_owned(), since),
                message.queue.to_string(),
                message.body.len().to_string(),
                message.jobs.len().to_string(),
                short(&plain(&message.reason), 60),
            ],
        }
    }
}

fn document(entry: &QuarantineEntry) -> Value {
    let message = &entry.message;
    json!({
        "message_id": message.message_id,
        "at_ms": entry.at,
        "queue": message.queue.as_str(),
        "reason": message.reason,
        "bytes": message.body.len(),
        "jobs": message.jobs.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

async fn show(fleet: &Fleet, message_id: &str, out: &mut Out) -> Result<(), Failure> {
    let entry = fleet.quarantine().whole(message_id).await?;
    let entry = entry.ok_or_else(|| unknown(1, 1))?;
    let message = &entry.message;
    if out.format != Format::Table {
        use base64::Engine as _;
        let mut all = document(&entry);
        if let Value::Object(all) = &mut all {
            let body = base64::engine::general_purpose::STANDARD.encode(&message.body);
            all.insert("headers".to_owned(), json!(message.headers));
            all.insert("body_base64".to_owned(), json!(body));
            all.insert("decoded".to_owned(), json!(decoded(&message.body)));
        }
        return Ok(out.json(&all)?);
    }
    let mut field = |name: &str, text: &str| out.line(format!("{name:<12} {}", plain(text)));
    field("message", &message.message_id)?;
    field("queue", message.queue.as_str())?;
    field("reason", &message.reason)?;
    if let Some(at) = entry.at {
        field("since", &crate::job::show::clock_time(at))?;
    }
    for (name, value) in &message.headers {
        field("header", &format!("{name}: {value}"))?;
    }
    for id in &message.jobs {
        let hint = "if its record is Failed and the cause is gone: longshore dlq requeue";
        field("job", &format!("{id}  ({hint} {id})"))?;
    }
    if let Some(decoded) = decoded(&message.body) {
        field("decoded", &decoded.to_string())?;
    }
    field("bytes", &message.body.len().to_string())?;
    for line in dump(&message.body) {
        out.line(line)?;
    }
    Ok(())
}

/// The body as far as it is MessagePack.
fn decoded(body: &[u8]) -> Option<Value> {
    longshore_core::value::to_json("body", body).ok()
}

/// Offset, hexadecimal digits and what can be printed, sixteen bytes a line.
fn dump(body: &[u8]) -> Vec<String> {
    let shown = body.get(..DUMP_BYTES).unwrap_or(body);
    let line = |(number, bytes): (usize, &[u8])| {
        let mut hex = String::new();
        for byte in bytes {
            // Writing to a string cannot fail.
            write!(hex, "{byte:02x} ").ok();
        }
        let text: String = bytes
            .iter()
            .map(|byte| {
                if byte.is_ascii_graphic() || *byte == b' ' {
                    char::from(*byte)
                } else {
                    '.'
                }
            })
            .collect();
        format!("{:08x}  {hex:<48} {text}", number * DUMP_WIDTH)
    };
    let mut lines: Vec<_> = shown.chunks(DUMP_WIDTH).enumerate().map(line).collect();
    if body.len() > shown.len() {
        let more = body.len() - shown.len();
        lines.push(format!("… {more} more bytes; -o json has them"));
    }
    lines
}

async fn delete(fleet: &Fleet, ids: Vec<String>, out: &mut Out) -> Result<(), Failure> {
    let dropped = fleet.drop_quarantined(ids.clone()).await?;
    match out.format {
        Format::Table => {
            for (id, dropped) in ids.iter().zip(&dropped) {
                out.line(format!(
                    "{id}  {}",
                    if *dropped {
                        "deleted"
                    } else {
                        "is not in quarantine"
                    }
                ))?;
            }
        }
        Format::Json | Format::Jsonl => {
            let rows: Vec<_> = ids
                .iter()
                .zip(&dropped)
                .map(|(id, dropped)| json!({ "message_id": id, "deleted": dropped }))
                .collect();
            out.rows(&[], &rows, std::iter::empty())?;
        }
    }
    match dropped.iter().filter(|dropped| !**dropped).count() {
        0 => Ok(()),
        missing => Err(unknown(missing, ids.len())),
    }
}

fn unknown(missing: usize, of: usize) -> Failure {
    Failure::new(
        ExitCode::NotFound,
        format!("{missing} of {of} messages are not in quarantine; list them with `longshore quarantine ls`"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_has_offsets_digits_and_text() {
        let lines = dump(b"\xc1hello, world!\n\x00\xffz");
        assert_eq!(
            lines,
            [
                "00000000  c1 68 65 6c 6c 6f 2c 20 77 6f 72 6c 64 21 0a 00  .hello, world!..",
                "00000010  ff 7a                                            .z",
            ]
        );
        assert!(dump(&[0; DUMP_BYTES + 1]).pop().unwrap().contains("1 more bytes"));
    }
}
