//! The store on Redis: one server, a server behind Sentinel, or a cluster.
//!
//! What a job's keys are and how they change is in `lua/`: `lib.lua` says the same as the transitions of the core,
//! and one script a request takes many jobs of a shard at once. This side puts requests into arguments and answers
//! into types, keeps one connection, and says plainly what went wrong.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::port::{
    AccessPort, AttemptPort, CheckupPort, CronPort, EnqueuePort, Error, InspectPort, NotifyPort, SchedulePort,
};
use longshore_core::shard::Shards;
use longshore_core::telemetry::Telemetry;

use crate::secret::SecretUrl;
use call::Call;
use reply::Reader;
use script::Script;

mod access;
mod attempt;
mod call;
mod checkup;
mod cron;
mod enqueue;
mod fault;
mod gate;
mod inspect;
mod link;
mod notify;
mod reply;
mod schedule;
mod script;
mod shards;
mod statistics;
mod strict;
mod target;
mod view;
mod watch;

pub(crate) use checkup::examine;
pub use gate::Finding;
use link::Link;
use strict::Strict;
use watch::Hub;

/// How Redis is named in errors.
const SERVER: &str = "Redis";

/// What a store on Redis needs to know. Made by [`Config::new`]; every field may then be changed.
#[derive(Clone, Debug)]
pub struct Config {
    /// `redis://`, `rediss://`, `redis-cluster://` or `redis-sentinel://` (with `+` for `-` as well, and `rediss` for
    /// TLS).
    pub url: SecretUrl,
    /// How many shards a *new* store gets; `None` takes 4 on one Redis, 64 on a cluster. An existing one keeps its
    /// number, and another one here is an error.
    pub shards: Option<Shards>,
    /// Start although Redis is set up so that it may lose jobs. Default: false.
    pub allow_degraded: bool,
    /// PEM file with the certificate authority of a TLS server; `None` takes the system's authorities.
    pub ca_file: Option<PathBuf>,
    /// Acknowledge enqueues, finishes, edges, requeues and what goes to quarantine only when they are on disk, and on
    /// [`Config::replicas`] replicas. Default: false.
    pub strict: bool,
    /// How many replicas must have a strict write before it is acknowledged; every master must have as many connected
    /// at the start. Default: 0, the disk alone.
    pub replicas: u16,
    /// How long an answer may take; after it the outcome is unknown. Default: 5 s.
    pub response_timeout: Duration,
    /// Name in `CLIENT LIST`. Default: `longshore`.
    pub connection_name: String,
    /// Who is told of calls and connections. Default: nobody.
    pub telemetry: Telemetry,
}

impl Config {
    /// The defaults for this URL.
    pub fn new(url: SecretUrl) -> Self {
        Self {
            url,
            shards: None,
            allow_degraded: false,
            ca_file: None,
            strict: false,
            replicas: 0,
            response_timeout: Duration::from_secs(5),
            connection_name: "longshore".to_owned(),
            telemetry: Telemetry::off(),
        }
    }
}

/// Why a store cannot be used. Never shows credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL has the wrong shape.
    #[error("redis_url: {url}: {problem}")]
    Url {
        /// The URL, without credentials.
        url: SecretUrl,
        /// What is wrong with it.
        problem: String,
    },
    /// The certificate authority cannot be read.
    #[error("redis_ca_file: {}: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The server cannot be reached, refuses the credentials, or refuses what it is asked at the start.
    #[error(transparent)]
    Server(#[from] Error),
    /// The store has another number of shards.
    #[error(
        "shards: the store at {url} has {stored}, and the configuration asks for {asked}; leave the setting out, or drain the store and reshard it"
    )]
    Shards {
        /// The URL, without credentials.
        url: SecretUrl,
        /// What the store was made with.
        stored: u16,
        /// What was asked for.
        asked: u16,
    },
    /// Redis is set up so that it may lose jobs.
    #[error(
        "{url} may lose jobs as it is set up:{}\nor accept that, and start with allow_degraded = true (--set allow_degraded=true)",
        gate::lines(findings)
    )]
    Unsafe {
        /// The URL, without credentials.
        url: SecretUrl,
        /// Everything that was found.
        findings: Vec<Finding>,
    },
}

/// Whether connecting could take this URL.
pub(crate) fn check_url(url: &SecretUrl) -> Result<(), String> {
    match target::check(url) {
        Err(ConnectError::Url { problem, .. }) => Err(problem),
        _ => Ok(()),
    }
}

