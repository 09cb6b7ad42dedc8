//! What handlers say of their jobs, line by line.
//!
//! A line travels with an update of progress ([`crate::outcome::Progress::log`]) or with the finish of its attempt, and
//! the store adds it to the job's log. The last [`crate::limits::LOG_LINES_MAX`] lines of all attempts are kept, as long
//! as the job is.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::limits::LOG_LINE_BYTES_MAX;

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Its place, from 1: among the lines of its attempt when a worker writes it, so that one that is written twice is
    /// kept once; among all lines of the job when it is read. Places that are missing before the first line that is read
    /// are lines that were dropped.
    #[serde(rename = "n")]
    pub number: u64,
    /// When it was said, by the worker's clock.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// Number of the attempt that said it.
    #[serde(rename = "a")]
    pub attempt: u32,
    /// What it says: at most [`LOG_LINE_BYTES_MAX`] bytes, and no line break.
    #[serde(rename = "x")]
    pub text: String,
}

impl LogLine {
    /// A line of an attempt, cut to what is kept: what is too long ends with an ellipsis, and control characters but the
    /// tab become spaces.
    pub fn new(number: u64, at: Timestamp, attempt: u32, text: &str) -> Self {
        Self {
            number,
            at,
            attempt,
            text: tidy(text),
        }
    }
}

fn tidy(text: &str) -> String {
    const CUT: char = '…';
    let text = text.trim_end();
    let mut out = String::with_capacity(text.len().min(LOG_LINE_BYTES_MAX));
    for letter in text.chars() {
        let letter = if letter.is_control() && letter != '\t' {
            ' '
        } else {
            letter
        };
        if out.len() + letter.len_utf8() > LOG_LINE_BYTES_MAX - CUT.len_utf8() {
            out.push(CUT);
            return out;
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_bounded_and_stays_one_line() {
        let line = |text: &str| LogLine::new(1, Timestamp(1), 1, text).text;
        assert_eq!(line("one\ttwo\r\n"), "one\ttwo");
        assert_eq!(line("one\ntwo\u{1b}[31m"), "one two [31m");
        for long in ["x".repeat(5_000), "ä".repeat(5_000)] {
            let cut = line(&long);
            assert!(cut.len() <= LOG_LINE_BYTES_MAX, "{} bytes", cut.len());
            assert!(cut.ends_with('…'));
        }
    }
}
