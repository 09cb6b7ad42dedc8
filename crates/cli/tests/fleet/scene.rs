//! A fleet under faults. Its jobs write what happens to them into one history, which decides in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::time::Duration;

use longshore_core::JobId;
use longshore_core::random::Random as _;
use longshore_testkit::factory::SeededRandom;
use longshore_testkit::history::{Event, Ties};
use longshore_testkit::process::Proc;
use longshore_testkit::servers::{RabbitMq, Vhost};
use longshore_testkit::wait::eventually;
use parking_lot::Mutex;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::process::Fleet;

/// How long a fleet may take to come to rest: a lease, the pause after an outage, retries, and room.
pub(crate) const REST: Duration = Duration::from_secs(300);
/// More jobs than any scene has.
const ALL: &str = "50000";

/// Writes what it does into the history; one job in sixteen fails once. Its argument is how long it takes, in seconds. The
/// result is the fence of the start that gave it, which [`Scene::judge`] reads.
const MARK: &str = r#"
read -r pace
printf '%s started %s %s\n' "$LONGSHORE_JOB_ID" "$LONGSHORE_ATTEMPT" "$LONGSHORE_FENCE" >> "$HISTORY"
sleep "$pace"
case "$LONGSHORE_JOB_ID$LONGSHORE_ATTEMPT" in *01) exit 75 ;; esac
printf '%s ended %s\n' "$LONGSHORE_JOB_ID" "$LONGSHORE_ATTEMPT" >> "$HISTORY"
echo "{\"result\": $LONGSHORE_FENCE}"
"#;

/// Ends its worker as a crash would, as often as its argument says; then it does its work.
const POISON: &str = r#"
read -r kills
printf '%s started %s %s\n' "$LONGSHORE_JOB_ID" "$LONGSHORE_ATTEMPT" "$LONGSHORE_FENCE" >> "$HISTORY"
if [ "$LONGSHORE_ATTEMPT" -le "$kills" ]; then kill -9 "$PPID"; exit 1; fi
printf '%s ended %s\n' "$LONGSHORE_JOB_ID" "$LONGSHORE_ATTEMPT" >> "$HISTORY"
"#;

/// Fails for good.
const FAILS: &str = r#"
printf '%s started %s %s\n' "$LONGSHORE_JOB_ID" "$LONGSHORE_ATTEMPT" "$LONGSHORE_FENCE" >> "$HISTORY"
echo "the valve broke" >&2
exit 1
"#;

/// Fails for good at its first start, and does its work at the next, should a person want one: attempts are counted anew
/// then.
const ONCE: &str = r#"
printf '%s started %s %s\n' "$LONGSHORE_JOB_ID" "$LONGSHORE_ATTEMPT" "$LONGSHORE_FENCE" >> "$HISTORY"
if [ "$(grep -c "$LONGSHORE_JOB_ID started" "$HISTORY")" = 1 ]; then echo "the pump broke" >&2; exit 1; fi
printf '%s ended %s\n' "$LONGSHORE_JOB_ID" "$LONGSHORE_ATTEMPT" >> "$HISTORY"
"#;

/// A fleet, and everything that was seen of its jobs.
pub(crate) struct Scene {
    pub(crate) fleet: Fleet,
    pub(crate) random: SeededRandom,
    pub(crate) seed: u64,
    pub(crate) history: PathBuf,
    /// Jobs whose enqueue was acknowledged.
    acknowledged: Mutex<Vec<String>>,
    /// Jobs that the store may have lost: they waited in the part of its past that it forgot.
    pub(crate) excused: Mutex<BTreeSet<JobId>>,
}

/// A number of the environment.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}: a number"))
    })
}

/// Of everything that comes by chance.
pub(crate) fn seed() -> u64 {
    number("LONGSHORE_SOAK_SEED", u64::from(std::process::id()))
}

impl Scene {
    /// On the servers that tests share.
    pub(crate) async fn shared() -> Self {
        Self::of(Fleet::on_shared_servers("quorum").await)
    }

    /// On servers that the test owns.
    pub(crate) fn on(amqp: String, redis: String) -> Self {
        Self::of(Fleet::on(amqp, redis, "quorum"))
    }

    /// The same, with a virtual host of a broker that is asked about its queues.
    pub(crate) fn on_vhost(vhost: &Vhost, redis: String) -> Self {
        let mut scene = Self::on(vhost.amqp_url().to_owned(), redis);
        scene.fleet.ask(vhost.control(), vhost.name());
        scene
    }

