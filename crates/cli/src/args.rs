//! What the command line takes. Comments here are the help texts that people read, so they are not Markdown.
#![expect(clippy::doc_markdown, reason = "help texts for a terminal")]

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use longshore_core::name::CronName;
use longshore_core::{FunctionName, JobId, JobStatus, Priority, QueueName};

pub(crate) mod access;
pub(crate) mod bench;
pub(crate) mod container;
pub(crate) mod dlq;
pub(crate) mod doctor;
mod looks;
pub(crate) mod queue;
pub(crate) mod stats;
#[cfg(test)]
mod tests;

use crate::job::PageCursor;
use crate::job_ref::JobRef;
use crate::output::Format;

/// Background jobs on RabbitMQ and Redis.
#[derive(Debug, Parser)]
#[command(
    name = "longshore",
    version,
    about,
    long_about = "Background jobs on RabbitMQ and Redis, or embedded in one process and one folder.\n\n\
                  Without --amqp-url and --redis-url (or their settings) `longshore dev` makes the embedded store in \
                  the folder .longshore; the other commands use that folder where it is, and talk to the running \
                  `longshore dev`.",
    after_help = "Start with `longshore dev`: everything in one process, with sample jobs.",
    after_long_help = longshore_service::exit::HELP,
)]
pub(crate) struct Cli {
    #[command(flatten, next_help_heading = "Options of every command")]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Configuration file [default: ./longshore.toml, then /etc/longshore/longshore.toml, where they exist]
    #[arg(long, global = true, value_name = "FILE", env = "LONGSHORE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// RabbitMQ, for example amqp://127.0.0.1 (give a password in the environment or the file, not here)
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) amqp_url: Option<String>,
    /// Redis, for example redis://127.0.0.1; redis-cluster:// and redis-sentinel:// work too
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) redis_url: Option<String>,
    /// Use the embedded store in this folder
    #[arg(long, global = true, value_name = "FOLDER", conflicts_with_all = ["amqp_url", "redis_url"])]
    pub(crate) embedded: Option<PathBuf>,
    /// Any other setting of the configuration file, for example --set worker.max_workers=4
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Shape of the output
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub(crate) output: Format,
    /// Print the effective configuration without secrets, and end
    #[arg(long, global = true)]
    pub(crate) dump_config: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process on an embedded store, with sample jobs
    Dev(Dev),
    /// Run a worker, or list the live ones
    Worker(Worker),
    /// Run a scheduler; any number of replicas
    #[command(after_help = "Example:\n  longshore scheduler --config /etc/longshore/longshore.toml")]
    Scheduler,
    /// Serve the HTTP API and the dashboard; any number of replicas
    #[command(
        after_help = "Examples:\n  longshore gateway\n  longshore gateway --listen 0.0.0.0:8080 --config /etc/longshore/longshore.toml"
    )]
    Gateway(Gateway),
    /// Hand over a job
    Enqueue(Box<Enqueue>),
    /// List, show, explain, watch and cancel jobs
    #[command(subcommand)]
    Job(Job),
    /// Dead letters: list, show, requeue, edit, discard
    #[command(subcommand)]
    Dlq(dlq::Dlq),
    /// Messages that nobody could handle: list, show, drop
    #[command(subcommand)]
    Quarantine(dlq::Quarantine),
    /// List, look into, pause, resume and purge queues
    #[command(subcommand)]
    Queue(queue::Queue),
    /// List, make, preview and run recurring jobs
    #[command(subcommand)]
    Cron(Cron),
    /// Measure what an installation does and what that costs, beside the least that its servers could cost
    Bench(bench::Bench),
    /// Notifications: list channels and what waits, send a test
    #[command(subcommand)]
    Notify(Notify),
    /// Check servers, queues, records and indexes, say what is wrong, and repair it
    Doctor(doctor::Doctor),
    /// Make, list and revoke tokens of the gateway
    #[command(subcommand)]
    Token(access::Token),
    /// Who did what through the gateway
    #[command(subcommand)]
    Audit(access::Audit),
    /// Show throughput, failures, wait and run times, and how jobs stand
    Stats(stats::Stats),
    /// Watch it all live in the terminal
    Top(stats::Top),
    /// Check and show the configuration
    #[command(subcommand)]
    Config(Config),
    /// Ask a service whether it is well (for health checks of containers)
    Probe(container::Probe),
    /// Tell Kubernetes what the worker of this pod has running
    PodCost(container::PodCost),
    /// Print a completion script for a shell
    #[command(
        after_help = "Examples:\n  longshore completions bash > /etc/bash_completion.d/longshore\n  \
        longshore completions zsh > ~/.zfunc/_longshore"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write the pages of all commands
    #[command(
        after_help = "Examples:\n  longshore man | man -l -\n  longshore man --out /usr/local/share/man/man1"
    )]
    Man {
        /// Write one page a command into this folder
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

/// `longshore dev`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  longshore dev\n  longshore dev --samples once --until-idle\n  \
    longshore dev --samples off --embedded /var/lib/longshore"
)]
pub(crate) struct Dev {
    /// Jobs at once [default: worker.max_workers, 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) max_workers: Option<u32>,
    /// Sample jobs: a round at start and every half minute, one round, or none
    #[arg(long, value_enum, default_value_t)]
    pub(crate) samples: Samples,
    /// End once every job has ended (for scripts and tests)
    #[arg(long)]
    pub(crate) until_idle: bool,
    #[command(flatten)]
    pub(crate) gateway: Gateway,
}

