//! A handler that panics: its worker says so in the log at `trace`, and tells neither its servers' passwords nor what the
//! job carried.

use std::io;
use std::sync::Arc;

use longshore::{Client, Job, JobError, JobStatus};
use longshore_backend::{Backend, BackendConfig, Endpoints};
use longshore_service::Config;
use longshore_service::config::Sources;
use longshore_service::telemetry;
use longshore_testkit::servers::shared::vhost;
use longshore_testkit::servers::{Redis, RedisOptions};
use longshore_worker::Worker;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::rig::LONG;

const AMQP: &str = "pl4nted-amqp-in-process";
const REDIS: &str = "pl4nted-redis-in-process";
const CARD: &str = "pl4nted-card-in-process";

#[derive(Serialize, Deserialize)]
struct Charge {
    card: String,
}

impl Job for Charge {
    const FUNCTION_NAME: &'static str = "charge";
    type Output = ();
}

async fn charge(job: Charge) -> Result<(), JobError> {
    assert!(job.card.is_empty(), "the till is shut");
    Ok(())
}

/// What the log says.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A text, and the numbers that `Debug` makes of its bytes.
fn forms(secret: &str) -> [String; 2] {
    let numbers: Vec<_> = secret.bytes().map(|byte| byte.to_string()).collect();
    [secret.to_owned(), numbers.join(", ")]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_a_handler_is_told_without_passwords_and_arguments() {
    let page = Page::default();
    let out = page.clone();
    let sources = Sources::default().flag("log.level", "trace");
    let config = Config::load(&sources, &|_, _, _| Ok(())).unwrap();
    let _observed = telemetry::install(&config, "worker", move || out.clone()).unwrap();
    longshore_worker::install_panic_hook();

    let redis = Redis::start(RedisOptions::default().password(REDIS))
        .await
        .unwrap();
    let vhost = vhost().await.unwrap();
    let user = format!("panics-{}", vhost.name());
    let amqp = vhost.add_user(&user, AMQP, [".*", ".*", ".*"]).await.unwrap();
    let config = BackendConfig::new(Endpoints::servers(&amqp, &redis.url()).unwrap());
    let backend = Backend::connect(&config).await.unwrap();
    let stop = CancellationToken::new();
    let worker = Worker::builder(config)
        .register(charge)
        .shutdown(stop.clone())
        .build()
        .unwrap();
    let worker = tokio::spawn(worker.run());
    let client = Client::builder().backend(&backend).unwrap();
    let job = client
        .enqueue(Charge {
            card: CARD.to_owned(),
        })
        .await
        .unwrap();
    let error = job.wait_timeout(LONG).await.unwrap_err();
    assert_eq!(job.status().await.unwrap(), JobStatus::Failed);
    stop.cancel();
    worker.await.unwrap().unwrap();
    client.close().await;
    backend.close().await;

    let said = String::from_utf8_lossy(&page.0.lock()).into_owned() + &error.to_string();
    for word in ["the till is shut", "worker started"] {
        assert!(said.contains(word), "the log does not say {word}");
    }
    for secret in [AMQP, REDIS, CARD] {
        for form in forms(secret) {
            let line = said.lines().find(|line| line.contains(&form));
            assert_eq!(line, None, "{secret} is in the log");
        }
    }
}
