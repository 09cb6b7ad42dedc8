//! Records and the rows that find them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longshore_core::telemetry::{Event, Observer, Repair, Telemetry};

use super::rig_over;
use crate::Daemon;

/// Counts what was repaired of I4.
#[derive(Default)]
struct Repairs(AtomicU64);

impl Observer for Repairs {
    fn observe(&self, event: &Event<'_>) {
        if let Event::Repaired {
            repair: Repair::IndexRepaired,
            count,
        } = event
        {
            self.0.fetch_add(*count, Ordering::SeqCst);
        }
    }
}

#[tokio::test]
async fn a_job_that_no_index_has_is_found_counted_and_dispatched() {
    let repairs = Arc::new(Repairs::default());
    let observer = repairs.clone();
    let rig = rig_over(
        |builder| builder,
        |ports| ports.telemetry = Telemetry::new(observer),
    );
    let job = rig.enqueued(|_| {}).await;
    rig.store.spoil_rows(job.id, false);
    rig.pass_secs(60);
    assert_eq!(rig.run(Daemon::DispatchOutbox).await, 0, "nobody finds it");
    let mut found = 0;
    // A bite is of records or of rows: a lap has a few.
    for _ in 0..100 {
        found += rig.run(Daemon::CompareIndexes).await;
    }
    assert!(found > 0);
    assert_eq!(repairs.0.load(Ordering::SeqCst), found);
    assert_eq!(rig.run(Daemon::DispatchOutbox).await, 1);
    assert_eq!(rig.delivered().await, [(job.id, 1)]);
}

#[tokio::test]
async fn a_sound_store_has_nothing_to_repair() {
    let rig = rig_over(|builder| builder, |_| {});
    for _ in 0..5 {
        rig.enqueued(|_| {}).await;
    }
    rig.run(Daemon::DispatchOutbox).await;
    for _ in 0..30 {
        assert_eq!(rig.run(Daemon::CompareIndexes).await, 0);
    }
}
