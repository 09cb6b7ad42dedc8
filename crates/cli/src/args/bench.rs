//! `longshore bench` on the command line.

use std::time::Duration;

use clap::{Args, ValueEnum};
use longshore_core::QueueName;

/// `longshore bench`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
    Jobs of the function longshore.bench go through the queue given, with a worker and a scheduler in this process. The \
    queue must hold no open jobs and no other worker may consume it; the user must have the rights of producer, worker and \
    scheduler (`scheduler` of deploy/). `hand-over` and `work` are for two processes: the queue must hold no open jobs of other \
    functions, and on servers the process of `work` is a worker alone. `work` runs as many jobs as --jobs says \
    and gives back what it has taken beyond them, which a scheduler publishes again. A run that breaks off cancels what it has \
    enqueued. Records of the jobs stay until their retention ends. Rates on a machine that does other things as well mean little: compare ratios of one run.\n\n\
    Without servers in the configuration it measures an embedded store in a temporary folder.\n\n\
    Examples:\n  \
    longshore bench\n  \
    longshore bench end-to-end --jobs 50000 --bundle 10 --floor --repeat 5\n  \
    longshore bench latency --rate 100 --jobs 2000 -o json\n  \
    longshore bench urgent --jobs 100000 --max-workers 8\n  \
    longshore bench hand-over --jobs 1000000\n  \
    longshore bench work --jobs 1000000\n  \
    longshore bench memory --jobs 10000")]
pub(crate) struct Bench {
    /// What to measure [default: enqueue drain end-to-end latency]
    #[arg(value_enum)]
    pub(crate) modes: Vec<Mode>,
    /// Jobs of a measurement
    #[arg(long, short, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) jobs: u32,
    /// Most jobs in one message; 0 for as many as their measured run times allow, as clients do by default
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=64))]
    pub(crate) bundle: u8,
    /// Jobs at once in the worker
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) max_workers: u32,
    /// Jobs a second of the mode latency, updates a second of the mode progress
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,
    /// Characters of each job's argument
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(0..=200_000))]
    pub(crate) payload: u32,
    /// Measure everything so many times, in turns, and tell the medians
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) repeat: u32,
    /// Measure the floor in turns with Longshore: the same durable work with the servers' clients alone (needs servers)
    #[arg(long)]
    pub(crate) floor: bool,
    /// The queue
    #[arg(long, short, value_name = "NAME", default_value = "longshore-bench")]
    pub(crate) queue: QueueName,
    /// Longest time of one measurement; what is left of it is cancelled then
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = limit)]
    pub(crate) time_limit: Duration,
    /// Process of RabbitMQ on this machine, for its processor time [default: whoever listens at its port]
    #[arg(long, value_name = "PID")]
    pub(crate) broker_pid: Option<u32>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Hand jobs over while no worker runs
    Enqueue,
    /// Work off what waits
    Drain,
    /// Hand over and work off at the same time
    EndToEnd,
    /// Time from an enqueue to its start, at a rate
    Latency,
    /// The children of one parent that all wait for it are released
    FanOut,
    /// Jobs of which each waits for the one before
    Chain,
    /// Jobs that are all due at the same moment
    Schedule,
    /// The scheduler alone: jobs that are all due at the same moment are queued and published
    Promote,
    /// Progress updates of running jobs, at a rate
    Progress,
    /// Time from an enqueue to its start for critical jobs behind a backlog of low ones that take 20 ms each
    Urgent,
    /// Hand over what another process works off; the scheduler is here
    HandOver,
    /// Work off what another process hands over; on servers a worker alone, without a scheduler
    Work,
    /// Bytes of Redis that a job takes, by state
    Memory,
}

impl Mode {
    /// What is measured when nothing is said.
    pub(crate) const DEFAULT: [Self; 4] = [Self::Enqueue, Self::Drain, Self::EndToEnd, Self::Latency];

    /// Its name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Enqueue => "enqueue",
            Self::Drain => "drain",
            Self::EndToEnd => "end-to-end",
            Self::Latency => "latency",
            Self::FanOut => "fan-out",
            Self::Chain => "chain",
            Self::Schedule => "schedule",
            Self::Promote => "promote",
            Self::Progress => "progress",
            Self::Urgent => "urgent",
            Self::HandOver => "hand-over",
            Self::Work => "work",
            Self::Memory => "memory",
        }
    }

    /// Whether it measures one half, and leaves the other to another process.
    pub(crate) const fn is_half(self) -> bool {
        matches!(self, Self::HandOver | Self::Work)
    }

    /// Whether the floor has it too.
    pub(crate) const fn has_floor(self) -> bool {
        matches!(self, Self::Enqueue | Self::Drain | Self::EndToEnd | Self::Latency)
    }
}

fn limit(text: &str) -> Result<Duration, String> {
    let limit = longshore_service::duration::parse(text).map_err(|error| error.to_string())?;
    if (Duration::from_secs(1)..=Duration::from_secs(3_600)).contains(&limit) {
        Ok(limit)
    } else {
        Err("is not from 1s to 1h".to_owned())
    }
}
