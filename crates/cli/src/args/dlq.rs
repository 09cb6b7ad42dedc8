//! `longshore dlq`, `longshore quarantine` and `longshore job cleanup` on the command line.

use clap::{Args, Subcommand};
use longshore_core::JobStatus;
use longshore_core::dead::{Fingerprint, OperationId};

use super::job::{JobsOf, Page};
use crate::job_ref::JobRef;

/// `longshore dlq`
#[derive(Debug, Subcommand)]
pub(crate) enum Dlq {
    /// List dead letters, the newest job first
    #[command(after_help = "Examples:\n  \
        longshore dlq ls --function send_mail --newer-than 1h\n  \
        longshore dlq ls --group")]
    Ls(DlqLs),
    /// Show a dead letter: error, traceback, every attempt, and why it was given up
    #[command(
        after_help = "Examples:\n  longshore dlq show 0193f0a1-7c5e-8001-9313-0242ac120002\n  \
        longshore dlq show 0193f0a1-7c5e-8001-9313-0242ac120002 --full"
    )]
    Show {
        /// The job
        id: JobRef,
        /// The traceback, arguments and result whole, however long they are
        #[arg(long)]
        full: bool,
    },
    /// Send dead letters back to their queues, their retries restored
    #[command(after_help = "Examples:\n  \
        longshore dlq requeue 0193f0a1-7c5e-8001-9313-0242ac120002\n  \
        longshore dlq requeue --fingerprint 3f2a9c0b71de --dry-run\n  \
        longshore dlq requeue --filter function=send_mail --filter newer-than=2h")]
    Requeue(DlqRequeue),
    /// Give a dead letter other arguments and send it back to its queue
    #[command(after_help = "Example:\n  \
        longshore dlq edit 0193f0a1-7c5e-8001-9313-0242ac120002 '{\"to\": \"b@example.com\"}'")]
    Edit {
        /// The job
        id: JobRef,
        /// Its new arguments, JSON; `-` reads them from stdin
        args: String,
    },
    /// Delete dead letters
    #[command(after_help = "Examples:\n  \
        longshore dlq discard 0193f0a1-7c5e-8001-9313-0242ac120002 --yes\n  \
        longshore dlq discard --queue mail --older-than 30d --dry-run")]
    Discard(DlqDiscard),
    /// List the last operations on many dead letters, and how far they are
    #[command(after_help = "Example:\n  longshore dlq ops -o json")]
    Ops,
    /// Go on with an operation that was interrupted; nothing is done twice
    #[command(after_help = "Example:\n  longshore dlq resume 00f3a1b2c4d5e6f7")]
    Resume {
        /// The operation
        id: OperationId,
    },
}

/// Which dead letters.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct DeadOptions {
    #[command(flatten)]
    pub(crate) of: JobsOf,
    /// Only with errors like this one, as `dlq ls` prints it
    #[arg(long)]
    pub(crate) fingerprint: Option<Fingerprint>,
    /// Only given up before this time: a duration ago, or a time as 2030-01-31T08:00:00Z
    #[arg(long, value_name = "DURATION|TIME")]
    pub(crate) older_than: Option<String>,
    /// Only given up at or after this time, written as for --older-than
    #[arg(long, value_name = "DURATION|TIME")]
    pub(crate) newer_than: Option<String>,
    /// The same as the options above: function, queue, tag, fingerprint, older-than, newer-than
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,
}

/// `longshore dlq ls`
#[derive(Debug, Args)]
pub(crate) struct DlqLs {
    #[command(flatten)]
    pub(crate) which: DeadOptions,
    /// Count them by what their errors have in common
    #[arg(long, conflicts_with = "after")]
    pub(crate) group: bool,
    #[command(flatten)]
    pub(crate) page: Page,
}

/// `longshore dlq requeue`
#[derive(Debug, Args)]
pub(crate) struct DlqChange {
    /// The jobs; or a filter; or --all
    pub(crate) ids: Vec<JobRef>,
    #[command(flatten)]
    pub(crate) which: DeadOptions,
    /// Every dead letter
    #[arg(long)]
    pub(crate) all: bool,
    /// Tell how many it would be, with examples, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Your own id of the operation: the same again goes on with it [default: a random one]
    #[arg(long, value_name = "ID")]
    pub(crate) operation: Option<OperationId>,
}

/// `longshore dlq requeue`
#[derive(Debug, Args)]
pub(crate) struct DlqRequeue {
    #[command(flatten)]
    pub(crate) change: DlqChange,
    /// Do not ask on a terminal before many are requeued
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// `longshore dlq discard`
#[derive(Debug, Args)]
pub(crate) struct DlqDiscard {
    #[command(flatten)]
    pub(crate) change: DlqChange,
    /// Do not ask; needed where stdin is no terminal
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// `longshore quarantine`
#[derive(Debug, Subcommand)]
pub(crate) enum Quarantine {
    /// List messages that nobody could handle
    #[command(after_help = "Example:\n  longshore quarantine ls -o jsonl")]
    Ls,
    /// Show a message: headers, raw bytes, and what can be read of them
    #[command(after_help = "Example:\n  longshore quarantine show MESSAGE_ID")]
    Show {
        /// The message, as `quarantine ls` prints it
        message_id: String,
    },
    /// Delete messages
    #[command(after_help = "Examples:\n  \
        longshore quarantine drop MESSAGE_ID --yes\n  \
        longshore quarantine drop --all")]
    Drop {
        /// The messages
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        message_ids: Vec<String>,
        /// Every message
        #[arg(long)]
        all: bool,
        /// Tell how many it would be, and delete nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask; needed where stdin is no terminal
        #[arg(long, short)]
        yes: bool,
    },
}

/// `longshore job cleanup`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    longshore job cleanup --retention-days 30 --dry-run\n  \
    longshore job cleanup --retention-days 1 --status completed,cancelled")]
pub(crate) struct Cleanup {
    /// Keep what ended within so many days; 1 to 3650
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(crate) retention_days: String,
    /// Only these statuses: completed, failed, cancelled, expired [default: all four]
    #[arg(long, short, value_delimiter = ',')]
    pub(crate) status: Vec<JobStatus>,
    /// Tell how many it would be, and delete nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
