//! What 500 watchers cost one gateway while jobs tell 2,000 times a second how far they are.
//!
//! `cargo run -p longshore-gateway --example watchers -- [WATCHERS] [JOBS] [SECONDS]`
//!
//! This process holds an embedded store and a worker, whose jobs tell their progress ten times a second each, and is every
//! watcher. The gateway is a process of its own, which reaches the store through its socket; memory and processor time
//! are that process's alone, as /proc tells them. A tenth of the watchers never read: they are to be cut off.
#![expect(clippy::print_stdout, reason = "it prints what it measures")]
#![expect(clippy::cast_precision_loss, reason = "rates")]

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use longshore::Client;
use longshore_backend::embedded::{Options, Store};
use longshore_backend::{Backend, BackendConfig, Endpoints};
use longshore_core::{FunctionName, JobError, JobSpec, value};
use longshore_gateway::{Access, Gateway};
use longshore_worker::{JobContext, Worker};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

type Problem = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Problem> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [word, folder] = args.as_slice()
        && word == "gateway"
    {
        return gateway(Path::new(folder)).await;
    }
    let number = |at: usize, default: u64| args.get(at).map_or(Ok(default), |text| text.parse());
    measure(number(0, 500)?, number(1, 200)?, number(2, 30)?).await
}

/// The gateway's process: tells its address, and serves until it is killed.
async fn gateway(folder: &Path) -> Result<(), Problem> {
    let config = BackendConfig::new(Endpoints::embedded(folder));
    let backend = Backend::connect(&config).await?;
    let client = Client::builder().backend(&backend)?;
    let gateway = Gateway::builder(client, backend.ports().clone())
        .access(Access::Open)
        .build()?;
    // As `longshore gateway` bounds what the system keeps for a connection that does not read.
    let socket = TcpSocket::new_v4()?;
    socket.set_send_buffer_size(64 * 1024)?;
    socket.bind("127.0.0.1:0".parse()?)?;
    let listener = socket.listen(1_024)?;
    println!("{}", listener.local_addr()?);
    Ok(gateway.serve(listener, CancellationToken::new()).await?)
}

/// What all watchers have seen.
#[derive(Default)]
struct Seen {
    events: AtomicU64,
    bytes: AtomicU64,
    ended: AtomicU64,
}

async fn measure(watchers: u64, jobs: u64, seconds: u64) -> Result<(), Problem> {
    let dir = tempfile::tempdir()?;
    let folder = Store::open(dir.path(), Options::default())?;
    folder.serve()?;
    let client = Client::builder().ports(folder.ports())?;
    let told = Arc::new(AtomicU64::new(0));
    let worker = Worker::builder(folder.ports())
        .max_workers(usize::try_from(jobs)?)
        .state(Arc::clone(&told))
        .register_named("tell", tell);
    tokio::spawn(worker.run());
    let mut ids = Vec::new();
    for _ in 0..jobs {
        let spec = JobSpec::new(FunctionName::new("tell")?, value::encode("args", &Value::Null)?);
        ids.push(client.enqueue_spec(spec).await?.id().to_string());
    }
    let mut child = tokio::process::Command::new(std::env::current_exe()?)
        .arg("gateway")
        .arg(dir.path())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let pid = child.id().ok_or("the gateway has ended")?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no stdout")?).lines();
    let address: SocketAddr = lines.next_line().await?.ok_or("the gateway has ended")?.parse()?;
    println!("{watchers} watchers of 4 jobs each, {jobs} jobs, gateway {pid} at {address}");
    let empty = usage(pid)?;
    let seen = Arc::new(Seen::default());
    for number in 0..watchers {
        let four: Vec<_> = (0..4)
            .filter_map(|at| ids.get(usize::try_from((number + at * 7) % jobs).ok()?))
            .cloned()
            .collect();
        let reads = number % 10 != 9;
        tokio::spawn(watch(address, four.join(","), reads, Arc::clone(&seen)));
    }
    sleep(Duration::from_secs(5)).await;
    let started = Instant::now();
    let (first, told_first) = (usage(pid)?, told.load(Ordering::Relaxed));
    let events_first = seen.events.load(Ordering::Relaxed);
    while started.elapsed() < Duration::from_secs(seconds) {
        sleep(Duration::from_secs(5)).await;
        let now = usage(pid)?;
        println!(
            "after {:>3.0} s: {} MiB, {} watchers cut off",
            started.elapsed().as_secs_f64(),
            now.resident / 1024,
            seen.ended.load(Ordering::Relaxed)
        );
    }
    let (last, took) = (usage(pid)?, started.elapsed().as_secs_f64());
    let rate = |count: u64| count as f64 / took;
    println!(
        "progress told by jobs: {:.0} a second",
        rate(told.load(Ordering::Relaxed) - told_first)
    );
    println!(
        "events sent: {:.0} a second",
        rate(seen.events.load(Ordering::Relaxed) - events_first)
    );
    println!(
        "gateway's processor: {:.0} % of one core",
        rate(last.ticks - first.ticks)
    );
    println!(
        "gateway's memory: {} MiB without watchers, {} MiB with",
        empty.resident / 1024,
        last.resident / 1024
    );
    child.kill().await?;
    Ok(())
}

async fn tell(
    _args: Value,
    told: longshore_worker::State<Arc<AtomicU64>>,
    context: JobContext,
) -> Result<Value, JobError> {
    let mut step = 0_u32;
    loop {
        context.check_cancelled()?;
        context.progress(f64::from(step % 1_000) / 1_000.0, format!("step {step}"));
        told.0.fetch_add(1, Ordering::Relaxed);
        step += 1;
        sleep(Duration::from_millis(100)).await;
    }
}

/// One page; one that does not read fills its socket and is cut off.
async fn watch(address: SocketAddr, jobs: String, reads: bool, seen: Arc<Seen>) -> Result<(), Problem> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!("GET /api/v1/events?jobs={jobs} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut chunk = vec![0_u8; 16 * 1024];
    if !reads {
        // The far end closes once its patience is over; then, and not before, a write fails.
        while stream.write_all(b"\r\n").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
        seen.ended.fetch_add(1, Ordering::Relaxed);
        return Ok(());
    }
    loop {
        let count = stream.read(&mut chunk).await?;
        if count == 0 {
            seen.ended.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        seen.bytes.fetch_add(count as u64, Ordering::Relaxed);
        let text = chunk.get(..count).unwrap_or_default();
        let events = text.windows(10).filter(|window| *window == b"event: job").count();
        seen.events.fetch_add(events as u64, Ordering::Relaxed);
    }
}

/// What a process uses.
struct Usage {
    /// Processor time, in hundredths of a second.
    ticks: u64,
    /// Memory, in KiB.
    resident: u64,
}

fn usage(pid: u32) -> Result<Usage, Problem> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after = stat.rsplit_once(')').ok_or("stat")?.1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let field = |at: usize| {
        fields
            .get(at)
            .and_then(|text| text.parse::<u64>().ok())
            .ok_or("stat")
    };
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .ok_or("status")?;
    let resident = resident.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(Usage {
        ticks: field(11)? + field(12)?,
        resident,
    })
}