/// One connection for measurements; `None` where Redis is a cluster.
#[cfg(feature = "bench")]
pub(crate) async fn dial_one(
    config: &Config,
) -> Result<Option<redis::aio::MultiplexedConnection>, ConnectError> {
    match target::Target::new(config)?.dial().await?.pipe {
        target::Pipe::One(connection) => Ok(Some(connection)),
        target::Pipe::Cluster(_) => Ok(None),
    }
}

/// A store on Redis. Cheap to clone; [`Store::close`] ends every clone.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    link: Link,
    hub: Hub,
    shards: Shards,
    past: statistics::Past,
    pauses: attempt::Pauses,
    /// For writes that wait for replicas.
    strict: Option<Strict>,
    /// What a degraded start has accepted.
    unfit: Vec<Finding>,
}

impl Store {
    /// Connects, and checks that the server is fit to keep jobs. Every background task runs on the runtime that
    /// calls this.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses, may lose jobs ([`Config::allow_degraded`]), or has another number
    /// of shards.
    pub async fn connect(config: &Config) -> Result<Self, ConnectError> {
        let target = target::Target::new(config)?;
        let hub = Hub::new(target.clone());
        let strict = (config.strict && config.replicas > 0).then(|| {
            let link = Link::new(
                target.clone(),
                config.response_timeout,
                "strict",
                &config.telemetry,
            );
            Strict::new(link, config.replicas, config.response_timeout)
        });
        let link = Link::new(target, config.response_timeout, "calls", &config.telemetry);
        let unfit = gate::check(&link, config).await?;
        let shards = shards::agree(&link, config).await?;
        Ok(Self(Arc::new(Inner {
            link,
            hub,
            shards,
            past: statistics::Past::default(),
            pauses: attempt::Pauses::default(),
            strict,
            unfit,
        })))
    }

    /// The store for producers.
    pub fn enqueue_port(&self) -> Arc<dyn EnqueuePort> {
        Arc::new(self.clone())
    }

    /// The store for workers.
    pub fn attempt_port(&self) -> Arc<dyn AttemptPort> {
        Arc::new(self.clone())
    }

    /// The store for the scheduler.
    pub fn schedule_port(&self) -> Arc<dyn SchedulePort> {
        Arc::new(self.clone())
    }

    /// The store for people.
    pub fn inspect_port(&self) -> Arc<dyn InspectPort> {
        Arc::new(self.clone())
    }

    /// The store for the doctor.
    pub fn checkup_port(&self) -> Arc<dyn CheckupPort> {
        Arc::new(self.clone())
    }

    /// The store for keepers of cron entries.
    pub fn cron_port(&self) -> Arc<dyn CronPort> {
        Arc::new(self.clone())
    }

    /// The store for who tells people.
    pub fn notify_port(&self) -> Arc<dyn NotifyPort> {
        Arc::new(self.clone())
    }

    /// The store for the gateway.
    pub fn access_port(&self) -> Arc<dyn AccessPort> {
        Arc::new(self.clone())
    }

    /// Ends the connections of every clone. What is asked later answers [`Error::Closed`].
    pub fn close(&self) {
        self.0.hub.close();
        self.0.link.close();
        if let Some(strict) = &self.0.strict {
            strict.close();
        }
    }

    /// What makes the server one that may lose jobs, as far as [`Config::allow_degraded`] has accepted it.
    pub fn unfit(&self) -> &[Finding] {
        &self.0.unfit
    }

    fn shard_count(&self) -> Shards {
        self.0.shards
    }

    /// A call of a script in a shard.
    fn script(script: &'static Script, shard: u16) -> Call {
        Call::new(script, shard)
    }

    /// Runs a script that answers one number.
    async fn number(&self, call: &Call) -> Result<u64, Error> {
        Reader::of_one(self.0.link.run(call).await?).number()
    }

    /// Runs a script.
    async fn run(&self, call: &Call) -> Result<Reader, Error> {
        Reader::new(self.0.link.run(call).await?)
    }

    /// Runs a script whose work must not be acknowledged before it is safe.
    async fn run_strictly(&self, call: &Call) -> Result<Reader, Error> {
        Reader::new(self.strictly(call).await?)
    }

    async fn strictly(&self, call: &Call) -> Result<redis::Value, Error> {
        match &self.0.strict {
            Some(strict) => strict.run(call).await,
            None => self.0.link.run(call).await,
        }
    }
}
