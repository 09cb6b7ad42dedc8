//! Where a session is played: a folder, with the binary on the path and a fleet that works.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use longshore_testkit::process::Proc;
use longshore_testkit::servers::SharedServers;
use longshore_testkit::wait::eventually;

const UP: Duration = Duration::from_secs(60);

pub(crate) struct Place {
    folder: tempfile::TempDir,
    settings: Vec<(String, String)>,
    /// Ended with this.
    processes: Vec<Proc>,
    /// Keeps the virtual host and the database for this session alone.
    _servers: Option<SharedServers>,
}

impl Place {
    /// `longshore dev` in the folder.
    pub(crate) async fn embedded() -> Self {
        let mut place = Self::bare(None);
        place
            .start(&["dev", "--samples", "off", "--listen", "127.0.0.1:0"])
            .await;
        place
    }

    /// A worker with the sample functions, and a scheduler.
    pub(crate) async fn on_servers() -> Self {
        let servers = SharedServers::get().await.unwrap();
        let mut place = Self::bare(Some(servers));
        place.start(&["scheduler"]).await;
        place.start(&["worker", "--samples"]).await;
        place
    }

    fn bare(servers: Option<SharedServers>) -> Self {
        let urls = servers.as_ref().map(|servers| {
            [
                ("LONGSHORE_AMQP_URL".to_owned(), servers.amqp_url().to_owned()),
                ("LONGSHORE_REDIS_URL".to_owned(), servers.redis_url()),
            ]
        });
        Self {
            folder: tempfile::tempdir().unwrap(),
            settings: urls.into_iter().flatten().collect(),
            processes: Vec::new(),
            _servers: servers,
        }
    }

    async fn start(&mut self, args: &[&str]) {
        let log = self.log(args[0]);
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        command.args(args).current_dir(self.folder());
        for name in ["LONGSHORE_AMQP_URL", "LONGSHORE_REDIS_URL", "LONGSHORE_CONFIG"] {
            command.env_remove(name);
        }
        command.envs(self.environment());
        self.processes.push(Proc::spawn(command, log.clone()).unwrap());
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        eventually(UP, "the process is up", || async {
            let said = said();
            if said.contains("started") {
                Ok(())
            } else {
                Err(said)
            }
        })
        .await
        .unwrap();
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the commands see besides the environment of the tests.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_longshore"));
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", binary.parent().unwrap().display());
        let mut all = self.settings.clone();
        all.push(("PATH".to_owned(), path));
        all
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder().join(format!("{name}.log"))
    }

    /// What the processes have said, for a session that went wrong.
    pub(crate) fn logs(&self) -> String {
        let read = |name| std::fs::read_to_string(self.log(name)).unwrap_or_default();
        ["dev", "scheduler", "worker"].map(read).concat()
    }
}
