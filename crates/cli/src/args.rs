//! What the command line takes. Comments here are the help texts that people read, so they are not Markdown.
#![expect(clippy::doc_markdown, reason = "help texts for a terminal")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) mod access;
pub(crate) mod bench;
pub(crate) mod container;
mod cron;
pub(crate) mod dlq;
pub(crate) mod doctor;
mod enqueue;
pub(crate) mod group;
pub(crate) mod job;
mod looks;
pub(crate) mod queue;
mod serve;
pub(crate) mod stats;
#[cfg(test)]
mod tests;

pub(crate) use cron::{Cron, CronAdd, CronNext};
pub(crate) use enqueue::{Enqueue, JobOptions};
pub(crate) use job::{Job, JobLs};
pub(crate) use serve::{Dev, Gateway, Samples, Worker};

use crate::output::Format;

/// Background jobs on RabbitMQ and Redis.
#[derive(Debug, Parser)]
#[command(
    name = "longshore",
    version,
    about = "Background jobs on RabbitMQ and Redis, or embedded in one process and one folder",
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
    /// Ask a gateway by HTTP instead of the servers, for example https://jobs.example/longshore/ (its token goes into
    /// LONGSHORE_API__TOKEN, a file that LONGSHORE_API__TOKEN_FILE names, or the configuration)
    #[arg(long, global = true, value_name = "URL", conflicts_with_all = ["amqp_url", "redis_url", "embedded"])]
    pub(crate) url: Option<String>,
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
