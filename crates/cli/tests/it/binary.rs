//! The binary in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use longshore_testkit::process::Proc;
use longshore_testkit::wait::eventually;
use serde_json::Value;

/// How long anything here may take.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A working folder; the embedded store is `.longshore` in it.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    /// With an embedded store in it, as `longshore dev` leaves one.
    pub(crate) fn new() -> Self {
        let folder = Self::bare();
        std::fs::create_dir(folder.path().join(".longshore")).unwrap();
        folder
    }

    /// Where nothing is configured and nothing ran.
    pub(crate) fn bare() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        command.args(args).current_dir(self.path());
        for name in [
            "LONGSHORE_AMQP_URL",
            "LONGSHORE_REDIS_URL",
            "LONGSHORE_CONFIG",
            "RUST_BACKTRACE",
        ] {
            command.env_remove(name);
        }
        if args.first() == Some(&"dev") {
            // Several run at once.
            command.env("LONGSHORE_GATEWAY__LISTEN", "127.0.0.1:0");
        }
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that must succeed, and gives what it printed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must print JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[args, &["-o", "json"]].concat())).unwrap()
    }

    /// Starts `longshore dev` and waits until it answers.
    pub(crate) async fn dev(&self, args: &[&str]) -> Proc {
        self.start(self.command(&[&["dev"], args].concat())).await
    }

    /// Starts a `longshore dev` of this making and waits until it answers.
    pub(crate) async fn start(&self, command: Command) -> Proc {
        let process = Proc::spawn(command, self.path().join("dev.log")).unwrap();
        let log = || std::fs::read_to_string(self.path().join("dev.log")).unwrap_or_default();
        eventually(LONG, "dev is up", || async { log().contains("worker started") })
            .await
            .unwrap();
        process
    }

    /// The job of this id once it has ended.
    pub(crate) async fn ended(&self, id: &str) -> Value {
        let probe = || async {
            let job = self.json(&["job", "show", id]);
            let status = job["status"].as_str().unwrap();
            ["completed", "failed", "cancelled", "expired"]
                .contains(&status)
                .then_some(job)
        };
        eventually(LONG, "the job has ended", probe).await.unwrap()
    }
}
