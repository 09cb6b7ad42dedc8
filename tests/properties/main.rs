//! Random sequences of calls: a backend answers and remembers what the pure transitions of core say.
//!
//! `LONGSHORE_PROPERTY_CASES` sets how many sequences are tried. A failure prints the shortest sequence that fails and
//! the seed, which is also kept in `regressions.txt` and tried first from then on.
#![cfg(test)]

mod action;
mod compare;
mod model;
mod motif;

use longshore_backend::Profile;
use longshore_testkit::conformance::harness::{Embedded, Fleet, Store};
use longshore_testkit::conformance::{Area, Harness};
use proptest::prelude::TestCaseError;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};

/// Runs sequences from the empty store until one of them differs from the model.
fn check(harness: &dyn Harness, runtime: &tokio::runtime::Runtime, sequences: u32) {
    let chosen = std::env::var("LONGSHORE_PROPERTY_CASES").ok();
    let cases = chosen.map_or(sequences, |text| {
        text.parse().expect("LONGSHORE_PROPERTY_CASES: a number")
    });
    let regressions = concat!(env!("CARGO_MANIFEST_DIR"), "/properties/regressions.txt");
    let config = Config {
        cases,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(regressions))),
        max_shrink_iters: 400,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&motif::sequence(), |actions| {
        let sequence = async {
            let rig = harness.rig(Area::Claim).await;
            let outcome = compare::run(&rig, &actions).await;
            rig.close().await;
            outcome
        };
        runtime.block_on(sequence).map_err(TestCaseError::fail)
    });
    if let Err(failure) = outcome {
        panic!("{}: {failure}", harness.name());
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn the_embedded_store_does_what_the_transitions_say() {
    check(&Embedded, &runtime(), 100);
}

#[test]
#[ignore = "takes minutes; scripts/test soak runs it"]
fn soak_the_embedded_store_does_what_the_transitions_say_five_thousand_times() {
    check(&Embedded, &runtime(), 5_000);
}

#[test]
#[ignore = "takes an hour; scripts/test soak runs it"]
fn soak_redis_does_what_the_transitions_say_five_thousand_times() {
    let runtime = runtime();
    let fleet = runtime.block_on(Fleet::start(Profile::Quorum, Store::Standalone));
    check(&fleet, &runtime, 5_000);
}

#[test]
fn redis_does_what_the_transitions_say() {
    let runtime = runtime();
    let fleet = runtime.block_on(Fleet::start(Profile::Quorum, Store::Standalone));
    check(&fleet, &runtime, 60);
}
