//! What a job's handler has said, as it is answered.

use longshore::LogLine;
use longshore_core::access::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::hide::Hide;

/// Lines of a job's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobLog {
    /// The oldest first: at most the last 200 of all attempts. Numbers that are missing before the first are lines that
    /// are kept no more.
    pub lines: Vec<JobLogLine>,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobLogLine {
    /// Its place among all lines of the job, from 1. Send the last one as `after` for what comes then.
    #[schema(minimum = 1)]
    pub number: u64,
    /// When it was said, by the worker's clock.
    pub at_ms: u64,
    /// Number of the attempt that said it.
    pub attempt: u32,
    /// What it says, at most 1 KiB.
    pub text: String,
}

impl JobLog {
    pub(crate) fn of(lines: Vec<LogLine>, role: Role, hide: &Hide) -> Self {
        let line = |line: LogLine| JobLogLine {
            number: line.number,
            at_ms: line.at.millis(),
            attempt: line.attempt,
            text: hide.text(role, "log", "text", line.text),
        };
        Self {
            lines: lines.into_iter().map(line).collect(),
        }
    }
}
