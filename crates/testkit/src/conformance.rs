//! What every backend must do, as named cases against the ports.
//!
//! A [`Harness`] makes an empty store and broker for each case; the case talks to the [`Ports`] alone and is told how
//! time passes by [`Rig::pass`]. After every case the listing must agree with the records and the counters. A case
//! that a backend cannot express is named in [`Harness::cannot`] with the reason, and printed; nothing is skipped in
//! silence.
//!
//! [`Ports`]: longshore_core::port::Ports
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "cases are tests: they end by panicking, and tell on stderr what they leave out"
)]

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

/// Lists the cases of a module: name and the rows of the protocol it covers.
macro_rules! cases {
    ($area:ident: $($name:ident $([$($row:literal),* $(,)?])?),* $(,)?) => {
        pub(super) fn cases() -> Vec<$crate::conformance::Case> {
            vec![$($crate::conformance::Case {
                name: stringify!($name),
                area: $crate::conformance::Area::$area,
                covers: &[$($($row),*)?],
                run: |rig| Box::pin($name(rig)),
            }),*]
        }
    };
}

mod access;
mod audit;
mod beat;
mod broker;
mod cancel;
mod checkup;
mod claim;
mod cron;
mod dead;
mod edges;
mod enqueue;
mod expire;
mod failed_parents;
mod finish;
mod give_back;
mod gone_parents;
pub mod harness;
mod inspect;
mod leases;
mod log;
mod notify;
mod outbox;
mod pause;
mod progress;
mod rebuild;
mod relations;
mod retention;
mod rig;
mod rows;
mod statistics;

pub use rig::{Held, Rig, Sabotage, Stage};
pub use rows::ROWS;

/// How long a case may take.
const CASE_DEADLINE: Duration = Duration::from_secs(60);

/// One behaviour that every backend has.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What it states; unique.
    pub name: &'static str,
    /// Part of the contract.
    pub area: Area,
    /// Rows of the protocol's tables that it covers (see [`ROWS`]).
    pub covers: &'static [&'static str],
    /// Runs it; panics when the backend behaves otherwise.
    pub run: fn(Rig) -> BoxFuture<'static, ()>,
}

/// Parts of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// Recording jobs.
    Enqueue,
    /// Outbox, promotion.
    Outbox,
    /// Republishing what the broker lost.
    Audit,
    /// What a worker does with a delivery.
    Claim,
    /// Lost records.
    Rebuild,
    /// Leases held.
    Beat,
    /// Ends of attempts.
    Finish,
    /// Unstarted jobs, parked functions, quarantine.
    GiveBack,
    /// Leases and deadlines that are over.
    Expire,
    /// Cancel.
    Cancel,
    /// Cron.
    Cron,
    /// Dependencies: the children's side.
    Edges,
    /// Dependencies: the parents' side.
    Relations,
    /// Dead letters.
    DeadLetters,
    /// Retention and tombstones.
    Retention,
    /// Paused queues.
    Pause,
    /// Progress.
    Progress,
    /// Listings, counters, workers, watches.
    Inspect,
    /// What the doctor looks at and repairs.
    Checkup,
    /// What happened, counted.
    Statistics,
    /// Leases over shards.
    Leases,
    /// Notices and the mailbox.
    Notify,
    /// Messages.
    Broker,
    /// Tokens, key and audit log of the gateway.
    Access,
}

/// Every case, area by area.
pub fn cases() -> Vec<Case> {
    [
        enqueue::cases(),
        outbox::cases(),
        audit::cases(),
        claim::cases(),
        rebuild::cases(),
        beat::cases(),
        finish::cases(),
        give_back::cases(),
        expire::cases(),
        cancel::cases(),
        cron::cases(),
        edges::cases(),
        relations::cases(),
        failed_parents::cases(),
        gone_parents::cases(),
        dead::cases(),
        retention::cases(),
        pause::cases(),
        progress::cases(),
        log::cases(),
        inspect::cases(),
        checkup::cases(),
        statistics::cases(),
        leases::cases(),
        notify::cases(),
        broker::cases(),
        access::cases(),
    ]
    .concat()
}

/// A backend under test.
pub trait Harness: Send + Sync {
    /// Its name in the output.
    fn name(&self) -> &'static str;

    /// Cases that cannot be expressed on this backend, each with the reason.
    fn cannot(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// An empty backend for one case of this area.
    fn rig(&self, area: Area) -> BoxFuture<'_, Rig>;
}

/// Runs the case with this name.
///
/// # Panics
///
/// When there is none, or the backend behaves otherwise.
pub async fn run_named(harness: &dyn Harness, name: &str) {
    let case = cases()
        .into_iter()
        .find(|case| case.name == name)
        .expect("a case of this name");
    run(harness, case).await;
}

/// Runs every case of an area, one after the other, and reports all failures together. The environment variable
/// `LONGSHORE_CASE` picks one of them by name.
///
/// # Panics
///
/// When a case fails.
pub async fn run_area(harness: &dyn Harness, area: Area) {
    let mut failed = Vec::new();
    let picked = std::env::var("LONGSHORE_CASE").ok();
    let wanted = |case: &Case| case.area == area && picked.as_ref().is_none_or(|name| name == case.name);
    for case in cases().into_iter().filter(wanted) {
        let ended = std::panic::AssertUnwindSafe(run(harness, case))
            .catch_unwind()
            .await;
        if ended.is_err() {
            eprintln!("FAILED {}: {}", harness.name(), case.name);
            failed.push(case.name);
        }
    }
    assert!(failed.is_empty(), "{}: failed cases: {failed:#?}", harness.name());
}

async fn run(harness: &dyn Harness, case: Case) {
    if let Some((_, reason)) = harness.cannot().iter().find(|(name, _)| *name == case.name) {
        eprintln!("NOT EXPRESSIBLE {}: {}: {reason}", harness.name(), case.name);
        return;
    }
    let rig = harness.rig(case.area).await;
    let whole = async {
        (case.run)(rig.clone()).await;
        rig.index_equals_status().await;
    };
    let in_time = tokio::time::timeout(CASE_DEADLINE, whole).await;
    rig.close().await;
    assert!(
        in_time.is_ok(),
        "{}: {} did not end within {CASE_DEADLINE:?}",
        harness.name(),
        case.name
    );
}
