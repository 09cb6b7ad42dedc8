//! Runs a configured program as a handler: arguments as JSON on stdin, progress as JSON lines on stdout, outcome by exit
//! code and stderr. The program runs in a process group of its own, which dies with the program and with the attempt. It
//! inherits the worker's environment without the variables `LONGSHORE_…`, and gets `LONGSHORE_JOB_ID`,
//! `LONGSHORE_ATTEMPT` and `LONGSHORE_FENCE`; in a trace also `TRACEPARENT`.
//!
//! A line on stdout that is a JSON object with one of these keys speaks to Longshore; every other line, and every line on
//! stderr, goes to the job's log:
//!
//! | key | meaning |
//! |---|---|
//! | `progress` | a number from 0 to 1 (or `null` while unknown), with `message` and `fields` if given |
//! | `result` | the job's result, any JSON; the last one counts |
//! | `retry_after` | with a failure: seconds until the next attempt |
//! | `snooze` | run again after so many seconds, without using an attempt |
//! | `error` | with a failure: what to show instead of stderr |
//!
//! Such a line has at most 512 KiB; a longer one is a permanent error.

mod said;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use longshore_core::JobError;
use longshore_core::classify::is_transient_text;
use longshore_core::outcome::{ErrorInfo, FailureKind};
use longshore_worker::JobContext;
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use self::said::{Heard, LINE_BYTES_LOGGED, LINE_BYTES_MAX, Said};

/// `EX_TEMPFAIL` of sysexits.h: "temporary failure; the user is invited to retry".
const EXIT_TEMPORARY: i32 = 75;
/// How much of stderr is kept for the error: its end.
const STDERR_BYTES_KEPT: usize = 8 * 1024;
/// How long the group has between SIGTERM and SIGKILL.
const TERM_GRACE: Duration = Duration::from_secs(5);
/// How long what is left in the pipes may take once the program has ended and its group is killed.
const PIPES_GRACE: Duration = Duration::from_secs(1);

/// What the configuration says of one command function.
#[derive(Clone, Debug)]
pub(crate) struct CommandFunction {
    /// The program, found through `PATH` unless it has a slash.
    pub(crate) program: std::path::PathBuf,
    /// Its fixed arguments. Nothing of a job ever becomes an argument or goes through a shell.
    pub(crate) args: Vec<String>,
    /// Extra environment.
    pub(crate) env: BTreeMap<String, String>,
    /// Working directory.
    pub(crate) cwd: Option<std::path::PathBuf>,
}

/// Kills the process group when the attempt ends in any way.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        signal(self.0, Signal::SIGKILL);
    }
}

/// Signals a group. That nobody is left in it is what is wanted.
fn signal(group: Pid, signal: Signal) {
    match killpg(group, signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => tracing::warn!(%group, %signal, %error, "cannot signal the program's process group"),
    }
}

/// Runs one attempt.
///
/// # Errors
/// As the program's exit says; see the module page.
pub(crate) async fn run(
    function: &CommandFunction,
    args: &Value,
    ctx: &JobContext,
) -> Result<Value, JobError> {
    let mut child = spawn(function, ctx)?;
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .map(|id| Group(Pid::from_raw(id)));
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let input = serde_json::to_vec(args)?;
    let feed = async move {
        if let Some(mut stdin) = stdin {
            // A program that does not read its input is free not to.
            drop(stdin.write_all(&input).await);
        }
    };
    let (mut said, mut tail) = (Said::default(), Vec::new());
    let work = async {
        let pipes = async {
            let listen = async {
                if let Some(stdout) = stdout {
                    said::read(stdout, &mut said, |heard| hear(heard, ctx)).await;
                }
            };
            let keep = async {
                if let Some(stderr) = stderr {
                    read_tail(stderr, &mut tail, ctx).await;
                }
            };
            tokio::join!(feed, listen, keep)
        };
        tokio::pin!(pipes);
        tokio::select! {
            status = child.wait() => {
                // Whom the program left behind would hold its pipes, and with them the slot.
                if let Some(group) = &group {
                    signal(group.0, Signal::SIGKILL);
                }
                drop(tokio::time::timeout(PIPES_GRACE, pipes).await);
                status
            }
            _ = &mut pipes => child.wait().await,
        }
    };
    let status = {
        tokio::pin!(work);
        tokio::select! {
            status = &mut work => status?,
            () = ctx.cancelled() => {
                stop(group.as_ref(), &mut work).await;
                return Err(JobError::cancelled());
            }
        }
    };
    conclude(said, String::from_utf8_lossy(&tail).trim().to_owned(), status)
}

