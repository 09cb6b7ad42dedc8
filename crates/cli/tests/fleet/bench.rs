//! `longshore bench` on real servers: Longshore beside the floor.

use std::time::Duration;

use longshore_testkit::wait::eventually;
use serde_json::Value;

use super::process::Fleet;

/// How long anything here may take.
const LONG: Duration = Duration::from_secs(60);

async fn bench(fleet: &Fleet, args: &[&str]) -> Value {
    let text = fleet
        .run(&[&["bench", "-o", "json"], args].concat())
        .await
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

async fn both_are_measured(profile: &'static str) {
    let fleet = Fleet::on_shared_servers(profile).await;
    let args = ["--floor", "--jobs", "300", "--rate", "300", "--bundle", "8"];
    let document = bench(&fleet, &args).await;
    let rows = document["summary"].as_array().unwrap();
    assert_eq!(rows.len(), 8, "four modes of each: {document}");
    for row in rows {
        assert!(row["redis_cpu"].is_number(), "Redis tells its time: {row}");
        let is_ours = row["system"] == "longshore";
        assert_eq!(row["rate_over_floor"].is_number(), is_ours, "{row}");
    }
    assert_eq!(
        fleet
            .jobs(&["--status", "queued", "--status", "running"])
            .await
            .len(),
        0
    );
}

#[tokio::test]
async fn real_servers_are_measured_beside_their_floor_quorum() {
    both_are_measured("quorum").await;
}

#[tokio::test]
async fn real_servers_are_measured_beside_their_floor_classic() {
    both_are_measured("classic").await;
}

#[tokio::test]
async fn real_servers_see_one_half_as_a_worker_alone_whose_jobs_are_all_published() {
    let fleet = Fleet::on_shared_servers("quorum").await;
    bench(&fleet, &["hand-over", "--jobs", "20"]).await;
    let waiting = fleet.jobs(&["--status", "queued", "--limit", "100"]).await;
    assert_eq!(waiting.len(), 20);
    for job in &waiting {
        let job = fleet.job(job["id"].as_str().unwrap()).await;
        assert!(job["published_at_ms"].is_number(), "{job}");
    }
    let worker = fleet.start(&["bench", "work", "--jobs", "30"]);
    eventually(LONG, "the worker waits for more", || async {
        fleet
            .jobs(&["--status", "completed", "--limit", "100"])
            .await
            .len()
            == 20
    })
    .await
    .unwrap();
    let looked = fleet.command(&["doctor", "--quick"]).output().unwrap();
    let told = String::from_utf8_lossy(&looked.stdout);
    assert!(told.contains("no scheduler runs"), "{told}");
    bench(&fleet, &["hand-over", "--jobs", "10"]).await;
    let ended = worker.wait(LONG).await.unwrap();
    assert!(ended.success(), "{}", worker.log_tail());
    assert_eq!(
        fleet
            .jobs(&["--status", "completed", "--limit", "100"])
            .await
            .len(),
        30
    );
}

#[tokio::test]
async fn real_servers_tell_the_memory_of_a_job() {
    let fleet = Fleet::on_shared_servers("quorum").await;
    let weights = bench(&fleet, &["memory", "--jobs", "500"]).await;
    let states: Vec<_> = weights
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["queued", "completed", "scheduled"]);
    // Other tests share this Redis: a bound would say more of them than of a job. It is what `cost` tests hold.
    assert!(
        weights
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["bytes_a_job"].is_number())
    );
}

#[tokio::test]
async fn real_servers_tell_a_user_who_may_not_work_and_nothing_is_left() {
    let mut fleet = Fleet::on_shared_servers("quorum").await;
    let vhost = fleet.servers().vhost();
    let (user, host, name) = (
        format!("hands-over-{}", vhost.name()),
        vhost.addr(),
        vhost.name().to_owned(),
    );
    // As the gateway of deploy/: it reads no queue.
    let rights = [".*", ".*", "^longshore\\.(jobs|dlx|shards)$"];
    vhost.add_user(&user, "secret", rights).await.unwrap();
    let allowed = fleet.beside(env!("CARGO_BIN_EXE_longshore").into());
    // The topology is made by who may read it.
    allowed.run(&["enqueue", "someone.elses"]).await.unwrap();
    fleet.env([(
        "LONGSHORE_AMQP_URL".to_owned(),
        format!("amqp://{user}:secret@{host}/{name}"),
    )]);
    let output = fleet.command(&["bench", "--jobs", "50"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(10), "{said}");
    assert!(said.contains("may not read"), "{said}");
    assert!(said.contains("jobs.longshore-bench.critical"), "{said}");
    assert!(said.contains("as the scheduler's user"), "{said}");
    assert_eq!(allowed.jobs(&[]).await.len(), 1);
    let looked = fleet.command(&["doctor", "--quick"]).output().unwrap();
    let told = String::from_utf8_lossy(&looked.stdout);
    assert!(told.contains(&format!("the user {user} may not read")), "{told}");
    assert!(!told.contains("delete the queue"), "{told}");
}
