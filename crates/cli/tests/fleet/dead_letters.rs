//! Ten thousand dead letters are requeued by filter; the command is killed half-way, and run again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use longshore_backend::{Backend, BackendConfig, Endpoints, Profile};
use longshore_core::outcome::{ErrorInfo, Outcome};
use longshore_core::port::Ports;
use longshore_core::port::attempt::{Claim, Finish};
use longshore_core::view::{Detail, JobView};
use longshore_core::{JobId, JobStatus, QueueName, SystemClock, WorkerId};
use longshore_scheduler::{Intervals, Scheduler};
use longshore_testkit::factory::Factory;
use longshore_testkit::servers::SharedServers;
use longshore_testkit::wait::eventually;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Dead letters that the filter means.
const LETTERS: usize = 10_000;
/// Dead letters that it does not.
const OTHERS: usize = 50;
/// How long anything here may take.
const LONG: Duration = Duration::from_secs(120);

/// Runs what is dispatched with this gen, and lets it fail.
async fn die(ports: &Ports, factory: &Factory, ids: &[JobId], gen_: u32, message: &str) {
    let worker = WorkerId("w-1".to_owned());
    for (shard, ids) in by_shard(ports, ids) {
        let claim = |id: &JobId| Claim {
            id: *id,
            gen_,
            nonce: factory.nonce(),
            worker: worker.clone(),
        };
        let claims: Vec<_> = ids.iter().map(claim).collect();
        let finish = |(number, claim): (usize, &Claim)| Finish {
            id: claim.id,
            nonce: claim.nonce,
            outcome: Outcome::Failed {
                error: ErrorInfo::new("io", format!("{message} {number}")),
            },
            progress: None,
        };
        let finishes = claims.iter().enumerate().map(finish).collect();
        ports.attempt.step(shard, Vec::new(), claims).await.unwrap();
        ports.attempt.step(shard, finishes, Vec::new()).await.unwrap();
    }
}

fn by_shard(ports: &Ports, ids: &[JobId]) -> BTreeMap<u16, Vec<JobId>> {
    let mut shards: BTreeMap<u16, Vec<JobId>> = BTreeMap::new();
    for id in ids {
        let shard = ports.enqueue.shards().of(id);
        shards.entry(shard).or_default().push(*id);
    }
    shards
}

/// Makes dead letters with this tag and error.
async fn dead_letters(
    ports: &Ports,
    factory: &Factory,
    count: usize,
    tag: &str,
    message: &str,
) -> Vec<JobId> {
    let shards: Vec<u16> = ports.enqueue.shards().all().collect();
    let jobs: Vec<_> = (0..count)
        .map(|number| {
            factory.job(shards[number % shards.len()], |spec| {
                spec.tags.insert(tag.to_owned());
            })
        })
        .collect();
    let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
    for shard in shards {
        let of_shard = jobs
            .iter()
            .filter(|job| ports.enqueue.shards().of(&job.id) == shard)
            .cloned()
            .collect();
        ports.enqueue.enqueue(shard, of_shard).await.unwrap();
    }
    die(ports, factory, &ids, 1, message).await;
    ids
}

async fn views(ports: &Ports, ids: &[JobId]) -> Vec<JobView> {
    let mut views = Vec::new();
    for (shard, ids) in by_shard(ports, ids) {
        let found = ports.inspect.jobs(shard, ids, Detail::Summary).await.unwrap();
        views.extend(found.into_iter().map(Option::unwrap));
    }
    views
}

/// Lets a scheduler run until the archive has this many letters.
async fn keep(ports: &Ports, archived: usize) {
    let stop = CancellationToken::new();
    let often = Duration::from_millis(100);
    let scheduler = Scheduler::builder(ports.clone())
        .intervals(Intervals {
            keep_dead_letters: often,
            ..Intervals::default()
        })
        .shutdown(stop.clone())
        .build();
    let running = tokio::spawn(scheduler.run());
    eventually(LONG, "archive and records agree", || async {
        let count = ports.consume.archived().await.unwrap();
        let mut pending = 0;
        for shard in ports.enqueue.shards().all() {
            let removals = ports.schedule.removals_pending(shard, 0).await.unwrap();
            pending += removals.pending;
            pending += ports.schedule.dead_uncopied(shard, 1).await.unwrap().len() as u64;
        }
        // Twins that the keeper holds are out of the count until its lap ends.
        count == archived as u64 && pending == 0
    })
    .await
    .unwrap();
    stop.cancel();
    running.await.unwrap();
}

