//! What people and programs read: one writer for stdout that takes a closed pipe as success, tables, and JSON.

mod paint;
mod table;

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use clap::ValueEnum;
use indicatif::MultiProgress;
use serde::Serialize;

pub(crate) use paint::Paint;
pub(crate) use table::{Column, Give};

/// The shape of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns for people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    Jsonl,
}

/// Stdout. Writing to a reader that has gone (`longshore job ls | head`) is success.
#[derive(Debug)]
pub(crate) struct Out {
    pub(crate) format: Format,
    closed: bool,
}

impl Out {
    pub(crate) const fn new(format: Format) -> Self {
        Self {
            format,
            closed: false,
        }
    }

    /// Whether the reader has gone, so that there is nobody left to tell.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Writes one line.
    ///
    /// # Errors
    /// When stdout cannot be written for any other reason than a closed pipe.
    pub(crate) fn line(&mut self, text: impl std::fmt::Display) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        match writeln!(io::stdout().lock(), "{text}") {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            other => other,
        }
    }

    /// Writes rows as the format says: `rows` as JSON, or `cells` as a table that fits the terminal.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub(crate) fn rows<T: Serialize>(
        &mut self,
        columns: &[Column<'_>],
        rows: &[T],
        cells: impl Iterator<Item = Vec<String>>,
    ) -> io::Result<()> {
        match self.format {
            Format::Json => self.line(serde_json::to_string_pretty(rows)?),
            Format::Jsonl => rows
                .iter()
                .try_for_each(|row| self.line(serde_json::to_string(row)?)),
            Format::Table => {
                let width = width(io::stdout());
                table::lines(columns, cells.collect(), width)
                    .into_iter()
                    .try_for_each(|line| self.line(line))
            }
        }
    }

    /// Writes one value as JSON, whatever the format.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub(crate) fn json<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        match self.format {
            Format::Jsonl => self.line(serde_json::to_string(value)?),
            Format::Json | Format::Table => self.line(serde_json::to_string_pretty(value)?),
        }
    }
}

/// How wide a line may be: `COLUMNS`, else what the terminal says, else 80. `None` where no terminal reads.
pub(crate) fn width(stream: impl AsFd + IsTerminal) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let said = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let seen = || terminal_size::terminal_size_of(stream).map(|(width, _)| usize::from(width.0));
    let known = said.or_else(seen).filter(|&width| width > 0);
    Some(known.unwrap_or(80))
}

/// The text without control characters: what a job says is shown, never obeyed by the terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect()
}

/// One line for stderr.
pub(crate) fn warn(text: impl std::fmt::Display) {
    // With stderr closed there is nobody left to tell.
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Stderr under live bars: they are taken away while a line is written, so that neither tears the other.
#[derive(Clone, Debug)]
pub(crate) struct UnderBars(pub(crate) MultiProgress);

impl Write for UnderBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().lock().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}
