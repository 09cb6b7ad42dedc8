//! The configuration: `longshore.toml`, `LONGSHORE_…` in the environment, and the command line, the later the stronger.
//!
//! Every key stands in one table ([`keys::KEYS`]). A wrong configuration is told as a whole: every problem, each with
//! its key, where the value came from, and the fix.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use longshore_core::cron::Definition;
use longshore_core::name::CronName;
use longshore_core::shard::Shards;
use longshore_core::{FunctionName, QueueName};

mod api;
mod check;
mod cron;
mod dump;
mod gateway;
pub mod keys;
mod notify;
mod problem;
mod read;
pub mod reference;
mod secret;
mod sources;
mod suggest;
mod telemetry;

pub use api::Api;
pub use gateway::{Gateway, Oidc};
pub use notify::{EmailChannel, MailTls, Notify, QueueLimit, WebhookChannel};
pub use problem::{Origin, Problem, Problems};
pub use secret::Secret;
pub use sources::Sources;
pub use telemetry::{Health, OtlpProtocol, Telemetry};

use read::Values;

/// Judges a value by what this crate does not know: is it a URL that the backend takes, a key, a header? It gets the
/// key's path as it stands in [`keys::KEYS`], the field when that key holds a table, and the value; it answers what is
/// wrong and the fix, without the key and without repeating a secret.
pub type Judge<'a> = &'a dyn Fn(&str, Option<&str>, &str) -> Result<(), String>;

/// A checked configuration.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Where jobs are kept.
    pub endpoints: Endpoints,
    /// How queues are laid out in RabbitMQ.
    pub profile: Profile,
    /// Shards of a new installation; `None` leaves it to the store.
    pub shards: Option<Shards>,
    /// Most jobs that a producer puts into one message; `None` leaves it to their run times.
    pub bundle_max: Option<usize>,
    /// Start although Redis may lose jobs.
    pub allow_degraded: bool,
    /// How much a write to Redis waits for.
    pub durability: Durability,
    /// Replicas of Redis that a strict write waits for.
    pub redis_replicas: u16,
    /// Certificate authority of an `amqps://` server.
    pub amqp_ca_file: Option<PathBuf>,
    /// Certificate authority of a `rediss://` server.
    pub redis_ca_file: Option<PathBuf>,
    /// RabbitMQ's own consumer time-out.
    pub consumer_timeout: Duration,
    /// The worker.
    pub worker: Worker,
    /// The scheduler.
    pub scheduler: Scheduler,
    /// Cron entries that the scheduler keeps in the store.
    pub cron: BTreeMap<CronName, Definition>,
    /// Who is told of what.
    pub notify: Notify,
    /// The gateway.
    pub gateway: Gateway,
    /// A gateway that commands ask instead of the servers.
    pub api: Api,
    /// The log.
    pub log: Log,
    /// Traces and metrics.
    pub telemetry: Telemetry,
    /// Probes of the process.
    pub health: Health,
    values: Values,
}

/// Where jobs are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoints {
    /// RabbitMQ and Redis.
    Servers {
        /// RabbitMQ.
        amqp: Secret,
        /// Redis.
        redis: Secret,
    },
    /// The embedded store in this folder.
    Embedded(PathBuf),
}

/// How queues are laid out in RabbitMQ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// A quorum queue per priority.
    #[default]
    Quorum,
    /// One classic queue with priorities.
    Classic,
}

/// How much a write to Redis waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// As Redis is configured.
    #[default]
    Default,
    /// On disk, and on a replica where there is one.
    Strict,
}

/// `[worker]`
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Worker {
    /// Jobs at once.
    pub max_workers: u32,
    /// Run time limit of an attempt whose job sets none.
    pub job_timeout: Duration,
    /// Queues to consume, at least one.
    pub queues: Vec<QueueName>,
    /// How long running jobs may go on after a stop.
    pub drain_deadline: Duration,
    /// How long a handler may go on after it was told to stop.
    pub cancel_grace: Duration,
    /// Functions that run a program.
    pub commands: BTreeMap<FunctionName, CommandFunction>,
    /// Functions that post to a URL.
    pub http: BTreeMap<FunctionName, HttpFunction>,
}

