//! The binary, pointed at servers of the test.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use longshore_core::random::Random as _;
use longshore_testkit::bundles;
use longshore_testkit::factory::SeededRandom;
use longshore_testkit::process::{Error, Proc, ServerDir, run};
use longshore_testkit::servers::{BrokerControl, RedisControl, SharedServers};
use serde_json::Value;

use crate::scene::seed;

/// How long one command may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// Servers, and processes of the binary on them.
pub(crate) struct Fleet {
    amqp: String,
    redis: String,
    profile: &'static str,
    binary: PathBuf,
    env: BTreeMap<String, String>,
    logs: ServerDir,
    started: std::sync::atomic::AtomicU32,
    /// Draws what a producer may put together, in runs that leave it open.
    random: SeededRandom,
    /// Keeps the virtual host and the database for this test alone.
    servers: Option<SharedServers>,
    /// Whom to ask about queues where the servers are the test's own: a node, and a virtual host.
    broker: Option<(BrokerControl, String)>,
}

impl Fleet {
    /// On the broker and Redis that tests share, in a virtual host and a database of its own.
    pub(crate) async fn on_shared_servers(profile: &'static str) -> Self {
        let servers = SharedServers::get().await.unwrap();
        let mut fleet = Self::on(servers.amqp_url().to_owned(), servers.redis_url(), profile);
        fleet.servers = Some(servers);
        fleet
    }

    /// On servers that the test owns.
    pub(crate) fn on(amqp: String, redis: String, profile: &'static str) -> Self {
        let logs = ServerDir::new("fleet").unwrap();
        Self {
            amqp,
            redis,
            profile,
            binary: env!("CARGO_BIN_EXE_longshore").into(),
            env: BTreeMap::new(),
            logs,
            started: 0.into(),
            random: SeededRandom::new(seed()),
            servers: None,
            broker: None,
        }
    }

    /// Whom to ask about queues.
    pub(crate) fn ask(&mut self, broker: &BrokerControl, vhost: &str) {
        self.broker = Some((broker.clone(), vhost.to_owned()));
    }

    /// Messages of jobs that the broker has, with those that somebody holds.
    pub(crate) async fn messages(&self) -> Result<u64, Error> {
        let queues = match &self.broker {
            Some((broker, vhost)) => broker.list_queues(vhost).await?,
            None => self.servers().vhost().list_queues().await?,
        };
        let jobs = queues.iter().filter(|queue| queue.name.starts_with("jobs."));
        Ok(jobs.map(|queue| queue.ready + queue.unacked).sum())
    }

    /// The same with another build, on the same servers. They are kept for as long as the first one lives.
    pub(crate) fn beside(&self, binary: PathBuf) -> Self {
        let mut other = Self::on(self.amqp.clone(), self.redis.clone(), self.profile);
        other.binary = binary;
        other.env = self.env.clone();
        other
    }

    /// Takes another build for what is started from now on.
    pub(crate) fn of_build(&mut self, binary: PathBuf) {
        self.binary = binary;
    }

    /// Copies the binary, so that a test that takes long runs one and the same although somebody builds meanwhile.
    pub(crate) fn keep_binary(&mut self) {
        let kept = self.logs.path().join("longshore");
        std::fs::copy(&self.binary, &kept).unwrap();
        self.binary = kept;
    }

    /// Sets variables of every command from now on.
    pub(crate) fn env(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        self.env.extend(variables);
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(args)
            .current_dir(self.logs.path())
            // What a soak is told is no key of the configuration.
            .env_remove("LONGSHORE_SOAK_SECONDS")
            .env_remove("LONGSHORE_SOAK_SEED")
            .env("LONGSHORE_AMQP_URL", &self.amqp)
            .env("LONGSHORE_REDIS_URL", &self.redis)
            .env("LONGSHORE_PROFILE", self.profile);
        if let Some(jobs) = bundles::most_of_a_producer(self.random.next_u64()) {
            command.env("LONGSHORE_BUNDLE_MAX", jobs.to_string());
        }
        // It lives long enough to know how long jobs take.
        if let Some(jobs) = bundles::most() {
            command.env("LONGSHORE_SCHEDULER__BUNDLE_MAX", jobs.to_string());
        }
        command.envs(&self.env);
        command
    }

    /// Where its processes run, and where they find `longshore.toml`.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.logs.path()
    }

    /// Starts a process that runs until it is killed.
    pub(crate) fn start(&self, args: &[&str]) -> Proc {
        self.spawn(self.command(args), args)
    }

    /// Starts a process that ends itself at a point of its work: `NAME`, or `NAME:PASSES`.
    pub(crate) fn start_until(&self, point: &str, args: &[&str]) -> Proc {
        let mut command = self.command(args);
        command.env("FAILPOINT", point);
        self.spawn(command, args)
    }

    fn spawn(&self, command: Command, args: &[&str]) -> Proc {
        let number = self.started.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let log = self
            .logs
            .path()
            .join(format!("{}-{number}.log", args.first().unwrap()));
        Proc::spawn(command, log).unwrap()
    }

    /// The test's own servers.
    pub(crate) fn servers(&self) -> &SharedServers {
        self.servers.as_ref().unwrap()
    }

    /// Asks the Redis of the fleet, by `redis-cli`.
    pub(crate) async fn redis_cli(&self, args: &[&str]) -> Result<String, Error> {
        match &self.servers {
            Some(servers) => servers.redis().cli(args).await,
            None => RedisControl::from_url(&self.redis)?.cli(args).await,
        }
    }

    /// Runs a command to its end and gives what it printed.
    pub(crate) async fn run(&self, args: &[&str]) -> Result<String, Error> {
        run(self.command(args), DEADLINE).await
    }

    /// Jobs, as `longshore job ls -o json` lists them.
    pub(crate) async fn jobs(&self, filter: &[&str]) -> Vec<Value> {
        let args = [&["job", "ls", "-o", "json"], filter].concat();
        serde_json::from_str(&self.run(&args).await.unwrap()).unwrap()
    }

    /// One job, as `longshore job show -o json` shows it.
    pub(crate) async fn job(&self, id: &str) -> Value {
        serde_json::from_str(&self.run(&["job", "show", id, "-o", "json"]).await.unwrap()).unwrap()
    }
}
