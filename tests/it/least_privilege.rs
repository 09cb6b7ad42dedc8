//! A fleet under the users of deploy/, each process with what its role may do and no more.

use std::process::Command;
use std::time::Duration;

use longshore::{Client, ClientError, Job, JobError, JobStatus};
use longshore_backend::checkup::{self, ServerReport, Severity};
use longshore_backend::{Backend, BackendConfig, Endpoints};
use longshore_core::QueueName;
use longshore_core::port::Error;
use longshore_core::port::broker::Source;
use longshore_scheduler::{Intervals, Scheduler};
use longshore_testkit::servers::shared::vhost;
use longshore_testkit::servers::{Redis, RedisOptions, Vhost};
use longshore_worker::Worker;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::rig::LONG;

const ROLES: [&str; 4] = ["scheduler", "worker", "gateway", "producer"];
const PASSWORD: &str = "a-role-s-password";

/// What none of our users may do, with arguments that would be right.
const ADMINISTRATION: [&[&str]; 10] = [
    &["FLUSHALL"],
    &["FLUSHDB"],
    &["KEYS", "*"],
    &["CONFIG", "GET", "*"],
    &["CONFIG", "SET", "appendonly", "no"],
    &["DEBUG", "SLEEP", "0"],
    &["SHUTDOWN", "NOSAVE"],
    &["ACL", "LIST"],
    &["CLIENT", "KILL", "TYPE", "normal"],
    &["REPLICAOF", "127.0.0.1", "1"],
];

#[derive(Serialize, Deserialize)]
struct Sleep {
    fails: bool,
}

impl Job for Sleep {
    const FUNCTION_NAME: &'static str = "sleep";
    type Output = u8;
}

async fn work(job: Sleep) -> Result<u8, JobError> {
    if job.fails {
        return Err(JobError::permanent("as asked"));
    }
    Ok(1)
}

struct Servers {
    redis: Redis,
    vhost: Vhost,
    // Users of RabbitMQ are the broker's, which other tests share.
    suffix: String,
}

impl Servers {
    async fn start() -> Self {
        let redis = Redis::start(RedisOptions::default()).await.unwrap();
        let vhost = vhost().await.unwrap();
        let servers = Self {
            suffix: vhost.name().to_owned(),
            redis,
            vhost,
        };
        servers.add_redis_users().await;
        servers.add_rabbitmq_users().await;
        servers
    }

    async fn add_redis_users(&self) {
        let commands = include_str!("../../deploy/redis/commands.txt");
        let commands: Vec<_> = commands.lines().filter(|line| !line.starts_with('#')).collect();
        let users =
            include_str!("../../deploy/redis/users.acl.in").replace("@COMMANDS@", &commands.join(" "));
        for line in users.lines().filter_map(|line| line.strip_prefix("user ")) {
            let words: Vec<_> = line.split_whitespace().collect();
            // The test itself is the default user.
            if words[0] == "default" {
                continue;
            }
            let password = format!(">{PASSWORD}");
            let rules = words.iter().map(|word| {
                if word.starts_with("#@") {
                    password.as_str()
                } else {
                    *word
                }
            });
            let command: Vec<&str> = ["ACL", "SETUSER"].into_iter().chain(rules).collect();
            self.redis.cli(&command).await.unwrap();
        }
    }

    async fn add_rabbitmq_users(&self) {
        let definitions = include_str!("../../deploy/rabbitmq/definitions.json.in");
        let definitions: serde_json::Value = serde_json::from_str(definitions).unwrap();
        for rights in definitions["permissions"].as_array().unwrap() {
            let right = |name: &str| rights[name].as_str().unwrap();
            let role = right("user");
            if ROLES.contains(&role) {
                let rights = [right("configure"), right("write"), right("read")];
                self.vhost
                    .add_user(&self.amqp_user(role), PASSWORD, rights)
                    .await
                    .unwrap();
            }
        }
    }

    fn amqp_user(&self, role: &str) -> String {
        format!("{role}-{}", self.suffix)
    }

    fn redis_url(&self, role: &str) -> String {
        format!("redis://{role}:{PASSWORD}@127.0.0.1:{}", self.redis.port())
    }

