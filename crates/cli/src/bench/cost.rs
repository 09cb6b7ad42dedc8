//! What a measurement costs: processor time and memory of this process, of RabbitMQ and of Redis, where they can be
//! seen.

use std::net::SocketAddr;
use std::time::Duration;

use longshore_backend::gauge::Gauge;
use tokio::time::Instant;

/// Linux counts processor time in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// Where costs are read.
#[derive(Clone, Debug)]
pub(crate) struct Meters {
    pub(super) gauge: Option<Gauge>,
    /// RabbitMQ, when it runs on this machine.
    pub(super) broker: Option<u32>,
}

/// Processor time so far.
#[derive(Clone, Copy, Debug)]
struct Spent {
    client: Option<Duration>,
    broker: Option<Duration>,
    redis: Option<Duration>,
}

/// The beginning of a measurement.
#[derive(Debug)]
pub(super) struct Start {
    at: Instant,
    spent: Spent,
}

/// What a measurement took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    pub(super) took: Duration,
    pub(super) client: Option<Duration>,
    pub(super) broker: Option<Duration>,
    pub(super) redis: Option<Duration>,
}

impl Meters {
    pub(super) async fn start(&self) -> Start {
        let spent = self.spent().await;
        Start {
            at: Instant::now(),
            spent,
        }
    }

    pub(super) async fn stop(&self, start: Start) -> Cost {
        let took = start.at.elapsed();
        let (before, after) = (start.spent, self.spent().await);
        let between =
            |before: Option<Duration>, after: Option<Duration>| Some(after?.saturating_sub(before?));
        Cost {
            took,
            client: between(before.client, after.client),
            broker: between(before.broker, after.broker),
            redis: between(before.redis, after.redis),
        }
    }

    async fn spent(&self) -> Spent {
        let redis = match &self.gauge {
            Some(gauge) => gauge.cpu().await,
            None => None,
        };
        Spent {
            client: cpu("self"),
            broker: self.broker.and_then(|pid| cpu(&pid.to_string())),
            redis,
        }
    }
}

/// Processor time of a process so far.
fn cpu(process: &str) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field is the name in brackets, which may hold spaces; user and system time are the 14th and 15th.
    let fields = stat.rsplit_once(") ")?.1.split(' ').skip(11).take(2);
    let ticks: Option<Vec<u32>> = fields.map(|field| field.parse().ok()).collect();
    Some(TICK * ticks?.iter().sum())
}

/// Memory of this process that is in RAM, in bytes.
pub(super) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The process on this machine that listens at a loopback address; `None` elsewhere, or when it is not ours to see.
pub(super) fn listener(address: SocketAddr) -> Option<u32> {
    if !address.ip().is_loopback() {
        return None;
    }
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, address.port()))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .find(|pid| has_one_of(*pid, &sockets))
}

/// The inodes of the sockets in such a table that listen at a port.
fn listening(table: &str, port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter_map(|fields| match fields.as_slice() {
            // "0A" is the state LISTEN; the tenth field is the inode.
            [_, local, _, "0A", _, _, _, _, _, inode, ..] if local.ends_with(&suffix) => {
                Some((*inode).to_owned())
            }
            _ => None,
        })
        .collect()
}

fn has_one_of(pid: u32, sockets: &[String]) -> bool {
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    files
        .flatten()
        .filter_map(|file| std::fs::read_link(file.path()).ok())
        .any(|target| {
            target
                .to_str()
                .is_some_and(|name| sockets.iter().any(|socket| socket == name))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_some_memory_and_shows_its_time() {
        assert!(resident_bytes().unwrap() > 100_000);
        assert!(cpu("self").is_some());
        assert_eq!(cpu("no process"), None);
    }

    #[test]
    fn who_listens_is_found_by_the_port() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        assert_eq!(listener(address), Some(std::process::id()));
        drop(socket);
        assert_eq!(listener(address), None);
    }
}
