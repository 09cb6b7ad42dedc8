//! A real mail server: `aiosmtpd`, installed once into a virtual environment of Python under `target`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use super::TlsFiles;
use crate::process::{Error, PortLease, Proc, ServerDir, find_program, lock_folder, run};
use crate::wait::eventually;

/// The server's package, with its version.
const PACKAGE: &str = "aiosmtpd==1.4.6";
/// How long making the environment may take: a download and an install.
const INSTALL: Duration = Duration::from_secs(240);
/// How long the server may take to start.
const START: Duration = Duration::from_secs(30);

/// How a server encrypts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MailTls {
    /// Not at all.
    #[default]
    None,
    /// It asks for STARTTLS before anything else.
    StartTls,
    /// From the first byte.
    Implicit,
}

/// How a server is started.
#[derive(Clone, Debug, Default)]
pub struct MailOptions {
    /// How it encrypts.
    pub tls: MailTls,
    /// User and password that it asks for.
    pub login: Option<(&'static str, &'static str)>,
}

/// A mail that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Mail {
    /// Sender of the envelope.
    pub from: String,
    /// Recipients of the envelope.
    pub to: Vec<String>,
    /// It came over TLS.
    pub tls: bool,
    /// Who has logged in.
    pub user: Option<String>,
    /// Head and body.
    pub text: String,
}

impl Mail {
    /// A field of the head, its folded lines in one.
    pub fn header(&self, name: &str) -> Option<String> {
        let text = self.text.replace("\r\n", "\n");
        let head = text
            .split("\n\n")
            .next()
            .unwrap_or_default()
            .replace("\n ", " ")
            .replace("\n\t", " ");
        let prefix = format!("{}:", name.to_ascii_lowercase());
        let line = head
            .lines()
            .find(|line| line.to_ascii_lowercase().starts_with(&prefix))?;
        Some(line.get(prefix.len()..)?.trim().to_owned())
    }
}

/// A running server. Ended when dropped.
#[derive(Debug)]
pub struct MailServer {
    _proc: Proc,
    port: PortLease,
    tls: Option<TlsFiles>,
    dir: ServerDir,
}

impl MailServer {
    /// Starts a server and waits until it listens. The first start on a machine installs it.
    ///
    /// # Errors
    ///
    /// Python is missing, the server cannot be installed or does not come up.
    pub async fn start(options: MailOptions) -> Result<Self, Error> {
        let python = environment().await?;
        let (dir, port) = (ServerDir::new("mail")?, PortLease::take()?);
        let tls = match options.tls {
            MailTls::None => None,
            MailTls::StartTls | MailTls::Implicit => Some(TlsFiles::make(dir.path()).await?),
        };
        let script = dir.path().join("mail_server.py");
        std::fs::write(&script, include_str!("mail_server.py")).map_err(Error::io("write", &script))?;
        let (user, password) = options.login.unwrap_or(("-", "-"));
        let mut command = Command::new(python);
        command.arg(&script).arg(port.port().to_string()).arg(dir.path());
        command.arg(match options.tls {
            MailTls::None => "none",
            MailTls::StartTls => "starttls",
            MailTls::Implicit => "implicit",
        });
        match &tls {
            Some(files) => command.arg(&files.cert).arg(&files.key),
            None => command.args(["-", "-"]),
        };
        command.args([user, password]);
        let proc = Proc::spawn(command, dir.path().join("log"))?;
        let ready = || async {
            match proc.try_wait() {
                Some(status) => Ok(Err(Error::NotReady {
                    name: "aiosmtpd",
                    reason: format!("it ended with {status}"),
                    log: proc.log_tail(),
                })),
                None if proc.log_text().contains("ready") => Ok(Ok(())),
                None => Err("it does not listen yet"),
            }
        };
        eventually(START, "the mail server listens", ready).await??;
        Ok(Self {
            _proc: proc,
            port,
            tls,
            dir,
        })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.port()
    }

    /// The authority's certificate, if started with TLS.
    pub fn ca_file(&self) -> Option<&Path> {
        self.tls.as_ref().map(|files| files.ca.as_path())
    }

    /// Every mail that it has accepted, in the order in which it did.
    ///
    /// # Errors
    ///
    /// What it wrote cannot be read.
    pub fn mails(&self) -> Result<Vec<Mail>, Error> {
        let path = self.dir.path().join("mails.jsonl");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        // A line that is being written has no end yet.
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        lines
            .map(|line| serde_json::from_str(line).map_err(|error| Error::answer("read a mail", error)))
            .collect()
    }

    /// From now on mails are put off (`refuse`), refused for good (`reject`), or accepted without a word (`hold`). With
    /// `-ADDRESS` after it, `refuse` and `reject` are about this recipient alone.
    ///
    /// # Errors
    ///
    /// The folder cannot be written.
    pub fn begin(&self, what: &str) -> Result<(), Error> {
        let path = self.dir.path().join(what);
        std::fs::write(&path, "").map_err(Error::io("write", &path))
    }

    /// No more.
    ///
    /// # Errors
    ///
    /// The folder cannot be written.
    pub fn end(&self, what: &str) -> Result<(), Error> {
        let path = self.dir.path().join(what);
        std::fs::remove_file(&path).map_err(Error::io("remove", &path))
    }
}

/// The environment's Python: made once for all tests of this checkout.
///
/// # Errors
///
/// Python is missing, or the package cannot be had.
pub async fn environment() -> Result<PathBuf, Error> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    let folder = target.join("testkit-python");
    let (python, done) = (folder.join("bin/python"), folder.join(format!("{PACKAGE}.done")));
    let path = lock_folder()?.join("testkit-python");
    let lock = File::create(&path).map_err(Error::io("open", &path))?;
    // Another test may be at it.
    let taken = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await;
    let _lock = match taken {
        Ok(lock) => lock.map_err(Error::io("lock", &path))?,
        Err(error) => {
            return Err(Error::answer(
                "wait for the lock of the Python environment",
                error,
            ));
        }
    };
    if done.exists() {
        return Ok(python);
    }
    let mut make = Command::new(find_program("python3", "python3")?);
    make.args(["-m", "venv", "--clear"]).arg(&folder);
    run(make, INSTALL).await.map_err(|error| {
        let fix = "install the Debian package python3-venv (scripts/test does so as root)";
        Error::answer("make a Python environment", format!("{error}; {fix}"))
    })?;
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        PACKAGE,
    ]);
    run(install, INSTALL).await.map_err(|error| {
        let fix = "the tests need this package from PyPI, by the network or by pip's own configuration";
        Error::answer(format!("install {PACKAGE}"), format!("{error}; {fix}"))
    })?;
    std::fs::write(&done, "").map_err(Error::io("write", &done))?;
    Ok(python)
}
