//! `longshore job` on the command line.

use clap::{Args, Subcommand};
use longshore_core::{FunctionName, JobStatus, QueueName};

use super::{access, dlq};
use crate::job::PageCursor;
use crate::job_ref::JobRef;

/// `longshore job`
#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    /// List jobs, the newest first
    Ls(JobLs),
    /// Show everything of one job
    #[command(
        after_help = "Examples:\n  longshore job show 0193f0a1-7c5e-8001-9313-0242ac120002\n  \
        longshore job show 0193f0a1-7c5e-8001-9313-0242ac120002 --full"
    )]
    Show {
        /// The job
        id: JobRef,
        /// Tracebacks, arguments and results whole, however long they are
        #[arg(long)]
        full: bool,
    },
    /// Print what the handler of a job has said, over all its attempts
    #[command(
        after_help = "Time (UTC), attempt and text of each line; the last 200 are kept, as long as the job is.\n\n\
        Examples:\n  \
        longshore job logs 0193f0a1-7c5e-8001-9313-0242ac120002\n  \
        longshore job logs 0193f0a1-7c5e-8001-9313-0242ac120002 --follow"
    )]
    Logs {
        /// The job
        id: JobRef,
        /// Go on with what it says until it has ended
        #[arg(long, short = 'F')]
        follow: bool,
    },
    /// Say why a job does not run, and what would unblock it
    #[command(
        after_help = "Exit code 6: no job has this id. Every other answer is a success.\n\n\
        Examples:\n  \
        longshore job why 0193f0a1-7c5e-8001-9313-0242ac120002\n  \
        longshore job why 0193f0a1-7c5e-8001-9313-0242ac120002 -o json"
    )]
    Why {
        /// The job
        id: JobRef,
        /// Tell the parents that it waits for from this one on; an answer names 100
        #[arg(long, value_name = "N", default_value_t = 0)]
        parents_from: usize,
    },
    /// Follow jobs to their end; the exit code tells how they ended
    #[command(
        after_help = "Examples:\n  longshore job watch 0193f0a1-7c5e-8001-9313-0242ac120002\n  \
        longshore job watch 0193f0a1-7c5e-8001-9313-0242ac120002 -o jsonl"
    )]
    Watch {
        /// The jobs
        #[arg(required = true)]
        ids: Vec<JobRef>,
    },
    /// Make a watch link: a token with which a browser of a stranger may follow this job
    Link(access::Link),
    /// Delete jobs that ended long ago
    Cleanup(dlq::Cleanup),
    /// Cancel jobs, waiting or running
    #[command(after_help = "Example:\n  \
        longshore job cancel 0193f0a1-7c5e-8001-9313-0242ac120002 --reason \"asked for by mistake\"")]
    Cancel {
        /// The jobs
        #[arg(required = true)]
        ids: Vec<JobRef>,
        /// Why
        #[arg(long, default_value = "cancelled from the command line")]
        reason: String,
    },
}

/// `longshore job ls`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  longshore job ls --status failed --since 1h\n  \
    longshore job ls --tag user:123 -n 10 -o jsonl")]
pub(crate) struct JobLs {
    /// Only this status; may be given several times, or several with commas between them
    #[arg(long, short, value_delimiter = ',')]
    pub(crate) status: Vec<JobStatus>,
    #[command(flatten)]
    pub(crate) of: JobsOf,
    /// Only enqueued at or after this time: a duration ago, or a time as 2030-01-31T08:00:00Z
    #[arg(long, value_name = "DURATION|TIME")]
    pub(crate) since: Option<String>,
    /// Only enqueued before this time, written as for --since
    #[arg(long, value_name = "DURATION|TIME")]
    pub(crate) until: Option<String>,
    /// Only with this text in name, function, tags, error, reason of a cancel, progress, or at the begin of the id
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    #[command(flatten)]
    pub(crate) page: Page,
}

/// Whose jobs: what can be asked of every job, a dead letter too.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct JobsOf {
    /// Only this function
    #[arg(long, short)]
    pub(crate) function: Option<FunctionName>,
    /// Only this queue
    #[arg(long, short)]
    pub(crate) queue: Option<QueueName>,
    /// Only with this label; may be given several times
    #[arg(long, short)]
    pub(crate) tag: Vec<String>,
}

/// Which part of a listing of jobs.
#[derive(Debug, Args)]
pub(crate) struct Page {
    /// Go on where a listing ended: the cursor that it printed
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<PageCursor>,
    /// At most so many
    #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
}