/// `longshore gateway`
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Gateway {
    /// Where the HTTP API and the dashboard are served; port 0 takes a free one [default: gateway.listen,
    /// 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Serve the HTTP API alone
    #[arg(long)]
    pub(crate) no_dashboard: bool,
}

/// How many sample jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Samples {
    /// A round at start, and another every half minute.
    #[default]
    Loop,
    /// One round.
    Once,
    /// None.
    Off,
}

/// `longshore worker`
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  longshore worker --queue default --max-workers 16\n  longshore worker ls"
)]
pub(crate) struct Worker {
    /// What to do instead of running a worker
    #[command(subcommand)]
    pub(crate) command: Option<WorkerCommand>,
    /// Queues to work on [default: worker.queues, "default"]
    #[arg(long = "queue", value_name = "NAME")]
    pub(crate) queues: Vec<QueueName>,
    /// Jobs at once [default: worker.max_workers, 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) max_workers: Option<u32>,
    /// Register the sample functions as well
    #[arg(long)]
    pub(crate) samples: bool,
}

/// `longshore worker ls`
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum WorkerCommand {
    /// List live workers: where and since when they run, their version, slots, queues and functions, and what they run
    #[command(after_help = "Examples:\n  longshore worker ls\n  longshore worker ls -o jsonl")]
    Ls,
}

