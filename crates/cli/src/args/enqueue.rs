//! `longshore enqueue` on the command line.

use std::path::PathBuf;

use clap::Args;
use longshore_core::{JobId, Priority};

/// `longshore enqueue`
#[derive(Debug, Args)]
#[command(after_help = "Durations are numbers with a unit: 500ms, 30s, 5m, 2h, 7d.\n\n\
    Examples:\n  \
    longshore enqueue sample.hash_file '{\"path\": \"report.pdf\"}' --priority high --watch\n  \
    longshore enqueue send_report '{\"to\": \"a@example.com\"}' --in 1h --tag report\n  \
    longshore enqueue --file jobs.jsonl")]
pub(crate) struct Enqueue {
    /// The function
    #[arg(required_unless_present = "file")]
    pub(crate) function: Option<String>,
    /// Its arguments, JSON; `-` reads them from stdin
    #[arg(default_value = "null")]
    pub(crate) args: String,
    /// Many jobs: a file with one JSON object a line (`-` for stdin); the options are defaults of the lines
    ///
    /// Keys of a line: function_name, args, id, idempotency_key, name, priority, queue, delay, scheduled_at, depends_on,
    /// max_retries, retry_delay, retry_backoff, retry_jitter, retry_delay_max, timeout, deadline, expires_in, tags,
    /// metadata, created_by, fencing, on_lost_record. Lines may name each other's ids in depends_on, a list of ids or of
    /// {"id": ID, "on_failed": "wait|cancel|run", "on_cancelled": "cancel|run"}. What the options say holds where a
    /// line says nothing; tags, metadata and parents add up.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["function", "id", "idempotency_key"])]
    pub(crate) file: Option<PathBuf>,
    /// Run after this delay
    #[arg(
        long = "in",
        value_name = "DURATION",
        conflicts_with = "at",
        allow_hyphen_values = true
    )]
    pub(crate) delay: Option<String>,
    /// Run at this time: seconds since 1970, or RFC 3339 such as 2030-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// The job must have ended by then: a duration from now, or a time as for --at
    #[arg(long, value_name = "DURATION|TIME", allow_hyphen_values = true)]
    pub(crate) deadline: Option<String>,
    /// The job must have started this long from now
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) expires_in: Option<String>,
    #[command(flatten)]
    pub(crate) job: JobOptions,
    /// Run once this job has completed; may be given several times
    #[arg(long, value_name = "ID")]
    pub(crate) depends_on: Vec<JobId>,
    /// When a parent is given up: wait for its requeue, cancel this job, or run it all the same [default: wait]
    #[arg(long, value_name = "WHAT", value_parser = ["wait", "cancel", "run"], requires = "depends_on")]
    pub(crate) on_parent_failed: Option<String>,
    /// When a parent is cancelled, expires or is gone: cancel this job or run it all the same [default: cancel]
    #[arg(long, value_name = "WHAT", value_parser = ["cancel", "run"], requires = "depends_on")]
    pub(crate) on_parent_cancelled: Option<String>,
    /// Name for people
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// A worker that cannot prove that it owns the job lets it end and the store judge (finish_guard), or stops it
    /// before its lease ends (strict) [default: finish_guard]
    #[arg(long, value_parser = ["finish_guard", "strict"])]
    pub(crate) fencing: Option<String>,
    /// When Redis has lost the job's record: run it again from its message, or put it aside for a person
    /// [default: rerun]
    #[arg(long, value_parser = ["rerun", "quarantine"])]
    pub(crate) on_lost_record: Option<String>,
    /// Your own id (a UUID): the same id again is the same job
    #[arg(long, conflicts_with = "idempotency_key")]
    pub(crate) id: Option<JobId>,
    /// A text that stands for the id
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Follow the job to its end; the exit code tells how it ended
    #[arg(long, short)]
    pub(crate) watch: bool,
}

/// What `enqueue` and `cron add` say of a job in the same words; the time that an expiry counts from is not the same.
#[derive(Debug, Args)]
pub(crate) struct JobOptions {
    /// low, normal, high or critical
    #[arg(long, short)]
    pub(crate) priority: Option<Priority>,
    /// Logical queue
    #[arg(long, short)]
    pub(crate) queue: Option<String>,
    /// A label of the job; may be given several times
    #[arg(long, short)]
    pub(crate) tag: Vec<String>,
    /// Free data of the job; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) metadata: Vec<String>,
    /// Who asks for it [default: the user, from USER]
    #[arg(long, value_name = "WHO")]
    pub(crate) created_by: Option<String>,
    /// Run time limit of an attempt [default: worker.job_timeout of the worker]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) timeout: Option<String>,
    /// Retries after transient errors [default: 3]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(crate) max_retries: Option<String>,
    /// Delay before the first retry [default: 1s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) retry_delay: Option<String>,
    /// Growth of the delay from one retry to the next [default: 2]
    #[arg(long, value_name = "FACTOR", allow_hyphen_values = true)]
    pub(crate) retry_backoff: Option<f64>,
    /// Do not spread retry delays at random
    #[arg(long)]
    pub(crate) no_retry_jitter: bool,
    /// Longest delay between retries [default: 1h]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) retry_delay_max: Option<String>,
}