    fn config(&self, role: &str) -> BackendConfig {
        let amqp = format!(
            "amqp://{}:{PASSWORD}@{}/{}",
            self.amqp_user(role),
            self.vhost.addr(),
            self.vhost.name()
        );
        BackendConfig::new(Endpoints::servers(&amqp, &self.redis_url(role)).unwrap())
    }

    async fn connect(&self, role: &str) -> Backend {
        Backend::connect(&self.config(role))
            .await
            .unwrap_or_else(|error| panic!("{role}: {error}"))
    }

    /// What `longshore doctor` finds in the broker as this user.
    async fn examined(&self, role: &str, backend: &Backend) -> ServerReport {
        let queues = [QueueName::default()];
        checkup::rabbitmq(&self.config(role), backend.shards(), &queues, false)
            .await
            .unwrap()
    }

    /// What Redis says to a role.
    fn asked(&self, role: &str, command: &[&str]) -> String {
        let url = self.redis_url(role);
        let output = Command::new("redis-cli")
            .args(["--no-auth-warning", "-u", &url])
            .args(command)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_works_under_the_users_of_deploy_and_each_may_do_no_more() {
    let servers = Servers::start().await;
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let scheduler = servers.connect("scheduler").await;
    let daemons = Scheduler::builder(scheduler.ports().clone())
        .intervals(Intervals::all(Duration::from_millis(200)))
        .shutdown(stop.clone());
    tasks.spawn(async move { drop(daemons.run().await) });
    let worker = servers.connect("worker").await;
    let runs = Worker::builder(worker.clone())
        .register(work)
        .shutdown(stop.clone())
        .build()
        .unwrap();
    tasks.spawn(async move { drop(runs.run().await.unwrap()) });
    let producer = servers.connect("producer").await;
    let gateway = servers.connect("gateway").await;

    all_kinds_of_jobs_end(&producer).await;
    people_see_and_decide(&gateway).await;
    nobody_administers_redis(&servers);
    who_produces_cannot_consume(&[("producer", &producer), ("gateway", &gateway)]).await;
    the_archive_is_the_scheduler_s(&worker).await;
    who_lacks_a_right_is_told_so(&producer).await;

    stop.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    // With nobody at work the queues show zeros, and are asked.
    for (role, backend) in [
        ("scheduler", &scheduler),
        ("worker", &worker),
        ("gateway", &gateway),
        ("producer", &producer),
    ] {
        let looked = servers.examined(role, backend).await;
        nobody_is_told_to_delete_a_queue(role, &looked);
    }
    for backend in [scheduler, worker, producer, gateway] {
        backend.close().await;
    }
}

async fn all_kinds_of_jobs_end(producer: &Backend) {
    let client = Client::builder().backend(producer).unwrap();
    let plain = client.enqueue(Sleep { fails: false }).await.unwrap();
    let later = client
        .enqueue(Sleep { fails: false })
        .delay(Duration::from_secs(1))
        .await
        .unwrap();
    let child = client
        .enqueue(Sleep { fails: false })
        .depends_on([&plain, &later])
        .await
        .unwrap();
    let dead = client.enqueue(Sleep { fails: true }).await.unwrap();
    assert_eq!(child.wait_timeout(LONG).await.unwrap(), 1);
    assert!(dead.wait_timeout(LONG).await.is_err());
    assert_eq!(dead.status().await.unwrap(), JobStatus::Failed);
    client.close().await;
}

/// What the gateway does for people: it lists, pauses, and queues dead letters again.
async fn people_see_and_decide(gateway: &Backend) {
    let client = Client::builder().backend(gateway).unwrap();
    let queues = client.queues().await.unwrap();
    assert_eq!(queues.len(), 1, "{queues:?}");
    client.pause("default").await.unwrap();
    client.resume("default").await.unwrap();
    assert_eq!(client.workers().await.unwrap().len(), 1);
    client.close().await;
}

fn nobody_administers_redis(servers: &Servers) {
    for role in ROLES {
        assert!(servers.asked(role, &["PING"]).contains("PONG"), "{role}");
        for command in ADMINISTRATION {
            let answer = servers.asked(role, command);
            // DEBUG is refused to everybody, before it is asked who they are.
            let refused = answer.contains("NOPERM") || answer.contains("DEBUG command not allowed");
            assert!(refused, "{role} {command:?}: {answer}");
        }
        let answer = servers.asked(role, &["SET", "somebody:else", "1"]);
        assert!(
            answer.contains("NOPERM"),
            "{role} writes keys that are not ours: {answer}"
        );
    }
    let answer = servers.asked("producer", &["DEL", "{longshore}workers"]);
    assert!(
        answer.contains("NOPERM"),
        "a producer changes what is the fleet's: {answer}"
    );
    let answer = servers.asked("worker", &["GET", "longshore:tokens"]);
    assert!(
        answer.contains("NOPERM"),
        "a worker reads what is the gateway's: {answer}"
    );
}

/// Whether messages of a source come to somebody.
async fn consumes(backend: &Backend, source: Source) -> bool {
    match backend.ports().consume.subscribe(source, 1).await {
        Ok(mut subscription) => {
            let came = tokio::time::timeout(Duration::from_secs(2), subscription.next()).await;
            // A stream that ends at once was refused; one that is open and silent was not.
            !matches!(came, Ok(None))
        }
        Err(error) => {
            println!("refused: {error}");
            false
        }
    }
}

async fn who_produces_cannot_consume(backends: &[(&str, &Backend)]) {
    for (role, backend) in backends {
        for source in [
            Source::Jobs(QueueName::default()),
            Source::Archive,
            Source::GivenUp,
        ] {
            assert!(
                !consumes(backend, source.clone()).await,
                "{role} consumes {source:?}"
            );
        }
    }
}

async fn the_archive_is_the_scheduler_s(worker: &Backend) {
    assert!(
        consumes(worker, Source::Jobs(QueueName::default())).await,
        "a worker's right to consume"
    );
    for source in [Source::Archive, Source::GivenUp] {
        assert!(
            !consumes(worker, source.clone()).await,
            "a worker consumes {source:?}"
        );
    }
}

/// A right that the user lacks says nothing of a queue: it is told as what it is, and by whom to look.
fn nobody_is_told_to_delete_a_queue(role: &str, looked: &ServerReport) {
    let told: Vec<String> = looked
        .findings
        .iter()
        .map(|finding| format!("{}; {}", finding.problem, finding.fix))
        .collect();
    assert!(looked.latency.is_some(), "{role}: {told:?}");
    assert!(
        !told.iter().any(|text| text.contains("delete the queue")),
        "{role}: {told:?}"
    );
    assert!(
        looked
            .findings
            .iter()
            .all(|finding| finding.severity < Severity::Error),
        "{role}: {told:?}"
    );
    if role == "scheduler" {
        assert_eq!(looked.forbidden, Vec::<String>::new());
        return;
    }
    let rights = told.iter().find(|text| text.contains("may not read"));
    let rights = rights.unwrap_or_else(|| panic!("{role}: {told:?}"));
    assert!(rights.contains(&format!("the user {role}-")), "{rights}");
    assert!(rights.contains("longshore.dlx.inbox"), "{rights}");
    assert!(rights.contains("as the scheduler's user"), "{rights}");
    assert_eq!(
        looked
            .forbidden
            .iter()
            .any(|right| right == "write to longshore.jobs"),
        role == "worker",
        "{looked:?}"
    );
}

/// Redis answered: that the user may not is no outage, and the error names user and key.
async fn who_lacks_a_right_is_told_so(producer: &Backend) {
    let client = Client::builder().backend(producer).unwrap();
    // The registry may be read.
    assert_eq!(client.workers().await.unwrap().len(), 1);
    client.close().await;
    let refusal = producer.ports().access.tokens().await.unwrap_err();
    let Error::Forbidden { user, what, .. } = &refusal else {
        panic!("{refusal:?}");
    };
    assert_eq!(user, "producer");
    assert!(what.contains("longshore:tokens"), "{what}");
    assert!(!refusal.is_retryable());
    let error = ClientError::from(refusal);
    assert_eq!(error.to_string(), "this is not allowed");
}
