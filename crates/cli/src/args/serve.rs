//! `longshore dev`, `longshore worker` and `longshore gateway` on the command line.

use std::net::SocketAddr;

use clap::{Args, Subcommand, ValueEnum};
use longshore_core::QueueName;

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
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
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

/// An address of this machine. A name is none: it may stand for several.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let port = text.rsplit_once(':').map_or(text, |(_, port)| port);
        format!(
            "it needs an IP address and a port, for example 127.0.0.1:{}",
            port.parse().unwrap_or(8080_u16)
        )
    })
}
