//! `longshore bench` on real servers: Longshore beside the floor.

use serde_json::Value;

use super::process::Fleet;

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
