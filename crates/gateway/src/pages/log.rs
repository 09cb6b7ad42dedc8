//! What a job's handler has said, as the job's page shows it.

use longshore::{JobId, JobStatus, JobView};

use super::frame::Page;
use super::text;
use crate::dto::log::JobLog;
use crate::error::Error;

/// The lines of a job.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) lines: Vec<Line>,
    /// How many there are, and what is missing.
    pub(crate) summary: String,
    /// What there is to say where there are no lines; empty for a job that cannot have any yet.
    pub(crate) hint: &'static str,
}

/// A line.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) number: u64,
    /// The time of day, UTC.
    pub(crate) time: String,
    /// The whole time.
    pub(crate) stamp: String,
    /// The attempt, where another one begins.
    pub(crate) attempt: Option<u32>,
    pub(crate) text: String,
}

impl Log {
    pub(super) async fn of(page: &Page, id: JobId, job: &JobView) -> Result<Self, Error> {
        let lines = page.state.client().log(id).await?;
        let log = JobLog::of(lines, page.session.role, page.state.hide());
        Ok(draw(log, job))
    }
}

fn draw(log: JobLog, job: &JobView) -> Log {
    let dropped = log.lines.first().map_or(0, |line| line.number.saturating_sub(1));
    let many = text::plural(log.lines.len() as u64, "line", "lines");
    let summary = match (log.lines.len(), dropped) {
        (0, _) => String::new(),
        (_, 0) => many,
        (_, dropped) => format!("the last {many}; {} before are not kept", text::count(dropped)),
    };
    let hint = match job.status {
        JobStatus::Running => "Its handler has said nothing yet.",
        _ if job.attempts == 0 => "",
        _ => "Its handler has said nothing.",
    };
    let mut last = 1;
    let lines = log.lines.into_iter().map(|line| {
        let at = longshore::Timestamp(line.at_ms);
        let begins = line.attempt != last;
        last = line.attempt;
        Line {
            number: line.number,
            time: text::time_of_day(at),
            stamp: text::stamp(at),
            attempt: begins.then_some(line.attempt),
            text: line.text,
        }
    });
    Log {
        lines: lines.collect(),
        summary,
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dto::log::JobLogLine;
    use crate::pages::sample;

    fn log(numbers: std::ops::RangeInclusive<u64>, attempt: impl Fn(u64) -> u32) -> JobLog {
        let line = |number| JobLogLine {
            number,
            at_ms: 45_296_789,
            attempt: attempt(number),
            text: "said".to_owned(),
        };
        JobLog {
            lines: numbers.map(line).collect(),
        }
    }

    #[test]
    fn a_log_tells_what_is_missing_and_where_attempts_begin() {
        let job = sample::job(JobStatus::Running);
        let drawn = draw(log(1..=2, |_| 1), &job);
        assert_eq!(
            (drawn.summary.as_str(), drawn.lines[0].attempt),
            ("2 lines", None)
        );
        assert_eq!(drawn.lines[0].time, "12:34:56.789");
        let drawn = draw(log(11..=14, |number| if number < 13 { 1 } else { 2 }), &job);
        assert_eq!(drawn.summary, "the last 4 lines; 10 before are not kept");
        let attempts: Vec<_> = drawn.lines.iter().map(|line| line.attempt).collect();
        assert_eq!(attempts, [None, None, Some(2), None]);
    }

    #[test]
    fn where_nothing_was_said_the_page_says_so() {
        let mut job = sample::job(JobStatus::Queued);
        job.attempts = 0;
        let none = || JobLog { lines: Vec::new() };
        assert_eq!(draw(none(), &job).hint, "");
        job.attempts = 1;
        job.status = JobStatus::Failed;
        assert!(draw(none(), &job).hint.contains("nothing"));
    }
}
