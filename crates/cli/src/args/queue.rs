//! `longshore queue` on the command line.

use clap::{Args, Subcommand};
use longshore_core::{JobStatus, QueueName};

/// `longshore queue`
#[derive(Debug, Subcommand)]
pub(crate) enum Queue {
    /// List queues: how many jobs wait and since when, rates of the last five minutes, jobs by status
    #[command(after_help = "Examples:\n  longshore queue ls\n  longshore queue ls -o jsonl")]
    Ls,
    /// Show the jobs of a queue that start next, the first one first
    #[command(
        after_help = "Published jobs stand in line by priority, then by when they were published; what is not published yet \
        stands behind them. A worker takes a few at once, so that the order is near and not exact.\n\n\
        Examples:\n  longshore queue peek default\n  longshore queue peek mail -n 3 -o json"
    )]
    Peek(QueuePeek),
    /// Start no job of a queue until it is resumed
    #[command(
        after_help = "Examples:\n  longshore queue pause mail\n  longshore queue pause not-used-yet --create"
    )]
    Pause {
        /// The queue
        queue: QueueName,
        /// Also one that no job and no worker has named yet
        #[arg(long)]
        create: bool,
    },
    /// Start the jobs of a paused queue again
    #[command(after_help = "Example:\n  longshore queue resume mail")]
    Resume {
        /// The queue
        queue: QueueName,
    },
    /// Cancel everything that waits in a queue; what runs goes on
    Purge(QueuePurge),
}

/// `longshore queue peek`
#[derive(Debug, Args)]
pub(crate) struct QueuePeek {
    /// The queue
    pub(crate) queue: QueueName,
    /// At most so many
    #[arg(long, short = 'n', default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) limit: u32,
}

/// `longshore queue purge`
#[derive(Debug, Args)]
#[command(
    after_help = "Cancels what was enqueued before the command began: queued, scheduled, retrying and blocked jobs. Their records \
    stay until their retention is over, with the reason; their children are cancelled with them unless they say otherwise. \
    A job that starts at that very moment is told to stop. Interrupted, it is safe to run again.\n\n\
    Examples:\n  \
    longshore queue purge mail --dry-run\n  \
    longshore queue purge mail --status queued,retrying --yes"
)]
pub(crate) struct QueuePurge {
    /// The queue
    pub(crate) queue: QueueName,
    /// Only these statuses: queued, scheduled, retrying, blocked [default: all four]
    #[arg(long, short, value_delimiter = ',')]
    pub(crate) status: Vec<JobStatus>,
    /// Why, as the jobs will show it
    #[arg(long, default_value = "the queue was purged from the command line")]
    pub(crate) reason: String,
    /// Tell how many it would be, and cancel nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask; needed where stdin is no terminal
    #[arg(long, short)]
    pub(crate) yes: bool,
}
