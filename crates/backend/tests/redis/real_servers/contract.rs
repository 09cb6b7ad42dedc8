//! The conformance suite, all of the store's part, on one server and on a cluster of three.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use longshore_testkit::conformance::{Area, run_area};

use super::rig::{OnRedis, Servers};

const AREAS: [Area; 23] = [
    Area::Enqueue,
    Area::Outbox,
    Area::Audit,
    Area::Claim,
    Area::Rebuild,
    Area::Beat,
    Area::Finish,
    Area::GiveBack,
    Area::Expire,
    Area::Cancel,
    Area::Cron,
    Area::Edges,
    Area::Relations,
    Area::DeadLetters,
    Area::Retention,
    Area::Pause,
    Area::Progress,
    Area::Inspect,
    Area::Checkup,
    Area::Statistics,
    Area::Leases,
    Area::Notify,
    Area::Access,
];

async fn holds(servers: std::sync::Arc<Servers>) {
    let harness = OnRedis(servers);
    let mut failed = Vec::new();
    for area in AREAS {
        let ended = AssertUnwindSafe(run_area(&harness, area)).catch_unwind().await;
        if ended.is_err() {
            failed.push(area);
        }
    }
    assert!(failed.is_empty(), "areas with failed cases: {failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_keeps_the_contract() {
    holds(Servers::one().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_the_contract() {
    holds(Servers::cluster().await).await;
}