/// Starts the command and kills it once it has told of half of the letters.
fn killed_half_way(mut command: Command) {
    let mut child = command
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let errors = BufReader::new(child.stderr.take().unwrap());
    let half = format!("requeue: {} of {LETTERS}", LETTERS / 2);
    let mut said = Vec::new();
    for line in errors.lines() {
        said.push(line.unwrap());
        if said.last() == Some(&half) {
            child.kill().unwrap();
            break;
        }
    }
    let ended = child.wait().unwrap();
    assert!(!ended.success(), "it was to be killed: {said:#?}");
}

fn json_of(mut command: Command) -> Value {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn survives_kill9(config: BackendConfig, command: impl Fn(&[&str]) -> Command) {
    let open = async || Backend::connect(&config).await.unwrap();
    let factory = Factory::new(Arc::new(SystemClock), 7);
    let backend = open().await;
    let ids = dead_letters(
        backend.ports(),
        &factory,
        LETTERS,
        "nightly",
        "disk full at block",
    )
    .await;
    let others = dead_letters(backend.ports(), &factory, OTHERS, "other", "no such user").await;
    keep(backend.ports(), LETTERS + OTHERS).await;
    backend.close().await;

    let requeue = ["dlq", "requeue", "--tag", "nightly", "--operation", "beef"];
    let dry = json_of(command(&[&requeue[..], &["--dry-run", "-o", "json"]].concat()));
    assert_eq!((&dry["count"], &dry["dry_run"]), (&json!(LETTERS), &json!(true)));
    killed_half_way(command(&requeue));
    let operations = json_of(command(&["dlq", "ops", "-o", "json"]));
    assert_eq!(operations[0]["ended_at_ms"], Value::Null);
    assert_eq!(operations[0]["total"], json!(LETTERS));

    // Some that were requeued fail again before it goes on.
    let backend = open().await;
    let half = views(backend.ports(), &ids).await;
    let queued = |job: &&JobView| job.status == JobStatus::Queued;
    let again: Vec<_> = half.iter().filter(queued).take(100).map(|job| job.id).collect();
    let requeued = half.iter().filter(queued).count();
    assert!((LETTERS / 2..LETTERS).contains(&requeued), "{requeued}");
    die(backend.ports(), &factory, &again, 2, "disk full at block").await;
    backend.close().await;

    let ended = json_of(command(&[&requeue[..], &["-o", "json"]].concat()));
    assert_eq!(
        (&ended["done"], &ended["total"], &ended["kept"]),
        (&json!(LETTERS), &json!(LETTERS), &json!(0))
    );
    let repeated = json_of(command(&["dlq", "resume", "beef", "-o", "json"]));
    assert_eq!(repeated, ended, "it has ended");

    let backend = open().await;
    let ports = backend.ports();
    let again: BTreeSet<_> = again.into_iter().collect();
    for job in views(ports, &ids).await {
        let status = if again.contains(&job.id) {
            JobStatus::Failed
        } else {
            JobStatus::Queued
        };
        assert_eq!((job.status, job.gen_), (status, 2), "{}: requeued once", job.id);
    }
    let spared = views(ports, &others).await;
    assert!(
        spared
            .iter()
            .all(|job| (job.status, job.gen_) == (JobStatus::Failed, 1))
    );
    keep(ports, again.len() + OTHERS).await;
    let counts = &ports.inspect.queues().await.unwrap()[&QueueName::default()].counts;
    assert_eq!(counts[&JobStatus::Queued], (LETTERS - again.len()) as u64);
    assert_eq!(counts[&JobStatus::Failed], (OTHERS + again.len()) as u64);
    backend.close().await;

    let groups = json_of(command(&["dlq", "ls", "--group", "-o", "json"]));
    let sizes: Vec<_> = groups
        .as_array()
        .unwrap()
        .iter()
        .map(|group| &group["count"])
        .collect();
    assert_eq!(sizes, [&json!(again.len()), &json!(OTHERS)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_requeue_survives_kill9_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join(".longshore");
    std::fs::create_dir(&store).unwrap();
    let command = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        command.args(args).current_dir(folder.path());
        command
    };
    Box::pin(survives_kill9(
        BackendConfig::new(Endpoints::embedded(&store)),
        command,
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_a_bulk_requeue_survives_kill9() {
    let servers = SharedServers::get().await.unwrap();
    let endpoints = Endpoints::servers(servers.amqp_url(), &servers.redis_url()).unwrap();
    let mut config = BackendConfig::new(endpoints);
    config.profile = Profile::Quorum;
    let fleet = crate::process::Fleet::on(servers.amqp_url().to_owned(), servers.redis_url(), "quorum");
    Box::pin(survives_kill9(config, |args| fleet.command(args))).await;
}