    /// The same, with a broker of the test's own.
    pub(crate) fn on_broker(broker: &RabbitMq, redis: String) -> Self {
        let mut scene = Self::on(broker.amqp_url(), redis);
        scene.fleet.ask(broker.control(), "/");
        scene
    }

    /// With this fleet. The seed is printed.
    pub(crate) fn of(fleet: Fleet) -> Self {
        let seed = seed();
        eprintln!("again by LONGSHORE_SOAK_SEED={seed}");
        let history = fleet.folder().join("history");
        std::fs::write(&history, "").unwrap();
        let scene = Self {
            fleet,
            random: SeededRandom::new(seed),
            seed,
            history,
            acknowledged: Mutex::default(),
            excused: Mutex::default(),
        };
        scene.configure("");
        scene
    }

    /// Writes the configuration of processes that start from now on: the functions, and `more`.
    pub(crate) fn configure(&self, more: &str) {
        let mut text = String::new();
        for (name, script) in [
            ("mark", MARK),
            ("poison", POISON),
            ("fails", FAILS),
            ("once", ONCE),
        ] {
            writeln!(
                text,
                "[worker.commands.{name}]\nprogram = \"/bin/sh\"\nargs = [\"-c\", '''{script}''']\n\
                 env = {{ HISTORY = \"{}\" }}",
                self.history.display()
            )
            .unwrap();
        }
        std::fs::write(self.fleet.folder().join("longshore.toml"), text + more).unwrap();
    }

    pub(crate) fn below(&self, count: usize) -> usize {
        usize::try_from(self.random.next_u64() % count as u64).unwrap()
    }

    /// A number below `bound`, of milliseconds for example.
    pub(crate) fn random_below(&self, bound: u64) -> u64 {
        self.random.next_u64() % bound
    }

    pub(crate) fn worker(&self) -> Proc {
        self.fleet.start(&["worker", "--max-workers", "4"])
    }

    pub(crate) fn scheduler(&self) -> Proc {
        self.fleet.start(&["scheduler"])
    }

    /// A file for `longshore enqueue --file`.
    pub(crate) fn file(&self, jobs: &[Value]) -> String {
        let lines: Vec<_> = jobs.iter().map(Value::to_string).collect();
        let file = self.fleet.folder().join(format!("{}.jsonl", Uuid::new_v4()));
        std::fs::write(&file, lines.join("\n") + "\n").unwrap();
        file.to_str().unwrap().to_owned()
    }

    /// Asks until these jobs are acknowledged; asking again changes nothing.
    pub(crate) async fn enqueue(&self, jobs: &[Value]) {
        let file = self.file(jobs);
        let asked = || async { self.fleet.run(&["enqueue", "--file", &file]).await.map(drop) };
        eventually(REST, "the enqueue is acknowledged", asked)
            .await
            .unwrap();
        self.are_acknowledged(jobs);
    }

    /// Somebody was told that these jobs are taken.
    pub(crate) fn are_acknowledged(&self, jobs: &[Value]) {
        self.note(jobs, &Event::Acknowledged);
        let ids = jobs.iter().map(|job| job["id"].as_str().unwrap().to_owned());
        self.acknowledged.lock().extend(ids);
    }

    /// Writes that this was seen of these jobs.
    pub(crate) fn note(&self, jobs: &[Value], event: &Event) {
        let lines = jobs
            .iter()
            .map(|job| format!("{} {event}\n", job["id"].as_str().unwrap()));
        self.write(&lines.collect::<String>());
    }

    /// Everybody appends to one file, so that all events have one order.
    fn write(&self, lines: &str) {
        use std::io::Write as _;
        let mut file = std::fs::File::options().append(true).open(&self.history).unwrap();
        file.write_all(lines.as_bytes()).unwrap();
    }

    /// The store may have forgotten these jobs.
    pub(crate) fn excuse(&self, jobs: &[Value]) {
        self.excused.lock().extend(jobs.iter().map(id_of));
    }

    /// How all jobs stand, once the store answers; noted.
    pub(crate) async fn looked(&self) -> Vec<Value> {
        eventually(REST, "the store answers", || self.look())
            .await
            .unwrap()
    }

    /// How all jobs stand, as a reader sees it; noted. `None` when the store does not answer.
    pub(crate) async fn look(&self) -> Option<Vec<Value>> {
        self.look_at(&[]).await
    }