fn spawn(function: &CommandFunction, ctx: &JobContext) -> Result<Child, JobError> {
    let mut command = Command::new(&function.program);
    command.args(&function.args);
    // Our own settings hold the passwords of the servers; a program gets what its function's settings name.
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"LONGSHORE_") {
            command.env_remove(name);
        }
    }
    command
        .envs(&function.env)
        .env("LONGSHORE_JOB_ID", ctx.id().to_string())
        .env("LONGSHORE_ATTEMPT", ctx.attempt().to_string())
        .env("LONGSHORE_FENCE", ctx.fence().to_string())
        .envs(ctx.traceparent().map(|traceparent| ("TRACEPARENT", traceparent)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(cwd) = &function.cwd {
        command.current_dir(cwd);
    }
    command.spawn().map_err(|error| not_started(function, &error))
}

/// A program that is not there or not allowed stays so; a machine without memory or processes recovers.
fn not_started(function: &CommandFunction, error: &std::io::Error) -> JobError {
    use std::io::ErrorKind;
    let message = format!("cannot start {}: {error}", function.program.display());
    let kind = match error.kind() {
        ErrorKind::NotFound | ErrorKind::PermissionDenied => FailureKind::Permanent,
        _ => FailureKind::Transient,
    };
    JobError::with_info(kind, ErrorInfo::new("command_not_started", message))
}

/// Asks the group to end, and gives it [`TERM_GRACE`] before the group's guard kills it.
async fn stop(group: Option<&Group>, work: impl Future) {
    if let Some(group) = group {
        signal(group.0, Signal::SIGTERM);
    }
    drop(tokio::time::timeout(TERM_GRACE, work).await);
}

/// Hands what a line is for to the job.
fn hear(heard: Heard<'_>, ctx: &JobContext) {
    match heard {
        Heard::Log(line) => ctx.log(line),
        Heard::Progress {
            fraction,
            message,
            fields,
        } => {
            let mut update = match fraction {
                Some(fraction) => ctx.progress(fraction, message),
                None => ctx.stage(message),
            };
            for (key, value) in fields {
                update = update.field(key, value);
            }
            drop(update);
        }
    }
}

/// Reads to the end, logs each line, and keeps the last [`STDERR_BYTES_KEPT`].
async fn read_tail(mut stderr: impl AsyncRead + Unpin, kept: &mut Vec<u8>, ctx: &JobContext) {
    let (mut chunk, mut lines) = (vec![0_u8; 4_096], Lines::default());
    while let Ok(count) = stderr.read(&mut chunk).await {
        if count == 0 {
            break;
        }
        let read = chunk.get(..count).unwrap_or_default();
        lines.take(read, |line| ctx.log(line));
        kept.extend(read);
        let excess = kept.len().saturating_sub(STDERR_BYTES_KEPT);
        kept.drain(..excess);
    }
    lines.end(|line| ctx.log(line));
}

/// Cuts what comes in pieces into lines; of a line without an end no more is held than is logged.
#[derive(Debug, Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn take(&mut self, bytes: &[u8], say: impl Fn(String)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_BYTES_LOGGED.saturating_sub(self.0.len());
            self.0.extend(piece.iter().take(room));
            if piece.ends_with(b"\n") {
                self.end(&say);
            }
        }
    }

    fn end(&mut self, say: impl Fn(String)) {
        let line = std::mem::take(&mut self.0);
        if !line.is_empty() {
            say(String::from_utf8_lossy(&line).into_owned());
        }
    }
}

fn conclude(said: Said, stderr: String, status: std::process::ExitStatus) -> Result<Value, JobError> {
    use std::os::unix::process::ExitStatusExt;
    if let Some(delay) = said.snooze {
        return Err(JobError::snooze(delay));
    }
    if status.success() && said.is_cut {
        let message = format!(
            "a line on stdout that begins with {{ is over {LINE_BYTES_MAX} bytes; return a reference instead of a large result"
        );
        return Err(JobError::with_info(
            FailureKind::Permanent,
            ErrorInfo::new("command_line_too_long", message),
        ));
    }
    if status.success() {
        return Ok(said.result.unwrap_or(Value::Null));
    }
    let ending = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended without a code".to_owned(),
    };
    let text = said.error.unwrap_or(stderr);
    let message = if text.is_empty() {
        ending.clone()
    } else {
        format!("{ending}: {text}")
    };
    let kind = match said.retry_after {
        Some(delay) => FailureKind::RateLimited(delay),
        None if status.code() == Some(EXIT_TEMPORARY)
            || status.code().is_none()
            || is_transient_text(&text) =>
        {
            FailureKind::Transient
        }
        None => FailureKind::Permanent,
    };
    Err(JobError::with_info(kind, ErrorInfo::new("command", message)))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn pieces_become_lines_and_an_endless_one_is_cut() {
        let said = RefCell::new(Vec::new());
        let say = |line: String| said.borrow_mut().push(line.trim_end().to_owned());
        let mut lines = Lines::default();
        lines.take(b"one\ntw", say);
        lines.take(b"o\n", say);
        lines.take(&[b'x'; 10_000], say);
        assert_eq!(lines.0.len(), LINE_BYTES_LOGGED);
        lines.take(b"\nend", say);
        lines.end(say);
        let said = said.into_inner();
        assert_eq!(
            (said[0].as_str(), said[1].as_str(), said[3].as_str()),
            ("one", "two", "end")
        );
        assert_eq!(said[2].len(), LINE_BYTES_LOGGED);
    }
}
