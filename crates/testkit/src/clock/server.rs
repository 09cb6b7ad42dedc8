//! Time of a real server: a library of ours is preloaded into it and moves its wall clock.

use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use longshore_core::clock::{Clock, Timestamp};

use super::AheadClock;
use crate::process::{Error, ServerDir, find_program, run};

/// Moves the wall clock of the servers that were started with [`ServerClock::environment`], all alike and at once,
/// and is that clock for our own side. Nothing stored is touched: the server itself sees the time pass, so that
/// scores, time-outs of keys and `TIME` in scripts agree as they do in real life.
///
/// Needs `cc`, which a Rust toolchain needs as well.
#[derive(Debug)]
pub struct ServerClock {
    clock: AheadClock,
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
        let source = dir.file("ahead.c", include_str!("ahead.c"))?;
        let library = dir.path().join("ahead.so");
        let mut compile = Command::new(find_program("cc", "gcc")?);
        compile.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl");
        run(compile, Duration::from_secs(60)).await?;
        let path = dir.path().join("ahead");
        let file = std::fs::File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .open(&path)
            .map_err(Error::io("make", &path))?;
        let this = Self {
            clock: AheadClock::default(),
            file,
            library,
            path,
            _dir: dir,
        };
        this.advance(Duration::ZERO)?;
        Ok(this)
    }

    /// Lets time pass, for the servers and for [`ServerClock::clock`].
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn advance(&self, by: Duration) -> Result<(), Error> {
        let ahead = self.clock.advance(by).as_micros();
        let ahead = i64::try_from(ahead).unwrap_or(i64::MAX).to_ne_bytes();
        self.file.write_all_at(&ahead, 0).map_err(Error::io("write", &self.path))
    }

    /// The servers' time, for our own side.
    pub fn clock(&self) -> AheadClock {
        self.clock.clone()
    }

    /// The servers' time now.
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::{Redis, RedisOptions};

    #[tokio::test]
    async fn a_real_servers_wall_clock_moves_and_its_keys_end() {
        let clock = ServerClock::new().await.unwrap();
        let redis = Redis::start(RedisOptions::default().environment(clock.environment())).await.unwrap();
        let time = async || -> u64 {
            let seconds = redis.cli(&["EVAL", "return redis.call('TIME')[1]", "0"]).await.unwrap();
            seconds.parse().unwrap()
        };
        let before = time().await;
        assert!(before.abs_diff(clock.now().millis() / 1_000) <= 2);
        redis.cli(&["SET", "key", "value", "EX", "3600"]).await.unwrap();
        clock.advance(Duration::from_secs(3_590)).unwrap();
        assert_eq!(redis.cli(&["GET", "key"]).await.unwrap(), "value");
        clock.advance(Duration::from_secs(20)).unwrap();
        assert_eq!(redis.cli(&["GET", "key"]).await.unwrap(), "");
        let after = time().await;
        assert!((3_610..3_640).contains(&(after - before)), "{before} to {after}");
        assert!(after.abs_diff(clock.now().millis() / 1_000) <= 2);
    }
}
