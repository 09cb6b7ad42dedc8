//! Ends what is left when the test process is killed, or exits without unwinding.
//!
//! One `sh` per test process reads a list of process groups and folders from a pipe. The pipe breaks when the
//! test process ends, however it ends; then the guard kills the groups and removes the folders.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use nix::unistd::Pid;
use parking_lot::Mutex;

use super::Error;

const SCRIPT: &str = r#"
pids=
while read -r verb arg; do
    case $verb in
        watch) pids="$pids $arg" ;;
        forget)
            left=
            for pid in $pids; do [ "$pid" = "$arg" ] || left="$left $pid"; done
            pids=$left ;;
        remove) set -- "$@" "$arg" ;;
    esac
done
for pid in $pids; do kill -9 "-$pid"; done
[ $# -eq 0 ] || rm -rf -- "$@" || { sleep 1; rm -rf -- "$@"; }
"#;

/// The guard's process and our end of its pipe.
struct Guard {
    _child: Child,
    pipe: ChildStdin,
}

static GUARD: OnceLock<Result<Mutex<Guard>, String>> = OnceLock::new();

/// Has the group of `pid` killed when this process ends.
pub(super) fn watch(pid: Pid) -> Result<(), Error> {
    tell(&format!("watch {pid}"))
}

/// The group of `pid` has ended, its id may be used anew.
pub(super) fn forget(pid: Pid) {
    // A guard that is gone has nothing to forget.
    drop(tell(&format!("forget {pid}")));
}

/// Has `folder` removed when this process ends.
pub(super) fn remove_at_exit(folder: &Path) -> Result<(), Error> {
    tell(&format!("remove {}", folder.display()))
}

fn tell(line: &str) -> Result<(), Error> {
    let failed = Error::io("talk to", "the guard process");
    match GUARD.get_or_init(|| start().map(Mutex::new).map_err(|error| error.to_string())) {
        Ok(guard) => writeln!(guard.lock().pipe, "{line}").map_err(failed),
        Err(reason) => Err(failed(io::Error::other(reason.clone()))),
    }
}

fn start() -> io::Result<Guard> {
    let mut child = Command::new("sh")
        .args(["-c", SCRIPT])
        .current_dir("/")
        // Its own group: a signal to the group of the test must not take the guard with it.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let pipe = child
        .stdin
        .take()
        .ok_or_else(|| io::Error::other("the guard has no stdin"))?;
    Ok(Guard { _child: child, pipe })
}
