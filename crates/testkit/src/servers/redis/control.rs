//! Talking to a Redis by `redis-cli`, whoever started it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use longshore_core::JobId;

use crate::process::{Error, find_program, run};

/// Number of databases of a server of ours; database 0 keeps the counter that hands out the others.
pub(super) const DATABASES: u32 = 1024;
const NEXT_DATABASE: &str = "testkit:next-database";
const DEADLINE: Duration = Duration::from_secs(30);

/// The address and password of a Redis.
#[derive(Debug, Clone)]
pub struct RedisControl {
    addr: SocketAddr,
    password: Option<String>,
    redis_cli: PathBuf,
}

impl RedisControl {
    /// For the server at `addr`.
    ///
    /// # Errors
    ///
    /// `redis-cli` is missing.
    pub fn new(addr: SocketAddr, password: Option<String>) -> Result<Self, Error> {
        Ok(Self {
            addr,
            password,
            redis_cli: find_program("redis-cli", "redis-tools")?,
        })
    }

    /// For the server of a URL `redis://[:password@]address:port`, with a numeric address.
    ///
    /// # Errors
    ///
    /// The URL has another form, or `redis-cli` is missing.
    pub fn from_url(url: &str) -> Result<Self, Error> {
        let bad = || Error::answer("read the URL of a Redis", url);
        let rest = url.strip_prefix("redis://").ok_or_else(bad)?;
        let (userinfo, host) = rest.rsplit_once('@').unwrap_or((":", rest));
        let (_, password) = userinfo.split_once(':').ok_or_else(bad)?;
        let addr = host.trim_end_matches('/').parse().map_err(|_| bad())?;
        Self::new(addr, (!password.is_empty()).then(|| password.to_owned()))
    }

    /// The server's address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `redis://[:password@]address:port`.
    pub fn url(&self) -> String {
        self.url_at(self.addr)
    }

    /// The same URL for another address, such as a proxy's.
    pub fn url_at(&self, addr: SocketAddr) -> String {
        format!("redis://{}{addr}", self.userinfo())
    }

    pub(super) fn userinfo(&self) -> String {
        self.password
            .as_ref()
            .map(|password| format!(":{password}@"))
            .unwrap_or_default()
    }

    /// Runs `redis-cli` with these arguments and returns what it prints, without the last line break.
    ///
    /// # Errors
    ///
    /// The server is away, or answers with an error.
    pub async fn cli(&self, args: &[&str]) -> Result<String, Error> {
        let mut command = Command::new(&self.redis_cli);
        command.args([
            "-e",
            "-h",
            &self.addr.ip().to_string(),
            "-p",
            &self.addr.port().to_string(),
        ]);
        if let Some(password) = &self.password {
            command.args(["--no-auth-warning", "-a", password]);
        }
        command.args(args);
        run(command, DEADLINE).await
    }

    /// Takes a job's rows out of every index of a shard of the store, or gives it rows that it must not have. A node of
    /// a cluster leads to the one that has the shard.
    ///
    /// # Errors
    ///
    /// As [`RedisControl::cli`].
    pub async fn spoil_rows(&self, shard: u16, job: JobId, stray: bool) -> Result<(), Error> {
        let script = "local prefix = string.sub(KEYS[1], 1, -5)
            if ARGV[2] == 'stray' then
              redis.call('ZADD', prefix .. 'running', 1, ARGV[1])
              return
            end
            for _, key in ipairs(redis.call('KEYS', prefix .. '*')) do
              if redis.call('TYPE', key).ok == 'zset' then redis.call('ZREM', key, ARGV[1]) end
            end";
        let key = format!("{{s{shard:02}}}:meta");
        let job = job.uuid().simple().to_string();
        let what = if stray { "stray" } else { "lost" };
        self.cli(&["-c", "EVAL", script, "1", &key, &job, what])
            .await
            .map(drop)
    }

    /// Takes an empty database that no other test has.
    ///
    /// # Errors
    ///
    /// As [`RedisControl::cli`].
    pub async fn database(&self) -> Result<RedisDatabase, Error> {
        let count = self.cli(&["INCR", NEXT_DATABASE]).await?;
        let count: u32 = count
            .parse()
            .map_err(|_| Error::answer("take a Redis database", &count))?;
        let database = RedisDatabase {
            control: self.clone(),
            number: count % (DATABASES - 1) + 1,
        };
        // The numbers start anew after a thousand tests.
        database.cli(&["FLUSHDB"]).await?;
        Ok(database)
    }
}

/// One database of a shared Redis. Publish/subscribe channels and `CONFIG` are shared by all of them.
#[derive(Debug, Clone)]
pub struct RedisDatabase {
    control: RedisControl,
    number: u32,
}

impl RedisDatabase {
    /// `redis://address:port/number`.
    pub fn url(&self) -> String {
        self.url_at(self.control.addr)
    }

    /// The same URL for another address, such as a proxy's.
    pub fn url_at(&self, addr: SocketAddr) -> String {
        format!("{}/{}", self.control.url_at(addr), self.number)
    }

    /// The server's address.
    pub fn addr(&self) -> SocketAddr {
        self.control.addr
    }

    /// The database's number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Runs `redis-cli` with these arguments in this database.
    ///
    /// # Errors
    ///
    /// As [`RedisControl::cli`].
    pub async fn cli(&self, args: &[&str]) -> Result<String, Error> {
        let number = self.number.to_string();
        let args: Vec<_> = ["-n", &number].into_iter().chain(args.iter().copied()).collect();
        self.control.cli(&args).await
    }
}