    /// The same of jobs that a filter lets through.
    pub(crate) async fn look_at(&self, filter: &[&str]) -> Option<Vec<Value>> {
        let args = [&["job", "ls", "-o", "json", "--limit", ALL], filter].concat();
        let jobs: Vec<Value> = serde_json::from_str(&self.fleet.run(&args).await.ok()?).unwrap();
        let lines = jobs.iter().map(|job| {
            let seen = Event::Seen {
                status: job["status"].as_str().unwrap().parse().unwrap(),
                stamp: job["finished_at_ms"].to_string(),
            };
            format!("{} {seen}\n", job["id"].as_str().unwrap())
        });
        self.write(&lines.collect::<String>());
        Some(jobs)
    }

    /// Whether every job has ended; why not otherwise.
    pub(crate) async fn at_rest(&self) -> Result<(), String> {
        let jobs = self.look().await.ok_or("no answer")?;
        let open: Vec<_> = jobs
            .iter()
            .filter(|job| job["finished_at_ms"].is_null())
            .map(|job| (&job["id"], &job["status"]))
            .collect();
        let known: BTreeSet<_> = jobs.iter().map(id_of).collect();
        let excused = self.excused.lock();
        let acknowledged = self.acknowledged.lock();
        let ids = acknowledged.iter().map(|id| id.parse::<JobId>().unwrap());
        let unknown = ids
            .filter(|id| !known.contains(id) && !excused.contains(id))
            .count();
        if open.is_empty() && unknown == 0 {
            return Ok(());
        }
        let first = open.first();
        Err(format!(
            "{unknown} unknown, {} open, for example {first:?}",
            open.len()
        ))
    }

    /// Waits until somebody has started so many attempts.
    pub(crate) async fn started(&self, count: usize) {
        eventually(REST, "attempts have started", || async {
            let starts = self.starts();
            if starts >= count {
                Ok(())
            } else {
                Err(format!("{starts} of {count}"))
            }
        })
        .await
        .unwrap();
    }

    pub(crate) fn starts(&self) -> usize {
        let text = std::fs::read_to_string(&self.history).unwrap();
        text.lines().filter(|line| line.contains(" started ")).count()
    }

    /// Jobs whose handler has come to its end.
    pub(crate) fn ended(&self) -> BTreeSet<JobId> {
        let text = std::fs::read_to_string(&self.history).unwrap();
        let ended = text.lines().filter_map(|line| line.split_once(" ended "));
        ended.map(|(id, _)| id.parse().unwrap()).collect()
    }

    /// Counts of jobs by status.
    pub(crate) async fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for job in self.look().await.unwrap() {
            *counts
                .entry(job["status"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
        counts
    }
}

/// Jobs of `function`, with its argument.
pub(crate) fn jobs(count: usize, function: &str, args: impl Into<Value>) -> Vec<Value> {
    let args = args.into();
    let job = |_| {
        json!({"id": Uuid::new_v4().to_string(), "function_name": function, "args": args, "max_retries": 20,
            "retry_delay": "1s"})
    };
    (0..count).map(job).collect()
}

/// Parents, and as many children, each of two of them.
pub(crate) fn family(parents: usize) -> (Vec<Value>, Ties) {
    let (mut family, mut ties) = (jobs(parents, "mark", 0.05), Ties::default());
    let ids: Vec<_> = family.iter().map(id_of).collect();
    let mut children = jobs(parents, "mark", 0.05);
    for (at, child) in children.iter_mut().enumerate() {
        let of = [ids[at], ids[(at + 1) % parents]];
        child["depends_on"] = json!(of.map(|id| id.uuid().to_string()));
        ties.parents.insert(id_of(child), of.to_vec());
    }
    family.append(&mut children);
    (family, ties)
}

/// The address of a URL.
pub(crate) fn addr_of(url: &str) -> SocketAddr {
    let host = url.rsplit('@').next().unwrap();
    let host = host.rsplit("://").next().unwrap();
    host.split('/').next().unwrap().parse().unwrap()
}

/// A job's id.
pub(crate) fn id_of(job: &Value) -> JobId {
    job["id"].as_str().unwrap().parse().unwrap()
}

/// Waits until a process has ended itself at its failpoint.
pub(crate) async fn ended_at_its_point(process: &Proc) {
    let status = process.wait(REST).await.unwrap();
    let abort = nix::sys::signal::Signal::SIGABRT as i32;
    assert_eq!(status.signal(), Some(abort), "{status}: {}", process.log_tail());
}
