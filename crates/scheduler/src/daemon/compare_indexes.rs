//! Compares records with their index rows, bite by bite and for ever: every job is found where its status says (I4). A row
//! goes missing when somebody edits the store by hand, or when the store comes back from an older copy of itself.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use longshore_core::port::checkup::IndexFault;
use longshore_core::telemetry::Repair;

use crate::context::Context;
use crate::error::Error;
use crate::status::Done;

/// Records or rows of a shard that one pass looks at: some milliseconds of the store's time.
const BITE: usize = 200;

/// Where the comparison of each shard goes on. A shard that comes from another scheduler begins anew.
#[derive(Debug, Default)]
pub(crate) struct Comparison(Mutex<BTreeMap<u16, String>>);

impl Comparison {
    fn take(&self, shard: u16) -> Option<String> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.remove(&shard)
    }

    fn keep(&self, shard: u16, next: Option<String>) {
        if let Some(next) = next {
            let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            places.insert(shard, next);
        }
    }
}

/// Looks at the next bite of each shard and repairs what disagrees: the record is the truth, and rows follow it.
pub(super) async fn pass(cx: &Context, shards: &[u16]) -> Result<Done, Error> {
    cx.each_shard(shards, |shard| Box::pin(compare(cx, shard))).await
}

async fn compare(cx: &Context, shard: u16) -> Result<Done, Error> {
    let from = cx.comparison.take(shard);
    let look = cx.ports.checkup.compare_index(shard, from, BITE, true).await?;
    cx.comparison.keep(shard, look.next);
    let repaired = look.faults.iter().filter(|fault| fault.repaired).count();
    cx.ports.telemetry.repaired(Repair::IndexRepaired, repaired);
    for fault in look.faults {
        tell(shard, &fault);
    }
    Ok(Done::rows(repaired as u64))
}

fn tell(shard: u16, fault: &IndexFault) {
    let IndexFault { kind, index, job, .. } = fault;
    if fault.repaired {
        tracing::warn!(
            shard,
            ?kind,
            index,
            job,
            "an index disagreed with a record and was put right"
        );
    } else {
        tracing::error!(
            shard,
            ?kind,
            index,
            job,
            "a record cannot be put right; longshore doctor says more"
        );
    }
}
