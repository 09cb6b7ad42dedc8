//! Commanding a RabbitMQ node, by whichever process started it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{PACKAGE, Vhost};
use crate::process::{Error, ServerDir, find_program, run};

const CTL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";
const CTL_DEADLINE: Duration = Duration::from_secs(60);
const EVAL_DEADLINE: Duration = Duration::from_secs(20);
/// In the node's folder: what another process needs to command it.
const NODE_FILE: &str = "node.json";
/// What an evaluation that came to its end prints last.
const DONE: &str = "testkit-done";

/// Commands for one node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BrokerControl {
    node: Arc<Node>,
}

/// What is written to [`NODE_FILE`].
#[derive(Debug, Serialize, Deserialize)]
struct Node {
    name: String,
    addr: SocketAddr,
    epmd_port: u16,
    home: PathBuf,
}

/// How full a queue is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDepth {
    /// The queue's name.
    pub name: String,
    /// Messages that wait for a consumer.
    pub ready: u64,
    /// Messages delivered and not yet acknowledged.
    pub unacked: u64,
}

impl BrokerControl {
    /// For the node that another process has started with this folder, see `RabbitMq::folder`.
    ///
    /// # Errors
    ///
    /// The folder is not a node's.
    pub fn attach(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(NODE_FILE);
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let node = serde_json::from_str(&text).map_err(|error| Error::answer("read node.json", error))?;
        Ok(Self { node: Arc::new(node) })
    }

    /// Names a node to be started, and writes its cookie and [`NODE_FILE`].
    pub(super) fn create(dir: &ServerDir, addr: SocketAddr, epmd_port: u16) -> Result<Self, Error> {
        let home = dir.folder("home")?;
        let cookie = dir.file("home/.erlang.cookie", &format!("{:032X}", rand::random::<u128>()))?;
        let only_owner = std::os::unix::fs::PermissionsExt::from_mode(0o400);
        std::fs::set_permissions(&cookie, only_owner).map_err(Error::io("protect", &cookie))?;
        let node = Node {
            name: format!("longshore-{}@localhost", addr.port()),
            addr,
            epmd_port,
            home,
        };
        let text = serde_json::to_string(&node).map_err(|error| Error::answer("write node.json", error))?;
        dir.file(NODE_FILE, &text)?;
        Ok(Self { node: Arc::new(node) })
    }

    /// The plain AMQP address.
    pub fn addr(&self) -> SocketAddr {
        self.node.addr
    }

