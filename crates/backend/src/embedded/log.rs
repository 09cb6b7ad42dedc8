//! The logs of jobs: a row a line, so that a line costs what it holds, however many there are.

use std::collections::HashMap;

use longshore_core::id::{JobId, Nonce};
use longshore_core::limits::LOG_LINES_MAX;
use longshore_core::log::LogLine;
use longshore_core::port;

use super::disk::{Disk, LogRow};
use super::state::Tx;
use super::stored;

/// Where the logs of running jobs stand.
#[derive(Debug, Default)]
pub(super) struct Logs(HashMap<JobId, Place>);

#[derive(Debug)]
struct Place {
    owner: Nonce,
    /// Lines that this owner has added.
    said: u64,
    /// Place of the last line in the job's log.
    last: u64,
}

impl Logs {
    /// Adds lines of a job's owner. Those that it has added before stay once.
    pub(super) fn add(&mut self, tx: &mut Tx<'_>, id: JobId, owner: Nonce, lines: Vec<LogLine>) {
        if lines.is_empty() {
            return;
        }
        let disk = tx.disk;
        let place = self.0.entry(id).or_insert_with(|| Place {
            owner,
            said: 0,
            last: disk.last_line(id),
        });
        if place.owner != owner {
            (place.owner, place.said) = (owner, 0);
        }
        for mut line in lines {
            if line.number <= place.said {
                continue;
            }
            place.said = line.number;
            place.last += 1;
            line.number = place.last;
            tx.batch.log_line(id, &line);
            if let Some(old) = place.last.checked_sub(LOG_LINES_MAX as u64) {
                tx.batch.forget_line(id, old);
            }
        }
    }

    /// The job runs no more.
    pub(super) fn close(&mut self, id: JobId) {
        self.0.remove(&id);
    }
}

/// The lines after a place.
pub(super) fn read(disk: &Disk, id: JobId, after: u64) -> Result<Vec<LogLine>, port::Error> {
    let rows: Vec<LogRow> = disk.log(id, after)?;
    rows.into_iter()
        .map(|row| {
            let line: LogLine = stored::decode("line of a log", &row.line)
                .map_err(|error| port::Error::Corrupt(format!("job {id}: {error}")))?;
            Ok(LogLine {
                number: row.number,
                ..line
            })
        })
        .collect()
}
