//! The log of a job.

use longshore_core::id::JobId;
use longshore_core::log::LogLine;
use longshore_core::port::Error;

use super::super::Store;
use super::super::call::prefix;
use super::super::reply::{Reader, parse_number, unpack};

impl Store {
    /// The lines after a place. All that are kept are read: they are few.
    pub(super) async fn log_of(&self, shard: u16, id: JobId, after: u64) -> Result<Vec<LogLine>, Error> {
        let mut ask = redis::cmd("LRANGE");
        ask.arg(format!("{}lg:{}", prefix(shard), id.to_hex()))
            .arg(0)
            .arg(-1);
        let mut answer = Reader::new(self.0.link.command(&ask).await?)?;
        let mut lines = Vec::new();
        while !answer.is_empty() {
            let row = answer.bytes()?;
            let line = read(&row)?;
            if line.number > after {
                lines.push(line);
            }
        }
        Ok(lines)
    }
}

/// A row: the place in decimal digits, a space, the line as the worker has packed it.
fn read(row: &[u8]) -> Result<LogLine, Error> {
    let broken = || Error::Corrupt("a line of a log has no number".to_owned());
    let space = row.iter().position(|byte| *byte == b' ').ok_or_else(broken)?;
    let (number, line) = row.split_at(space);
    let line = line.get(1..).ok_or_else(broken)?;
    Ok(LogLine {
        number: parse_number(number)?,
        ..unpack("line of a log", line)?
    })
}