/// `longshore enqueue`
#[derive(Debug, Args)]
#[command(after_help = "Durations are numbers with a unit: 500ms, 30s, 5m, 2h, 7d.\n\n\
    Examples:\n  \
    longshore enqueue sample.hash_file '{\"path\": \"Cargo.lock\"}' --priority high --watch\n  \
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
    /// low, normal, high or critical
    #[arg(long, short)]
    pub(crate) priority: Option<Priority>,
    /// Logical queue
    #[arg(long, short)]
    pub(crate) queue: Option<String>,
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
    /// Run once this job has completed; may be given several times
    #[arg(long, value_name = "ID")]
    pub(crate) depends_on: Vec<JobId>,
    /// When a parent is given up: wait for its requeue, cancel this job, or run it all the same [default: wait]
    #[arg(long, value_name = "WHAT", value_parser = ["wait", "cancel", "run"], requires = "depends_on")]
    pub(crate) on_parent_failed: Option<String>,
    /// When a parent is cancelled, expires or is gone: cancel this job or run it all the same [default: cancel]
    #[arg(long, value_name = "WHAT", value_parser = ["cancel", "run"], requires = "depends_on")]
    pub(crate) on_parent_cancelled: Option<String>,
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
    /// Run time limit of an attempt [default: worker.job_timeout of the worker]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) timeout: Option<String>,
    /// The job must have ended by then: a duration from now, or a time as for --at
    #[arg(long, value_name = "DURATION|TIME", allow_hyphen_values = true)]
    pub(crate) deadline: Option<String>,
    /// The job must have started this long from now
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) expires_in: Option<String>,
    /// A label; may be given several times
    #[arg(long, short)]
    pub(crate) tag: Vec<String>,
    /// Free data; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) metadata: Vec<String>,
    /// Name for people
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Who asks for it [default: the user, from USER]
    #[arg(long, value_name = "WHO")]
    pub(crate) created_by: Option<String>,
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
    /// Only this status; may be given several times
    #[arg(long, short)]
    pub(crate) status: Vec<JobStatus>,
    /// Only this function
    #[arg(long, short)]
    pub(crate) function: Option<FunctionName>,
    /// Only this queue
    #[arg(long, short)]
    pub(crate) queue: Option<QueueName>,
    /// Only with this label; may be given several times
    #[arg(long, short)]
    pub(crate) tag: Vec<String>,
    /// Only enqueued at or after this time: a duration ago, or a time as 2030-01-31T08:00:00Z
    #[arg(long, value_name = "DURATION|TIME")]
    pub(crate) since: Option<String>,
    /// Only enqueued before this time, written as for --since
    #[arg(long, value_name = "DURATION|TIME")]
    pub(crate) until: Option<String>,
    /// Only with this text in name, function, tags, error, reason of a cancel, progress, or at the begin of the id
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// Go on where a listing ended: the cursor that it printed
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<PageCursor>,
    /// At most so many
    #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
}

/// `longshore notify`
#[derive(Debug, Subcommand)]
pub(crate) enum Notify {
    /// List channels, what waits for them and what they did not take lately
    #[command(after_help = "Examples:\n  longshore notify ls\n  longshore notify ls -o json")]
    Ls,
    /// Send a test by one channel, or by every one; needs no servers
    #[command(after_help = "Examples:\n  longshore notify test\n  longshore notify test ops")]
    Test {
        /// The channel [default: every one]
        channel: Option<String>,
    },
}

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
    /// Write over an entry of this name
    #[arg(long)]
    pub(crate) replace: bool,
    /// low, normal, high or critical
    #[arg(long, short)]
    pub(crate) priority: Option<Priority>,
    /// Logical queue
    #[arg(long, short)]
    pub(crate) queue: Option<String>,
    /// Retries after transient errors [default: 3]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(crate) max_retries: Option<String>,
    /// Delay before the first retry [default: 1s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) retry_delay: Option<String>,
    /// Run time limit of an attempt [default: worker.job_timeout of the worker]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) timeout: Option<String>,
    /// A job must have started this long after it is due
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) expires_in: Option<String>,
    /// A label of its jobs; may be given several times
    #[arg(long, short)]
    pub(crate) tag: Vec<String>,
    /// Free data of its jobs; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) metadata: Vec<String>,
    /// Name of its jobs for people
    #[arg(long)]
    pub(crate) job_name: Option<String>,
    /// Who asks for it [default: the user, from USER]
    #[arg(long, value_name = "WHO")]
    pub(crate) created_by: Option<String>,
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

/// `longshore config`
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check the configuration and list every problem at once
    #[command(after_help = "Example:\n  longshore config check --config /etc/longshore/longshore.toml")]
    Check,
    /// Print the effective configuration without secrets
    #[command(after_help = "Examples:\n  longshore config show\n  longshore config show -o json")]
    Show,
}
