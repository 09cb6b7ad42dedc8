//! Child processes that cannot outlive their test, and loopback ports that are free.

mod dir;
mod error;
mod guard;
mod port;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

pub use dir::ServerDir;
pub use error::Error;
pub use port::PortLease;
pub(crate) use port::lock_folder;

/// How often [`Proc::wait`] looks.
const POLL: Duration = Duration::from_millis(10);
/// How much of a log goes into an error message.
const LOG_TAIL_BYTES: usize = 4096;

/// A child process with a process group of its own.
///
/// Dropping it kills the whole group and reaps the child. Should the test process itself be killed, a guard
/// process ends the group instead.
#[derive(Debug)]
pub struct Proc {
    name: String,
    pid: Pid,
    log: PathBuf,
    child: Mutex<Reaped>,
}

/// The child and, once reaped, its status: after that the pid may belong to somebody else.
#[derive(Debug)]
struct Reaped {
    child: Child,
    status: Option<ExitStatus>,
}

impl Proc {
    /// Starts `command` in its own process group, with stdin closed and stdout and stderr appended to `log`.
    ///
    /// # Errors
    ///
    /// The log cannot be opened, the program cannot be started, or the guard cannot.
    pub fn spawn(mut command: Command, log: impl Into<PathBuf>) -> Result<Self, Error> {
        use std::os::unix::process::CommandExt as _;

        let log = log.into();
        let name = command.get_program().to_string_lossy().into_owned();
        let out = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(Error::io("open", &log))?;
        let err = out.try_clone().map_err(Error::io("open", &log))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .map_err(Error::io("start", &name))?;
        let pid = Pid::from_raw(child.id().cast_signed());
        let this = Self {
            name,
            pid,
            log,
            child: Mutex::new(Reaped { child, status: None }),
        };
        guard::watch(pid)?;
        Ok(this)
    }

    /// The process id, which is also the id of its group.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().cast_unsigned()
    }

    /// Sends SIGKILL to the group and reaps the child. Nothing happens if it has ended already.
    pub fn kill9(&self) {
        let mut reaped = self.child.lock();
        if reaped.status.is_none() {
            self.signal_group(Signal::SIGKILL);
            reaped.status = reaped.child.wait().ok();
            guard::forget(self.pid);
        }
    }

    /// Asks the process, not its group, to end: SIGTERM.
    pub fn term(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Freezes the process: SIGSTOP. Its sockets stay open and nobody answers. Returns once all its threads stand: on a
    /// busy machine the others go on until the one that takes the signal has its turn.
    pub fn stop(&self) {
        let reaped = self.child.lock();
        if reaped.status.is_none() {
            nix::sys::signal::kill(self.pid, Signal::SIGSTOP).ok();
            let stands = WaitPidFlag::WSTOPPED | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
            // It fails only for a process that is gone.
            waitid(Id::Pid(self.pid), stands).ok();
        }
    }

    /// Lets a frozen process go on: SIGCONT.
    pub fn cont(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Sends `signal` to the process, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        let reaped = self.child.lock();
        if reaped.status.is_none() {
            // It can only fail for a process that has ended, which is no news to anybody here.
            nix::sys::signal::kill(self.pid, signal).ok();
        }
    }

    /// The exit status, if the process has ended. What is left of its group is killed then.
    pub fn try_wait(&self) -> Option<ExitStatus> {
        let mut reaped = self.child.lock();
        if reaped.status.is_none() && self.has_exited() {
            // Before the reaping, so that the group's id is certainly still ours.
            self.signal_group(Signal::SIGKILL);
            reaped.status = reaped.child.wait().ok();
            guard::forget(self.pid);
        }
        reaped.status
    }

    /// Waits until the process has ended.
    ///
    /// # Errors
    ///
    /// [`Error::StillRunning`] once `deadline` has passed; the process is left alone.
    pub async fn wait(&self, deadline: Duration) -> Result<ExitStatus, Error> {
        let end = Instant::now() + deadline;
        loop {
            if let Some(status) = self.try_wait() {
                return Ok(status);
            }
            if Instant::now() >= end {
                return Err(Error::StillRunning {
                    name: self.name.clone(),
                    deadline,
                    log: self.log_tail(),
                });
            }
            sleep(POLL).await;
        }
    }

    /// The file that takes stdout and stderr.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Everything written to stdout and stderr up to now; empty if the file cannot be read.
    pub fn log_text(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The last 4 KiB of [`Proc::log_text`].
    pub fn log_tail(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let tail = bytes
            .get(bytes.len().saturating_sub(LOG_TAIL_BYTES)..)
            .unwrap_or_default();
        String::from_utf8_lossy(tail).into_owned()
    }

    fn signal_group(&self, signal: Signal) {
        killpg(self.pid, signal).ok();
    }

    /// Looks without reaping.
    fn has_exited(&self) -> bool {
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !matches!(waitid(Id::Pid(self.pid), look), Ok(WaitStatus::StillAlive))
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// The path of `program`, searched for in `PATH`.
///
/// # Errors
///
/// [`Error::MissingProgram`], which names the Debian package to install.
pub fn find_program(program: &'static str, package: &'static str) -> Result<PathBuf, Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or(Error::MissingProgram { program, package })
}

/// Runs a command to its end and returns its stdout without the trailing line break.
///
/// # Errors
///
/// [`Error::Command`] with both outputs if it fails, [`Error::CommandTimeout`] after `deadline`.
pub async fn run(command: Command, deadline: Duration) -> Result<String, Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut command = tokio::process::Command::from(command);
    let output = command.kill_on_drop(true).stdin(Stdio::null()).output();
    let output = tokio::time::timeout(deadline, output)
        .await
        .map_err(|_| Error::CommandTimeout {
            name: name.clone(),
            deadline,
        })?
        .map_err(Error::io("start", &name))?;
    let stdout = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    Err(Error::Command {
        name,
        status: output.status,
        output: format!("{stdout}\n{stderr}").trim().to_owned(),
    })
}