/// `[worker.commands.NAME]`
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CommandFunction {
    /// The program, found through `PATH` unless it has a slash.
    pub program: PathBuf,
    /// Its fixed arguments.
    pub args: Vec<String>,
    /// Extra environment.
    pub env: BTreeMap<String, Secret>,
    /// Working directory; the worker's when `None`.
    pub cwd: Option<PathBuf>,
    /// Run time limit of an attempt; the job's own when `None`.
    pub timeout: Option<Duration>,
}

/// `[worker.http.NAME]`
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HttpFunction {
    /// Where to post.
    pub url: Secret,
    /// Key of the signature; unsigned when `None`.
    pub secret: Option<Secret>,
    /// Run time limit of an attempt; the job's own when `None`.
    pub timeout: Option<Duration>,
    /// Extra headers.
    pub headers: BTreeMap<String, Secret>,
}

/// `[scheduler]`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scheduler {
    /// Most jobs in one message; as many as their run times allow when `None`.
    pub bundle_max: Option<usize>,
    /// The audit takes nothing for lost before this.
    pub hold_limit: Duration,
    /// Jobs a second that the audit publishes again.
    pub audit_rate: u32,
    /// How long ended jobs are kept.
    pub retention: Retention,
    /// How often the daemons look.
    pub intervals: Intervals,
}

/// `[scheduler.retention]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Completed jobs.
    pub completed: Duration,
    /// Dead letters.
    pub failed: Duration,
    /// Cancelled jobs.
    pub cancelled: Duration,
    /// Expired jobs.
    pub expired: Duration,
}

/// `[scheduler.intervals]`: the time between two looks of each daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each field is the daemon of its name; the reference says what it does"
)]
pub struct Intervals {
    pub dispatch_outbox: Duration,
    pub promote_due: Duration,
    pub promote_due_idle: Duration,
    pub expire_leases: Duration,
    pub expire_waiting: Duration,
    pub tell_children: Duration,
    pub verify_edges: Duration,
    pub audit_published: Duration,
    pub keep_dead_letters: Duration,
    pub prune_finished: Duration,
    pub release_parked: Duration,
    pub fire_cron: Duration,
    pub apply_cron: Duration,
    pub send_notifications: Duration,
    pub compare_indexes: Duration,
    pub lease_shards: Duration,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Shape of a line.
    pub format: LogFormat,
    /// Lowest level, or a filter.
    pub level: String,
}

/// Shape of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

impl Config {
    /// Reads and checks the configuration; `judge` has a say in every value.
    ///
    /// # Errors
    /// Every problem of every source at once.
    pub fn load(sources: &Sources, judge: Judge<'_>) -> Result<Self, Problems> {
        Self::load_and(sources, judge, &|_| Vec::new())
    }

    /// As [`Config::load`]; `look` sees what could be made of the values, also where some of them are wrong, and tells
    /// what it finds. Of a key that has a problem already it tells in vain.
    ///
    /// # Errors
    /// Every problem of every source, and of `look`, at once.
    pub fn load_and(
        sources: &Sources,
        judge: Judge<'_>,
        look: &dyn Fn(&Self) -> Vec<Problem>,
    ) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let layers = sources.read(&mut problems);
        let values = Values::read(layers, judge, &mut problems);
        let config = check::build(values, &mut problems);
        for found in config.as_ref().map(look).unwrap_or_default() {
            if !problems.iter().any(|known| known.key == found.key) {
                problems.push(found);
            }
        }
        problems.sort_by(|one, other| one.key.cmp(&other.key));
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(Problems(problems)),
        }
    }

    /// The effective configuration as TOML, without secrets. Values that are not defaults say where they came from.
    pub fn dump(&self) -> String {
        dump::dump(&self.values, &self.endpoints)
    }

    /// The same as [`Config::dump`] for programs: tables in tables, without secrets and without origins.
    ///
    /// # Errors
    /// When what is dumped is not TOML, which is a bug.
    pub fn table(&self) -> Result<toml::Table, toml::de::Error> {
        self.dump().parse()
    }

    /// Where the value of a key came from.
    pub fn origin(&self, key: &str) -> Origin {
        self.values.origin(key)
    }
}
