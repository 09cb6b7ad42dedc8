//! Group commit: calls that wait for the disk share one `fdatasync`.

use std::sync::Arc;

use longshore_core::gather::{Carry, Gather, Trip, TripLimits};
use longshore_core::port;

use super::disk::{Disk, SERVER};

/// Most calls that share one trip to the disk.
const CALLS_MAX: usize = 4_096;

/// The gathering point in front of the disk.
#[derive(Clone)]
pub(super) struct Syncer(Gather<Arc<Disk>, Result<(), port::Error>, SyncTrip>);

struct SyncTrip;

impl Carry<Arc<Disk>, Result<(), port::Error>> for SyncTrip {
    fn carry(&self, batch: Vec<Arc<Disk>>) -> Trip<'_, Result<(), port::Error>> {
        Box::pin(async move {
            let count = batch.len();
            let synced =
                tokio::task::spawn_blocking(move || batch.first().map_or(Ok(()), |disk| disk.sync()));
            let synced = synced
                .await
                .unwrap_or(Err(port::Error::OutcomeUnknown { server: SERVER }));
            vec![synced; count]
        })
    }
}

impl Syncer {
    pub(super) fn new() -> Self {
        let limits = TripLimits {
            batch_max: CALLS_MAX,
            weight_max: usize::MAX,
            trips_max: 1,
        };
        Self(Gather::new(SyncTrip, limits))
    }

    /// Waits until what the caller has written is on the disk.
    pub(super) async fn synced(&self, disk: Arc<Disk>) -> Result<(), port::Error> {
        let call = self.0.call(disk, |trips| drop(tokio::spawn(trips)));
        call.await
            .unwrap_or(Err(port::Error::OutcomeUnknown { server: SERVER }))
    }
}