    /// What every program around this node needs, and nothing of the caller's own RabbitMQ settings.
    pub(super) fn environment(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RABBITMQ_") {
                command.env_remove(name);
            }
        }
        command
            .env("HOME", &self.node.home)
            .env("LC_ALL", "C.UTF-8")
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.node.epmd_port.to_string())
            .env("RABBITMQ_NODENAME", &self.node.name)
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null");
    }

    /// Runs `rabbitmqctl` with these arguments; about 0.3 s of processor time each.
    ///
    /// # Errors
    ///
    /// The command fails, or does not end within 60 seconds.
    pub async fn ctl(&self, args: &[&str]) -> Result<String, Error> {
        if !Path::new(CTL).is_file() {
            return Err(Error::MissingProgram {
                program: CTL,
                package: PACKAGE,
            });
        }
        let mut command = Command::new(CTL);
        self.environment(&mut command);
        command.arg("--quiet").args(args);
        run(command, CTL_DEADLINE).await
    }

    /// Evaluates Erlang expressions inside the node and returns what they print; a few milliseconds each.
    ///
    /// `expressions` are separated by commas, without a final stop.
    ///
    /// # Errors
    ///
    /// The node is away or frozen, or an expression fails.
    pub async fn eval(&self, expressions: &str) -> Result<String, Error> {
        let output = run(self.eval_command(expressions)?, EVAL_DEADLINE).await?;
        // The value of the last expression, or the error, follows.
        match output.split_once(DONE) {
            Some((printed, _)) => Ok(printed.trim_end().to_owned()),
            None => Err(Error::answer(format!("evaluate {expressions}"), output)),
        }
    }

    /// The command behind [`BrokerControl::eval`], for a caller that cannot await.
    pub(super) fn eval_command(&self, expressions: &str) -> Result<Command, Error> {
        let erl_call = find_program("erl_call", "erlang-base")?;
        // The program reads its expressions from stdin; the shell hands them over. Each caller has a name of its
        // own: the node refuses a second one of the same name, and erl_call's own random names differ only by the
        // second.
        let script = "printf '%s\\n' \"$1\" | \"$2\" -h \"$3\" -name \"$4\" -fetch_stdout -e";
        let caller = format!("testkit-{:016x}", rand::random::<u64>());
        let program = format!("{expressions}, io:format(\"~n{DONE}~n\").");
        let mut command = Command::new("sh");
        self.environment(&mut command);
        command
            .args(["-c", script, "sh", &program])
            .arg(erl_call)
            .args([&caller, &self.node.name]);
        Ok(command)
    }

    /// Writes what the node keeps in buffers of its own, so that a kill loses none of it.
    ///
    /// By itself it does so within about three seconds: Mnesia's log has the queues' definitions, and a table of Ra
    /// which of its servers owns which log. A quorum queue whose row is lost comes back without a leader (seen with
    /// RabbitMQ 3.10.8).
    ///
    /// # Errors
    ///
    /// The node is away or frozen.
    pub async fn write_buffered(&self) -> Result<(), Error> {
        let expressions = "ok = mnesia:sync_log(), ok = dets:sync(ra_directory_reverse)";
        self.eval(expressions).await.map(drop)
    }

    /// Makes a virtual host whose name starts with `name`, with all rights for `guest`.
    ///
    /// # Errors
    ///
    /// The node does not answer.
    pub async fn vhost(&self, name: &str) -> Result<Vhost, Error> {
        Vhost::create(self.clone(), name).await
    }

    /// The queues of a virtual host, by name. Counts of quorum queues may be half a second old.
    ///
    /// # Errors
    ///
    /// The node does not answer, or there is no such virtual host.
    pub async fn list_queues(&self, vhost: &str) -> Result<Vec<QueueDepth>, Error> {
        let text = self
            .eval(&format!(
                "true = rabbit_vhost:exists({vhost}), \
                 [io:format(\"~s\\t~b\\t~b~n\", [element(4, proplists:get_value(name, Q)) | \
                 [case proplists:get_value(Key, Q) of N when is_integer(N) -> N; _ -> 0 end \
                 || Key <- [messages_ready, messages_unacknowledged]]]) \
                 || Q <- rabbit_amqqueue:info_all({vhost}, [name, messages_ready, messages_unacknowledged])]",
                vhost = binary(vhost),
            ))
            .await?;
        let mut queues = text
            .lines()
            .map(|line| parse_depth(line).ok_or_else(|| Error::answer("list queues", line)))
            .collect::<Result<Vec<_>, _>>()?;
        queues.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(queues)
    }

    /// Deletes a queue with its messages.
    ///
    /// # Errors
    ///
    /// There is no such queue, or the node does not answer.
    pub async fn delete_queue(&self, vhost: &str, queue: &str) -> Result<(), Error> {
        self.ctl(&["delete_queue", "-p", vhost, queue]).await.map(drop)
    }

    /// Removes the messages of a queue that wait for a consumer.
    ///
    /// # Errors
    ///
    /// There is no such queue, or the node does not answer.
    pub async fn purge_queue(&self, vhost: &str, queue: &str) -> Result<(), Error> {
        self.ctl(&["purge_queue", "-p", vhost, queue]).await.map(drop)
    }

    /// Closes all connections to a virtual host from the broker's side.
    ///
    /// # Errors
    ///
    /// The node does not answer.
    pub async fn close_all_connections(&self, vhost: &str) -> Result<(), Error> {
        self.ctl(&["close_all_connections", "--vhost", vhost, "closed by a test"])
            .await
            .map(drop)
    }

    /// Sets the share of memory above which publishers are blocked: 0 blocks all of them, 0.4 is the default.
    ///
    /// # Errors
    ///
    /// The node does not answer.
    pub async fn set_vm_memory_high_watermark(&self, share: f64) -> Result<(), Error> {
        self.ctl(&["set_vm_memory_high_watermark", &share.to_string()])
            .await
            .map(drop)
    }

    /// Adds a user with the given rights (regular expressions) in one virtual host.
    ///
    /// # Errors
    ///
    /// The user exists, or the node does not answer.
    pub async fn add_user(
        &self,
        vhost: &str,
        name: &str,
        password: &str,
        [configure, write, read]: [&str; 3],
    ) -> Result<(), Error> {
        self.ctl(&["add_user", name, password]).await?;
        self.ctl(&["set_permissions", "-p", vhost, name, configure, write, read])
            .await
            .map(drop)
    }
}

/// An Erlang binary literal.
pub(super) fn binary(text: &str) -> String {
    format!("<<\"{}\">>", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn parse_depth(line: &str) -> Option<QueueDepth> {
    let mut columns = line.split('\t');
    Some(QueueDepth {
        name: columns.next()?.to_owned(),
        ready: columns.next()?.parse().ok()?,
        unacked: columns.next()?.parse().ok()?,
    })
}
