//! The latest progress of one attempt: handlers write it, the control loop takes it.

use std::collections::VecDeque;

use longshore_core::Timestamp;
use longshore_core::limits::{PROGRESS_FIELDS_MAX, PROGRESS_MESSAGE_BYTES_MAX};
use longshore_core::outcome::Progress;
use parking_lot::Mutex;

/// Lines of a handler's log that travel with its progress.
const LOG_LINES: usize = 10;
/// Bytes of each.
const LOG_LINE_BYTES: usize = 256;
/// The progress field that carries them.
const LOG_FIELD: &str = "log";

/// The latest progress of one attempt.
#[derive(Debug, Default)]
pub(crate) struct ProgressCell {
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    progress: Progress,
    log: VecDeque<String>,
    unwritten: bool,
}

impl ProgressCell {
    /// Records an update; true when the control loop must be told that there is one to write.
    pub(crate) fn say(
        &self,
        fraction: Option<f64>,
        message: String,
        fields: Vec<(String, serde_json::Value)>,
    ) -> bool {
        let mut said = self.said.lock();
        said.progress.fraction = fraction.map(|fraction| fraction.clamp(0.0, 1.0));
        said.progress.message = cut(message, PROGRESS_MESSAGE_BYTES_MAX);
        said.progress.fields.clear();
        said.progress.fields.extend(fields);
        said.raise()
    }

    /// Records a line; true as for [`Self::say`].
    pub(crate) fn log(&self, line: &str) -> bool {
        let mut said = self.said.lock();
        if said.log.len() == LOG_LINES {
            said.log.pop_front();
        }
        said.log.push_back(cut(line.to_owned(), LOG_LINE_BYTES));
        said.raise()
    }

    /// The latest update, when it was not taken yet.
    pub(crate) fn take(&self, now: Timestamp) -> Option<Progress> {
        let mut said = self.said.lock();
        if !std::mem::take(&mut said.unwritten) {
            return None;
        }
        said.progress.at = now;
        let mut progress = said.progress.clone();
        if !said.log.is_empty() && progress.fields.len() < PROGRESS_FIELDS_MAX {
            let lines: Vec<&str> = said.log.iter().map(String::as_str).collect();
            progress.fields.insert(LOG_FIELD.to_owned(), lines.into());
        }
        Some(progress)
    }

    /// A taken update could not be written; the next [`Self::take`] gives it, or a later one.
    pub(crate) fn put_back(&self) {
        self.said.lock().unwritten = true;
    }
}

impl Said {
    fn raise(&mut self) -> bool {
        self.progress.seq += 1;
        !std::mem::replace(&mut self.unwritten, true)
    }
}

fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let end = (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_of_several_updates_wakes_and_the_latest_is_taken() {
        let cell = ProgressCell::default();
        assert!(cell.say(Some(0.1), "one".to_owned(), Vec::new()));
        assert!(!cell.say(Some(7.0), "two".to_owned(), vec![("n".to_owned(), 3.into())]));
        let progress = cell.take(Timestamp(5)).unwrap();
        assert_eq!(
            (progress.fraction, progress.message.as_str(), progress.seq),
            (Some(1.0), "two", 2)
        );
        assert_eq!(progress.fields["n"], 3);
        assert_eq!(cell.take(Timestamp(6)), None);
        cell.put_back();
        assert_eq!(cell.take(Timestamp(7)).unwrap().at, Timestamp(7));
    }

    #[test]
    fn long_messages_and_logs_are_bounded() {
        let cell = ProgressCell::default();
        cell.say(None, "ä".repeat(5_000), Vec::new());
        for line in 0..50 {
            cell.log(&format!("line {line}"));
        }
        let progress = cell.take(Timestamp(1)).unwrap();
        assert!(progress.message.len() <= PROGRESS_MESSAGE_BYTES_MAX);
        assert_eq!(progress.fields[LOG_FIELD].as_array().unwrap().len(), LOG_LINES);
        assert_eq!(progress.fields[LOG_FIELD][9], "line 49");
    }
}
