//! What people and programs read: one writer for stdout that takes a closed pipe as success, tables, and JSON.

use std::io::{self, Write};

use clap::ValueEnum;
use indicatif::MultiProgress;
use serde::Serialize;

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

    /// Writes rows as the format says: `rows` as JSON, or `cells` as a table.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub(crate) fn rows<T: Serialize>(
        &mut self,
        head: &[&str],
        rows: &[T],
        cells: impl Iterator<Item = Vec<String>>,
    ) -> io::Result<()> {
        match self.format {
            Format::Json => self.line(serde_json::to_string_pretty(rows)?),
            Format::Jsonl => rows
                .iter()
                .try_for_each(|row| self.line(serde_json::to_string(row)?)),
            Format::Table => {
                let mut lines = vec![head.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>()];
                lines.extend(cells);
                align(&lines).into_iter().try_for_each(|line| self.line(line))
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

/// Columns, each as wide as its widest cell; text from a job cannot move the cursor or change colours.
fn align(lines: &[Vec<String>]) -> Vec<String> {
    let lines: Vec<Vec<String>> = lines
        .iter()
        .map(|line| line.iter().map(|cell| plain(cell)).collect())
        .collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            lines
                .iter()
                .filter_map(|line| line.get(column))
                .map(|cell| cell.chars().count())
                .max()
        })
        .map(Option::unwrap_or_default)
        .collect();
    let padded = |line: &Vec<String>| {
        let cells = line
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(padded).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_control_characters_are_gone() {
        let lines = [
            vec!["a".to_owned(), "long".to_owned()],
            vec!["wide\u{1b}[31m".to_owned(), "x".to_owned()],
        ];
        assert_eq!(align(&lines), ["a          long", "wide [31m  x"]);
    }
}
