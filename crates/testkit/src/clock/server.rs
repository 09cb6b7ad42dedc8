//! Time of a real server: a library of ours is preloaded into it and answers for its wall clock.

use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use longshore_core::clock::{Clock, SystemClock, Timestamp};

use super::ManualClock;
use crate::process::{Error, ServerDir, find_program, run};

/// The wall clock of the servers that were started with [`ServerClock::environment`], all alike. It shows the
/// machine's time until [`ServerClock::freeze`]; from then on it moves only when it is told to.
///
/// Nothing stored is touched: the server itself sees the time pass, so that scores, time-outs of keys and `TIME` in
/// scripts agree as they do in real life. Needs `cc`, which a Rust toolchain needs as well.
#[derive(Debug)]
pub struct ServerClock {
    clock: ManualClock,
    file: std::fs::File,
    library: PathBuf,
    path: PathBuf,
    // The folder of the library and of the file.
    _dir: ServerDir,
}

impl ServerClock {
    /// A clock that shows the machine's time so far.
    ///
    /// # Errors
    ///
    /// `cc` is missing or cannot build the library.
    pub async fn new() -> Result<Self, Error> {
        let dir = ServerDir::new("clock")?;
        let source = dir.file("server.c", include_str!("server.c"))?;
        let library = dir.path().join("server.so");
        let mut compile = Command::new(find_program("cc", "gcc")?);
        compile
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(source)
            .arg("-ldl");
        run(compile, Duration::from_secs(60)).await?;
        let path = dir.path().join("now");
        let file = std::fs::File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .open(&path)
            .map_err(Error::io("make", &path))?;
        let this = Self {
            clock: ManualClock::new(SystemClock.now()),
            file,
            library,
            path,
            _dir: dir,
        };
        this.write(0)?;
        Ok(this)
    }

    /// Stops the servers' wall clock at the machine's time.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn freeze(&self) -> Result<(), Error> {
        self.clock.set(SystemClock.now());
        self.show()
    }

    /// Lets time pass on a frozen clock, for the servers and for [`ServerClock::clock`].
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn advance(&self, by: Duration) -> Result<(), Error> {
        self.clock.advance(by);
        self.show()
    }

    /// Sets the servers' wall clock, backwards too.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn set(&self, now: Timestamp) -> Result<(), Error> {
        self.clock.set(now);
        self.show()
    }

    /// The servers' frozen clock, for our own side.
    pub fn clock(&self) -> ManualClock {
        self.clock.clone()
    }

    /// The servers' time, once frozen.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The environment of a server whose clock this is.
    pub fn environment(&self) -> [(String, String); 2] {
        [
            ("LD_PRELOAD".to_owned(), self.library.display().to_string()),
            ("LONGSHORE_TEST_CLOCK".to_owned(), self.path.display().to_string()),
        ]
    }

    fn show(&self) -> Result<(), Error> {
        let micros = self.now().millis().saturating_mul(1_000);
        self.write(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    fn write(&self, micros: i64) -> Result<(), Error> {
        self.file
            .write_all_at(&micros.to_ne_bytes(), 0)
            .map_err(Error::io("write", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::{Redis, RedisCluster, RedisOptions};

    #[tokio::test]
    async fn a_real_servers_wall_clock_stands_moves_and_ends_keys() {
        let clock = ServerClock::new().await.unwrap();
        let redis = Redis::start(RedisOptions::default().environment(clock.environment()))
            .await
            .unwrap();
        let time = async || {
            let text = redis
                .cli(&["EVAL", "return redis.call('TIME')", "0"])
                .await
                .unwrap();
            let (seconds, micros) = text.split_once('\n').unwrap();
            seconds.parse::<u64>().unwrap() * 1_000 + micros.parse::<u64>().unwrap() / 1_000
        };
        assert!(time().await.abs_diff(SystemClock.now().millis()) < 10_000);
        clock.freeze().unwrap();
        assert_eq!(time().await, clock.now().millis());
        redis.cli(&["SET", "key", "value", "EX", "3600"]).await.unwrap();
        clock.advance(Duration::from_secs(3_599)).unwrap();
        assert_eq!(redis.cli(&["GET", "key"]).await.unwrap(), "value");
        clock.advance(Duration::from_secs(2)).unwrap();
        assert_eq!(redis.cli(&["GET", "key"]).await.unwrap(), "");
        assert_eq!(time().await, clock.now().millis());
    }

    #[tokio::test]
    async fn a_cluster_stays_healthy_while_its_clock_jumps() {
        let clock = ServerClock::new().await.unwrap();
        let options = RedisOptions::default().environment(clock.environment());
        let cluster = RedisCluster::start_with(&options).await.unwrap();
        for node in cluster.nodes() {
            node.config_set("cluster-node-timeout", "1000000000000")
                .await
                .unwrap();
        }
        clock.freeze().unwrap();
        for _ in 0..5 {
            clock.advance(Duration::from_secs(86_400)).unwrap();
            for node in cluster.nodes() {
                let info = node.cli(&["CLUSTER", "INFO"]).await.unwrap();
                assert!(info.contains("cluster_state:ok"), "{info}");
            }
        }
        cluster.healthy().await.unwrap();
    }
}
