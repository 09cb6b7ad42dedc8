//! `longshore cron` on the command line.

use clap::{Args, Subcommand};
use longshore_core::name::CronName;

use super::enqueue::JobOptions;

/// `longshore cron`
#[derive(Debug, Subcommand)]
pub(crate) enum Cron {
    /// List entries with their next ticks
    #[command(after_help = "Example:\n  longshore cron ls -o json")]
    Ls,
    /// Show everything of one entry, and its next ticks
    #[command(after_help = "Example:\n  longshore cron show nightly")]
    Show {
        /// The entry
        name: CronName,
    },
    /// Make an entry: a job at every tick of an expression
    Add(Box<CronAdd>),
    /// Take entries away; their jobs stay
    #[command(
        after_help = "Examples:\n  longshore cron rm nightly\n  longshore cron rm nightly hourly --dry-run"
    )]
    Rm {
        /// The entries
        #[arg(required = true)]
        names: Vec<CronName>,
        /// Tell which it would be, and take none away
        #[arg(long)]
        dry_run: bool,
    },
    /// Let entries fire no more until they are resumed
    #[command(after_help = "Example:\n  longshore cron pause nightly")]
    Pause {
        /// The entries
        #[arg(required = true)]
        names: Vec<CronName>,
    },
    /// Let paused entries fire again, from their next tick on
    #[command(after_help = "Example:\n  longshore cron resume nightly")]
    Resume {
        /// The entries
        #[arg(required = true)]
        names: Vec<CronName>,
    },
    /// Make a job of an entry now; its next tick stays
    #[command(after_help = "Example:\n  longshore cron run nightly --watch")]
    Run {
        /// The entry
        name: CronName,
        /// Follow the job to its end; the exit code tells how it ended
        #[arg(long, short)]
        watch: bool,
    },
    /// Preview the ticks of an expression; asks no server
    Next(CronNext),
}

/// `longshore cron add`
#[derive(Debug, Args)]
#[command(
    after_help = "An expression has five fields (minute hour day month weekday), six with a second before them, or is a \
    nickname such as @daily. Names (MON-FRI, JAN), L (last day), LW, 15W, FRIL and MON#2 are known.\n\n\
    Examples:\n  \
    longshore cron add nightly '30 2 * * *' send_report '{\"to\": \"a@example.com\"}' --tz Europe/Berlin\n  \
    longshore cron add poll '*/10 * * * * *' poll_inbox --overlap skip --misfire skip\n  \
    longshore cron add payday '0 9 LW * *' pay --jitter 5m --replace"
)]
pub(crate) struct CronAdd {
    /// Its name
    pub(crate) name: CronName,
    /// When it ticks, in quotes
    pub(crate) expression: String,
    /// The function of its jobs
    pub(crate) function: String,
    /// Their arguments, JSON
    #[arg(default_value = "null")]
    pub(crate) args: String,
    /// Time zone of the expression, for example Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub(crate) tz: Option<String>,
    /// Ticks that were missed for over a minute: skip, once (one job for all), all (the newest 100), all:N
    /// [default: once]
    #[arg(long, value_name = "POLICY")]
    pub(crate) misfire: Option<String>,
    /// A tick while the last job has not ended: allow, skip or cancel-previous [default: allow]
    #[arg(long, value_name = "POLICY")]
    pub(crate) overlap: Option<String>,
    /// Each job is due up to this much after its tick
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) jitter: Option<String>,
    /// A job must have started this long after it is due
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) expires_in: Option<String>,
    /// Write over an entry of this name
    #[arg(long)]
    pub(crate) replace: bool,
    /// Name of its jobs for people
    #[arg(long)]
    pub(crate) job_name: Option<String>,
    #[command(flatten)]
    pub(crate) job: JobOptions,
}

/// `longshore cron next`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    longshore cron next '30 2 * * *' --tz Europe/Berlin -n 3 --from 2026-03-27T00:00:00Z\n  \
    longshore cron next '0 9 LW * *' -o json")]
pub(crate) struct CronNext {
    /// The expression, in quotes
    pub(crate) expression: String,
    /// Its time zone, for example Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub(crate) tz: Option<String>,
    /// How many ticks
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) count: u32,
    /// Ticks after this time instead of now: seconds since 1970, or RFC 3339 such as 2030-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
}
