//! Processes that answer probes, and what happens to them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use longshore_testkit::process::{PortLease, Proc};
use longshore_testkit::proxy::Proxy;
use longshore_testkit::servers::SharedServers;
use longshore_testkit::wait::eventually;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::process::Fleet;

/// How long a step may take.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// SIGTERM, and the end that follows. Answers how long it took.
pub(crate) async fn end_gently(process: Proc) -> Duration {
    let began = Instant::now();
    process.term();
    let status = process.wait(LONG).await.unwrap();
    assert!(status.success(), "{status:?}");
    began.elapsed()
}

/// A process with a health listener, and what it answers.
pub(crate) struct Probed {
    address: String,
    client: reqwest::Client,
}

impl Probed {
    /// Takes a port for the next process of the fleet.
    pub(crate) fn next(fleet: &mut Fleet) -> (Self, PortLease) {
        let port = PortLease::take().unwrap();
        let address = port.addr().to_string();
        fleet.env([("LONGSHORE_HEALTH__LISTEN".to_owned(), address.clone())]);
        // An error means that another test has chosen.
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(5))
            .build()
            .unwrap();
        (Self { address, client }, port)
    }

    /// Status and body; 0 when nobody answers.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.address);
        match self.client.get(url).send().await {
            Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap_or_default()),
            Err(_) => (0, String::new()),
        }
    }

    /// The body, asked for as this type.
    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> String {
        let url = format!("http://{}{path}", self.address);
        let asked = self.client.get(url).header("accept", accept);
        asked.send().await.unwrap().text().await.unwrap()
    }

    pub(crate) async fn becomes(&self, path: &str, status: u16) {
        let what = format!("{path} answers {status}");
        eventually(LONG, &what, || async { self.get(path).await.0 == status })
            .await
            .unwrap();
    }

    pub(crate) async fn is_up(&self) {
        for path in ["/startupz", "/livez", "/readyz"] {
            self.becomes(path, 200).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_a_worker_cut_from_its_broker_lives_for_a_while_and_is_not_ready() {
    let servers = SharedServers::get().await.unwrap();
    let (user, host) = servers.amqp_url().rsplit_once('@').unwrap();
    let (host, vhost) = host.split_once('/').unwrap();
    let proxy = Proxy::start(host.parse().unwrap()).await.unwrap();
    let mut fleet = Fleet::on(
        format!("{user}@{}/{vhost}", proxy.addr()),
        servers.redis_url(),
        "quorum",
    );
    fleet.env([("LONGSHORE_HEALTH__DEAF_AFTER".to_owned(), "8s".to_owned())]);
    let (probed, _port) = Probed::next(&mut fleet);
    let _worker = fleet.start(&["worker", "--samples"]);
    probed.is_up().await;
    proxy.refuse().await;
    proxy.cut();
    probed.becomes("/readyz", 503).await;
    let (live, said) = probed.get("/livez").await;
    assert_eq!(live, 200, "not ready, and alive: {said}");
    probed.becomes("/livez", 503).await;
    let (_, said) = probed.get("/livez").await;
    assert!(
        said.contains("queue default") && said.contains("detached"),
        "{said}"
    );
    proxy.heal().await.unwrap();
    probed.is_up().await;
}

/// Connected all the time, and nothing comes any more: what a probe of connections would never find.
#[tokio::test(flavor = "multi_thread")]
async fn real_servers_a_worker_that_is_connected_and_whose_consumer_is_gone_is_deaf_and_not_alive() {
    let servers = SharedServers::get().await.unwrap();
    let vhost = servers.vhost();
    let user = format!("deaf-{}", vhost.name());
    let url = vhost.add_user(&user, "s3cret", [".*", ".*", ".*"]).await.unwrap();
    let rights = |read: &'static str| {
        let user = user.clone();
        async move {
            let set = ["set_permissions", "-p", vhost.name(), &user, ".*", ".*", read];
            vhost.control().ctl(&set).await.unwrap();
        }
    };
    let mut fleet = Fleet::on(url, servers.redis_url(), "quorum");
    fleet.env([("LONGSHORE_HEALTH__DEAF_AFTER".to_owned(), "5s".to_owned())]);
    let (probed, _port) = Probed::next(&mut fleet);
    let _worker = fleet.start(&["worker", "--samples"]);
    probed.is_up().await;
    // No consumer, and rightly so: it is well.
    fleet.run(&["queue", "pause", "default"]).await.unwrap();
    eventually(LONG, "the pause is seen", || async {
        let (ready, said) = probed.get("/readyz").await;
        if ready == 200 && said.contains("paused") {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await
    .unwrap();
    assert_eq!(probed.get("/livez").await.0, 200);
    fleet.run(&["queue", "resume", "default"]).await.unwrap();
    rights("^$").await;
    // It comes back at once, and may consume no more.
    vhost.close_all_connections().await.unwrap();
    probed.becomes("/livez", 503).await;
    let (_, said) = probed.get("/livez").await;
    assert!(
        said.contains("queue default") && said.contains("detached"),
        "{said}"
    );
    rights(".*").await;
    probed.is_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_a_worker_whose_control_loop_stands_still_is_not_alive() {
    let mut fleet = Fleet::on_shared_servers("quorum").await;
    fleet.env([("LONGSHORE_HEALTH__STUCK_AFTER".to_owned(), "3s".to_owned())]);
    let (probed, _port) = Probed::next(&mut fleet);
    let worker = fleet.start(&["worker", "--samples"]);
    probed.is_up().await;
    let held = StoppedThread::hold(worker.pid(), "longshore-contr");
    probed.becomes("/livez", 503).await;
    let (_, said) = probed.get("/livez").await;
    assert!(said.contains("control loop"), "{said}");
    assert_eq!(probed.get("/readyz").await.0, 503);
    drop(held);
    probed.is_up().await;
}

/// One thread of another process, stopped by a tracer while the others go on: what a deadlock looks like from outside.
/// The tracer is a thread of its own, because only the thread that attached may let go.
struct StoppedThread {
    release: std::sync::mpsc::Sender<()>,
    tracer: Option<std::thread::JoinHandle<()>>,
}

impl StoppedThread {
    fn hold(pid: u32, name: &str) -> Self {
        let thread = std::fs::read_dir(format!("/proc/{pid}/task"))
            .unwrap()
            .map(|entry| entry.unwrap())
            .find(|entry| {
                let comm = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                comm.trim() == name
            })
            .unwrap_or_else(|| panic!("process {pid} has no thread {name}"));
        let thread: i32 = thread.file_name().to_str().unwrap().parse().unwrap();
        let thread = nix::unistd::Pid::from_raw(thread);
        let (release, released) = std::sync::mpsc::channel();
        let (stopped, is_stopped) = std::sync::mpsc::channel();
        let tracer = std::thread::spawn(move || {
            nix::sys::ptrace::attach(thread).unwrap();
            let all = Some(nix::sys::wait::WaitPidFlag::__WALL);
            nix::sys::wait::waitpid(thread, all).unwrap();
            stopped.send(()).unwrap();
            released.recv().ok();
            nix::sys::ptrace::detach(thread, None).unwrap();
        });
        is_stopped.recv_timeout(LONG).unwrap();
        Self {
            release,
            tracer: Some(tracer),
        }
    }
}

impl Drop for StoppedThread {
    fn drop(&mut self) {
        self.release.send(()).ok();
        if let Some(tracer) = self.tracer.take() {
            tracer.join().ok();
        }
    }
}

/// A program that notes its start, and then does what these lines of a shell say.
struct Noted {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl Noted {
    fn then(lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("noted");
        let text = format!(
            "#!/bin/sh\ncat >/dev/null\ncd {}\necho $LONGSHORE_JOB_ID >> starts\n{lines}\n",
            folder.path().display()
        );
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder, program }
    }

    /// The setting that makes it the function `slow`.
    fn setting(&self) -> (String, String) {
        (
            "LONGSHORE_WORKER__COMMANDS__SLOW__PROGRAM".to_owned(),
            self.program.display().to_string(),
        )
    }

    fn started(&self) -> usize {
        let starts = std::fs::read_to_string(self.folder.path().join("starts"));
        starts.unwrap_or_default().lines().count()
    }

    /// Enqueues this many jobs of it.
    async fn enqueue(&self, fleet: &Fleet, jobs: usize) {
        let lines = "{\"function_name\":\"slow\",\"args\":{}}\n".repeat(jobs);
        let file = super::write_jobs(self.folder.path(), &lines);
        fleet
            .run(&["enqueue", "--file", file.to_str().unwrap()])
            .await
            .unwrap();
    }
}

/// Whoever routes work asks for readiness; so it must be gone before anything else is, whatever the control loop does.
#[tokio::test(flavor = "multi_thread")]
async fn real_servers_a_worker_that_is_told_to_stop_is_unready_before_it_lets_go_of_its_consumers() {
    let mut fleet = Fleet::on_shared_servers("quorum").await;
    let (probed, _port) = Probed::next(&mut fleet);
    let worker = fleet.start(&["worker", "--samples"]);
    probed.is_up().await;
    let held = StoppedThread::hold(worker.pid(), "longshore-contr");
    worker.term();
    probed.becomes("/readyz", 503).await;
    let said: Value = serde_json::from_str(&probed.get("/readyz").await.1).unwrap();
    let check = |name: &str| {
        let mut checks = said["checks"].as_array().unwrap().iter();
        let found = checks.find(|check| check["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {said}")).clone()
    };
    assert_eq!(check("drain")["ok"], false, "{said}");
    // The loop has not heard of it, and still has its consumer.
    assert_eq!(check("queue default")["ok"], true, "{said}");
    drop(held);
    let status = worker.wait(LONG).await.unwrap();
    assert!(status.success(), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_jobs_that_outlast_the_drain_are_handed_over_and_burn_no_attempt() {
    const JOBS: usize = 3;
    let slow = Noted::then("if [ -e again ]; then exit 0; fi\nexec sleep 300");
    let mut fleet = Fleet::on_shared_servers("quorum").await;
    fleet.env([
        slow.setting(),
        ("LONGSHORE_WORKER__DRAIN_DEADLINE".to_owned(), "1s".to_owned()),
        ("LONGSHORE_WORKER__CANCEL_GRACE".to_owned(), "1s".to_owned()),
    ]);
    let _scheduler = fleet.start(&["scheduler"]);
    let ending = fleet.start(&["worker", "--max-workers", "3"]);
    slow.enqueue(&fleet, JOBS).await;
    eventually(LONG, "all of them run", || async { slow.started() == JOBS })
        .await
        .unwrap();
    std::fs::write(slow.folder.path().join("again"), "").unwrap();

    // The drain, the grace, and what the last calls to the servers may take.
    let took = end_gently(ending).await;
    assert!(took < Duration::from_secs(15), "within the grace: {took:?}");
    for job in fleet.jobs(&[]).await {
        assert_eq!(
            (&job["status"], &job["attempts"]),
            (&json!("queued"), &json!(0)),
            "{job}"
        );
    }
    let _other = fleet.start(&["worker", "--max-workers", "3"]);
    let done = eventually(LONG, "another worker does them", || async {
        let jobs = fleet.jobs(&["--status", "completed"]).await;
        if jobs.len() == JOBS {
            Ok(jobs)
        } else {
            Err(jobs.len())
        }
    });
    for job in done.await.unwrap() {
        assert_eq!(job["attempts"], 1, "{job}");
    }
    assert_eq!(slow.started(), 2 * JOBS);
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_a_worker_that_is_told_to_stop_under_load_leaves_nothing_and_burns_no_attempt() {
    const JOBS: usize = 60;
    let slow = Noted::then("sleep 1");
    let mut fleet = Fleet::on_shared_servers("quorum").await;
    fleet.env([
        slow.setting(),
        ("LONGSHORE_WORKER__DRAIN_DEADLINE".to_owned(), "20s".to_owned()),
    ]);
    let (probed, _port) = Probed::next(&mut fleet);
    let worker = fleet.start(&["worker", "--max-workers", "4"]);
    probed.is_up().await;
    slow.enqueue(&fleet, JOBS).await;
    eventually(LONG, "jobs run", || async { slow.started() >= 8 })
        .await
        .unwrap();

    let began = Instant::now();
    worker.term();
    probed.becomes("/readyz", 503).await;
    let unready = began.elapsed();
    assert!(unready < Duration::from_secs(5), "{unready:?}");
    assert_eq!(
        probed.get("/livez").await.0,
        200,
        "a process that drains is alive"
    );
    let after = slow.started();
    let status = worker.wait(LONG).await.unwrap();
    assert!(status.success(), "{status:?}");
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "within the grace: {:?}",
        began.elapsed()
    );
    // A claim that was granted before the stop may have started after the look.
    assert!(slow.started() <= after + 4, "{} then {}", after, slow.started());
    let jobs = fleet.jobs(&["--limit", "1000"]).await;
    let of = |status: &str| jobs.iter().filter(|job| job["status"] == status).count();
    assert_eq!(of("completed") + of("queued"), JOBS, "{jobs:?}");
    assert_eq!(
        of("completed"),
        slow.started(),
        "what has started has ended: nothing runs twice"
    );
    for job in jobs.iter().filter(|job| job["status"] == "queued") {
        assert_eq!(job["attempts"], 0, "no attempt is burnt: {job}");
    }

    let _scheduler = fleet.start(&["scheduler"]);
    fleet.env([("LONGSHORE_HEALTH__LISTEN".to_owned(), "127.0.0.1:0".to_owned())]);
    let _other = fleet.start(&["worker", "--max-workers", "16"]);
    eventually(LONG, "another worker does the rest", || async {
        let jobs = fleet.jobs(&["--limit", "1000"]).await;
        jobs.iter().all(|job| job["status"] == "completed")
    })
    .await
    .unwrap();
    assert_eq!(slow.started(), JOBS, "each job has started once");
}
