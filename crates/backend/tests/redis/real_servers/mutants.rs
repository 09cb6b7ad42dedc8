//! Whether the random walks and the contract find mistakes: scripts with one deliberate mistake each run in a real Redis,
//! and each must be caught. The mistakes are made on the way to the server, between a store as it is shipped and Redis.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use longshore_testkit::conformance::run_area;

use super::rig::{OnRedis, Servers};
use super::twin;

mod forger;
mod table;
mod table_cases;
mod table_more;

use forger::Forger;
use table::{By, Mutant};

/// Walks that a mistake must be found in.
const WALKS: u64 = 60;
/// Where the walks begin; any other number does as well.
const SEED: u64 = 7_000;

fn all() -> Vec<Mutant> {
    [table::MUTANTS, table_more::MUTANTS, table_cases::MUTANTS].concat()
}

/// Whether one of the walks, or the contract, fails. Answers after how many walks.
async fn caught_after(servers: &Arc<Servers>, mutant: &Mutant) -> Option<u64> {
    let forger = Forger::start(servers.address(), *mutant).await;
    servers.go_through(Some(forger.address()));
    let mut after = None;
    match mutant.by {
        By::Walk => {
            for number in 0..WALKS {
                let walk = AssertUnwindSafe(twin::walk(servers, SEED + number));
                if walk.catch_unwind().await.is_err() {
                    after = Some(number + 1);
                    break;
                }
            }
        }
        By::StepBack => {
            let walk = AssertUnwindSafe(twin::directed::a_lost_job_after_a_step_back(servers)).catch_unwind();
            after = walk.await.is_err().then_some(1);
        }
        By::Cases(area) => {
            let harness = OnRedis(Arc::clone(servers));
            let held = AssertUnwindSafe(run_area(&harness, area)).catch_unwind().await;
            after = held.is_err().then_some(1);
        }
    }
    servers.go_through(None);
    assert!(forger.has_forged(), "{}: the script never ran", mutant.name);
    after
}

async fn all_are_caught(mutants: &[Mutant]) {
    let servers = Servers::one().await;
    let mut missed = Vec::new();
    for mutant in mutants {
        // At once: a whole run takes an hour or two.
        if let Some(walks) = caught_after(&servers, mutant).await {
            eprintln!("caught in {walks:>2}: {}: {}", mutant.script, mutant.name);
        } else {
            eprintln!("NOT FOUND: {}: {}", mutant.script, mutant.name);
            missed.push(mutant.name);
        }
    }
    assert!(
        missed.is_empty(),
        "{} of {} mistakes were not found: {missed:#?}",
        missed.len(),
        mutants.len()
    );
}

#[test]
fn every_mistake_is_one_place_of_a_script() {
    let mut names = std::collections::BTreeSet::new();
    for mutant in all() {
        let text = mutant.text();
        assert_eq!(
            text.matches(mutant.needle).count(),
            1,
            "{}: {:?}",
            mutant.name,
            mutant.needle
        );
        assert!(
            names.insert(mutant.name),
            "two mistakes are called {:?}",
            mutant.name
        );
    }
    assert!(names.len() >= 60, "{} mistakes", names.len());
}

/// Without this the others would show nothing: what stands between changes nothing by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_without_a_mistake_pass() {
    let servers = Servers::one().await;
    let unchanged = Mutant {
        name: "none",
        script: "step",
        needle: "local out, ARGV, plain = { NOW_US }, ARGV, num()",
        replacement: "local out, ARGV, plain = { NOW_US }, ARGV, num() -- as it is",
        by: By::Walk,
    };
    let forger = Forger::start(servers.address(), unchanged).await;
    servers.go_through(Some(forger.address()));
    twin::walk(&servers, SEED).await;
    assert!(forger.has_forged());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: scripts/test soak"]
async fn soak_every_mistake_in_a_script_is_found() {
    let picked = std::env::var("LONGSHORE_MUTANT").ok();
    let mutants: Vec<_> = all()
        .into_iter()
        .filter(|mutant| {
            picked
                .as_ref()
                .is_none_or(|name| mutant.name.contains(name.as_str()))
        })
        .collect();
    all_are_caught(&mutants).await;
}
