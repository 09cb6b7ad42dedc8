//! A network of its own for processes: the kernel's, with a cable to this machine's that can be pulled.
//!
//! Needs root, or `CAP_NET_ADMIN` and `CAP_SYS_ADMIN`, and `ip` of iproute2. What is missing is an error, and never a
//! test that passes without.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::process::{Error, find_program, run};

/// How long one `ip` may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// An Ethernet address that nobody has.
const NOBODY: &str = "02:00:00:00:00:99";

/// A network namespace with one interface, whose other end is an interface of this machine. Removed when dropped.
///
/// One of its addresses is the machine's end, where servers listen for those inside; the other one theirs.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    /// The machine's interface.
    outer: String,
    /// The interface inside.
    inner: String,
    host: Ipv4Addr,
    inside: Ipv4Addr,
}

impl Namespace {
    /// Makes one, with addresses of the range for benchmarks (198.18.0.0/15) that follow from this process's id: two at
    /// once in one process would share them.
    ///
    /// # Errors
    ///
    /// `ip` is missing, this process may not make namespaces, or the kernel has no `veth`.
    pub async fn new() -> Result<Self, Error> {
        let id = std::process::id();
        let [.., third, fourth] = ((id % 16_384) * 4).to_be_bytes();
        let this = Self {
            name: format!("longshore-{id}"),
            outer: format!("ls{id}o"),
            inner: format!("ls{id}i"),
            host: Ipv4Addr::new(198, 18, third, fourth + 1),
            inside: Ipv4Addr::new(198, 18, third, fourth + 2),
        };
        let (host, inside) = (format!("{}/30", this.host), format!("{}/30", this.inside));
        ip(&["netns", "add", &this.name]).await?;
        // From here on a failure removes it.
        ip(&[
            "link",
            "add",
            &this.outer,
            "type",
            "veth",
            "peer",
            "name",
            &this.inner,
            "netns",
            &this.name,
        ])
        .await?;
        ip(&["addr", "add", &host, "dev", &this.outer]).await?;
        ip(&["link", "set", &this.outer, "up"]).await?;
        this.ip(&["addr", "add", &inside, "dev", &this.inner]).await?;
        this.ip(&["link", "set", "lo", "up"]).await?;
        this.ip(&["link", "set", &this.inner, "up"]).await?;
        Ok(this)
    }

    /// The machine's address on the cable.
    pub const fn host(&self) -> Ipv4Addr {
        self.host
    }

    /// The address of those inside.
    pub const fn inside(&self) -> Ipv4Addr {
        self.inside
    }

    /// The same command, to be started inside. Its process is the program's own, not one around it.
    pub fn command(&self, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside
            .args(["netns", "exec", &self.name])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            inside.current_dir(folder);
        }
        inside
    }

    /// Pulls the cable: nothing passes, and both kernels know that the link is down.
    ///
    /// # Errors
    ///
    /// `ip` fails.
    pub async fn pull(&self) -> Result<(), Error> {
        self.ip(&["link", "set", &self.inner, "down"]).await
    }

    /// What those inside send is lost on the way, and nobody is told: its frames go to an address that nobody has.
    ///
    /// # Errors
    ///
    /// `ip` fails.
    pub async fn mute(&self) -> Result<(), Error> {
        self.ip(&[
            "neigh",
            "replace",
            &self.host.to_string(),
            "lladdr",
            NOBODY,
            "nud",
            "permanent",
            "dev",
            &self.inner,
        ])
        .await
    }

    /// What is sent to those inside is lost on the way, and nobody is told.
    ///
    /// # Errors
    ///
    /// `ip` fails.
    pub async fn deafen(&self) -> Result<(), Error> {
        let inside = self.inside.to_string();
        ip(&[
            "neigh",
            "replace",
            &inside,
            "lladdr",
            NOBODY,
            "nud",
            "permanent",
            "dev",
            &self.outer,
        ])
        .await
    }

    /// Everything passes again.
    ///
    /// # Errors
    ///
    /// `ip` fails.
    pub async fn heal(&self) -> Result<(), Error> {
        self.ip(&["link", "set", &self.inner, "up"]).await?;
        self.ip(&["neigh", "flush", "nud", "permanent", "dev", &self.inner])
            .await?;
        ip(&["neigh", "flush", "nud", "permanent", "dev", &self.outer]).await
    }

    /// `ip` inside.
    async fn ip(&self, args: &[&str]) -> Result<(), Error> {
        ip(&[&["-n", &self.name], args].concat()).await
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Its interface goes with it, and the other end with that. Whoever is inside still holds it until it ends.
        let remove = Command::new("ip")
            .args(["netns", "del", &self.name])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        drop(remove);
        let cable = Command::new("ip")
            .args(["link", "del", &self.outer])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        drop(cable);
    }
}

async fn ip(args: &[&str]) -> Result<(), Error> {
    let mut command = Command::new(find_program("ip", "iproute2")?);
    command.args(args);
    run(command, DEADLINE).await.map(drop)
}
