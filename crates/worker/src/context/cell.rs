//! The latest progress of one attempt and what it has said since: handlers write, the control loop takes.

use std::collections::VecDeque;

use longshore_core::Timestamp;
use longshore_core::limits::{LOG_LINES_UNWRITTEN_MAX, PROGRESS_MESSAGE_BYTES_MAX};
use longshore_core::log::LogLine;
use longshore_core::outcome::Progress;
use parking_lot::Mutex;

/// Stands where lines are missing.
const LEFT_OUT: &str = "(lines are left out here: more were said than could be written)";

/// The latest progress of one attempt, and the lines of its log that the store does not have for sure.
#[derive(Debug)]
pub(crate) struct ProgressCell {
    attempt: u32,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    progress: Progress,
    log: Log,
    unwritten: bool,
}

/// Lines wait until a write of theirs is confirmed: the finish brings those again of which that is not known, and the
/// store keeps each once.
#[derive(Debug, Default)]
struct Log {
    lines: VecDeque<LogLine>,
    /// Lines that were said.
    said: u64,
    /// Lines that were taken to be written.
    taken: u64,
    /// Whether lines before the first were dropped.
    left_out: bool,
}

impl ProgressCell {
    pub(crate) fn new(attempt: u32) -> Self {
        Self {
            attempt,
            said: Mutex::default(),
        }
    }

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

    /// Records what a handler says, a line of the log for each line that is not empty; true as for [`Self::say`].
    pub(crate) fn log(&self, text: &str) -> bool {
        let mut said = self.said.lock();
        let mut any = false;
        for line in lines_of(text) {
            said.log.push(self.attempt, line);
            any = true;
        }
        any && said.raise()
    }

    /// The latest update, when it was not taken yet, with the lines that the store does not have for sure.
    pub(crate) fn take(&self, now: Timestamp) -> Option<Progress> {
        let mut said = self.said.lock();
        if !std::mem::take(&mut said.unwritten) && said.log.lines.is_empty() {
            return None;
        }
        said.progress.at = now;
        let log = said.log.take(self.attempt, now);
        Some(Progress {
            log,
            ..said.progress.clone()
        })
    }

    /// The last update that was taken is written.
    pub(crate) fn written(&self) {
        let mut said = self.said.lock();
        let taken = said.log.taken;
        said.log.lines.retain(|line| line.number > taken);
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

impl Log {
    fn push(&mut self, attempt: u32, text: &str) {
        if self.lines.len() >= LOG_LINES_UNWRITTEN_MAX {
            self.lines.pop_front();
            self.left_out = true;
        }
        self.said += 1;
        // Told when by whoever takes it.
        let line = LogLine::new(self.said, Timestamp::ZERO, attempt, text);
        self.lines.push_back(line);
    }

    fn take(&mut self, attempt: u32, now: Timestamp) -> Vec<LogLine> {
        if std::mem::take(&mut self.left_out)
            && let Some(first) = self.lines.front()
        {
            // In the place of the last line that is missing.
            let mark = LogLine::new(first.number - 1, now, attempt, LEFT_OUT);
            self.lines.push_front(mark);
        }
        for line in self.lines.iter_mut().filter(|line| line.at == Timestamp::ZERO) {
            line.at = now;
        }
        self.taken = self.said;
        self.lines.iter().cloned().collect()
    }
}

fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let end = (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// The lines of what a handler says that have something in them.
pub(crate) fn lines_of(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim_end)
        .filter(|line| !line.trim_start().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(progress: &Progress) -> Vec<&str> {
        progress.log.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn only_the_first_of_several_updates_wakes_and_the_latest_is_taken() {
        let cell = ProgressCell::new(1);
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
    fn lines_are_taken_again_until_they_are_written() {
        let cell = ProgressCell::new(3);
        assert!(cell.log("one\n\n  two\n"));
        let first = cell.take(Timestamp(5)).unwrap();
        assert_eq!(texts(&first), ["one", "  two"]);
        assert_eq!((first.log[1].number, first.log[1].attempt), (2, 3));
        cell.log("three");
        let second = cell.take(Timestamp(9)).unwrap();
        assert_eq!(
            texts(&second),
            ["one", "  two", "three"],
            "nobody has confirmed them"
        );
        assert_eq!((second.log[0].at, second.log[2].at), (Timestamp(5), Timestamp(9)));
        cell.log("four");
        cell.written();
        assert_eq!(texts(&cell.take(Timestamp(10)).unwrap()), ["four"]);
        cell.written();
        assert_eq!(cell.take(Timestamp(11)), None);
        assert!(!cell.log(" \n"), "nothing was said");
    }

    #[test]
    fn what_is_said_faster_than_it_is_written_is_bounded_and_told() {
        let cell = ProgressCell::new(1);
        cell.say(None, "ä".repeat(5_000), Vec::new());
        for line in 1..=120 {
            cell.log(&format!("line {line}"));
        }
        let progress = cell.take(Timestamp(1)).unwrap();
        assert!(progress.message.len() <= PROGRESS_MESSAGE_BYTES_MAX);
        assert_eq!(progress.log.len(), LOG_LINES_UNWRITTEN_MAX + 1);
        assert_eq!((progress.log[0].number, &*progress.log[0].text), (70, LEFT_OUT));
        assert_eq!(progress.log[1].text, "line 71");
        assert_eq!(progress.log[50].text, "line 120");
    }
}
